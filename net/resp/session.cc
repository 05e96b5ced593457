#include "net/resp/session.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "net/output.h"
#include "net/resp/interpreter.h"
#include "net/resp/prometheus.h"
#include "net/resp/state.h"

namespace kvarts {
namespace {

using resp::Interpreter;
using resp::kOverloaded;
using resp::Scratch;
using resp::Serving;
using Outcome = Interpreter::Outcome;

constexpr char kLoading[] = "LOADING kvarts is loading the dataset in memory";
// How long a connection that has ended waits for its peer to end too. Closed
// with bytes unread, a TCP connection would be reset, and with it the last
// answers.
constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr size_t kSpareOutputs = 4;
constexpr size_t kOrdinaryBytes = 64 << 10;

// On its loop only. What the connections of a loop reuse, so that an idle one
// holds little.
class LoopState {
 public:
  std::unique_ptr<Output> TakeOutput() {
    if (spare_.empty()) return std::make_unique<Output>();
    std::unique_ptr<Output> output = std::move(spare_.back());
    spare_.pop_back();
    return output;
  }
  // Done with it: what it lent is let go.
  void GiveBack(std::unique_ptr<Output> output) {
    output->Clear();
    if (spare_.size() < kSpareOutputs) spare_.push_back(std::move(output));
  }

  Scratch scratch;

 private:
  std::vector<std::unique_ptr<Output>> spare_;
};

}  // namespace

// Thread-safe.
class RespService::Impl {
 public:
  explicit Impl(const RespOptions& options) : state(options, resp::Commands().size()) {
    if (options.metrics == nullptr) return;
    options.metrics->SetMore([this](std::string* out) { resp::AppendPrometheus(state, out); });
  }
  ~Impl() {
    if (state.options.metrics != nullptr) state.options.metrics->SetMore(nullptr);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void SetReady(StoreRunner* runner) {
    ready_ = std::make_unique<const Serving>(runner);
    state.serving.store(ready_.get(), std::memory_order_release);
  }

  void SetAllNodes(StoreRunner* runner) {
    all_nodes_ = std::make_unique<const Serving>(runner);
    state.all_nodes.store(all_nodes_.get(), std::memory_order_release);
  }

  std::shared_ptr<LoopState> StateOf(EventLoop* loop) {
    MutexLock lock(&mu_);
    std::shared_ptr<LoopState>& loop_state = loops_[loop];
    if (loop_state == nullptr) loop_state = std::make_shared<LoopState>();
    return loop_state;
  }

  resp::ServerState state;

 private:
  std::unique_ptr<const Serving> ready_;      // constant once state.serving points to it
  std::unique_ptr<const Serving> all_nodes_;  // ... and state.all_nodes

  Mutex mu_;
  std::unordered_map<EventLoop*, std::shared_ptr<LoopState>> loops_ ABSL_GUARDED_BY(mu_);
};

namespace {

// One connection. Reads only when no whole request is left to answer and there
// is room for answers.
//
//   read ──▶ parser ──▶ Interpreter::Run() (loop, or a pool thread) ──▶ output ──▶ write
//                          │         ▲
//                          └▶ Submit ┘  writes to a store that says how not to block
//
// A command of several slots (ServerState::all_nodes) runs by itself on the threads of all nodes'
// store, which never run anything else: nodes that ask each other at once cannot wait in a circle.
//
// Pump() does whatever can be done now; each callback leads there. While a pool
// thread runs the interpreter, or the store has its writes, nothing else of the session
// touches it, nor the buffer that its requests lie in.
class RespSession final : public Session {
 public:
  RespSession(std::unique_ptr<Stream> stream, resp::ServerState* state,
              std::shared_ptr<LoopState> loop_state)
      : state_(state),
        loop_(stream->loop()),
        loop_state_(std::move(loop_state)),
        interpreter_(std::make_shared<Interpreter>(
            state, state->clients.Add(AddressesOf(*stream), state->options.clock->Now()))),
        timer_(loop_->NewTimer()),
        stream_(std::move(stream)) {
    interpreter_->client().set_own_bytes(sizeof(*this) + sizeof(Interpreter) +
                                         sizeof(resp::Client));
    interpreter_->client().SetKill([loop = loop_, self = self_] {
      loop->Post([self] {
        if (*self != nullptr) (*self)->Finish();
      });
    });
  }

  ~RespSession() override {
    interpreter_->client().SetKill(nullptr);
    *self_ = nullptr;
    answered_ = 0;
    Record();
    state_->held_bytes.fetch_sub(held_, std::memory_order_relaxed);
  }

