#ifndef KVARTS_CLUSTER_NODE_MOVER_H_
#define KVARTS_CLUSTER_NODE_MOVER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cluster/node/leftovers.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/outbox.h"
#include "cluster/node/pace.h"
#include "cluster/node/peer_connection.h"

namespace kvarts {
namespace cluster {

// The node's thread only. The giving end of slots that the table has joining another node:
//
//   1 begin    the other node makes room; this one marks the slots, so that a restart knows them
//   2 copy     from here on writes go to the outbox too; one pass over the store puts what was
//              there before into it, in the order that Outbox keeps
//   3 hold     group by group: requests wait, calls under way end, the other node has it all
//   4 switch   one transaction makes the other node their primary
//   5 release  the other node is told to serve, says that it does, and only then the requests
//              that waited are told MOVED
//   6 drop     what was given away is removed, and the table forgets who had it
//
// Steps 3 to 5 take some milliseconds a group of 256 slots. Where 4 fails the requests go on here.
// Where its outcome is unknown, they are told CLUSTERDOWN after half a second, until it is known.
// Where the other node is lost between 4 and 5 this one takes the slots back by a transaction,
// unless it has sent the word of 5.
class Mover {
 public:
  Mover(NodeParts* parts, Leftovers* leftovers);
  ~Mover();
  // Lets go of requests that wait; nothing happens any more.
  void Stop();

  void TableChanged();

  // Slots whose requests this alone decides upon: held, switched and not yet released.
  bool Owns(uint16_t slot) const { return owned_[slot]; }
  uint64_t owned_changes() const { return owned_changes_; }  // a count
  bool OwnsAnyOf(int group) const { return owned_of_group_[static_cast<size_t>(group)] > 0; }
  // The slots' old copies are gone, and new ones come: nothing is known of them.
  void Forget(const std::vector<uint16_t>& slots) {
    for (const uint16_t slot : slots) SetConfirmed(slot, false);
  }
  // Whether another node has served the slot since, and its old copy is still here.
  bool GaveAway(uint16_t slot) const { return confirmed_[slot] && leftovers_->is_marked(slot); }
  // Whether anything moves out, or is left to be dropped.
  bool is_idle() const;

 private:
  enum class Phase : unsigned char {
    kOpening,
    kSettling,
    kCopying,
    kHolding,
    kSwitching,
    kReleasing
  };

  // A group of slots that the table may have switched: their requests are frozen.
  struct Group {
    std::vector<uint16_t> slots;
    Incarnation to;
    int64_t revision = 0;  // of the switch
    absl::Duration held_since;
    bool is_down = false;  // its requests are told so
    bool word_sent = false;
  };

  struct Job {
    Incarnation to;
    // Of its record when the job began: a node that was started anew has dropped the copies.
    int64_t to_revision = 0;
    std::vector<uint16_t> slots;
    Phase phase = Phase::kOpening;
    std::shared_ptr<PeerConnection> connection;
    std::shared_ptr<Outbox> outbox;
    std::shared_ptr<Cursor> cursor;
    std::vector<std::string> keys;  // of the last page, to be read yet
    size_t keys_at_once = 1;
    bool pass_running = false;  // or waits for its next turn
    bool pass_done = false;
    size_t unacknowledged = 0;  // bytes
    std::deque<std::vector<uint16_t>> groups;
    Group group;                // that is held
    absl::Duration not_before;  // of the next hold
  };

  bool Chosen(Incarnation* to, std::vector<uint16_t>* slots) const;
  void Begin(const Incarnation& to, std::vector<uint16_t> slots);
  // What so many slots take of this node's memory, about; 0: not known.
  uint64_t BytesOf(size_t slots) const;
  void BeginCopying();
  void BeginPass();
  void WaitUntilDrained(absl::AnyInvocable<void()> then);
  void Pump();
  bool SendSome();
  void PassStep();
  void AskCoordinator();
  void Hold();
  void Switch();
  Coordinator::Transaction SwitchTransaction(const Group& group) const;
  void Switched(absl::StatusOr<Coordinator::Outcome> outcome);
  void Unfreeze(const Group& group, SlotState state);
  void SendWord();
  void Ended(const Group& group);
  // Gives up the job; what is frozen is resolved apart.
  void Abort(const absl::Status& why);
  void Cancel(const Incarnation& to, const absl::Status& why);
  void Tell(absl::string_view what);
  // Groups that were left frozen by a job that ended.
  void Resolve();
  void ResolveGroup(const std::shared_ptr<Group>& group);
  void TakeBack(const std::shared_ptr<Group>& group);
  void DropOld();
  void AskAndDrop(const Incarnation& to, const std::vector<uint16_t>& slots);
  // Of slots that have been removed.
  void CommitDrop(std::vector<uint16_t> slots);
  void Tick();
  void SetOwned(const std::vector<uint16_t>& slots, bool is_owned);
  void SetConfirmed(uint16_t slot, bool is_confirmed) {
    const auto group = static_cast<size_t>(GroupOf(slot));
    if (is_confirmed != confirmed_[slot]) confirmed_of_group_[group] += is_confirmed ? 1 : -1;
    confirmed_[slot] = is_confirmed;
  }

  const NodeParts& parts_;
  Leftovers* const leftovers_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Job> job_;
  uint64_t jobs_ = 0;  // begun: names the one that a callback is of
  std::vector<std::shared_ptr<Group>> frozen_;
  std::array<bool, kSlots> owned_{};
  std::array<bool, kSlots> confirmed_{};  // the other node has said that it serves them
  // How many of a group's slots are so: loops over all slots pass over the other groups.
  std::array<int, kSlotGroups> owned_of_group_{};
  uint64_t owned_changes_ = 0;
  std::array<int, kSlotGroups> confirmed_of_group_{};
  bool dropping_ = false;
  std::shared_ptr<PeerConnection> asking_;
  absl::Duration try_after_;
  Incarnation unreachable_;
  std::string told_;  // last, of why a job ended
  absl::Duration unreachable_since_;
  Pace pace_;  // of PassStep()
  std::unique_ptr<Timer> pump_timer_;
  std::unique_ptr<Timer> drain_timer_;
  std::unique_ptr<Timer> tick_timer_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_MOVER_H_
