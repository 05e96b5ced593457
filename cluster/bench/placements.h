#ifndef KVARTS_CLUSTER_BENCH_PLACEMENTS_H_
#define KVARTS_CLUSTER_BENCH_PLACEMENTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kvarts {
namespace cluster {

// A key, as schemes look at it: its slot, and a hash of all its bytes.
struct PlacedKey {
  uint16_t slot = 0;
  uint64_t hash = 0;
};

// Not thread-safe. A way to give keys to nodes 0 to n - 1, to be compared with slots.
class Placement {
 public:
  virtual ~Placement() = default;
  virtual absl::string_view name() const = 0;
  // One more node, behind those there are.
  virtual void AddNode() = 0;
  // REQUIRES: there is a node.
  virtual int NodeOf(const PlacedKey& key) = 0;
  // Of the tables that a client needs for it.
  virtual size_t bytes() const = 0;
};

// All of them, without nodes:
//   slots        16,384 of them, as cluster/placement.h gives them to nodes that come one by one
//   ring         160 points a node (Karger et al., STOC 1997; as in ketama)
//   jump         Lamping and Veach, 2014 (arXiv:1406.2294)
//   rendezvous   the highest weight of all nodes (Thaler and Ravishankar, 1998)
//   maglev       a table of 65,537 places (Eisenbud et al., NSDI 2016)
//   multi-probe  one point a node, 21 probes a key (Appleton and O'Reilly, arXiv:1505.00062)
//   bounded      the ring, no node over 1.05 of the mean (Mirrokni et al., arXiv:1608.01350), for
//                keys that are asked for in one order, and anew after AddNode()
std::vector<std::unique_ptr<Placement>> AllPlacements(uint64_t keys);

// What was measured of one scheme at one number of nodes.
struct PlacementResult {
  std::string scheme;
  int nodes = 0;
  // The heaviest node's keys beside an even part: the mean over all seeds, and the worst.
  double mean_skew = 0;
  double worst_skew = 0;
  // Of the keys, that moved when the last of the nodes came, beside 1/n; and between old nodes, of
  // all keys.
  double moved = 0;
  double moved_between_old = 0;
  size_t bytes = 0;
  double nanoseconds = 0;  // a key, its hash or slot not counted
};

// Keys are UUIDs, of one generator a seed, 0 to seeds - 1. `only`: of this scheme; empty: of all.
std::vector<PlacementResult> ComparePlacements(uint64_t keys, int seeds,
                                               const std::vector<int>& nodes,
                                               absl::string_view only = "");

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_BENCH_PLACEMENTS_H_
