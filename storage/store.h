#ifndef KVARTS_STORAGE_STORE_H_
#define KVARTS_STORAGE_STORE_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/capabilities.h"
#include "storage/cursor.h"
#include "storage/key_range.h"
#include "storage/maintenance.h"
#include "storage/read_results.h"
#include "storage/write_batch.h"

namespace kvarts {

inline constexpr size_t kMaxKeyBytes = 64 << 10;
inline constexpr size_t kMaxValueBytes = 64 << 20;
inline constexpr size_t kMaxContentTypeBytes = 255;

struct ReadOptions {
  bool value = true;   // false: only whether the key is there, and its metadata
  bool stamp = false;  // needs conditions
  // Null: the newest state. Else one of this store's.
  std::shared_ptr<const Snapshot> snapshot;
  // Needs Capabilities::no_wait where the store may block. A key whose answer would wait for a
  // disk is kUnavailable: ask for it again without this, from a thread that may wait.
  bool no_wait = false;
  // Stores that wait for a network give up after it with kDeadlineExceeded.
  absl::Duration timeout = absl::InfiniteDuration();
};

struct WriteOptions {
  // All mutations or none, seen by others at once. A batch with preconditions
  // must be atomic; one that spans more than batch_scope is kInvalidArgument.
  bool atomic = false;
  bool report_existed = false;
  // True: durable stores return when the bytes outlive a power cut. False:
  // when they are handed to the system. Others ignore it.
  bool sync = true;
  absl::Duration timeout = absl::InfiniteDuration();
};

// What Modify()'s function wants done.
struct Modification {
  enum class Kind : unsigned char { kNothing = 0, kPut, kDelete };

  Kind kind = Kind::kNothing;
  std::string value;
  Metadata metadata = Metadata::Keep();

  static Modification Nothing() { return {}; }
  static Modification Put(std::string value) {
    return {Kind::kPut, std::move(value), Metadata::Keep()};
  }
  static Modification Delete() { return {Kind::kDelete, {}, {}}; }
};

struct StoreStats {
  uint64_t entries = 0;
  bool entries_exact = false;
  uint64_t memory_bytes = 0;  // private memory held for the data
  uint64_t disk_bytes = 0;    // of all files
  // Of a store whose Sync() writes all of it to a file: when that was done last, in Unix
  // milliseconds; 0: never.
  std::optional<int64_t> saved_at_ms;
  // Why that failed the last time, which such a store remembers; empty where it did not.
  std::string save_error;
  // More, for people: name and value, in an order of the store's own.
  std::vector<std::pair<std::string, std::string>> details;
};

// Safe for concurrent access without external synchronisation: every method,
// Close() too. Destroy it when no call is under way.
//
// A map from keys to values, both of arbitrary bytes: keys of 0 to kMaxKeyBytes,
// values of 0 to kMaxValueBytes. Beyond them a call is kInvalidArgument.
//
// Errors, the same for every backend:
//   kInvalidArgument     a bad key, size, option, position or batch scope
//   kFailedPrecondition  read-only, closed, or a precondition that does not hold
//   kUnimplemented       a capability the store does not have
//   kDataLoss            corrupt bytes; the message names the file and offset
//   kResourceExhausted   memory, disk or a limit
//   kUnavailable         not done; may be tried again
//   kDeadlineExceeded    a write may have been applied
//
// Where a durable store cannot say whether the disk has a write (a failed sync), the writers
// that waited for it get kDeadlineExceeded with the cause, and every later write
// kFailedPrecondition with it: the store is read-only until it is opened again. Reads go on, and
// never show what was not acknowledged.
//
// An absent key is none: see ReadResult::found.
//
// Calls wait in the caller's thread. Where capabilities().may_block, they may
// wait for disk or network: servers then call from a pool, not from a loop.
//
// Left out on purpose: asynchronous reads (a network's state machine lives
// inside its store, and what is in memory is answered at once: ReadOptions::no_wait), merge
// operators (Modify is enough), column families (a prefix or another store), transactions over
// several calls (stamps and preconditions make them), iteration by single steps (a page a call lets
// every backend prefetch).
class Store {
 public:
  virtual ~Store() = default;

