#ifndef KVARTS_NET_LEASES_H_
#define KVARTS_NET_LEASES_H_

#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/cursor.h"

namespace kvarts {

// Thread-safe. Snapshots lent to clients until a lease ends, which its holder
// renews. They belong to the server, not to a connection: a client that comes
// back goes on. An expired one is let go by a thread, which begins with the
// first snapshot, so that none holds a store's files back with nobody there.
class Leases {
 public:
  Leases(absl::Duration lease, size_t max, const Clock* clock = Clock::Real());
  ~Leases();

  absl::Duration lease() const { return lease_; }

  // A number that names it, not 0. kResourceExhausted where there are `max`, or no
  // thread to end them.
  absl::StatusOr<uint64_t> Add(std::shared_ptr<const Snapshot> snapshot);
  // kFailedPrecondition where the lease has ended.
  absl::StatusOr<std::shared_ptr<const Snapshot>> Find(uint64_t id);
  absl::Status Renew(uint64_t id);
  void Release(uint64_t id);
  size_t size() const;

 private:
  struct Lease {
    std::shared_ptr<const Snapshot> snapshot;
    absl::Time end;
  };

  void Expire();

  const absl::Duration lease_;
  const size_t max_;
  const Clock* const clock_;

  mutable Mutex mu_;
  CondVar wake_;
  std::unordered_map<uint64_t, Lease> leases_ ABSL_GUARDED_BY(mu_);
  // Numbers that cannot be guessed from one's own.
  std::random_device random_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_NET_LEASES_H_
