#include "testing/bench/native_run.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/coding.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "net/event_loop.h"
#include "net/native/client.h"
#include "net/native/wire.h"
#include "testing/bench/native_call.h"

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
  void AddSlot(std::shared_ptr<native::Client> client, bool ordered, uint64_t stream) {
    slots_.push_back(std::make_unique<Slot>(control_, std::move(client), ordered, stream));
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
    Slot(RunControl* control, std::shared_ptr<native::Client> client, bool ordered, uint64_t stream)
        : source(control->workload(), stream), call(std::move(client), control, ordered) {}
    RequestSource source;
    NativeRequest call;
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
    slot->call.Start(slot->request, [this, slot] {
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
      slot->call.Start(slot->request, [this, slot] {
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
    lane_->Done(*slot->request, slot->start, end, slot->call.Judged(tally));
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
  Connections(Transport* transport, absl::string_view address, const NativeRunOptions& options,
              absl::Duration timeout)
      : loops_(EventLoops::New(options.threads)) {
    std::random_device random;
    for (int i = 0; i < options.connections; ++i) {
      native::ClientOptions client;
      for (int k = 0; k < 4; ++k) AppendLE32(&client.client_id, random());
      client.password = options.password;
      client.connect_timeout = timeout;
      clients_.push_back(
          native::Client::New(transport, loops_->loop(i % options.threads), address, client));
    }
  }
  ~Connections() {
    Countdown ended(clients_.size());
    for (const auto& client : clients_) {
      client->loop()->Post([&client, &ended] {
        client->Shutdown();
        ended.Tick();
      });
    }
    ended.Wait().IgnoreError();
    loops_->Stop();
  }

  absl::Status Open() {
    Countdown opened(clients_.size());
    for (const auto& client : clients_) {
      client->Open([this, &opened](const absl::StatusOr<native::ServerHello>& hello) {
        if (hello.ok()) {
          MutexLock lock(&mu_);
          ordered_ = native::FromProto(hello->capabilities()).ordered_scan != Support::kAbsent;
        }
        opened.Tick(hello.status());
      });
    }
    return opened.Wait();
  }

  EventLoops& loops() { return *loops_; }
  size_t size() const { return clients_.size(); }
  const std::shared_ptr<native::Client>& client(size_t i) const { return clients_[i]; }
  bool ordered() {
    MutexLock lock(&mu_);
    return ordered_;
  }

 private:
  const std::unique_ptr<EventLoops> loops_;
  std::vector<std::shared_ptr<native::Client>> clients_;
  Mutex mu_;
  bool ordered_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

absl::StatusOr<RunResult> RunOnNative(Transport* transport, absl::string_view address,
                                      const NativeRunOptions& native, Workload* workload,
                                      const RunOptions& options, const BenchClock* clock,
                                      ProgressSink* progress) {
  NativeRunOptions fitted = native;
  fitted.threads = std::min(native.threads, native.connections);
  // The loops end before what runs on them.
  std::unique_ptr<RunControl> control;
  std::vector<std::unique_ptr<LoopDriver>> drivers;
  Connections connections(transport, address, fitted, options.timeout);
  if (absl::Status status = connections.Open(); !status.ok()) return status;
  control = std::make_unique<RunControl>(workload, options, clock);
  for (int i = 0; i < fitted.threads; ++i) {
    drivers.push_back(std::make_unique<LoopDriver>(control.get(), connections.loops().loop(i)));
  }
  for (size_t i = 0; i < static_cast<size_t>(options.in_flight); ++i) {
    const size_t connection = i % connections.size();
    drivers[connection % drivers.size()]->AddSlot(connections.client(connection),
                                                  connections.ordered(), i);
  }
  for (int i = 0; i < fitted.threads; ++i) {
    connections.loops().loop(i)->Post(
        [driver = drivers[static_cast<size_t>(i)].get()] { driver->Start(); });
  }
  return control->Wait(fitted.threads, progress);
}

}  // namespace kvarts
