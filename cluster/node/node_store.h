#ifndef KVARTS_CLUSTER_NODE_NODE_STORE_H_
#define KVARTS_CLUSTER_NODE_NODE_STORE_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/histogram.h"
#include "base/mutex.h"
#include "base/swappable.h"
#include "cluster/busy_slots.h"
#include "cluster/node/outbox.h"
#include "cluster/node/slot_table.h"
#include "net/cluster_map.h"
#include "net/event_loop.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster {

// Thread-safe; what stands below "for the node's thread" is for that alone. The store that a node's
// protocols serve: the entries of those slots that are the node's, out of a store that may hold
// others too (copies that are not yet or no longer the node's), which nobody sees here.
//
// Errors beside a store's: storage/slot_status.h. An atomic batch is of one slot. There are no
// snapshots: a slot that moves away would stay in them. Stamps carry the slot's epoch, so that one
// from before the slot went away and came back never matches.
//
// While a slot is held, writes that are submitted wait without a thread, reads that must not wait
// are kUnavailable (as for a store whose disk must be waited for), and other calls wait; but a scan
// of certain slots is kUnavailable. While slots are held, are copied, or have foreign entries, a
// range is deleted key by key, which takes a thread: to submit it is kUnavailable.
class NodeStore final : public Store, public ClusterView {
 public:
  // Thread-safe. What the node has given away since its start, for Stats().
  struct Given {
    std::atomic<uint64_t> slots{0};
    std::atomic<uint64_t> bytes{0};  // sent for them
    Histogram holds_ns;              // how long requests of a group of slots waited at most
  };

  // `under` must outlive this, and its cursors. `run` runs a task on a thread that may wait for
  // `under`, in any order; needed where that may block.
  NodeStore(Store* under, std::function<void(Task)> run);
  // Ends what is held, waits for what `under` has of submitted writes, and closes the outbox.
  ~NodeStore() override;

  Capabilities capabilities() const override { return capabilities_; }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override;
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override;
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;
  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Sync() override { return under_->Sync(); }
  absl::Status Close() override;
  Maintenance* maintenance() override { return under_->maintenance(); }

  std::shared_ptr<const ClusterMap> map() const override { return slots_->map(); }

  // For the node's thread.

  Given* given() { return &given_; }
  SlotTable* slots() { return slots_.get(); }
  // Sets the state of all of them, and has the requests that were held go on where it is not kHeld.
  void SetStates(absl::Span<const uint16_t> slots, SlotState state);
  // Where writes of slots that are kCopying go. REQUIRES: there are no such slots, and no calls
  // that have seen one (calls()->Drained() after a Flip()): theirs would go to another node.
  void SetOutbox(std::shared_ptr<Outbox> outbox) { outbox_.Exchange(std::move(outbox)); }

 private:
  struct HeldWrite {
    const WriteBatch* batch;
    WriteOptions options;
    WriteResults* results;
    WriteDone done;
  };
  // What a batch is to this node at one moment. All that is done about the batch goes by it: a
  // state that is looked at twice may be two states.
  struct Look {
    bool has_several = false;  // slots
    bool has_ranges = false;
    // Where it is not plain.
    std::vector<SlotState> states;  // by mutation, then by precondition; of a range kServing
    std::vector<uint64_t> masks;    // SlotTable::StampMask(), by precondition
    bool has_stamps = false;
    bool has_away = false;                  // a key that is not served here
    int held = -1;                          // a slot that is to be waited for
    std::vector<absl::string_view> copied;  // keys whose slots are being copied
    std::shared_ptr<Outbox> outbox;         // of these
  };
  // A part of a batch, in the store's own stamps.
  struct Part {
    WriteBatch batch;
    std::vector<size_t> places;  // of its mutations, in the whole
    WriteResults written;
    WriteResults all;      // with what is refused filled in
    absl::Status refused;  // the first reason
  };

  // False, and nothing done, where one of the keys is held and may be waited for.
  bool ReadClosely(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                   ReadResults* results, uint16_t* held);
  absl::Status Check(const Look& look, const WriteBatch& batch, const WriteOptions& options) const;
  // `was_held`: the batch was held, and goes on before those that came later.
  Look LookAt(const WriteBatch& batch, bool was_held) const;
  void LookClosely(const WriteBatch& batch, bool was_held, Look* look) const;
  // What of the batch is to be done here; nothing of an atomic one where a part is not.
  Part TakePart(const WriteBatch& batch, bool atomic, const Look& look) const;
  static absl::Status Finish(Part* part, const absl::Status& status, WriteResults* results);
  // Whether a range must be deleted key by key: what the store under this one deletes at once may
  // be another node's, or must be told to another node.
  bool DeletesByKey() const;
  absl::Status WriteWithRanges(const WriteBatch& batch, const WriteOptions& options,
                               WriteResults* results);
  absl::Status DeleteRange(const Mutation& mutation, const WriteOptions& options);
  // False, and nothing done, where it is held.
  bool TryToSubmit(HeldWrite* write, bool was_held);
  // Submits in their order what can go on, and moves the others to the end of `waiting`.
  void Resubmit(std::vector<HeldWrite> held, std::vector<HeldWrite>* waiting);
  void FailHeld(std::vector<HeldWrite> held);
  void CountSubmitted(int more);
  void AddGiven(StoreStats* stats) const;
  void AddBusy(StoreStats* stats) const;

  Store* const under_;
  const Capabilities under_capabilities_;
  const Capabilities capabilities_;
  const std::function<void(Task)> run_;
  const std::shared_ptr<SlotTable> slots_;
  Swappable<Outbox> outbox_;
  Given given_;
  SlotSamples samples_;  // of what clients ask for

  Mutex held_mu_;
  bool closed_ ABSL_GUARDED_BY(held_mu_) = false;
  std::vector<HeldWrite> held_ ABSL_GUARDED_BY(held_mu_);

  Mutex submitted_mu_;
  CondVar none_submitted_;
  // Writes that a store which may block has, or that `run_` has for them.
  int submitted_ ABSL_GUARDED_BY(submitted_mu_) = 0;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_NODE_STORE_H_
