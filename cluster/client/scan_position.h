#ifndef KVARTS_CLUSTER_CLIENT_SCAN_POSITION_H_
#define KVARTS_CLUSTER_CLIENT_SCAN_POSITION_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/slot.h"
#include "storage/cursor.h"

namespace kvarts {
namespace cluster_client {

// A value. How far a scan over a cluster is: which slots are done, and how far the scan of some of
// the others is at one node. Its bytes:
//
//   1     version: 2
//   8     checksum of the scan's range and of all that follows
//   ...   runs of neighbouring slots, from slot 0 on: varint of length × 4 + state
//   ...   the node's id, behind its length as a varint; empty: the scan is at none
//   ...   the node's own position, to the end
struct ScanPosition {
  enum State : unsigned char { kLeft = 0, kAtNode, kDone };

  std::array<State, kSlots> slots{};
  std::string node;  // ClusterNode::id
  std::string at;    // the node's; empty: at its start

  // The start of a scan: slots it does not ask for are done.
  static ScanPosition Start(const ScanOptions& options);
  // kInvalidArgument: not the position of a scan over this range.
  static absl::StatusOr<ScanPosition> Decode(const ScanOptions& options);
  std::string Encode(const ScanOptions& options) const;

  bool Has(State state) const;
  std::vector<SlotRange> RangesOf(State state) const;
};

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_SCAN_POSITION_H_
