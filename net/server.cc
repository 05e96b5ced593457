#include "net/server.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "base/cond_var.h"
#include "base/mutex.h"

namespace kvarts {
namespace {

// Counts tasks that were handed to loops; Wait() returns when each was run, or
// destroyed unrun because its loop has stopped.
class Barrier {
 public:
  // Counted until the last copy is gone.
  std::shared_ptr<void> NewToken() {
    {
      MutexLock lock(&mu_);
      ++tokens_;
    }
    return std::shared_ptr<void>(nullptr, [this](void*) {
      MutexLock lock(&mu_);
      if (--tokens_ == 0) none_.SignalAll();  // inside: Wait()'s caller destroys us
    });
  }

  void Wait() {
    MutexLock lock(&mu_);
    while (tokens_ > 0) none_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar none_;
  int tokens_ ABSL_GUARDED_BY(mu_) = 0;
};

// Of clients that are being refused, on one loop: each holds a descriptor and this object.
constexpr size_t kMostRefusals = 64;
// How long one is told and heard.
constexpr absl::Duration kRefusalTime = absl::Seconds(2);

// On its loop only. A client that is told that there are too many: written to, then heard until
// it leaves or its time is over.
class Refusal {
 public:
  // `done` destroys it, possibly inside.
  Refusal(std::unique_ptr<Stream> stream, absl::string_view text, Task done)
      : text_(text),
        done_(std::move(done)),
        timer_(stream->loop()->NewTimer()),
        stream_(std::move(stream)) {
    timer_->Start(kRefusalTime, [this] { Done(); });
    stream_->Write(absl::MakeConstSpan(&text_, 1), kRefusalTime, [this](const absl::Status& s) {
      if (!s.ok()) return Done();
      stream_->CloseWrite();
      Hear();
    });
  }

 private:
  void Hear() {
    stream_->Read(absl::MakeSpan(heard_), kRefusalTime, [this](absl::StatusOr<size_t> n) {
      if (!n.ok() || *n == 0) return Done();
      Hear();
    });
  }
  void Done() {
    Task done = std::exchange(done_, nullptr);
    done();
  }

  const absl::string_view text_;
  Task done_;
  char heard_[512];
  const std::unique_ptr<Timer> timer_;
  const std::unique_ptr<Stream> stream_;  // goes first: it uses what is above
};

// What the accept callback, the sessions and the server share. The callbacks may
// outlive the server in a loop's queue.
class Connections : public std::enable_shared_from_this<Connections> {
 public:
  Connections(absl::Span<EventLoop* const> loops, const ServerOptions& options,
              SessionFactory factory)
      : max_clients_(options.max_clients),
        refusal_(options.refusal),
        metrics_(options.metrics),
        factory_(std::move(factory)) {
    for (EventLoop* loop : loops) per_loop_.push_back(std::make_unique<PerLoop>(loop));
  }

  // On the stream's loop.
  void Accept(std::unique_ptr<Stream> stream) {
    PerLoop* const here = Find(stream->loop());
    if (here == nullptr || here->ended) return;
    if (!Admit()) return Refuse(here, std::move(stream));
    if (metrics_ != nullptr) metrics_->Accepted();
    std::unique_ptr<Session> made = factory_(std::move(stream));
    if (made == nullptr) {
      Left();
      return;
    }
    Session* const session = made.get();
    here->sessions.emplace(session, std::move(made));
    session->Start([self = shared_from_this(), here, session] {
      // The session's end may destroy this very closure: copies first.
      const std::shared_ptr<Connections> connections = self;
      PerLoop* const place = here;
      Session* const ended = session;
      place->sessions.erase(ended);
      connections->Left();
    });
  }

  // Not from a loop. No session begins after it; `destroy` ends all at once,
  // else they drain.
  void End(bool destroy) {
    Barrier barrier;
    for (const std::unique_ptr<PerLoop>& place : per_loop_) {
      place->loop->Post([this, here = place.get(), destroy, token = barrier.NewToken()] {
        here->ended = true;
        here->refusals.clear();
        destroy ? DestroyAll(here) : DrainAll(here);
      });
    }
    barrier.Wait();
    // A loop that has stopped leaves its sessions to us.
    if (destroy) {
      for (const std::unique_ptr<PerLoop>& place : per_loop_) DestroyAll(place.get());
    }
  }

  // Until no client is left, or `timeout` is over.
  void WaitForNone(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    MutexLock lock(&mu_);
    while (clients_ > 0) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return;
      none_.WaitFor(&mu_, left);
    }
  }

  int clients() const {
    MutexLock lock(&mu_);
    return clients_;
  }
  int64_t refused() const {
    MutexLock lock(&mu_);
    return refused_;
  }