  void Start(Task done) override {
    done_ = std::move(done);
    started_ = last_active_ = loop_->Now();
    StartTimer();
    StartRead();
  }

  void Drain() override {
    draining_ = true;
    Pump();
  }

 private:
  // May destroy this object, as its last act.
  void Pump() {
    while (!running_ && !yielding_ && !over_ && !starved_ && HasRoom()) Run();
    StartWrite();
    just_arrived_ = just_ended_ = 0;
    TellOutput();
    if (running_ || yielding_) return;
    const bool done = over_ || (starved_ && (peer_ended_ || draining_));
    if (done && !writing_ && Waiting() == 0) return Conclude();
    if (!done && starved_ && HasRoom()) StartRead();
    if (!CountHeld()) Finish();
  }

  static resp::ClientAddresses AddressesOf(const Stream& stream) {
    StreamSocket socket = stream.socket();
    return {stream.peer(), std::move(socket.local), socket.descriptor};
  }

  // For CLIENT LIST.
  void TellOutput() {
    resp::ClientOutput told;
    for (const auto& output : {out_.get(), writing_out_.get()}) {
      if (output == nullptr) continue;
      told.bytes += output->size() - output->lent_bytes();
      told.lent_bytes += output->lent_bytes();
      told.lent_pieces += output->lent_pieces();
      told.capacity += output->bytes().capacity();
    }
    told.is_read = !over_ && !peer_ended_ && HasRoom();
    told.is_writing = writing_;
    interpreter_->client().SetOutput(told);
  }

  // Memory beyond the ordinary. False: it is too much, of all together.
  bool CountHeld() {
    const auto beyond = [](size_t bytes) {
      return static_cast<int64_t>(bytes > kOrdinaryBytes ? bytes - kOrdinaryBytes : 0);
    };
    int64_t held = beyond(interpreter_->parser().capacity()) + beyond(interpreter_->queued_bytes());
    for (const auto& output : {out_.get(), writing_out_.get()}) {
      if (output != nullptr) held += beyond(output->bytes().capacity());
    }
    if (held == held_) return true;
    const int64_t more = held - held_;
    held_ = held;
    const int64_t all = state_->held_bytes.fetch_add(more, std::memory_order_relaxed) + more;
    return more < 0 || all <= static_cast<int64_t>(state_->options.max_held_bytes);
  }

  size_t Waiting() const { return out_ == nullptr ? 0 : out_->size(); }
  bool HasRoom() const {
    return Waiting() + (writing_out_ == nullptr ? 0 : writing_out_->size()) <
           state_->options.max_output_bytes;
  }

  // Answers what was read, until more is needed or the output is full.
  void Run() {
    running_ = true;
    if (out_ == nullptr) out_ = loop_state_->TakeOutput();
    const Serving* const serving = state_->serving.load(std::memory_order_acquire);
    if (serving == nullptr || serving->runner->full()) {
      return DidRun(interpreter_->Run(nullptr, serving == nullptr ? kLoading : kOverloaded,
                                      &loop_state_->scratch, Room(), /*on_loop=*/true, out_.get()));
    }
    if (!serving->capabilities.may_block) {
      serving->runner->Run(
          loop_, [this, serving] { RunInline(serving); }, [this] { DidRun(outcome_); });
      return;
    }
    serving->no_wait ? RunNotWaiting(serving) : RunOnPool(serving);
  }

  void RunNotWaiting(const Serving* serving) {
    RunInline(serving);
    DidRun(outcome_);
  }

  void RunOnPool(const Serving* serving, bool is_long = false) {
    auto job = std::make_shared<Job>();
    job->interpreter = interpreter_;
    job->output = std::move(out_);
    job->room = Room();
    Task work = [job, serving] { job->Run(serving); };
    Task done = [job, self = self_] {
      if (*self == nullptr) return;
      (*self)->out_ = std::move(job->output);
      (*self)->DidRun(job->outcome);
      (*self)->Pump();
    };
    if (is_long) return serving->runner->RunLong(loop_, std::move(work), std::move(done));
    serving->runner->Run(loop_, std::move(work), std::move(done));
  }

  void RunInline(const Serving* serving) {
    // What has just come is begun at once: the clock need not be read again.
    outcome_ = interpreter_->Run(serving, {}, &loop_state_->scratch, Room(), /*on_loop=*/true,
                                 out_.get(), std::exchange(just_arrived_, 0));
  }

