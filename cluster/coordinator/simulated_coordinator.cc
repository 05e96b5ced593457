#include "cluster/coordinator/simulated_coordinator.h"

#include <atomic>
#include <map>
#include <random>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/coordinator/apply_transaction.h"

namespace kvarts {
namespace {

class RandomPolicy final : public CoordinatorPolicy {
 public:
  RandomPolicy(uint64_t seed, const CoordinatorFaults& faults) : random_(seed), faults_(faults) {}

  Fate NextCall(int /*client*/, Call /*call*/) override {
    Fate fate;
    fate.refused = Chance(faults_.refused);
    fate.lost = Chance(faults_.lost);
    fate.answer_lost = Chance(faults_.answer_lost);
    fate.delay = UpTo(Chance(faults_.late) ? faults_.late_delay : faults_.delay);
    fate.answer_delay = UpTo(faults_.delay);
    return fate;
  }

  HintFate NextHint(int /*client*/) override {
    HintFate fate;
    fate.lost = Chance(faults_.hint_lost);
    fate.delay = UpTo(faults_.delay);
    return fate;
  }

 private:
  // Not the standard library's distributions: each library has its own.
  double Next() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  bool Chance(double p) { return Next() < p; }
  absl::Duration UpTo(absl::Duration most) { return most * Next(); }

  std::mt19937_64 random_;
  const CoordinatorFaults faults_;
};

// A client's half, shared with what is on its way to it.
struct Mailbox {
  explicit Mailbox(EventLoop* l) : loop(l) {}

  EventLoop* const loop;

  // On the loop.
  struct Waiting {
    Coordinator::ReadDone read;
    Coordinator::CommitDone commit;
    std::unique_ptr<Timer> timeout;
  };
  std::map<uint64_t, Waiting> waiting;
  absl::AnyInvocable<void()> changed;

  void Fail(uint64_t id, const absl::Status& status) {
    const auto it = waiting.find(id);
    if (it == waiting.end()) return;
    Waiting call = std::move(it->second);
    waiting.erase(it);
    if (call.read != nullptr) call.read(status);
    if (call.commit != nullptr) call.commit(status);
  }
  void OnRead(uint64_t id, Coordinator::Contents contents) {
    const auto it = waiting.find(id);
    if (it == waiting.end()) return;
    Waiting call = std::move(it->second);
    waiting.erase(it);
    call.read(std::move(contents));
  }
  void OnCommit(uint64_t id, Coordinator::Outcome outcome) {
    const auto it = waiting.find(id);
    if (it == waiting.end()) return;
    Waiting call = std::move(it->second);
    waiting.erase(it);
    call.commit(outcome);
  }
};

}  // namespace

std::unique_ptr<CoordinatorPolicy> NewRandomCoordinatorPolicy(uint64_t seed,
                                                              const CoordinatorFaults& faults) {
  return std::make_unique<RandomPolicy>(seed, faults);
}

// The other half. It lives on its loop, but for the end of its memory: what is on its way to it
// shares it, so it has let go of its timers before that.
class SimulatedCoordinator::Server final {
 public:
  Server(EventLoop* loop, CoordinatorPolicy* policy) : loop_(loop), policy_(policy) {}

  EventLoop* loop() const { return loop_; }
  int NextClient() { return clients_.fetch_add(1); }

  void Close() {
    closed_ = true;
    timers_.clear();
    watchers_.clear();
  }

  void Read(int client, std::shared_ptr<Mailbox> from, uint64_t id) {
    Meet(client, CoordinatorPolicy::Call::kRead, std::move(from), id, [this, id] {
      if (reads_write_) ++contents_.revision;
      return Letter(
          [id, contents = contents_](Mailbox* to) mutable { to->OnRead(id, std::move(contents)); });
    });
  }

  void Commit(int client, std::shared_ptr<Mailbox> from, uint64_t id,
              Coordinator::Transaction transaction) {
    Meet(client, CoordinatorPolicy::Call::kCommit, std::move(from), id,
         [this, id, transaction = std::move(transaction)] {
           Coordinator::Outcome outcome;
           outcome.succeeded = Holds(transaction, contents_);
           if (outcome.succeeded) {
             Apply(transaction, &contents_);
             outcome.revision = contents_.revision;
             TellWatchers();
           }
           return Letter([id, outcome](Mailbox* to) { to->OnCommit(id, outcome); });
         });
  }

  void Watch(int client, const std::shared_ptr<Mailbox>& from) {
    if (!closed_) watchers_.emplace(client, from);
  }

  const Coordinator::Contents& contents() const { return contents_; }
  void SetReadsWrite(bool reads_write) { reads_write_ = reads_write; }
  void Restore(Coordinator::Contents contents) {
    contents_ = std::move(contents);
    TellWatchers();
  }

 private:
  using Letter = absl::AnyInvocable<void(Mailbox*)>;

  // Has a call meet its fate; `effect` is what it does here, and gives the answer.
  void Meet(int client, CoordinatorPolicy::Call call, std::shared_ptr<Mailbox> from, uint64_t id,
            absl::AnyInvocable<Letter()> effect) {
    if (closed_) return;
    const CoordinatorPolicy::Fate fate =
        policy_ == nullptr ? CoordinatorPolicy::Fate() : policy_->NextCall(client, call);
    if (fate.refused || fate.invalid) {
      Letter letter([id, invalid = fate.invalid](Mailbox* to) {
        constexpr absl::string_view kWhy = "the simulated coordinator refused the call";
        to->Fail(id, invalid ? absl::InvalidArgumentError(kWhy) : absl::UnavailableError(kWhy));
      });
      After(fate.delay + fate.answer_delay,
            [from = std::move(from), letter = std::move(letter)]() mutable {
              Deliver(from, std::move(letter));
            });
      return;
    }
    if (fate.lost) return;
    After(fate.delay, [this, fate, from = std::move(from), effect = std::move(effect)]() mutable {
      Letter letter = effect();
      if (fate.answer_lost) return;
      After(fate.answer_delay, [from = std::move(from), letter = std::move(letter)]() mutable {
        Deliver(from, std::move(letter));
      });
    });
  }

