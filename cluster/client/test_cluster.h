#ifndef KVARTS_CLUSTER_CLIENT_TEST_CLUSTER_H_
#define KVARTS_CLUSTER_CLIENT_TEST_CLUSTER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "base/slot.h"
#include "cluster/client/cluster_store.h"
#include "net/fixed_cluster.h"
#include "net/metrics.h"
#include "net/remote/served_store.h"
#include "net/resp/client/served_resp.h"
#include "net/transport.h"
#include "storage/store.h"
#include "testing/conformance/store_fixture.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_store.h"

namespace kvarts {

// For tests. Thread-safe: who really holds which slot. One lock orders calls on nodes and moves.
struct SlotTruth {
  Mutex mu;
  std::array<int16_t, kSlots> owner ABSL_GUARDED_BY(mu);
  // Part of the stamps of the slot's keys: no stamp from before a move matches.
  std::array<uint64_t, kSlots> epoch ABSL_GUARDED_BY(mu){};
};

// For tests. Thread-safe, but Start() and Stop() not beside other calls. A cluster in this process:
// its nodes listen in a transport of its own at tcp://127.0.0.1:9001, 9002, ..., and for RESP at
// 7001, 7002, ...; each serves a model store, of the slots that it holds.
class TestCluster {
 public:
  // Entries are put past what the capabilities lack: REQUIRES: write.
  explicit TestCluster(int nodes, ModelStoreOptions options = {});
  ~TestCluster();

  Transport* transport() { return transport_.get(); }
  int size() const { return static_cast<int>(nodes_.size()); }
  static std::string Seed(int node);
  std::vector<std::string> seeds() const;
  static std::string RespSeed(int node);

  absl::StatusOr<std::unique_ptr<Store>> Open(absl::Duration timeout = absl::Seconds(60));
  std::unique_ptr<Store> MustOpen(absl::Duration timeout = absl::Seconds(60));

  // Puts it where its slot is.
  void Put(absl::string_view key, absl::string_view value);
  // The slots and their entries are the node's from now on. Nodes that are told (all, mostly) say
  // so in their maps.
  void Move(SlotRange slots, int to);
  // Nobody serves them; their entries stay.
  void TakeDown(SlotRange slots);
  void TakeUp(SlotRange slots, int at);

  // A node that is not told keeps its map.
  void SetTold(int node, bool told) { nodes_[static_cast<size_t>(node)]->told = told; }
  FixedCluster& view(int node) { return nodes_[static_cast<size_t>(node)]->view; }
  void Stop(int node);
  void Start(int node);

  int OwnerOf(absl::string_view key);
  // A key of a slot that the node holds.
  std::string KeyAt(int node, int number = 0);
  // So many requests a node has answered.
  uint64_t requests(int node) const;

 private:
  struct Node {
    FixedCluster view;
    std::shared_ptr<ModelData> data = NewModelData();
    std::unique_ptr<Store> direct;  // past all checks
    ProtocolMetrics metrics{"native"};
    bool told = true;
    std::unique_ptr<ServedStore> served;
    std::unique_ptr<ServedResp> served_resp;
  };

  void Tell(SlotRange slots, int16_t owner) ABSL_EXCLUSIVE_LOCKS_REQUIRED(truth_.mu);

  const ModelStoreOptions options_;
  SlotTruth truth_;
  std::unique_ptr<Transport> loopback_;
  std::unique_ptr<Transport> transport_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

// Clusters of model stores as stores under test. Not thread-safe.
class ClusterFixture final : public StoreFixture {
 public:
  explicit ClusterFixture(int nodes, Capabilities capabilities = ModelCapabilities())
      : nodes_(nodes), capabilities_(capabilities) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override;
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return clusters_.back()->Open(); }
  ManualClock* clock() override { return &clock_; }

 private:
  const int nodes_;
  const Capabilities capabilities_;
  ManualClock clock_;
  std::vector<std::unique_ptr<TestCluster>> clusters_;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_TEST_CLUSTER_H_
