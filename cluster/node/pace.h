#ifndef KVARTS_CLUSTER_NODE_PACE_H_
#define KVARTS_CLUSTER_NODE_PACE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "cluster/node/node_parts.h"
#include "net/event_loop.h"

namespace kvarts {
namespace cluster {

// The node's thread only. Work in turns of about a millisecond that gives way to clients: turns go
// on without a pause while nobody asks this node for anything, and kPause apart while somebody
// does. A pause does not grow with what is asked, so that the work ends under any load.
class Pace {
 public:
  // Some eight times what a turn takes: of a core that clients need, a tenth is taken.
  static constexpr absl::Duration kPause = absl::Milliseconds(5);

  explicit Pace(const NodeParts& parts) : parts_(parts), timer_(parts.loop->NewTimer()) {}

  // Runs `turn`, in place of one that still waits: at once where no call has begun since the last
  // Next(), else after the pause.
  void Next(Task turn) {
    const uint64_t before = std::exchange(calls_, parts_.store->slots()->calls()->begun());
    if (calls_ == before) return turn();
    timer_->Start(kPause, std::move(turn));
  }
  void Stop() { timer_->Cancel(); }

 private:
  const NodeParts& parts_;
  const std::unique_ptr<Timer> timer_;
  uint64_t calls_ = 0;  // that had begun
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_PACE_H_
