#ifndef KVARTS_CLUSTER_NODE_LEFTOVERS_H_
#define KVARTS_CLUSTER_NODE_LEFTOVERS_H_

#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/pace.h"

namespace kvarts {
namespace cluster {

// The node's thread only. Of which slots the store may hold entries that are not the node's:
// copies that come in, and what was given away. Such a slot is marked before the first entry is
// there, where a restart finds it too, and unmarked when it is the node's or has been cleaned.
class Leftovers {
 public:
  // Writes down which slots are marked, durably; `done` comes on the node's thread.
  using Save = std::function<void(const std::vector<uint16_t>& slots,
                                  absl::AnyInvocable<void(absl::Status)> done)>;

  Leftovers(NodeParts* parts, Save save) : parts_(*parts), save_(std::move(save)), pace_(*parts) {}
  void Stop() {
    *alive_ = false;
    pace_.Stop();
  }

  // Those a node's file had at its start. Until Settle() all slots count as foreign: which are the
  // node's is not known before a table was read, and a scan must not show what has moved on.
  void Init(const std::vector<uint16_t>& slots);
  void Settle();

  // Slots that are not the node's, and may have been: what was given to others by force while a
  // durable node was down is marked nowhere. They count as marked until a pass over the keys has
  // told which of them have entries; those are marked then.
  void Suspect(const std::vector<uint16_t>& slots);

  bool is_marked(uint16_t slot) const { return marked_[slot] || suspected_[slot]; }
  // Whether entries of the slot are being removed, or will be.
  bool WillClean(uint16_t slot) const;
  void Mark(const std::vector<uint16_t>& slots, absl::AnyInvocable<void(absl::Status)> done);
  // They are the node's: nothing foreign is in them.
  void Unmark(const std::vector<uint16_t>& slots);
  // Removes all entries of the slots, after what was asked for before, and unmarks them. The
  // caller sees to it that nothing is written there meanwhile.
  void Clean(const std::vector<uint16_t>& slots, absl::AnyInvocable<void(absl::Status)> done);
  // Whether anything is being cleaned or waits for it.
  bool is_cleaning() const { return !jobs_.empty(); }

 private:
  struct Job {
    std::vector<uint16_t> slots;
    absl::AnyInvocable<void(absl::Status)> done;
    std::shared_ptr<Cursor> cursor;
  };

  // A pass over the keys.
  struct Look {
    std::unique_ptr<Cursor> cursor;
    std::bitset<kSlots> found;
    absl::StatusOr<bool> at_end = false;
  };

  void GoOnLooking(const std::shared_ptr<Look>& look);
  void Step();
  void EndJob(const absl::Status& status);
  void Changed(absl::AnyInvocable<void(absl::Status)> done);
  void SaveNow();
  void CountForeign();

  const NodeParts& parts_;
  const Save save_;
  Pace pace_;  // of Step()
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::bitset<kSlots> marked_;
  std::bitset<kSlots> suspected_;
  bool settled_ = false;
  std::deque<Job> jobs_;
  bool ending_ = false;  // one's `done` is running
  bool saving_ = false;
  std::vector<absl::AnyInvocable<void(absl::Status)>> to_save_;  // who waits for the next list
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_LEFTOVERS_H_
