#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_CURSOR_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_CURSOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/slot.h"
#include "cluster/client/nodes.h"
#include "cluster/client/scan_position.h"
#include "storage/cursor.h"

namespace kvarts {
namespace cluster_client {

// Not thread-safe, as any cursor. A scan over all nodes: one after the other, each for those slots
// that are left and that it holds. Why nothing is missed:
//
// 1. A node refuses a page where it does not hold each of the slots asked for: so an entry of a
//    page's part of the order was seen, if it was there.
// 2. Slots that went away under a node's scan are left again, from their start, for their new
//    owner; the scan of the others goes on where it was. Repeats are entries of such slots.
// 3. At the end of a node's scan its map is read once more, and slots are done only where it still
//    has them.
class ClusterCursor final : public Cursor {
 public:
  // kInvalidArgument: resume_after is not a position of this scan. The options were checked against
  // the capabilities.
  static absl::StatusOr<std::unique_ptr<ClusterCursor>> New(std::shared_ptr<Nodes> nodes,
                                                            const ScanOptions& options);

  absl::Status Next(const PageLimits& limits, ScanPage* page) override;
  // Next() that does not wait: `done` gets what it would return, on the loop or in this call, and
  // may destroy the cursor. `page` must stay until then.
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  void Start(const PageLimits& limits, ScanPage* page, Done done);
  std::string position() const override;

 private:
  class Page;

  ClusterCursor(std::shared_ptr<Nodes> nodes, const ScanOptions& options, ScanPosition position);

  // Takes the next node that holds slots which are left. False: there is none.
  bool Begin(const Route& route);
  void End();
  // Slots that the node does not hold by this map are left again.
  void Narrow(const RoutePtr& route);
  // The place of the node of the scan; -1: it is gone, or cannot be reached.
  int Find(const Route& route) const;

  const std::shared_ptr<Nodes> nodes_;
  const ScanOptions options_;
  ScanPosition now_;
  bool at_start_;                 // of the whole scan: no page yet
  std::vector<SlotRange> asked_;  // those of now_ that are at the node
  RoutePtr narrowed_by_;
};

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_CURSOR_H_