  virtual Capabilities capabilities() const = 0;

  // One outcome for each key, in the order asked; keys may repeat. Errors are
  // each key's own. Never fails as a whole.
  virtual void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                        ReadResults* results) = 0;

  // MultiGet of one key. Override where that can be faster.
  virtual void Read(absl::string_view key, const ReadOptions& options, ReadResults* results);

  // Applies `batch`: each mutation by itself, in order for mutations of one key,
  // or all at once (WriteOptions::atomic). Returns OK where all were applied, else the
  // first error. `results` may be null. A read-only store returns
  // kFailedPrecondition, a batch scope that cannot hold kInvalidArgument.
  virtual absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                             WriteResults* results);

  // Write() without waiting for a disk: `done` is called once, with what Write() would have
  // returned, after all that Write() waits for; inside this call or later, on any thread, and
  // must not wait nor call the store. Submitted and written batches take effect in the order of
  // their calls. `batch`, what it borrows, and `results` (may be null) must stay until then.
  // A store that is destroyed has called it. By default Write(): see Capabilities::no_wait.
  using WriteDone = absl::AnyInvocable<void(absl::Status)>;
  virtual void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
                      WriteDone done);

  // Reads `key`, calls `function` on it and does what it returns, as one atomic
  // step. `function` must be pure: it may be called several times, and must not
  // call the store. Its error ends the call and is returned.
  using Modifier = absl::FunctionRef<absl::StatusOr<Modification>(const ReadResult& current)>;
  virtual absl::Status Modify(absl::string_view key, const WriteOptions& options,
                              Modifier function);

  // The cursor holds what it needs: it may outlive Close() and the store.
  virtual absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options);

  virtual absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot();

  virtual absl::StatusOr<StoreStats> Stats() = 0;

  // Makes every write that returned before it durable. OK where there is
  // nothing to do.
  virtual absl::Status Sync();

  // Ends the store: later calls are kFailedPrecondition, and those under way
  // finish or fail so. What was lent out stays good. A second Close() is OK, or tries
  // again what the first one could not save. The destructor closes too, and hides errors.
  virtual absl::Status Close() = 0;

  // The care of its files, for a store that has some: lives as long as the store. Else null.
  virtual Maintenance* maintenance() { return nullptr; }

  // Conveniences, for single keys. Values are copies.
  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key);
  absl::Status Put(absl::string_view key, absl::string_view value, const Metadata& metadata = {});
  // True where the key was there.
  absl::StatusOr<bool> Delete(absl::string_view key);
};

// The checks every backend makes first, with one wording.
absl::Status CheckKey(absl::string_view key);
// Sizes, metadata, that preconditions come with `atomic`, and that
// `capabilities` have what the batch uses. Says which mutation is at fault.
absl::Status CheckBatch(const WriteBatch& batch, const WriteOptions& options,
                        const Capabilities& capabilities);
// That `capabilities` have what the scan asks for.
absl::Status CheckScan(const ScanOptions& options, const Capabilities& capabilities);
// One mutation's part of CheckBatch().
absl::Status CheckMutation(const Mutation& mutation, const Capabilities& capabilities);

// kFailedPrecondition: "the store is closed", "... is read-only".
absl::Status ClosedError();
absl::Status ReadOnlyError();
// kResourceExhausted: a store that may not take more memory has none for a write.
absl::Status MemoryLimitError();

// `status` for all of a batch: what Write() returns when nothing was applied.
absl::Status FailWrite(const WriteBatch& batch, const absl::Status& status, WriteResults* results);

// True where one of `slots` holds the key's slot, or where there are none.
bool InSlots(absl::string_view key, absl::Span<const SlotRange> slots);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_STORE_H_
