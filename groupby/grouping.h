#ifndef KVARTS_GROUPBY_GROUPING_H_
#define KVARTS_GROUPBY_GROUPING_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/memory_budget.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// A row of the input: bytes of both, borrowed.
struct KeyValue {
  absl::string_view key;
  absl::string_view value;
};

struct GroupingOptions {
  // All memory: rows, tables, buffers, the merge. At least kMinMemory. Not used where
  // `budget` is given.
  size_t memory_bytes = 256 << 20;
  static constexpr size_t kMinMemory = 1 << 20;
  // Shared with others; outlives the grouping and its groups. May be null.
  MemoryBudget* budget = nullptr;

  // Threads of Groups::Drain(), and, above 1, one that works ahead of Groups::Next() where
  // there are partitions; where there are sorted runs, those of Finish(), and as many shards,
  // with 16 MiB of memory for each, that are fed at a time. Changes no order, of groups or of
  // values. At least 1.
  int threads = 1;

  FileSystem* fs = FileSystem::Posix();
  // An existing directory, in which a private folder is made at the first spill, and
  // none where all fits. Empty: $TMPDIR, else /tmp.
  std::string temp_dir;

  enum class Order : unsigned char {
    kAny = 0,  // of the hash; the same in each run over the same input
    kKey,      // by the bytes of the keys
  };
  Order order = Order::kAny;

  enum class Algorithm : unsigned char {
    // Partitions by hash (kAny); sorted runs (kKey).
    kAuto = 0,
    // The three stages: a hash map, dumped as a sorted run when it is full; merges
    // of some runs at a time until few enough are left; a lazy merge of these.
    kSortedRuns,
  };
  Algorithm algorithm = Algorithm::kAuto;
  // Caps of kSortedRuns beside the memory; 0: none but that. Distinct keys in the
  // map; runs that are open at a time (at least 2).
  uint64_t max_hash_entries = 0;
  int max_open_runs = 0;

  // Called now and then, from any thread that works for the grouping; may be empty.
  // `done` of `total` bytes of `phase` ("partition", "merge", "group").
  std::function<void(absl::string_view phase, uint64_t done, uint64_t total)> progress;
};

// Counters. What is written down as the cost is computed from these.
struct GroupingStats {
  uint64_t rows = 0;
  uint64_t bytes = 0;          // of keys and values
  uint64_t groups = 0;         // that were read so far
  uint64_t spilled_bytes = 0;  // written to disk, all levels and passes
  uint64_t partitions = 0;     // partitions that were written, at all levels
  uint64_t levels = 0;         // of partitioning of what was written; 0: all in memory
  uint64_t heavy_keys = 0;     // keys that got a file of their own
  uint64_t runs = 0;           // sorted runs written by the first stage
  uint64_t merge_passes = 0;   // over all data, before the last, lazy one
  uint64_t comparisons = 0;    // of keys, by sorting and merging
  uint64_t probes = 0;         // of table slots
  uint64_t peak_memory = 0;    // counted bytes

  // "rows=20000000 bytes=… spilled=… …", for a log.
  std::string DebugString() const;
};

// Not thread-safe. A stream of groups, each a key and its values, which are in the
// order they were added. Errors end it: later calls return the same one. Destroying it
// half-way is prompt, and deletes all files; so does its end.
//
// What is borrowed is good until the next call of any method.
class Groups {
 public:
  virtual ~Groups() = default;

  // Goes to the next group; what is left of the current one is passed over. False
  // behind the last one.
  virtual absl::StatusOr<bool> Next(absl::string_view* key) = 0;

  // Some more values of the current group, in order; empty behind its last one. As
  // many as are at hand: a group larger than memory comes in many calls.
  virtual absl::StatusOr<absl::Span<const absl::string_view>> Values() = 0;

  // One group as Drain() shows it.
  class Cursor {
   public:
    virtual ~Cursor() = default;
    virtual absl::string_view key() const = 0;
    virtual absl::StatusOr<absl::Span<const absl::string_view>> Values() = 0;
  };
  // Where Drain() wants the text of groups. Not thread-safe.
  class Output {
   public:
    virtual ~Output() = default;
    virtual absl::Status Append(absl::string_view text) = 0;
  };
  // Renders one group to a text. Called for many groups at a time from `threads`
  // threads.
  using Render = std::function<absl::Status(Cursor* group, Output* output)>;
  // Takes the texts in the order of the groups, in large pieces. Called by one thread
  // at a time.
  using Write = std::function<absl::Status(absl::string_view text)>;

  // Reads all groups that are left, on several threads. The order of the texts is that
  // of Next(). The first error ends it.
  virtual absl::Status Drain(const Render& render, const Write& write) = 0;
};

// Thread-safe. Collects rows, then gives groups: a group-by in bytes. Typed calls are
// in group_by.h.
//
// Feed it, from one thread or several, then Finish(). Files, if there are any, are
// deleted at the latest when both this and the Groups are destroyed.
class Grouping {
 public:
  // kInvalidArgument for options that cannot work; kResourceExhausted where a shared
  // budget has no room for one more.
  static absl::StatusOr<std::unique_ptr<Grouping>> New(const GroupingOptions& options);
  virtual ~Grouping() = default;

  // The largest key, and a value's and its key's bytes together: what memory allows,
  // and at most 64 KiB and 64 MiB. Longer is kInvalidArgument for the call, of which
  // nothing is taken; more than memory allows is kResourceExhausted and ends it.
  static constexpr size_t kMaxKeyBytes = 64 << 10;
  static constexpr size_t kMaxRowBytes = 64 << 20;

  // Adds rows in their order, behind what the calling thread added before. Errors but
  // the one above end the grouping: all files are deleted, later calls return the same.
  // Hundreds of rows a call are best.
  virtual absl::Status Add(absl::Span<const KeyValue> rows) = 0;
  // The same for rows that several threads prepare: they come in the order of
  // `sequence` (0, 1, 2, ...: each once), whoever calls first. Waits for the calls
  // before it where it has to.
  virtual absl::Status AddInOrder(uint64_t sequence, absl::Span<const KeyValue> rows) = 0;

  // Ends the feeding: no Add() may be under way. Once.
  virtual absl::StatusOr<std::unique_ptr<Groups>> Finish() = 0;

  // Has all calls, those of the Groups too, end soon with kCancelled.
  virtual void Cancel() = 0;

  // Of the groups too, as far as they were read.
  virtual GroupingStats stats() const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_GROUPING_H_