  // The store has the interpreter's writes until they are done, also where the client leaves.
  void Submit(const Serving* serving) {
    serving->runner->Submit(loop_, interpreter_->writing(),
                            [interpreter = interpreter_, self = self_, serving](const auto&) {
                              if (*self == nullptr) return;
                              (*self)->GoOn(serving);
                            });
  }

  // May destroy this object.
  void GoOn(const Serving* serving) {
    if (out_ == nullptr) out_ = loop_state_->TakeOutput();
    RunNotWaiting(serving);
    Pump();
  }

  // What a pool thread is given: it may outlive the session.
  struct Job {
    void Run(const Serving* serving) {
      Scratch scratch;
      outcome = interpreter->Run(serving, {}, &scratch, room, /*on_loop=*/false, output.get());
    }

    std::shared_ptr<Interpreter> interpreter;
    std::unique_ptr<Output> output;
    size_t room = 0;
    Outcome outcome = Outcome::kStarved;
  };

  size_t Room() const {
    const size_t taken = writing_out_ == nullptr ? 0 : writing_out_->size();
    const size_t most = state_->options.max_output_bytes;
    return taken < most ? most - taken : 0;
  }

  void DidRun(Outcome outcome) {
    running_ = false;
    active_ = true;
    just_ended_ = interpreter_->ended_at();
    const resp::RequestTotals& counts = interpreter_->counts();
    answered_ += counts.commands;
    counts_.requests += counts.commands;
    counts_.errors += counts.errors;
    counts_.hits += counts.hits;
    counts_.misses += counts.misses;
    switch (outcome) {
      case Outcome::kStarved:
        starved_ = true;
        return;
      case Outcome::kFull:
        return;
      case Outcome::kBusy:
        yielding_ = true;
        loop_->Post([self = self_] {
          if (*self == nullptr) return;
          (*self)->yielding_ = false;
          (*self)->Pump();
        });
        return;
      case Outcome::kDrop:
        dropped_ = true;
        over_ = true;
        return;
      case Outcome::kEnd:
        over_ = true;
        return;
      // A store that is served stays the same.
      case Outcome::kWaits:
        running_ = true;
        RunOnPool(state_->serving.load(std::memory_order_relaxed));
        return;
      case Outcome::kTakesLong:
        running_ = true;
        RunOnPool(state_->serving.load(std::memory_order_relaxed), /*is_long=*/true);
        return;
      case Outcome::kWrites:
        running_ = true;
        Submit(state_->serving.load(std::memory_order_relaxed));
        return;
      case Outcome::kAsksAll:
        running_ = true;
        RunOnPool(state_->all_nodes.load(std::memory_order_acquire));
        return;
    }
  }

  void StartRead() {
    if (reading_ || peer_ended_) return;
    reading_ = true;
    stream_->Read(interpreter_->parser().Space(), absl::InfiniteDuration(),
                  [this](absl::StatusOr<size_t> n) { DidRead(n); });
  }

  void DidRead(const absl::StatusOr<size_t>& n) {
    reading_ = false;
    if (!n.ok()) return Finish();
    received_ = true;
    counts_.bytes_in += *n;
    arrived_ = just_arrived_ = resp::PreciseNanos();
    if (*n == 0) {
      peer_ended_ = true;
      if (lingering_) return Finish();
    } else if (lingering_) {
      return StartRead();  // read, not kept
    } else {
      interpreter_->parser().Filled(*n);
      starved_ = false;
    }
    Pump();
  }

  void StartWrite() {
    if (writing_ || Waiting() == 0) return;
    writing_ = true;
    writing_out_ = std::move(out_);
    // A file shrank under a value: the client asks again, and reads an error.
    if (!writing_out_->intact()) stream_->Close();
    counts_.bytes_out += writing_out_->size();
    stream_->Write(writing_out_->Pieces(), absl::InfiniteDuration(),
                   [this](absl::Status status) { DidWrite(status); });
    Record();
  }

  // Tells the metrics, once for all that was answered since the last time.
  void Record() {
    ProtocolMetrics* const metrics = state_->options.metrics;
    if (metrics == nullptr) return;
    if (answered_ > 0) {
      const int64_t time = (just_ended_ != 0 ? just_ended_ : resp::PreciseNanos()) - arrived_;
      metrics->RecordLatency(static_cast<uint64_t>(std::max<int64_t>(time, 0)), answered_);
    }
    answered_ = 0;
    metrics->Add(&counts_);
  }