  void TellWatchers() {
    for (auto it = watchers_.begin(); it != watchers_.end();) {
      if (it->second.expired()) {
        it = watchers_.erase(it);
        continue;
      }
      const CoordinatorPolicy::HintFate fate =
          policy_ == nullptr ? CoordinatorPolicy::HintFate() : policy_->NextHint(it->first);
      if (!fate.lost) {
        After(fate.delay, [to = it->second] {
          const std::shared_ptr<Mailbox> mailbox = to.lock();
          if (mailbox == nullptr) return;
          Deliver(mailbox, [](Mailbox* box) {
            if (box->changed != nullptr) box->changed();
          });
        });
      }
      ++it;
    }
  }

  // The client may be destroyed, and its mailbox emptied, before it comes.
  static void Deliver(const std::shared_ptr<Mailbox>& to, Letter letter) {
    to->loop->Post([to, letter = std::move(letter)]() mutable { letter(to.get()); });
  }

  // Never at once: what one call does must not stand within another.
  void After(absl::Duration delay, Task task) {
    const uint64_t id = ++next_timer_;
    std::unique_ptr<Timer>& timer = timers_[id];
    timer = loop_->NewTimer();
    timer->Start(delay, [this, id, task = std::move(task)]() mutable {
      // Taken out first, as the task may set others.
      const auto it = timers_.find(id);
      std::unique_ptr<Timer> ended = std::move(it->second);
      timers_.erase(it);
      task();
    });
  }

  EventLoop* const loop_;
  CoordinatorPolicy* const policy_;
  std::atomic<int> clients_ = 0;

  Coordinator::Contents contents_;
  bool reads_write_ = false;
  std::map<int, std::weak_ptr<Mailbox>> watchers_;
  std::map<uint64_t, std::unique_ptr<Timer>> timers_;
  uint64_t next_timer_ = 0;
  bool closed_ = false;
};

class SimulatedCoordinator::Client final : public Coordinator {
 public:
  Client(EventLoop* loop, std::shared_ptr<Server> server)
      : server_(std::move(server)),
        number_(server_->NextClient()),
        mailbox_(std::make_shared<Mailbox>(loop)) {}

  ~Client() override {
    // Destroyed after they left the mailbox: a callback's end may do anything.
    const auto waiting = std::move(mailbox_->waiting);
    mailbox_->waiting.clear();
    const auto changed = std::exchange(mailbox_->changed, nullptr);
  }

  void Read(absl::Duration timeout, ReadDone done) override {
    const uint64_t id = Wait(timeout, {std::move(done), nullptr, nullptr});
    Send([number = number_, id](Server* server, std::shared_ptr<Mailbox> from) {
      server->Read(number, std::move(from), id);
    });
  }

  void Commit(Transaction transaction, absl::Duration timeout, CommitDone done) override {
    const absl::Status valid = CheckTransaction(transaction);
    const uint64_t id = Wait(timeout, {nullptr, std::move(done), nullptr});
    if (!valid.ok()) {
      mailbox_->loop->Post([to = mailbox_, id, valid] { to->Fail(id, valid); });
      return;
    }
    Send([number = number_, id, transaction = std::move(transaction)](
             Server* server, std::shared_ptr<Mailbox> from) mutable {
      server->Commit(number, std::move(from), id, std::move(transaction));
    });
  }

  void Watch(absl::AnyInvocable<void()> changed) override {
    mailbox_->changed = std::move(changed);
    Send([number = number_](Server* server, const std::shared_ptr<Mailbox>& from) {
      server->Watch(number, from);
    });
  }

 private:
  uint64_t Wait(absl::Duration timeout, Mailbox::Waiting call) {
    const uint64_t id = ++next_call_;
    call.timeout = mailbox_->loop->NewTimer();
    call.timeout->Start(timeout, [box = mailbox_.get(), id] {
      box->Fail(id, absl::DeadlineExceededError("the simulated coordinator did not answer"));
    });
    mailbox_->waiting.emplace(id, std::move(call));
    return id;
  }

  template <typename Message>
  void Send(Message message) {
    server_->loop()->Post(
        [server = server_, from = mailbox_, message = std::move(message)]() mutable {
          message(server.get(), from);
        });
  }

  const std::shared_ptr<Server> server_;
  const int number_;
  const std::shared_ptr<Mailbox> mailbox_;
  uint64_t next_call_ = 0;
};

SimulatedCoordinator::SimulatedCoordinator(EventLoop* loop, CoordinatorPolicy* policy)
    : server_(std::make_shared<Server>(loop, policy)) {}

SimulatedCoordinator::~SimulatedCoordinator() { server_->Close(); }

std::unique_ptr<Coordinator> SimulatedCoordinator::NewClient(EventLoop* loop) {
  return std::make_unique<Client>(loop, server_);
}

const Coordinator::Contents& SimulatedCoordinator::contents() const { return server_->contents(); }

void SimulatedCoordinator::Restore(Coordinator::Contents contents) {
  server_->Restore(std::move(contents));
}

void SimulatedCoordinator::SetReadsWrite(bool reads_write) { server_->SetReadsWrite(reads_write); }

}  // namespace kvarts
