#ifndef KVARTS_CLUSTER_CLIENT_TRIES_H_
#define KVARTS_CLUSTER_CLIENT_TRIES_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cluster/client/nodes.h"
#include "net/remote/calls.h"

namespace kvarts {
namespace cluster_client {

// Not thread-safe: one a call on the cluster, made on any thread. A call is tries, until its time
// is over. A try is requests to some nodes at once: Begin(), Send() each, Await(). When all of them
// have ended, Judge() comes on the loop, and ends the call, begins the next try, or calls Again().
//
// It is kept by what it waits for. Whoever calls waits until it has ended: `nodes` stay until then,
// and nothing of them is used after that.
class Tries : public std::enable_shared_from_this<Tries> {
 public:
  virtual ~Tries() = default;
  Tries(const Tries&) = delete;
  Tries& operator=(const Tries&) = delete;

 protected:
  Tries(Nodes* nodes, absl::Duration timeout)
      : nodes_(nodes), deadline_(absl::Now() + nodes->Timeout(timeout)), route_(nodes->route()) {}

  virtual void Judge() = 0;

  Nodes& nodes() const { return *nodes_; }
  const Route& route() const { return *route_; }
  const RoutePtr& route_ptr() const { return route_; }
  absl::Time deadline() const { return deadline_; }
  absl::Duration left() const { return deadline_ - absl::Now(); }
  // The newest one, for a try that does not follow Again().
  void TakeNewestRoute() { route_ = nodes_->route(); }

  void Begin() { under_way_.store(1, std::memory_order_relaxed); }
  void Send(const Node& node, const std::shared_ptr<remote::WaitingCall>& call) {
    under_way_.fetch_add(1, std::memory_order_relaxed);
    call->Then([self = shared_from_this()](const absl::Status&) { self->EndOne(); });
    node.client().Start(call, left());
  }
  void Await() { EndOne(); }

  // After a try that has to be repeated, as `at` said (null: nobody said anything). Gets a newer
  // map, and where there is none waits a little. Then calls next(true), or next(false): the time is
  // over. On the loop.
  void Again(const Node* at, absl::AnyInvocable<void(bool)> next) {
    if (left() <= absl::ZeroDuration()) return next(false);
    Refresh(at, pause_, [this, next = std::move(next)](bool is_newer) mutable {
      if (!is_newer) pause_ = std::min(2 * pause_, absl::Milliseconds(200));
      next(left() > absl::ZeroDuration());
    });
  }
  // Calls next(whether there is a newer map) on the loop.
  void Refresh(const Node* first, absl::Duration pause, absl::AnyInvocable<void(bool)> next) {
    nodes_->Refresh(
        route_, first, deadline_, pause,
        [self = shared_from_this(), next = std::move(next)](const RoutePtr& route) mutable {
          const bool is_newer = route != self->route_;
          self->route_ = route;
          next(is_newer);
        });
  }

 private:
  void EndOne() {
    if (under_way_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (nodes_->InLoop()) return Judge();
    nodes_->loop()->Post([self = shared_from_this()] { self->Judge(); });
  }

  Nodes* const nodes_;
  const absl::Time deadline_;
  RoutePtr route_;
  absl::Duration pause_ = absl::Milliseconds(10);
  std::atomic<int> under_way_{0};
};

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_TRIES_H_
