#ifndef KVARTS_CLUSTER_RESP_CLIENT_NODE_REPLIES_H_
#define KVARTS_CLUSTER_RESP_CLIENT_NODE_REPLIES_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/slot.h"
#include "net/cluster_map.h"
#include "net/resp/client/store_calls.h"

// What a node of a Redis Cluster says of it. Source: the Redis Cluster specification, and the
// documentation of CLUSTER SLOTS and CLUSTER NODES, of Redis 7.0.
namespace kvarts {
namespace resp_cluster {

// A node's answer that it did nothing, as it does not serve the key now.
struct Refusal {
  enum class Kind : unsigned char {
    kMoved,  // it is at another node, for good
    kAsk,    // ... for this once: the slot is on its way there
    kLater,  // nobody serves it now: TRYAGAIN, CLUSTERDOWN, LOADING
  };
  Kind kind = Kind::kLater;
  std::string address;  // of that node, "tcp://HOST:PORT"
};

// Nothing where `status`, made of an error that the node at `address` answered with, is another.
std::optional<Refusal> RefusalOf(const absl::Status& status, absl::string_view address);

// CLUSTER SLOTS: the primaries, and which slots each has.
class SlotsCall final : public resp_client::WaitingCall {
 public:
  // `address`: of the node that is asked; one that does not know its own host is there.
  explicit SlotsCall(absl::string_view address);

  // After Wait(). An error that the node answered with; kFailedPrecondition: it knows of no slots.
  absl::Status status() const;
  // Ids, hosts, ports of RESP and owners alone.
  ClusterMap& map() { return map_; }

 private:
  absl::Status OnItem(size_t command, const resp_client::ReplyItem& item) override;
  void OnRetry() override;
  absl::Status TakeNode(const resp_client::ReplyItem& item);

  const std::string host_;
  absl::Status status_;
  ClusterMap map_;
  std::map<std::string, int16_t> places_;  // in map_.nodes, by id
  int64_t first_ = 0;                      // of the run of slots that comes
  int64_t last_ = 0;
  int of_run_ = 0;   // parts of it that have begun
  int of_node_ = 0;  // parts of its primary
  ClusterNode node_;
};

// CLUSTER NODES, as its own node sees it.
struct OwnSlots {
  std::string id;
  std::bitset<kSlots> held;
  std::bitset<kSlots> importing;                 // from a node that holds it
  std::map<uint16_t, std::string> migrating;     // held, and to whom: an id
  std::map<std::string, std::string> addresses;  // of all nodes, by id

  // `address`: of the node that answered.
  static OwnSlots Parse(absl::string_view text, absl::string_view address);
};

class OwnSlotsCall final : public resp_client::WaitingCall {
 public:
  OwnSlotsCall() { AddCommand({"CLUSTER", "NODES"}); }

  // After Wait(). What OwnSlots::Parse() takes.
  absl::Status status() const { return Unshared(status_); }
  const std::string& text() const { return text_; }

 private:
  absl::Status OnItem(size_t command, const resp_client::ReplyItem& item) override;
  void OnRetry() override { status_ = absl::OkStatus(); }

  absl::Status status_;
  std::string text_;
};

}  // namespace resp_cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_NODE_REPLIES_H_
