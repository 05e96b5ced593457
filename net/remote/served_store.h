#ifndef KVARTS_NET_REMOTE_SERVED_STORE_H_
#define KVARTS_NET_REMOTE_SERVED_STORE_H_

#include "base/language.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/event_loop.h"
#include "net/native/session.h"
#include "net/remote/remote_store.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/transport.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// For tests. A store behind the native protocol, from its construction to its
// destruction, on two loops of its own. Not from a loop.
class ServedStore {
 public:
  static absl::StatusOr<std::unique_ptr<ServedStore>> Start(
      std::unique_ptr<Store> store, Transport* transport, absl::string_view address,
      const NativeServerOptions& options = {}) {
    std::unique_ptr<ServedStore> served(new ServedStore(std::move(store)));
    std::vector<EventLoop*> loops = {served->loops_->loop(0), served->loops_->loop(1)};
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(
        transport, loops, address, {}, NewNativeSessions(served->runner_.get(), options));
    if (!server.ok()) return server.status();
    served->server_ = *std::move(server);
    return served;
  }

  Store& store() { return *store_; }
  Server& server() { return *server_; }
  std::string address() const { return server_->address(); }

 private:
  explicit ServedStore(std::unique_ptr<Store> store)
      : store_(std::move(store)),
        loops_(EventLoops::New(2)),
        runner_(StoreRunner::New(store_.get(), 2)) {}

  const std::unique_ptr<Store> store_;
  const std::unique_ptr<EventLoops> loops_;
  const std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Server> server_;
};

// Another fixture's stores, each served, and opened as a remote store. Not
// thread-safe.
class RemoteFixture final : public StoreFixture {
 public:
  // `new_address` gives a free address to listen at.
  RemoteFixture(std::unique_ptr<StoreFixture> backing, std::unique_ptr<Transport> transport,
                std::function<std::string()> new_address)
      : backing_(std::move(backing)),
        transport_(std::move(transport)),
        new_address_(std::move(new_address)) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    return Serve(backing_->Open(records));
  }
  bool can_reopen() const override { return backing_->can_reopen(); }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    if (!served_.back()->store().capabilities().shared_by_processes) served_.pop_back();
    return Serve(backing_->Reopen());
  }
  ManualClock* clock() override { return backing_->clock(); }
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return backing_->Accepts(key, value);
  }

 private:
  absl::StatusOr<std::unique_ptr<Store>> Serve(absl::StatusOr<std::unique_ptr<Store>> store) {
    if (!store.ok()) return store.status();
    absl::StatusOr<std::unique_ptr<ServedStore>> served =
        ServedStore::Start(*std::move(store), transport_.get(), new_address_());
    if (!served.ok()) return served.status();
    served_.push_back(*std::move(served));
    RemoteOptions options;
    options.timeout = absl::Seconds(60);  // of a loaded machine under a sanitizer
    return OpenRemoteStore(transport_.get(), served_.back()->address(), options);
  }

  const std::unique_ptr<StoreFixture> backing_;
  const std::unique_ptr<Transport> transport_;
  const std::function<std::string()> new_address_;
  std::vector<std::unique_ptr<ServedStore>> served_;
};

// The ways to reach a store in this process.
struct TestTransport {
  const char* name;
  std::unique_ptr<Transport> (*make)();
  std::string (*new_address)();
};
const std::vector<TestTransport>& TestTransports();

}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_SERVED_STORE_H_
