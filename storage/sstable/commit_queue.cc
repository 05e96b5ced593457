#include "storage/sstable/commit_queue.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "base/thread.h"

namespace kvarts::sstable {
namespace {

// Where a group takes less, its writers are not yet back when the next one could begin: waiting for
// them costs more than a second sync.
constexpr absl::Duration kLong = absl::Microseconds(500);
constexpr absl::Duration kLongestWait = absl::Milliseconds(5);

size_t BytesOf(const Commit& commit) {
  size_t bytes = 64;
  if (commit.batch == nullptr) return bytes;
  for (const Mutation& m : commit.batch->mutations()) bytes += m.key.size() + m.value.size() + 16;
  return bytes;
}

}  // namespace

absl::Duration CommitQueue::SteadyTime() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

absl::Status CommitQueue::StartThread() {
  MutexLock lock(&mu_);
  KVARTS_ASSIGN_OR_RETURN(thread_, kvarts::StartThread([this] { Lead(); }));
  has_thread_ = true;
  return absl::OkStatus();
}

void CommitQueue::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_wake_.SignalAll();
  if (thread_.joinable()) thread_.join();
}

std::vector<Commit*> CommitQueue::TakeGroup() {
  std::vector<Commit*> group;
  size_t bytes = 0;
  while (!queue_.empty() && group.size() < kMaxGroup) {
    bytes += BytesOf(*queue_.front());
    if (!group.empty() && bytes > kMaxGroupBytes) break;
    group.push_back(queue_.front());
    queue_.pop_front();
  }
  return group;
}

void CommitQueue::AwaitOthers() {
  if (queue_.size() >= expected_ || last_time_ < kLong) return;
  const absl::Duration until = time_() + std::min(last_time_ / 4, kLongestWait);
  while (queue_.size() < expected_) {
    const absl::Duration left = until - time_();
    if (left <= absl::ZeroDuration()) return;
    more_.WaitFor(&mu_, left);
  }
}

void CommitQueue::LeadOnce() {
  led_ = true;
  AwaitOthers();
  const std::vector<Commit*> group = TakeGroup();
  mu_.Unlock();
  const absl::Duration start = time_();
  work_(group);
  const absl::Duration time = time_() - start;
  {
    // Before any of the group is told, and comes back.
    MutexLock lock(&mu_);
    expected_ = group.size() + queue_.size();
    last_time_ = time;
  }
  // Before the next group begins: who is told later must not hear earlier.
  std::vector<Commit*> waiting;
  for (Commit* const commit : group) {
    if (commit->submitted) {
      std::unique_ptr<Commit> owned(commit);
      owned->done(std::move(owned->status));
    } else {
      waiting.push_back(commit);
    }
  }
  mu_.Lock();
  led_ = false;
  for (Commit* const commit : waiting) {
    commit->finished = true;
    commit->wake.Signal();  // under the lock: it may be gone as soon as that is free
  }
  if (queue_.empty() ? stopping_ : queue_.front()->submitted) {
    thread_wake_.Signal();
  } else if (!queue_.empty()) {
    queue_.front()->wake.Signal();
  }
}

void CommitQueue::Call(Commit* commit) {
  MutexLock lock(&mu_);
  queue_.push_back(commit);
  if (led_ && queue_.size() == expected_) more_.Signal();
  while (!commit->finished) {
    if (!led_ && queue_.front() == commit) {
      LeadOnce();
    } else {
      commit->wake.Wait(&mu_);
    }
  }
}

void CommitQueue::Submit(std::unique_ptr<Commit> commit) {
  {
    MutexLock lock(&mu_);
    if (has_thread_) {
      commit->submitted = true;
      queue_.push_back(commit.release());
      if (!led_ && queue_.size() == 1) thread_wake_.Signal();
      if (led_ && queue_.size() == expected_) more_.Signal();
      return;
    }
  }
  Call(commit.get());
  commit->done(std::move(commit->status));
}

void CommitQueue::Lead() {
  MutexLock lock(&mu_);
  while (true) {
    if (!led_ && !queue_.empty() && queue_.front()->submitted) {
      LeadOnce();
    } else if (stopping_ && queue_.empty()) {
      has_thread_ = false;
      return;
    } else {
      thread_wake_.Wait(&mu_);
    }
  }
}

}  // namespace kvarts::sstable
