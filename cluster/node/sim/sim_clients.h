#ifndef KVARTS_CLUSTER_NODE_SIM_SIM_CLIENTS_H_
#define KVARTS_CLUSTER_NODE_SIM_SIM_CLIENTS_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/slot.h"
#include "cluster/node/sim/sim_cluster.h"
#include "testing/sim/history.h"

namespace kvarts {
namespace cluster {

struct SimClientOptions {
  int clients = 7;
  int operations = 1000;  // of all of them
  int hot_keys = 16;
  int counters = 6;  // keys that are incremented
  int cold_keys = 250;
  absl::Duration most_pause = absl::Milliseconds(200);  // between two of one client
  double loss = 0.01;                                   // of requests and of answers
};

// Not thread-safe. Clients of a simulated cluster: each asks for one thing after the other, follows
// MOVED, asks again where nothing was done, and gives up a call that is not answered, which then
// may have happened. All is recorded.
class SimClients {
 public:
  SimClients(SimCluster* cluster, const SimClientOptions& options);

  // Each cold key is put, then the operations begin.
  void Start();
  bool done() const { return busy_ == 0; }
  // Every key is read once more.
  void ReadAll();
  // What is in the slots begins to be given up, which the history has as deletions: they end with
  // Lost(), or when each slot is served by a table of `revision` or newer (see Look()).
  size_t Lose(const std::bitset<kSlots>& slots);
  void Lost(size_t number, int64_t revision);  // 0: it did not take place
  // Now and then.
  void Look();
  void SetLoss(double loss) { options_.loss = loss; }

  // All but those of keys of `slots`.
  std::vector<HistoryOperation> HistoryWithout(const std::bitset<kSlots>& slots) const;
  uint64_t answered() const { return answered_; }
  uint64_t moved() const { return moved_; }

 private:
  struct Call;
  struct Loss {
    int64_t revision = 0;                                // 0: not known yet
    std::vector<std::pair<uint16_t, size_t>> deletions;  // that have not ended: slot, number
  };

  void Next(int client);
  void Begin(int client, HistoryOperation::Kind kind, const std::string& key);
  void Attempt(const std::shared_ptr<Call>& call);
  void Execute(const std::shared_ptr<Call>& call, const std::shared_ptr<SimCluster::Life>& life,
               int attempt);
  // On its way back from a node.
  void Answer(const std::shared_ptr<Call>& call, SimCluster::Life* life, int attempt,
              absl::Status status, std::optional<std::string> value, Stamp stamp, bool existed);
  void Answered(const std::shared_ptr<Call>& call, int attempt, const absl::Status& status,
                const std::optional<std::string>& value, const Stamp& stamp, bool existed);
  void TryAgain(const std::shared_ptr<Call>& call, absl::Duration pause);
  void End(const std::shared_ptr<Call>& call);
  int Choose(uint16_t slot);

  SimCluster* const cluster_;
  SimWorld* const world_;
  SimClientOptions options_;
  std::vector<std::string> hot_;
  std::vector<std::string> counters_;
  std::vector<std::string> cold_;
  std::vector<std::string> to_put_;
  std::vector<std::string> to_read_;
  int left_ = 0;
  int busy_ = 0;
  uint64_t next_value_ = 0;
  uint64_t answered_ = 0;
  uint64_t moved_ = 0;
  std::array<int16_t, kSlots> guess_;
  History history_;
  std::vector<Loss> losses_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SIM_SIM_CLIENTS_H_
