#include "net/leases.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/thread.h"

namespace kvarts {
namespace {

absl::Status Expired() {
  return absl::FailedPreconditionError("the snapshot's lease has ended, or was never given");
}

}  // namespace

Leases::Leases(absl::Duration lease, size_t max, const Clock* clock)
    : lease_(lease), max_(max), clock_(clock) {}

Leases::~Leases() {
  std::thread thread;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    thread.swap(thread_);
  }
  wake_.SignalAll();
  if (thread.joinable()) thread.join();
}

absl::StatusOr<uint64_t> Leases::Add(std::shared_ptr<const Snapshot> snapshot) {
  MutexLock lock(&mu_);
  if (leases_.size() >= max_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the server lends ", max_, " snapshots, the most it may"));
  }
  if (!thread_.joinable()) {
    KVARTS_ASSIGN_OR_RETURN(thread_, StartThread([this] { Expire(); }));
  }
  uint64_t id = 0;
  while (id == 0 || leases_.count(id) > 0) id = uint64_t{random_()} << 32 | random_();
  leases_[id] = {std::move(snapshot), clock_->Now() + lease_};
  return id;
}

absl::StatusOr<std::shared_ptr<const Snapshot>> Leases::Find(uint64_t id) {
  MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end() || found->second.end <= clock_->Now()) return Expired();
  return found->second.snapshot;
}

absl::Status Leases::Renew(uint64_t id) {
  MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end() || found->second.end <= clock_->Now()) return Expired();
  found->second.end = clock_->Now() + lease_;
  return absl::OkStatus();
}

void Leases::Release(uint64_t id) {
  Lease released;  // destroyed without the lock
  MutexLock lock(&mu_);
  const auto found = leases_.find(id);
  if (found == leases_.end()) return;
  released = std::move(found->second);
  leases_.erase(found);
}

size_t Leases::size() const {
  MutexLock lock(&mu_);
  return leases_.size();
}

// An expired lease goes at most half a lease later.
void Leases::Expire() {
  while (true) {
    std::vector<std::shared_ptr<const Snapshot>> expired;  // destroyed without the lock
    MutexLock lock(&mu_);
    if (stopping_) return;
    wake_.WaitFor(&mu_, std::max(lease_ / 2, absl::Milliseconds(1)));
    const absl::Time now = clock_->Now();
    for (auto it = leases_.begin(); it != leases_.end();) {
      if (it->second.end <= now) {
        expired.push_back(std::move(it->second.snapshot));
        it = leases_.erase(it);
      } else {
        ++it;
      }
    }
  }
}

}  // namespace kvarts
