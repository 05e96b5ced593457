#ifndef KVARTS_CLUSTER_PLACEMENT_H_
#define KVARTS_CLUSTER_PLACEMENT_H_

#include "base/language.h"

#include <cstdint>
#include <vector>

#include "cluster/table.h"

namespace kvarts {
namespace cluster {

// How many of `slots` each node shall have: `weights[i]` parts of all, rounded so that they add up
// and none is a whole slot away from its part. `current[i]` decides who gets the odd ones: those
// that have them. All are 0 where no weight is above 0.
std::vector<int> Shares(int slots, const std::vector<double>& weights,
                        const std::vector<int>& current);

// Sets `joining` of as few slots as possible so that, once they have moved, every member of
// `table` has its share and everybody else has none, and gives slots of nobody to members at once
// (there is no data to move). Slots under way count for where they go, and stay. Neighbouring
// slots go together, and one giver's slots to as few takers as the counts allow. The `dead` give
// nothing, since their data cannot be read, and are given nothing; what is on its way to one that
// leaves stays where it is, or goes elsewhere. Epochs of changed entries
// become 0.
void Rebalance(const std::vector<Incarnation>& dead, ClusterTable* table);

// Gives up what the `lost` nodes hold, which are gone: their slots begin empty (SlotEntry::fresh)
// at others, by Rebalance(), and are counted as lost. Who they gave slots to, or were given slots
// by, goes on without them.
void GiveUp(const std::vector<Incarnation>& lost, const std::vector<Incarnation>& dead,
            ClusterTable* table);

// How many slots each node has or will have, once what is under way has moved. Of nodes by number.
std::vector<int> Planned(const ClusterTable& table);

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_PLACEMENT_H_
