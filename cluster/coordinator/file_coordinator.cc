#include "cluster/coordinator/file_coordinator.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "cluster/coordinator/apply_transaction.h"
#include "cluster/coordinator/coordinator_file.h"

namespace kvarts {
namespace {

// The lock has no queue: who would write while a hold waits for it must not sleep past its release.
constexpr absl::Duration kLockInterval = absl::Milliseconds(1);
constexpr absl::Duration kPeekInterval = absl::Milliseconds(50);

// Thread-safe. Runs jobs on a thread of its own, in their order. Its end waits for the one that
// runs and drops the others.
class Worker {
 public:
  using Job = absl::AnyInvocable<void(CoordinatorFile*)>;

  Worker(FileSystem* fs, std::string path) : file_(fs, std::move(path)) {}
  ~Worker() {
    {
      MutexLock lock(&mu_);
      ended_ = true;
      changed_.Signal();
    }
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start() {
    KVARTS_ASSIGN_OR_RETURN(thread_, StartThread([this] { Run(); }));
    return absl::OkStatus();
  }

  void Add(Job job) {
    MutexLock lock(&mu_);
    jobs_.push_back(std::move(job));
    changed_.Signal();
  }

 private:
  void Run() {
    while (true) {
      Job job;
      {
        MutexLock lock(&mu_);
        while (jobs_.empty() && !ended_) changed_.Wait(&mu_);
        if (ended_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job(&file_);
    }
  }

  CoordinatorFile file_;  // the thread's
  std::thread thread_;
  Mutex mu_;
  CondVar changed_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

// A try of a call, between the loop, which may take it back, and the thread.
enum class Try : unsigned char { kQueued = 0, kRuns, kTakenBack };
using SharedTry = std::shared_ptr<std::atomic<Try>>;

bool Take(std::atomic<Try>* attempt, Try to) {
  Try queued = Try::kQueued;
  return attempt->compare_exchange_strong(queued, to);
}

class FileCoordinator final : public Coordinator {
 public:
  FileCoordinator(FileSystem* fs, EventLoop* loop, const std::string& path)
      : path_(path), core_(std::make_shared<Core>(loop, this)), worker_(fs, path) {}

  ~FileCoordinator() override {
    // Destroyed when all has left the core: a callback's end may do anything.
    core_->owner = nullptr;
    const auto calls = std::move(calls_);
    calls_.clear();
  }

  absl::Status Start() { return worker_.Start(); }

  void Read(absl::Duration timeout, ReadDone done) override {
    Call call;
    call.read = std::move(done);
    Begin(timeout, std::move(call));
  }

  void Commit(Transaction transaction, absl::Duration timeout, CommitDone done) override {
    Call call;
    call.commit = std::move(done);
    if (absl::Status valid = CheckTransaction(transaction); !valid.ok()) {
      const uint64_t id = Add(std::move(call));
      core_->loop->Post([core = core_, id, valid = std::move(valid)] {
        if (core->owner != nullptr) core->owner->Fail(id, valid);
      });
      return;
    }
    call.transaction = std::make_shared<const Transaction>(std::move(transaction));
    Begin(timeout, std::move(call));
  }

  void Watch(absl::AnyInvocable<void()> changed) override {
    changed_ = std::move(changed);
    peek_timer_ = core_->loop->NewTimer();
    Peek();
  }

 private:
  // What outlives the coordinator: answers on their way from the thread share it.
  struct Core {
    Core(EventLoop* l, FileCoordinator* o) : loop(l), owner(o) {}
    EventLoop* const loop;
    FileCoordinator* owner;  // on the loop; nullptr: it has ended
  };

  struct Call {
    ReadDone read;
    CommitDone commit;
    std::shared_ptr<const Transaction> transaction;
    absl::Duration deadline;
    absl::Duration lock_deadline;
    std::unique_ptr<Timer> timer;
    SharedTry attempt;
  };

  uint64_t Add(Call call) {
    const uint64_t id = ++next_call_;
    calls_.emplace(id, std::move(call));
    return id;
  }

  void Begin(absl::Duration timeout, Call call) {
    const absl::Duration now = core_->loop->Now();
    call.deadline = now + timeout;
    // The rest is left to the last try, whose outcome is then known.
    call.lock_deadline = now + 0.9 * timeout;
    call.timer = core_->loop->NewTimer();
    TryNow(Add(std::move(call)));
  }

  void TryNow(uint64_t id) {
    Call& call = calls_.at(id);
    call.attempt = std::make_shared<std::atomic<Try>>(Try::kQueued);
    call.timer->Start(call.deadline - core_->loop->Now(), [this, id] { OnTimeout(id); });
    if (call.read != nullptr) {
      worker_.Add([core = core_, id, attempt = call.attempt](CoordinatorFile* file) {
        if (!Take(attempt.get(), Try::kRuns)) return;
        core->loop->Post([core, id, result = file->Read()]() mutable {
          if (core->owner != nullptr) core->owner->OnTried(id, std::move(result), &Call::read);
        });
      });
    } else {
      worker_.Add([core = core_, id, attempt = call.attempt,
                   transaction = call.transaction](CoordinatorFile* file) {
        if (!Take(attempt.get(), Try::kRuns)) return;
        core->loop->Post([core, id, result = file->Commit(*transaction)]() mutable {
          if (core->owner != nullptr) core->owner->OnTried(id, std::move(result), &Call::commit);
        });
      });
    }
  }

  template <typename Result, typename Done>
  void OnTried(uint64_t id, Result result, Done Call::*done) {
    const auto it = calls_.find(id);
    if (it == calls_.end()) return;  // its time was up
    if (!absl::IsAborted(result.status())) {
      Call call = std::move(it->second);
      calls_.erase(it);
      (call.*done)(std::move(result));
      return;
    }
    Call& call = it->second;
    if (core_->loop->Now() + kLockInterval > call.lock_deadline) {
      Fail(id, absl::UnavailableError(result.status().message()));
      return;
    }
    call.timer->Start(kLockInterval, [this, id] { TryNow(id); });
  }

  void OnTimeout(uint64_t id) {
    const auto it = calls_.find(id);
    if (it == calls_.end()) return;
    if (Take(it->second.attempt.get(), Try::kTakenBack)) {
      Fail(id, absl::UnavailableError(
                   absl::StrCat(path_, ": earlier calls on it took all of the time")));
    } else {
      Fail(id,
           absl::DeadlineExceededError(absl::StrCat(path_, ": the disk did not answer in time")));
    }
  }

  void Fail(uint64_t id, const absl::Status& status) {
    const auto it = calls_.find(id);
    if (it == calls_.end()) return;
    Call call = std::move(it->second);
    calls_.erase(it);
    if (call.read != nullptr) {
      call.read(status);
    } else {
      call.commit(status);
    }
  }

  // The next look comes after the last one's answer, so that they do not pile up where the disk
  // hangs.
  void Peek() {
    worker_.Add([core = core_](CoordinatorFile* file) {
      core->loop->Post([core, revision = file->PeekRevision()] {
        if (core->owner != nullptr) core->owner->OnPeek(revision);
      });
    });
  }

  void OnPeek(int64_t revision) {
    peek_timer_->Start(kPeekInterval, [this] { Peek(); });
    // From 0: what is there when the watch begins may be newer than what its user has read.
    if (std::exchange(seen_, revision) != revision) changed_();
  }

  const std::string path_;
  const std::shared_ptr<Core> core_;
  uint64_t next_call_ = 0;
  std::map<uint64_t, Call> calls_;
  absl::AnyInvocable<void()> changed_;
  std::unique_ptr<Timer> peek_timer_;
  int64_t seen_ = 0;
  Worker worker_;  // the first to end
};

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> NewFileCoordinator(FileSystem* fs, EventLoop* loop,
                                                                absl::string_view path) {
  KVARTS_ASSIGN_OR_RETURN(const bool remote, fs->IsRemote(DirName(path)));
  if (remote) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     ": is on a network's file system, whose locks do not hold between "
                     "machines as this needs; use a local disk, or etcd"));
  }
  auto coordinator = std::make_unique<FileCoordinator>(fs, loop, std::string(path));
  KVARTS_RETURN_IF_ERROR(coordinator->Start());
  return coordinator;
}

}  // namespace kvarts
