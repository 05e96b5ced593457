#ifndef KVARTS_CLUSTER_RESP_CLIENT_FAKE_REDIS_H_
#define KVARTS_CLUSTER_RESP_CLIENT_FAKE_REDIS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/slot.h"
#include "net/event_loop.h"
#include "net/resp/parser.h"
#include "net/transport.h"

namespace kvarts {

// For tests. Thread-safe. A cluster of nodes that answer as redis-server 7.0 does in cluster mode:
// a slot on its way goes key by key, with ASK, and every node has its own idea of who holds what.
// They listen at ports of the kernel's choice. Their SCAN gives three keys at a time, in order.
class FakeRedis {
 public:
  // The slots are spread over the first `owners` nodes.
  FakeRedis(int nodes, int owners);
  ~FakeRedis();

  Transport* transport() { return transport_.get(); }
  std::string HostPort(int node);
  std::string Id(int node);

  // Before a command is carried out, on the nodes' loop, without a lock. A reply: it is the node's.
  // An empty one: the connection ends without.
  using Intercept =
      std::function<std::optional<std::string>(int node, const std::vector<std::string>& command)>;
  void SetIntercept(Intercept intercept);

  void Put(absl::string_view key, absl::string_view value);  // where its slot is
  // The value of a key that any one of the nodes has.
  std::optional<std::string> Find(absl::string_view key);
  int OwnerOf(absl::string_view key);
  // A key of a slot that the node holds.
  std::string KeyAt(int node, int number = 0);
  // So many commands with this name the node was sent.
  int Count(int node, absl::string_view name);

  // A slot on its way: both ends know, keys follow one by one, then all nodes are told.
  void BeginMove(uint16_t slot, int to);
  void MoveKey(absl::string_view key);
  void EndMove(uint16_t slot);
  // All at once; nodes that are not told keep what they know.
  void Move(SlotRange slots, int to, const std::set<int>& told);
  // Nobody serves it.
  void TakeDown(uint16_t slot);

  // The node is dead. Where `to` is one, that has its entries and slots, and all are told.
  void Stop(int node);
  void Promote(int node, int to);
  // The same with the dead one's id: it is somewhere else now.
  void Readdress(int node, int to);
  // The node's cursors of SCAN are no good any more.
  void BeginAnew(int node);

 private:
  struct Node {
    std::string id;
    std::string host_port;
    std::string run_id;
    std::map<std::string, std::string> data;
    std::array<int16_t, kSlots> owner;      // as it knows
    std::map<uint16_t, int> migrating;      // to whom
    std::map<uint16_t, int> importing;      // from whom
    std::map<uint64_t, std::string> scans;  // the last key given, by cursor
    std::map<std::string, int> counts;
    std::unique_ptr<Listener> listener;  // on the loop
  };
  struct Connection {
    int node;
    std::unique_ptr<Stream> stream;
    resp::RequestParser parser;
    bool asking = false;
    bool is_over = false;
    std::string writing;
  };

  void Accept(int node, std::unique_ptr<Stream> stream);
  void ReadOn(Connection* c);
  std::string Answer(Connection* c, const std::vector<std::string>& command);
  std::string Keyed(Node& node, int me, bool asking, const std::vector<std::string>& command)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Scan(Node& node, const std::string& cursor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Slots(const Node& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string NodesText(const Node& node, int me) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::unique_ptr<Transport> transport_;
  const std::unique_ptr<EventLoops> loops_;
  Mutex mu_;
  std::vector<Node> nodes_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Intercept> intercept_ ABSL_GUARDED_BY(mu_);
  uint64_t next_cursor_ ABSL_GUARDED_BY(mu_) = 1;
  std::vector<std::unique_ptr<Connection>> connections_;  // on the loop
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_FAKE_REDIS_H_
