#ifndef KVARTS_NET_HTTP_HTTP_FIXTURE_H_
#define KVARTS_NET_HTTP_HTTP_FIXTURE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/http/http.h"
#include "net/http/http_test_util.h"
#include "net/loopback/loopback.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "storage/store.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"

namespace kvarts {

// A store of one value, lent, whose reads may be held up.
class GatedStore final : public Store {
 public:
  explicit GatedStore(bool may_block) : may_block_(may_block) {}

  Capabilities capabilities() const override {
    Capabilities has;
    has.may_block = may_block_;
    return has;
  }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions&,
                ReadResults* results) override {
    waiting.Update([](int* n) { ++*n; });
    open.AwaitValue(true);
    results->Reset(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      if (keys[i] == "fails") {
        result.status = absl::UnavailableError("the disk is on holiday");
      } else {
        results->bytes().AddPin(value);
        results->bytes().WatchLosses(losses, 0);
        result.found = true;
        result.value = *value;
      }
    }
  }
  absl::StatusOr<StoreStats> Stats() override { return StoreStats(); }
  absl::Status Close() override { return absl::OkStatus(); }

  Awaited<bool> open{true};
  Awaited<int> waiting{0};
  std::atomic<uint32_t> losses{0};  // of what was lent
  const std::shared_ptr<std::string> value = std::make_shared<std::string>("value");

 private:
  const bool may_block_;
};

class HttpTest : public testing::Test {
 protected:
  ~HttpTest() override { Stop(); }

  void Stop() {
    server_.reset();
    runner_.reset();
    loops_->Stop();
  }

  void StartServer(const HttpOptions& options = {}) {
    service_ = std::make_unique<HttpService>(options);
    ServerOptions server_options;
    server_options.metrics = service_->metrics();
    auto server = Server::Start(
        transport_.get(), {loops_->loop(0)}, "loopback:http", server_options,
        [this](std::unique_ptr<Stream> stream) { return service_->NewSession(std::move(stream)); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void SetStore(std::unique_ptr<Store> store) {
    store_ = std::move(store);
    runner_ = StoreRunner::New(store_.get(), 2).value();
    service_->SetReady(runner_.get());
  }
  void SetModelStore(const Capabilities& capabilities = ModelCapabilities()) {
    ModelStoreOptions options;
    options.capabilities = capabilities;
    options.records = {{"a", "1"},
                       {"a b/c", "2"},
                       {"", "empty key"},
                       {"empty", ""},
                       {std::string(kMaxKeyBytes, '\xff'), "long"}};
    SetStore(NewModelStore(std::move(options)));
  }
  GatedStore* SetGatedStore(bool may_block) {
    auto store = std::make_unique<GatedStore>(may_block);
    GatedStore* const raw = store.get();
    SetStore(std::move(store));
    return raw;
  }
  std::unique_ptr<TestConnection> Connect(bool reads = true) {
    return std::make_unique<TestConnection>(transport_.get(), loops_->loop(1), "loopback:http",
                                            reads);
  }

  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
  std::unique_ptr<HttpService> service_;
  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(2).value();
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Server> server_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_HTTP_FIXTURE_H_
