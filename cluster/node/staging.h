#ifndef KVARTS_CLUSTER_NODE_STAGING_H_
#define KVARTS_CLUSTER_NODE_STAGING_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "cluster/node/leftovers.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/peer.pb.h"

namespace kvarts {
namespace cluster {

// The node's thread only. The receiving end of slots that move here: takes the copies, which
// nobody sees, and serves a slot when the table has made this node its primary and the one before
// has said that it lets go, or when this node has written into the table that it serves without
// that word (`adopted`), so that the one before can no longer take the slot back.
class Staging {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  Staging(NodeParts* parts, Leftovers* leftovers);
  void Stop();

  // Of one connection of another node: which slots it may stage.
  struct Sender {
    Incarnation from;
    uint64_t generation = 0;
    std::vector<uint16_t> slots;
  };

  void Begin(const std::shared_ptr<Sender>& sender, const PeerBegin& begin, Done done);
  void Stage(const std::shared_ptr<Sender>& sender, const PeerStage& stage,
             absl::string_view payload, Done done);
  void Release(const Incarnation& from, const PeerRelease& release, Done done);

  // Looks at the newest table: what is to be served, adopted, given up.
  void TableChanged();

 private:
  // A set of generations whose writes are waited for.
  struct Waiting {
    std::set<uint64_t> generations;
    Task go_on;
  };

  void BeginNow(const std::shared_ptr<Sender>& sender, std::vector<uint16_t> slots, uint64_t bytes,
                Done done);
  absl::Status CheckRoom(uint64_t bytes) const;
  bool MayStage(const Sender& sender, const std::vector<uint16_t>& slots) const;
  // Calls `go_on` once no copy of these slots is being written: at once where none is. For whoever
  // has seen to it that no new one begins.
  void WhenWritten(const std::vector<uint16_t>& slots, Task go_on);
  void Drop(const std::vector<uint16_t>& slots);
  void Serve(const std::vector<uint16_t>& slots);
  void Adopt();
  // Removes what this node has of slots that it was given as empty ones, and then says so in the
  // table, after which they are served: what is served is never removed. A crash in between has it
  // begin again.
  void EmptyFresh();
  void CommitEmptied(const std::vector<uint16_t>& slots);

  // A group in which the last look found nothing to do or to wait for, as it was then. Nothing is
  // to be found before its entries, its states or the registered nodes change: a copy begins to
  // come only where the entries that were looked at have it joining.
  struct Quiet {
    std::shared_ptr<const SlotGroup> entries;  // null: it was not so
    uint64_t changes = 0;
  };

  const NodeParts& parts_;
  Leftovers* const leftovers_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<Incarnation, uint64_t> newest_jobs_;  // that a sender has begun
  uint64_t next_generation_ = 1;
  std::array<uint64_t, kSlots> generations_{};       // who may stage a slot; 0: nobody
  std::array<uint64_t, kSlots> last_generations_{};  // who has staged a slot last
  std::map<uint64_t, int> writing_;                  // writes of copies under way, by generation
  std::vector<Waiting> waiting_;
  std::array<bool, kSlots> pending_{};  // this node's by the table, and not yet served
  std::array<Quiet, kSlotGroups> quiet_;
  std::vector<bool> is_of_nobody_;  // at the last look, by number: registered no more
  std::unique_ptr<Timer> adopt_timer_;
  bool adopting_ = false;
  bool emptying_ = false;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_STAGING_H_
