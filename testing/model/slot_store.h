#ifndef KVARTS_TESTING_MODEL_SLOT_STORE_H_
#define KVARTS_TESTING_MODEL_SLOT_STORE_H_

#include "base/language.h"

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "storage/layers/forwarding_store.h"
#include "storage/slot_status.h"

namespace kvarts {

// Thread-safe. What a node's store looks like to the protocols, over another store: batches of one
// slot, and errors of storage/slot_status.h for keys of slots that it does not hold. It holds all
// at first. Entries of slots that it gives up stay where they are, and are in scans, save in those
// that ask for slots: where it does not hold one of these, its error is the scan's.
class SlotStore final : public ForwardingStore {
 public:
  // REQUIRES: `under` has atomic batches of any keys.
  explicit SlotStore(std::unique_ptr<Store> under) : ForwardingStore(std::move(under)) {}

  // From now on keys of `moved.slot` are MovedError(moved).
  void GiveUp(const MovedSlot& moved);
  // From now on keys of `slot` are SlotDownError().
  void TakeDown(uint16_t slot);
  // Holds `slot` again, in a new epoch of it: no stamp from before matches.
  void TakeBack(uint16_t slot);

  Capabilities capabilities() const override;
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override;
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    MultiGet(absl::MakeConstSpan(&key, 1), options, results);
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override;
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;

 private:
  // What may go to the store under this one, and the errors of what may not, by place.
  struct Plan {
    WriteBatch batch;                  // with stamps as the store under this one gave them
    WriteResults done;                 // of `batch`
    std::vector<absl::Status> errors;  // one a mutation
    absl::Status first_error;
    bool refused = false;  // the whole batch is first_error

    // The outcome of all, after `batch` ended with `status`.
    absl::Status Merge(const absl::Status& status, WriteResults* results);
  };

  absl::Status StatusOf(absl::string_view key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What is added to the stamps of the key's slot.
  uint64_t EpochOf(absl::string_view key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Plan PlanOf(const WriteBatch& batch, const WriteOptions& options) const;

  mutable Mutex mu_;
  std::map<uint16_t, absl::Status> elsewhere_ ABSL_GUARDED_BY(mu_);
  std::map<uint16_t, uint64_t> epochs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_SLOT_STORE_H_