  void DidWrite(const absl::Status& status) {
    writing_ = false;
    active_ = true;
    loop_state_->GiveBack(std::move(writing_out_));
    if (!status.ok()) return Finish();
    Pump();
  }

  void Conclude() {
    if (lingering_) return;
    if (peer_ended_ || dropped_) return Finish();
    lingering_ = true;
    stream_->CloseWrite();
    timer_->Start(kLinger, [this] { Finish(); });
    StartRead();
  }

  // Looks now and then if something happened, instead of being set anew at each
  // request.
  void StartTimer() {
    const RespOptions& options = state_->options;
    absl::Duration delay = std::min(options.idle_timeout, options.request_timeout);
    active_ = received_ = was_begun_ = false;
    if (!running_) {
      was_begun_ = starved_ && interpreter_->parser().begun();
      if (!interpreter_->authenticated()) delay = std::min(delay, options.authentication_timeout);
    }
    if (delay == absl::InfiniteDuration()) return;
    timer_->Start(delay, [this] { TimeOut(); });
  }

  void TimeOut() {
    const RespOptions& options = state_->options;
    const absl::Duration now = loop_->Now();
    if (active_ || running_) last_active_ = now;
    if (!running_) {
      const bool stuck = was_begun_ && starved_ && !received_;
      const bool silent =
          !interpreter_->authenticated() && now - started_ >= options.authentication_timeout;
      if (stuck || silent || now - last_active_ >= options.idle_timeout) return Finish();
    }
    StartTimer();
  }

  void Finish() {
    timer_->Cancel();
    stream_->Close();
    *self_ = nullptr;
    Task done = std::move(done_);
    done();
  }

  resp::ServerState* const state_;
  EventLoop* const loop_;
  const std::shared_ptr<LoopState> loop_state_;
  const std::shared_ptr<Interpreter> interpreter_;
  // What comes back later finds the session, or null, through it.
  const std::shared_ptr<RespSession*> self_ = std::make_shared<RespSession*>(this);
  Task done_;

  std::unique_ptr<Output> out_;          // gathers answers
  std::unique_ptr<Output> writing_out_;  // what the write under way sends

  RequestCounts counts_;   // not yet told to the metrics
  uint64_t answered_ = 0;  // requests whose latency is not yet told
  int64_t arrived_ = 0;    // the last bytes, as PreciseNanos()
  // Within a Pump(), 0 outside: the same, and when the last command had ended.
  int64_t just_arrived_ = 0;
  int64_t just_ended_ = 0;
  int64_t held_ = 0;  // of ServerState::held_bytes
  Outcome outcome_ = Outcome::kStarved;
  bool running_ = false;   // the interpreter is, maybe on another thread, or its writes are out
  bool yielding_ = false;  // there is more to answer, later
  bool starved_ = true;    // no whole request is left
  bool reading_ = false;
  bool writing_ = false;
  bool over_ = false;     // nothing more is answered
  bool dropped_ = false;  // ... nor said
  bool draining_ = false;
  bool peer_ended_ = false;
  bool lingering_ = false;

  // Of the time since the timer was set, and when it was.
  bool active_ = false;
  bool received_ = false;
  bool was_begun_ = false;  // a request had begun to arrive
  absl::Duration started_;
  absl::Duration last_active_;

  const std::unique_ptr<Timer> timer_;
  const std::unique_ptr<Stream> stream_;  // goes first: it uses what is above
};

}  // namespace

RespService::RespService(const RespOptions& options) : impl_(std::make_unique<Impl>(options)) {}
RespService::~RespService() = default;

void RespService::SetReady(StoreRunner* runner) { impl_->SetReady(runner); }
void RespService::SetAllNodes(StoreRunner* runner) { impl_->SetAllNodes(runner); }

std::unique_ptr<Session> RespService::NewSession(std::unique_ptr<Stream> stream) {
  std::shared_ptr<LoopState> loop_state = impl_->StateOf(stream->loop());
  return std::make_unique<RespSession>(std::move(stream), &impl_->state, std::move(loop_state));
}

RespStats RespService::stats() const {
  const resp::RequestTotals counts = impl_->state.command_stats.totals();
  RespStats stats;
  stats.commands = counts.commands;
  stats.connections = impl_->state.clients.accepted();
  stats.clients = impl_->state.clients.size();
  stats.hits = counts.hits;
  stats.misses = counts.misses;
  return stats;
}

}  // namespace kvarts
