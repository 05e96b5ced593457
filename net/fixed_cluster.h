#ifndef KVARTS_NET_FIXED_CLUSTER_H_
#define KVARTS_NET_FIXED_CLUSTER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "net/cluster_map.h"

namespace kvarts {

// For tests. A cluster of `nodes` nodes at 127.0.0.1, of which node 0 made the map: their ids are
// 40 times their place's digit, their ports 7001, 7002, ... for RESP, 8001, ... for HTTP, 9001, ...
// for the native protocol, 17001, ... between nodes; the slots are spread over them in order.
inline ClusterMap MapOf(int nodes) {
  ClusterMap map;
  map.cluster_id = std::string(40, 'c');
  map.revision = 7;
  map.myself = 0;
  for (int i = 0; i < nodes; ++i) {
    ClusterNode node;
    node.id = std::string(40, static_cast<char>('0' + i));
    node.host = "127.0.0.1";
    node.resp_port = 7001 + i;
    node.http_port = 8001 + i;
    node.native_port = 9001 + i;
    node.internal_port = 17001 + i;
    node.epoch = static_cast<uint64_t>(i) + 1;
    map.nodes.push_back(node);
  }
  for (int slot = 0; slot < kSlots; ++slot) {
    map.owner[static_cast<size_t>(slot)] = static_cast<int16_t>(slot * nodes / kSlots);
  }
  return map;
}

// For tests. Thread-safe. A map that a test sets.
class FixedCluster final : public ClusterView {
 public:
  explicit FixedCluster(ClusterMap map = MapOf(3))
      : map_(std::make_shared<const ClusterMap>(std::move(map))) {}

  std::shared_ptr<const ClusterMap> map() const override {
    MutexLock lock(&mu_);
    return map_;
  }
  void Set(ClusterMap map) {
    auto next = std::make_shared<const ClusterMap>(std::move(map));
    MutexLock lock(&mu_);
    map_ = std::move(next);
  }
  // A newer map that differs in what `change` does to it.
  void Change(const std::function<void(ClusterMap* map)>& change) {
    ClusterMap next = *map();
    ++next.revision;
    change(&next);
    Set(std::move(next));
  }

 private:
  mutable Mutex mu_;
  std::shared_ptr<const ClusterMap> map_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_NET_FIXED_CLUSTER_H_
