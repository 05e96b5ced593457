#ifndef KVARTS_NET_RESP_SESSION_HARNESS_H_
#define KVARTS_NET_RESP_SESSION_HARNESS_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/resp/session.h"
#include "net/scripted.h"
#include "testing/model/model_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace resp {

// A request as clients send it.
inline std::string Request(absl::Span<const absl::string_view> args) {
  std::string bytes = absl::StrCat("*", args.size(), "\r\n");
  for (const absl::string_view arg : args) {
    absl::StrAppend(&bytes, "$", arg.size(), "\r\n", arg, "\r\n");
  }
  return bytes;
}

// For tests. Sessions in the test's own thread, over a store of the test's; where
// it may block, calls wait for held().RunHeld(), and those of a SlowStore for its Commit().
class SessionHarness {
 public:
  struct Connection {
    std::shared_ptr<Wire> wire = std::make_shared<Wire>();
    ScriptedStream* stream = nullptr;  // owned by the session
    std::unique_ptr<Session> session;  // null once it has ended
    bool over() const { return session == nullptr; }
  };

  explicit SessionHarness(std::unique_ptr<Store> store, const RespOptions& options = {},
                          bool ready = true)
      : store_(std::move(store)),
        service_(options),
        runner_(store_->capabilities().may_block
                    ? nullptr
                    : std::make_unique<LoopRunner>(store_.get(), &held_)),
        held_(store_.get()) {
    if (ready) SetReady();
  }
  explicit SessionHarness(const RespOptions& options = {})
      : SessionHarness(NewModelStore(), options) {}

  void SetReady() { service_.SetReady(runner_ == nullptr ? &held_ : runner_.get()); }

  std::unique_ptr<Connection> Connect() {
    auto connection = std::make_unique<Connection>();
    auto stream = std::make_unique<ScriptedStream>(&loop_, connection->wire);
    connection->stream = stream.get();
    connection->session = service_.NewSession(std::move(stream));
    connection->session->Start([c = connection.get()] { c->session.reset(); });
    loop_.Run();
    return connection;
  }

  // What is answered to `bytes`, which come as one.
  std::string Send(Connection& connection, absl::string_view bytes) {
    const size_t before = connection.wire->written.size();
    connection.wire->to_read.append(bytes.data(), bytes.size());
    Move(connection);
    while (!held_.held.empty() || (slow_ != nullptr && slow_->Commit() > 0)) {
      held_.RunHeld();
      loop_.Run();
    }
    return connection.wire->written.substr(before);
  }
  // ... to one request.
  std::string Ask(Connection& connection, absl::Span<const absl::string_view> args) {
    return Send(connection, Request(args));
  }
  void End(Connection& connection) {
    connection.wire->ended = true;
    Move(connection);
  }
  void Move(Connection& connection) {
    if (!connection.over()) connection.stream->Moved();
    loop_.Run();
  }

  ScriptedLoop& loop() { return loop_; }
  Store& store() { return *store_; }
  HeldRunner& held() { return held_; }
  RespService& service() { return service_; }

 private:
  // Of a store that does not block: only what takes long is held.
  class LoopRunner final : public StoreRunner {
   public:
    LoopRunner(Store* store, HeldRunner* held) : store_(store), held_(held) {}
    Store* store() const override { return store_; }
    bool full() const override { return false; }
    void Run(EventLoop*, Task work, Task done) override {
      work();
      done();
    }
    void RunLong(EventLoop* loop, Task work, Task done) override {
      held_->Run(loop, std::move(work), std::move(done));
    }

   private:
    Store* const store_;
    HeldRunner* const held_;
  };

  const std::unique_ptr<Store> store_;
  SlowStore* const slow_ = dynamic_cast<SlowStore*>(store_.get());  // null: another one
  RespService service_;
  ScriptedLoop loop_;
  const std::unique_ptr<StoreRunner> runner_;
  HeldRunner held_;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SESSION_HARNESS_H_
