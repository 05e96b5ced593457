#include "bench/connection_run.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

// Between looks at whether the run was stopped.
constexpr absl::Duration kLongestWait = absl::Milliseconds(100);

// Thread-safe. Counts what is to happen on loops.
class Countdown {
 public:
  explicit Countdown(size_t n) : left_(n) {}
  void Tick(const absl::Status& status = absl::OkStatus()) {
    MutexLock lock(&mu_);
    // In memory of its own: it goes to another thread.
    if (error_.ok()) error_ = absl::Status(status.code(), status.message());
    if (--left_ == 0) zero_.Signal();
  }
  // The first error.
  absl::Status Wait() {
    MutexLock lock(&mu_);
    while (left_ > 0) zero_.Wait(&mu_);
    return error_;
  }

 private:
  Mutex mu_;
  CondVar zero_;
  size_t left_ ABSL_GUARDED_BY(mu_);
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

// On its loop only, but for what is said. The requests of a loop's connections.
class LoopDriver {
 public:
  LoopDriver(RunControl* control, EventLoop* loop) : control_(control), loop_(loop) {}

  // Before Start(), on any thread: room for one request more at a time.
  void AddSlot(BenchConnection* connection, uint64_t stream) {
    slots_.push_back(std::make_unique<Slot>(control_, connection, stream));
  }
  void Start() {
    lane_.emplace(control_);
    running_ = slots_.size();
    if (!control_->is_open()) {
      for (const auto& slot : slots_) Begin(slot.get());
      return;
    }
    timer_ = loop_->NewTimer();
    for (const auto& slot : slots_) free_.push_back(slot.get());
    SendDue();
  }

 private:
  struct Slot {
    Slot(RunControl* control, BenchConnection* connection, uint64_t stream)
        : source(control->workload(), stream), call(connection->NewCall(control)) {}
    RequestSource source;
    const std::unique_ptr<BenchCall> call;
    const BenchRequest* request = nullptr;
    int64_t start = 0;  // or when it was due
  };

  // A closed loop: the slot's next request, or its end.
  void Begin(Slot* slot) {
    slot->request = &slot->source.Next();
    slot->start = control_->clock().NowNs();
    if (!control_->Admit(slot->start)) {
      if (--running_ == 0) End();
      return;
    }
    slot->call->Start(slot->request, [this, slot] {
      Count(slot);
      Begin(slot);
    });
  }

  // An open loop: sends what is due, as long as there is room; then waits for
  // what is due next, or for an answer.
  void SendDue() {
    while (!free_.empty() && !exhausted_) {
      if (control_->stopped()) break;
      if (!due_.has_value()) due_ = control_->NextDue();
      if (!due_.has_value()) break;
      const int64_t now = control_->clock().NowNs();
      if (*due_ > now) {
        timer_->Start(std::min(absl::Nanoseconds(*due_ - now), kLongestWait),
                      [this] { SendDue(); });
        return;
      }
      Slot* const slot = free_.front();
      slot->request = &slot->source.Next();
      slot->start = *due_;
      due_.reset();
      if (control_->IsOver(now)) {
        lane_->DoesNotSend(slot->request->operation, slot->start, now);
        continue;
      }
      free_.pop_front();
      lane_->Sends(slot->start, now);
      slot->call->Start(slot->request, [this, slot] {
        Count(slot);
        free_.push_back(slot);
        SendDue();
      });
    }
    if (free_.empty()) return;
    exhausted_ = true;
    if (free_.size() == slots_.size()) End();
  }

  void Count(Slot* slot) {
    const int64_t end = control_->clock().NowNs();
    OperationTally* const tally = lane_->TallyOf(*slot->request, control_->IsCounted(slot->start));
    lane_->Done(*slot->request, slot->start, end, slot->call->Judged(tally));
  }

  void End() {
    timer_.reset();
    lane_.reset();
  }

  RunControl* const control_;
  EventLoop* const loop_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::optional<RunLane> lane_;
  size_t running_ = 0;

  std::unique_ptr<Timer> timer_;
  std::deque<Slot*> free_;  // the one that has waited longest in front
  std::optional<int64_t> due_;
  bool exhausted_ = false;
};

// Connections, and the loops they live on.
class Connections {
 public:
  Connections(const BenchConnectionFactory& new_connection, const ConnectionRunOptions& options,
              std::unique_ptr<EventLoops> loops)
      : loops_(std::move(loops)) {
    for (int i = 0; i < options.connections; ++i) {
      EventLoop* const loop = loops_->loop(i % options.threads);
      connections_.push_back({loop, new_connection(loop)});
    }
  }
  ~Connections() {
    Countdown ended(connections_.size());
    for (const Entry& entry : connections_) {
      entry.loop->Post([&entry, &ended] {
        entry.connection->Shutdown();
        ended.Tick();
      });
    }
    ended.Wait().IgnoreError();
    loops_->Stop();
  }

  absl::Status Open() {
    Countdown opened(connections_.size());
    for (const Entry& entry : connections_) {
      entry.connection->Open([&opened](const absl::Status& status) { opened.Tick(status); });
    }
    return opened.Wait();
  }

  EventLoops& loops() { return *loops_; }
  size_t size() const { return connections_.size(); }
  BenchConnection* connection(size_t i) const { return connections_[i].connection.get(); }

 private:
  struct Entry {
    EventLoop* loop;
    std::unique_ptr<BenchConnection> connection;
  };

  const std::unique_ptr<EventLoops> loops_;
  std::vector<Entry> connections_;
};

}  // namespace

absl::StatusOr<RunResult> RunOnConnections(const BenchConnectionFactory& new_connection,
                                           const ConnectionRunOptions& given, Workload* workload,
                                           const RunOptions& options, const BenchClock* clock,
                                           ProgressSink* progress) {
  ConnectionRunOptions fitted = given;
  fitted.threads = std::min(given.threads, given.connections);
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<EventLoops> loops, EventLoops::New(fitted.threads));
  // The loops end before what runs on them.
  std::unique_ptr<RunControl> control;
  std::vector<std::unique_ptr<LoopDriver>> drivers;
  Connections connections(new_connection, fitted, std::move(loops));
  if (absl::Status status = connections.Open(); !status.ok()) return status;
  control = std::make_unique<RunControl>(workload, options, clock);
  for (int i = 0; i < fitted.threads; ++i) {
    drivers.push_back(std::make_unique<LoopDriver>(control.get(), connections.loops().loop(i)));
  }
  for (size_t i = 0; i < static_cast<size_t>(options.in_flight); ++i) {
    const size_t connection = i % connections.size();
    drivers[connection % drivers.size()]->AddSlot(connections.connection(connection), i);
  }
  for (int i = 0; i < fitted.threads; ++i) {
    connections.loops().loop(i)->Post(
        [driver = drivers[static_cast<size_t>(i)].get()] { driver->Start(); });
  }
  return control->Wait(fitted.threads, progress);
}

}  // namespace kvarts
