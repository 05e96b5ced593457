#ifndef KVARTS_NET_RESP_CLIENT_SERVED_RESP_H_
#define KVARTS_NET_RESP_CLIENT_SERVED_RESP_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/event_loop.h"
#include "net/resp/client/resp_store.h"
#include "net/resp/options.h"
#include "net/resp/session.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/transport.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// For tests. A store behind RESP, from its construction to its destruction, on two
// loops of its own. Not from a loop.
class ServedResp {
 public:
  static absl::StatusOr<std::unique_ptr<ServedResp>> Start(std::unique_ptr<Store> store,
                                                           Transport* transport,
                                                           absl::string_view address,
                                                           const RespOptions& options = {}) {
    std::unique_ptr<ServedResp> served(new ServedResp(std::move(store), options));
    std::vector<EventLoop*> loops = {served->loops_->loop(0), served->loops_->loop(1)};
    absl::StatusOr<std::unique_ptr<Server>> server =
        Server::Start(transport, loops, address, {},
                      [service = &served->service_](std::unique_ptr<Stream> stream) {
                        return service->NewSession(std::move(stream));
                      });
    if (!server.ok()) return server.status();
    served->server_ = *std::move(server);
    return served;
  }

  // Until then it is loading.
  void SetReady() { service_.SetReady(runner_.get()); }
  Store& store() { return *store_; }
  std::string address() const { return server_->address(); }

 private:
  ServedResp(std::unique_ptr<Store> store, const RespOptions& options)
      : store_(std::move(store)),
        service_(options),
        loops_(EventLoops::New(2).value()),
        runner_(StoreRunner::New(store_.get(), 2).value()) {}

  const std::unique_ptr<Store> store_;
  RespService service_;
  const std::unique_ptr<EventLoops> loops_;
  const std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Server> server_;
};

// Another fixture's stores, each served, and opened as what a RESP server holds.
// Not thread-safe.
class RespFixture final : public StoreFixture {
 public:
  // `new_address` gives a free address to listen at.
  RespFixture(std::unique_ptr<StoreFixture> backing, std::unique_ptr<Transport> transport,
              std::function<std::string()> new_address, bool expiry)
      : backing_(std::move(backing)),
        transport_(std::move(transport)),
        new_address_(std::move(new_address)),
        expiry_(expiry) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    absl::StatusOr<std::unique_ptr<Store>> store = backing_->Open(records);
    if (!store.ok()) return store.status();
    RespOptions options;
    if (clock() != nullptr) options.clock = clock();
    absl::StatusOr<std::unique_ptr<ServedResp>> served =
        ServedResp::Start(*std::move(store), transport_.get(), new_address_(), options);
    if (!served.ok()) return served.status();
    served_.push_back(*std::move(served));
    served_.back()->SetReady();
    return Reopen();
  }
  // The server goes on.
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    RespStoreOptions options;
    options.expiry = expiry_;
    options.timeout = absl::Seconds(60);  // of a loaded machine under a sanitizer
    return OpenRespStore(transport_.get(), served_.back()->address(), options);
  }
  ManualClock* clock() override { return backing_->clock(); }
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return backing_->Accepts(key, value);
  }

 private:
  const std::unique_ptr<StoreFixture> backing_;
  const std::unique_ptr<Transport> transport_;
  const std::function<std::string()> new_address_;
  const bool expiry_;
  std::vector<std::unique_ptr<ServedResp>> served_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_SERVED_RESP_H_
