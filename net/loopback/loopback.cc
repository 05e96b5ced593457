#include "net/loopback/loopback.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"
#include "net/accept_gate_internal.h"
#include "net/loopback/stream_internal.h"

namespace kvarts {
namespace {

using net_internal::AcceptGate;

constexpr absl::string_view kScheme = "loopback:";

// Thread-safe. Hands the far ends of connections to a listener's loops in turn.
class Acceptor {
 public:
  Acceptor(absl::Span<EventLoop* const> loops, Transport::AcceptCallback accept)
      : loops_(loops.begin(), loops.end()),
        gate_(std::make_shared<AcceptGate>(std::move(accept))) {}

  // The near end, for use on `loop`; null where the listener has ended.
  std::unique_ptr<Stream> Connect(EventLoop* loop) {
    MutexLock lock(&mu_);  // held, because a listener that has ended may outlive its loops
    if (closed_) return nullptr;
    EventLoop* const far_loop = loops_[next_++ % loops_.size()];
    auto [near, far] = net_internal::NewLoopbackPair(loop, far_loop);
    far_loop->Post(
        [gate = gate_, far = std::move(far)]() mutable { gate->Accept(std::move(far)); });
    return std::move(near);
  }

  void Close() {
    {
      MutexLock lock(&mu_);
      closed_ = true;
    }
    gate_->Close();
  }

 private:
  const std::vector<EventLoop*> loops_;
  const std::shared_ptr<AcceptGate> gate_;
  Mutex mu_;
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

// Thread-safe. Who listens under which address.
class Registry {
 public:
  bool Add(const std::string& address, std::shared_ptr<Acceptor> acceptor) {
    MutexLock lock(&mu_);
    return acceptors_.emplace(address, std::move(acceptor)).second;
  }
  void Remove(const std::string& address) {
    MutexLock lock(&mu_);
    acceptors_.erase(address);
  }
  std::shared_ptr<Acceptor> Find(const std::string& address) {
    MutexLock lock(&mu_);
    const auto it = acceptors_.find(address);
    return it == acceptors_.end() ? nullptr : it->second;
  }

 private:
  Mutex mu_;
  std::map<std::string, std::shared_ptr<Acceptor>> acceptors_ ABSL_GUARDED_BY(mu_);
};

class LoopbackListener final : public Listener {
 public:
  LoopbackListener(std::shared_ptr<Registry> registry, std::string address,
                   std::shared_ptr<Acceptor> acceptor)
      : registry_(std::move(registry)),
        address_(std::move(address)),
        acceptor_(std::move(acceptor)) {}
  ~LoopbackListener() override {
    registry_->Remove(address_);
    acceptor_->Close();
  }
  std::string address() const override { return address_; }

 private:
  const std::shared_ptr<Registry> registry_;
  const std::string address_;
  const std::shared_ptr<Acceptor> acceptor_;
};

absl::Status CheckAddress(absl::string_view address) {
  if (absl::ConsumePrefix(&address, kScheme) && !address.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("bad address '", address, "': expected loopback:NAME"));
}

class LoopbackTransport final : public Transport {
 public:
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    if (absl::Status status = CheckAddress(address); !status.ok()) return status;
    if (loops.empty()) return absl::InvalidArgumentError("no loops to listen on");
    std::string name(address);
    auto acceptor = std::make_shared<Acceptor>(loops, std::move(accept));
    if (!registry_->Add(name, acceptor)) {
      return absl::AlreadyExistsError(absl::StrCat("cannot listen on ", address, ": in use"));
    }
    return std::make_unique<LoopbackListener>(registry_, std::move(name), std::move(acceptor));
  }

  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    loop->Post([result = TryConnect(loop, address, timeout),
                callback = std::move(callback)]() mutable { callback(std::move(result)); });
  }

 private:
  absl::StatusOr<std::unique_ptr<Stream>> TryConnect(EventLoop* loop, absl::string_view address,
                                                     absl::Duration timeout) {
    if (absl::Status status = CheckAddress(address); !status.ok()) return status;
    if (timeout <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("cannot connect to ", address, ": timed out"));
    }
    const std::shared_ptr<Acceptor> acceptor = registry_->Find(std::string(address));
    std::unique_ptr<Stream> stream = acceptor == nullptr ? nullptr : acceptor->Connect(loop);
    if (stream == nullptr) {
      return absl::UnavailableError(
          absl::StrCat("cannot connect to ", address, ": nobody listens there"));
    }
    return stream;
  }

  const std::shared_ptr<Registry> registry_ = std::make_shared<Registry>();
};

}  // namespace

std::unique_ptr<Transport> NewLoopbackTransport() { return std::make_unique<LoopbackTransport>(); }

}  // namespace kvarts
