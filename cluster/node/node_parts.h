#ifndef KVARTS_CLUSTER_NODE_NODE_PARTS_H_
#define KVARTS_CLUSTER_NODE_NODE_PARTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "cluster/node/node_store.h"
#include "cluster/node/outbox.h"
#include "cluster/node/peer.pb.h"
#include "cluster/node/table_keeper.h"
#include "cluster/table.h"
#include "net/event_loop.h"
#include "net/store_runner.h"
#include "net/transport.h"

namespace kvarts {
namespace cluster {

// What the parts of a node share: its surroundings, and what they ask of each other. The node's
// thread only.
struct NodeParts {
  EventLoop* loop = nullptr;
  Transport* transport = nullptr;
  StoreRunner* runner = nullptr;  // over the store under `store`
  NodeStore* store = nullptr;
  TableKeeper* keeper = nullptr;
  Incarnation me;
  CopyLimits copy_limits;
  uint64_t openings = 0;      // of its data, this one included
  uint64_t memory_limit = 0;  // of the store, in bytes; 0: none
  std::function<PeerHello(const Incarnation& to)> hello;
  // "tcp://127.0.0.1:7001" of a registered node; empty where it is not registered.
  std::function<std::string(const Incarnation& node)> internal_address;
  std::function<bool(const Incarnation& node)> is_alive;
  // Whether this node is giving the slot away, and alone knows what to do with its requests.
  std::function<bool(uint16_t slot)> is_leaving;
  // Whether another node has served the slot since this one did, and the old copy is still here.
  std::function<bool(uint16_t slot)> gave_away;
  // The old copies are gone, and new ones are about to come.
  std::function<void(const std::vector<uint16_t>& slots)> begin_anew;
  // Clients are told who holds what from now on.
  std::function<void()> publish;
  std::function<void(absl::string_view)> say;

  const ClusterTable& table() const { return keeper->table(); }
  Store* under() const { return runner->store(); }
  // `work` where it may wait for the store, then `done` here; never inside this call.
  void OnStore(Task work, Task done) const {
    runner->Run(loop, std::move(work),
                [loop = loop, done = std::move(done)]() mutable { loop->Post(std::move(done)); });
  }
};

// Slots as messages have them: first and last of each run. `slots` are sorted.
std::vector<SlotRange> ToRanges(const std::vector<uint16_t>& slots);
template <typename List>
void AddRanges(const std::vector<uint16_t>& slots, List* list) {
  for (const SlotRange& range : ToRanges(slots)) {
    list->Add(range.first);
    list->Add(range.last);
  }
}
// False where they are no sorted runs.
template <typename List>
bool ReadRanges(const List& list, std::vector<uint16_t>* slots) {
  if (list.size() % 2 != 0) return false;
  uint32_t next = 0;
  for (int i = 0; i < list.size(); i += 2) {
    if (list.Get(i) < next || list.Get(i + 1) < list.Get(i) || list.Get(i + 1) >= kSlots) {
      return false;
    }
    for (uint32_t slot = list.Get(i); slot <= list.Get(i + 1); ++slot) {
      slots->push_back(static_cast<uint16_t>(slot));
    }
    next = list.Get(i + 1) + 1;
  }
  return true;
}

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_NODE_PARTS_H_
