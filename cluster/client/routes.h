#ifndef KVARTS_CLUSTER_CLIENT_ROUTES_H_
#define KVARTS_CLUSTER_CLIENT_ROUTES_H_

#include "base/language.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/store.h"

// What clients of a cluster do alike, whatever their nodes speak; the classes are for those whose
// calls wait in their threads, resp_client's.
namespace kvarts {
namespace cluster_client {

// Thread-safe. The newest route that is known: a map of the cluster and the ways to its nodes,
// constant once made, and shared.
template <typename Route>
class NewestRoute {
 public:
  using Ptr = std::shared_ptr<const Route>;

  Ptr Get() const {
    MutexLock lock(&mu_);
    return route_;
  }
  // `route` is destroyed without the lock.
  void Set(Ptr route) {
    MutexLock lock(&mu_);
    route_.swap(route);
  }

  // What is newer than `seen`, or `seen`. Where nobody has since, calls read(), which returns a
  // newer one or null; callers at once share one reading. Not on the loop.
  template <typename Read>
  Ptr Refresh(const Ptr& seen, absl::Time deadline, Read read) {
    {
      MutexLock lock(&mu_);
      if (refreshing_) {
        const uint64_t before = refreshes_;
        while (route_ == seen && refreshes_ == before && absl::Now() < deadline) {
          changed_.WaitFor(&mu_, deadline - absl::Now());
        }
        return route_;
      }
      if (route_ != seen) return route_;
      refreshing_ = true;
    }
    Ptr next = read();
    MutexLock lock(&mu_);
    refreshing_ = false;
    ++refreshes_;
    if (next != nullptr) route_.swap(next);
    changed_.SignalAll();
    return route_;
  }

  // The same without reading: waits for others to do it, for `pause` at most.
  Ptr Await(const Ptr& seen, absl::Duration pause) {
    const absl::Time until = absl::Now() + pause;
    MutexLock lock(&mu_);
    while (route_ == seen && absl::Now() < until) changed_.WaitFor(&mu_, until - absl::Now());
    return route_;
  }

  // How often a map was asked for.
  uint64_t refreshes() const {
    MutexLock lock(&mu_);
    return refreshes_;
  }

 private:
  mutable Mutex mu_;
  CondVar changed_;
  Ptr route_ ABSL_GUARDED_BY(mu_);
  bool refreshing_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t refreshes_ ABSL_GUARDED_BY(mu_) = 0;
};

// Not thread-safe: one a call. What a call does between its tries. `Nodes` have a Timeout(asked),
// Refresh(seen, at, deadline) and Await(seen, pause) of a NewestRoute; `Node` is one of them.
template <typename Nodes, typename Node>
class TriesOver {
 public:
  TriesOver(Nodes* nodes, absl::Duration timeout)
      : nodes_(nodes), deadline_(absl::Now() + nodes->Timeout(timeout)) {}

  absl::Time deadline() const { return deadline_; }
  absl::Duration left() const { return deadline_ - absl::Now(); }

  // After a try by *route that has to be repeated, as `at` said (null: nobody said anything). Gets
  // a newer map, and where there is none waits a little. False: the time is over.
  template <typename RoutePtr>
  bool Again(RoutePtr* route, Node* at) {
    if (left() <= absl::ZeroDuration()) return false;
    RoutePtr next = nodes_->Refresh(*route, at, deadline_);
    if (next == *route) {
      next = nodes_->Await(*route, std::min(pause_, left()));
      pause_ = std::min(2 * pause_, absl::Milliseconds(200));
    }
    *route = std::move(next);
    return left() > absl::ZeroDuration();
  }

 private:
  Nodes* const nodes_;
  const absl::Time deadline_;
  absl::Duration pause_ = absl::Milliseconds(10);
};

// What is said in the end of a key that no node served: IsSlotDown(), with why. `last` may be OK:
// nobody was asked.
absl::Status GiveUp(const absl::Status& last);

// A node was sent the mutations at `places` in this order, and refused those at `undone`, which are
// in this order too. Returns those of them that may be sent again. A node judges the mutations of a
// key that come together alike. Where one did not, what it refused before what it did would
// overtake, and fails with kUnavailable.
std::vector<uint32_t> MayBeSentAgain(absl::Span<const Mutation> mutations,
                                     absl::Span<const uint32_t> places,
                                     std::vector<uint32_t> undone, WriteResults* results);

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_ROUTES_H_