 private:
  // Touched on its loop only.
  struct PerLoop {
    explicit PerLoop(EventLoop* l) : loop(l) {}
    EventLoop* const loop;
    std::unordered_map<Session*, std::unique_ptr<Session>> sessions;
    std::unordered_map<uint64_t, std::unique_ptr<Refusal>> refusals;
    uint64_t next_refusal = 0;
    bool ended = false;
  };

  bool Admit() {
    MutexLock lock(&mu_);
    if (clients_ >= max_clients_) {
      ++refused_;
      return false;
    }
    ++clients_;
    return true;
  }

  void Refuse(PerLoop* here, std::unique_ptr<Stream> stream) {
    if (metrics_ != nullptr) metrics_->Refused();
    if (refusal_.empty() || here->refusals.size() >= kMostRefusals) return;
    const uint64_t number = here->next_refusal++;
    here->refusals.emplace(
        number, std::make_unique<Refusal>(std::move(stream), refusal_,
                                          [here, number] { here->refusals.erase(number); }));
  }

  PerLoop* Find(EventLoop* loop) const {
    for (const std::unique_ptr<PerLoop>& place : per_loop_) {
      if (place->loop == loop) return place.get();
    }
    return nullptr;
  }

  void Left() {
    if (metrics_ != nullptr) metrics_->Closed();
    MutexLock lock(&mu_);
    if (--clients_ == 0) none_.SignalAll();
  }

  void DestroyAll(PerLoop* here) {
    here->refusals.clear();
    auto sessions = std::move(here->sessions);
    here->sessions.clear();
    const size_t count = sessions.size();
    sessions.clear();
    for (size_t i = 0; i < count; ++i) Left();
  }

  // A session may end inside its Drain().
  static void DrainAll(PerLoop* here) {
    std::vector<Session*> sessions;
    for (const auto& [session, owner] : here->sessions) sessions.push_back(session);
    for (Session* session : sessions) {
      if (here->sessions.count(session) > 0) session->Drain();
    }
  }

  const int max_clients_;
  const std::string refusal_;
  ProtocolMetrics* const metrics_;
  const SessionFactory factory_;
  std::vector<std::unique_ptr<PerLoop>> per_loop_;  // constant after construction

  mutable Mutex mu_;
  CondVar none_;
  int clients_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t refused_ ABSL_GUARDED_BY(mu_) = 0;
};

class ServerImpl final : public Server {
 public:
  ServerImpl(EventLoop* loop, std::unique_ptr<Listener> listener,
             std::shared_ptr<Connections> connections)
      : loop_(loop),
        address_(listener->address()),
        connections_(std::move(connections)),
        listener_(std::move(listener)) {}

  // The listener first: what it accepted before is then in the loops' queues
  // ahead of the tasks that end the sessions.
  ~ServerImpl() override {
    StopListening();
    connections_->End(/*destroy=*/true);
  }

  std::string address() const override { return address_; }
  int clients() const override { return connections_->clients(); }
  int64_t refused() const override { return connections_->refused(); }

  void BeginDrain() override {
    if (draining_.exchange(true)) return;
    StopListening();
    connections_->End(/*destroy=*/false);
  }

  void Drain(absl::Duration grace) override {
    ServerImpl::BeginDrain();
    connections_->WaitForNone(grace);
  }

 private:
  void StopListening() {
    std::unique_ptr<Listener> listener;
    {
      MutexLock lock(&mu_);
      listener = std::move(listener_);
    }
    if (listener == nullptr) return;
    Barrier barrier;
    loop_->Post([l = std::move(listener), token = barrier.NewToken()]() mutable { l.reset(); });
    barrier.Wait();
  }

  EventLoop* const loop_;
  const std::string address_;
  const std::shared_ptr<Connections> connections_;
  std::atomic<bool> draining_{false};
  Mutex mu_;
  std::unique_ptr<Listener> listener_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Transport* transport,
                                                      absl::Span<EventLoop* const> loops,
                                                      absl::string_view address,
                                                      const ServerOptions& options,
                                                      SessionFactory factory) {
  if (loops.empty()) return absl::InvalidArgumentError("a server needs a loop");
  auto connections = std::make_shared<Connections>(loops, options, std::move(factory));
  absl::StatusOr<std::unique_ptr<Listener>> listener = transport->Listen(
      loops, address, options.listen,
      [connections](std::unique_ptr<Stream> stream) { connections->Accept(std::move(stream)); });
  if (!listener.ok()) return std::move(listener).status();
  if (options.metrics != nullptr) {
    options.metrics->Listening((*listener)->address(), options.max_clients);
  }
  return std::make_unique<ServerImpl>(loops[0], *std::move(listener), std::move(connections));
}

}  // namespace kvarts
