#ifndef KVARTS_CLUSTER_NODE_SIM_SIM_CLUSTER_H_
#define KVARTS_CLUSTER_NODE_SIM_SIM_CLUSTER_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/slot.h"
#include "cluster/coordinator/simulated_coordinator.h"
#include "cluster/node/node.h"
#include "cluster/node/node_store.h"
#include "cluster/node/sim/few_stamps_store.h"
#include "cluster/table.h"
#include "net/store_runner.h"
#include "storage/store.h"
#include "testing/model/model_store.h"
#include "testing/sim/sim_transport.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace cluster {

struct SimClusterOptions {
  // What a node has outlives its crash. Else it comes back as another one, with nothing.
  bool durable = false;
  absl::Duration join_delay = absl::Milliseconds(100);
  // Work that may wait for the store takes up to so long.
  absl::Duration store_delay = absl::Milliseconds(2);
};

// Not thread-safe. A cluster of real nodes in a simulated world: one process for each place
// ("node-1"), its store, its client of the coordinator. Nodes listen at "sim:node-1"; RESP
// addresses, which nobody serves, name places: "node-1:7001" is place 1.
class SimCluster {
 public:
  SimCluster(uint64_t seed, const SimClusterOptions& options);
  ~SimCluster();

  // One run of a node, from its start to its end.
  struct Life {
    uint64_t number = 0;  // from 1 on, of all lives
    int place = 0;
    Incarnation incarnation;
    SimProcess* process = nullptr;
    EventLoop* loop = nullptr;
    std::unique_ptr<Store> under;
    std::unique_ptr<StoreRunner> runner;
    std::unique_ptr<NodeStore> store;
    std::unique_ptr<Coordinator> coordinator;
    std::unique_ptr<Node> node;
    bool is_leaving = false;
    bool has_left = false;
    absl::Status start_error;
  };

  SimWorld* world() { return &world_; }
  SimTransport* net() { return &net_; }
  static std::string NameOf(int place);
  int places() const { return static_cast<int>(places_.size()); }
  // Null where nothing runs there.
  std::shared_ptr<Life> life(int place) const;
  std::vector<int> Running() const;

  // A place that was never used is made. REQUIRES: nothing runs there.
  void Start(int number);
  void Crash(int number, SimCrash how);
  // The node gives all away, and then ends.
  void Leave(int number);

  // Calls on the coordinator fail so, by chance.
  void SetCoordinatorFaults(const CoordinatorFaults& faults);
  // The place's calls are lost.
  void CutOff(int place, bool is_cut);
  // What the place commits takes place, and it does not hear of it. One place at a time.
  void Deafen(int place, bool is_deaf);
  // What the place commits is answered with kInvalidArgument. One place at a time.
  void RefuseCommits(int place, bool refuses);
  // Commits that were refused so.
  int refused_commits() const;
  // All clocks go alike again.
  void AlignClocks();

  // A person tells the coordinator, whom nothing keeps from it.
  void Tell(Coordinator::Transaction transaction);
  // The same, that what is on crashed nodes is given up (placement.h). Inside an event too: it
  // takes place after it. Returns the slots, none where nothing is told. `done` gets the revision;
  // 0: it did not take place.
  std::bitset<kSlots> GiveUpDead(std::function<void(int64_t revision)> done);
  // What the coordinator holds now.
  const ClusterTable& Table();
  Coordinator::Contents Backup() const { return coordinator_->contents(); }
  void SetReadsWrite(bool reads_write) { coordinator_->SetReadsWrite(reads_write); }
  void RestoreBackup(Coordinator::Contents backup) { coordinator_->Restore(std::move(backup)); }
  // Slots that were given up, ever.
  const std::bitset<kSlots>& given_up() const { return given_up_; }
  // Slots that were lost with a node in memory, ever.
  const std::bitset<kSlots>& lost() const { return lost_; }
  // Of them, or of those that were, which a node took with it that left as the last one.
  const std::bitset<kSlots>& taken_along() const { return taken_along_; }

  // Runs until `done`, checking what must always hold. False after `most`, or where it did not.
  bool RunUntil(absl::FunctionRef<bool()> done, absl::Duration most);
  void RunFor(absl::Duration duration);
  // What was found to be wrong first; empty where nothing was.
  const std::string& violation() const { return violation_; }
  void Violated(absl::string_view what);
  // A node has told a client at the end of a call that another place holds the slot.
  void CheckMoved(const Life& teller, uint16_t slot, int to);
  // A scan of all that a node shows, as clients make it.
  void CheckScan(int place);

  // Empty where nothing moves, each node serves what the table says, and each key is in the store
  // of its slot's node alone.
  std::string Unsettled();

  void Log(absl::string_view what);
  // The last things that happened.
  std::string RecentEvents() const;

 private:
  class Policy;
  struct Place {
    bool has_data = false;
    Incarnation incarnation;
    std::shared_ptr<ModelData> data;
    std::shared_ptr<GivenStamps> stamps;
    uint64_t openings = 0;
    std::vector<uint16_t> marked;
    absl::Duration saved_until;  // saves of the list end one after the other
    std::shared_ptr<Life> life;
    // What CheckSlots() has seen.
    uint64_t checked_life = 0;
    uint64_t checked_changes = 0;
    std::array<uint64_t, kSlotGroups> checked_groups{};
    std::array<uint64_t, 4> scanned{};  // all that CheckScan() depends on, when it was done last
  };

  void End(Place* place);
  void TableMayHaveChanged();
  // That no slot has two nodes that serve it: of those slots whose states may have changed since.
  void CheckSlots();
  void CheckGroup(int group);
  Incarnation NewIncarnation();

  SimWorld world_;
  SimTransport net_;
  const SimClusterOptions options_;
  EventLoop* coordinator_loop_;
  std::unique_ptr<Policy> policy_;
  std::unique_ptr<SimulatedCoordinator> coordinator_;
  std::deque<Place> places_;
  std::vector<int> client_places_;  // of the coordinator's clients
  std::set<Incarnation> dead_;      // in memory, and crashed
  size_t dead_seen_ = 0;
  std::bitset<kSlots> lost_;
  std::bitset<kSlots> taken_along_;
  std::bitset<kSlots> given_up_;
  std::unique_ptr<Coordinator> person_;  // a client of the coordinator
  ClusterTable table_;
  uint64_t lives_ = 0;
  std::set<std::pair<Incarnation, uint16_t>> served_;
  std::string violation_;
  std::deque<std::string> events_;
  int trace_slot_ = -1;  // whose story is told among the events
  std::string traced_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SIM_SIM_CLUSTER_H_
