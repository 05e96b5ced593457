#ifndef KVARTS_TESTING_MODEL_SLOW_STORE_H_
#define KVARTS_TESTING_MODEL_SLOW_STORE_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/layers/forwarding_store.h"

namespace kvarts {

struct SlowStoreOptions {
  // A thread of the store ends what is submitted, as it comes, and some reads with no_wait are
  // kUnavailable. Else a test says when, and which.
  bool by_itself = true;
  // Fails the test where a call that may wait comes while this is true. Null: where it comes
  // from a thread that has submitted or read with no_wait before, which is then a loop's.
  // Without `forbids_waiting` neither.
  bool forbids_waiting = true;
  std::function<bool()> on_loop;
};

// Thread-safe. What a store over a slow disk looks like from outside, over another store:
// Capabilities::may_block and no_wait. Submitted batches are applied when they end, in groups,
// so that what a batch borrows is looked at as late as can be.
class SlowStore final : public ForwardingStore {
 public:
  explicit SlowStore(std::unique_ptr<Store> under, SlowStoreOptions options = {});
  ~SlowStore() override;

  // Ends all that is submitted, as one group; returns how many batches that were.
  size_t Commit();
  size_t submitted() const;
  // Returns when so many batches are submitted and not ended.
  void AwaitSubmitted(size_t n) const;
  // From now on reads of `key` with no_wait are kUnavailable; without, they are answered.
  void MakeCold(absl::string_view key);
  // From now on batches that write `key` fail.
  void FailWritesOf(absl::string_view key, const absl::Status& status);

  // Calls that waited: reads, and all but reads.
  std::atomic<int> waiting_reads{0};
  std::atomic<int> waiting_calls{0};

  Capabilities capabilities() const override;
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override;
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override;
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override;
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;
  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override;
  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Sync() override;
  absl::Status Close() override;

 private:
  struct Submitted {
    const WriteBatch* batch;
    WriteOptions options;
    WriteResults* results;
    WriteDone done;
  };

  void Work();
  void NoteLoop();
  // `count`: of the calls that waited.
  void NoteWait(std::atomic<int>* count);
  bool IsCold(absl::string_view key);
  absl::Status Apply(const Submitted& submitted);

  const SlowStoreOptions options_;
  std::atomic<uint32_t> no_wait_reads_{0};

  mutable Mutex mu_;
  mutable CondVar changed_;
  std::vector<Submitted> queue_ ABSL_GUARDED_BY(mu_);
  std::set<std::thread::id> loops_ ABSL_GUARDED_BY(mu_);
  std::set<std::string, std::less<>> cold_ ABSL_GUARDED_BY(mu_);
  std::string failing_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  Mutex order_mu_;  // of one group at a time
  std::thread thread_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_SLOW_STORE_H_
