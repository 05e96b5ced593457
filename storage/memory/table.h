#ifndef KVARTS_STORAGE_MEMORY_TABLE_H_
#define KVARTS_STORAGE_MEMORY_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/siphash.h"
#include "storage/cursor.h"
#include "storage/memory/chunk.h"
#include "storage/memory/comings.h"
#include "storage/memory/extent_pool.h"
#include "storage/memory/ghosts.h"
#include "storage/memory/heap_holes.h"
#include "storage/memory/image.h"
#include "storage/memory/key_hash.h"
#include "storage/memory/seq_lock.h"
#include "storage/memory/undo.h"
#include "storage/read_results.h"
#include "storage/store.h"
#include "storage/write_batch.h"

namespace kvarts::memory_internal {

// The keys whose hashes begin with some bits, and their lock.
struct alignas(64) Segment {
  SeqLock lock;
  // Those bits, from the top, and in the lowest six how many they are.
  std::atomic<uint64_t> range{0};
  Chunk chunk;

  // Guarded by `lock`:
  int64_t first_expiry = INT64_MAX;  // no record expires before it
  bool shrunk = false;               // since it was last looked at: MergeIfSmall()
  // Of the image that was taken of it last, and what was written since the one under way
  // began, if its image is still to be taken.
  uint32_t epoch = 0;
  uint64_t blob_bytes = 0;         // as they are charged
  std::unique_ptr<Ghosts> ghosts;  // null until something was evicted
  std::unique_ptr<Undo> undo;

  // Of all its chunks, with the lock.
  struct Usage {
    size_t records = 0;
    size_t live = 0;  // bytes of the log
    size_t dead = 0;
  };
  Usage usage() const {
    Usage usage;
    for (const Chunk* each = &chunk; each != nullptr; each = each->next) {
      if (each->empty()) continue;
      usage.records += each->records();
      usage.live += each->live_bytes();
      usage.dead += each->dead_bytes();
    }
    return usage;
  }

  static uint64_t Range(uint64_t prefix, int depth) {
    return prefix | static_cast<uint64_t>(depth);
  }
  static int Depth(uint64_t range) { return static_cast<int>(range & 63); }
  static uint64_t Prefix(uint64_t range) { return range & ~uint64_t{63}; }
  // Of one that was merged into another, and waits to be used again. No hash is its.
  static constexpr uint64_t kRetired = 63;
  static bool Covers(uint64_t range, uint64_t hash) {
    return (hash ^ range) >> 1 >> (63 - Depth(range)) == 0 && range != kRetired;
  }
};

// Thread-safe. A hash table of records by extendible hashing: a directory leads by the
// first bits of a hash to a segment, which is split when it is full. README.md has the
// picture and what an entry costs.
//
// Two halves that have become small are merged again.
//
// Readers write nothing and wait for no reader; they try again where a writer was in
// their segment meanwhile. A writer has the lock of its segment for about a microsecond,
// and for up to a hundred when a segment is copied: split, or rid of what is dead. A batch that
// is atomic has the locks of all its segments, taken in the order of their keys' hashes.
class Table {
 public:
  struct Options {
    HashSeed seed;
    KeyHash::Way hash = KeyHash::Way::kFastest;
    size_t max_bytes = 0;  // 0: no limit
    bool evict = false;    // at the limit, in place of refusing
    Capabilities capabilities;
    // While a snapshot is under way, about: of what was overwritten since it began, and of
    // whole segments that wait to be written. Beyond both, writers wait.
    size_t max_undo_bytes = 16 << 20;
    size_t max_image_bytes = 16 << 20;
  };
  explicit Table(const Options& options);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // `text` must outlive the key.
  void SetKey(absl::string_view text, TableKey* key) const { key->Set(text, hash_); }

  // --- Reading ---

  struct Want {
    bool value = true;
    bool stamp = false;
    int64_t now_ms = 0;  // what has expired by then is absent
  };
  // Into `result`, which was reset. The bytes are copied to `bytes`, larger ones lent.
  void Get(const TableKey& key, const Want& want, ReadResult* result, Bytes* bytes);
  // So many at a time are worth it: their cache misses overlap.
  static constexpr size_t kBatch = 32;
  // Results from `first` on. At most kBatch keys.
  void GetMany(absl::Span<const TableKey> keys, const Want& want, size_t first,
               ReadResults* results);
  // All at one moment, with the locks of all their segments: for who could not have that
  // by reading again, and for stamps and blobs. Results from `results` on.
  void GetLocked(absl::Span<const TableKey> keys, const Want& want, ReadResult* results,
                 Bytes* bytes);
  // Moves whenever an atomic batch of several segments begins and when it ends: where
  // both are equal, and are so afterwards, what was read meanwhile saw none by half.
  uint64_t batches_begun() const { return batches_begun_.load(std::memory_order_acquire); }
  uint64_t batches_ended() const { return batches_ended_.load(std::memory_order_acquire); }

  // --- Writing ---

  // One mutation of a key, sizes checked before. kResourceExhausted beyond max_bytes.
  absl::Status Apply(const TableKey& key, const Mutation& mutation, int64_t now_ms, bool* existed);
  // Has what Apply() will touch on its way to the cache.
  void Prefetch(absl::Span<const TableKey> keys) const;
  // As Store::Write() of an atomic batch. `keys`: of the mutations, then of the
  // preconditions; `failed` is set where one of these does not hold.
  absl::Status ApplyAtomically(const WriteBatch& batch, absl::Span<const TableKey> keys,
                               int64_t now_ms, std::vector<bool>* existed, int* failed);
  // As Store::Modify(), under the key's lock.
  absl::Status Modify(const TableKey& key, int64_t now_ms, Store::Modifier function);
  // One segment after the other, all keys within [begin, end); "" is no end.
  void DeleteRange(absl::string_view begin, absl::string_view end);
  // Removes what has expired, looking at segments from the one behind `*position` on
  // until `segments` of them had anything. True where it came to the end.
  bool Sweep(int64_t now_ms, size_t segments, uint64_t* position);

  // --- Going over all ---

  // Adds to `page` entries in the order of their hashes, those of at least `*position`,
  // and sets that to where the next page begins, `*last` to the hash of the last entry,
  // if there is any. False at the end. `wanted`: of a key.
  bool Scan(uint64_t* position, const PageLimits& limits, bool keys_only, int64_t now_ms,
            absl::FunctionRef<bool(absl::string_view key)> wanted, ScanPage* page, uint64_t* last);

  // Calls `consume` with an image of each segment, in no order, all as they were at one
  // moment within this call: each write, and each atomic batch, is in them whole or not
  // at all, and with one all that came before it. Ends with the first error. One at a time.
  absl::Status TakeImages(absl::FunctionRef<absl::Status(const Image& image)> consume);

  struct Sums {
    uint64_t entries = 0;
    uint64_t segments = 0;
    uint64_t index_bytes = 0;
    uint64_t log_bytes = 0;
    uint64_t dead_bytes = 0;
    uint64_t longest_chain = 0;  // of chunks in a segment
    uint64_t evicted = 0;        // entries, ever
    uint64_t expired = 0;        // entries that were removed for it, ever
    uint64_t expiring = 0;       // entries that have an expiry
  };
  Sums sums();
  size_t memory_bytes() const { return pool_.used(); }
  size_t peak_memory_bytes() const { return pool_.peak(); }
  // Of anything: keyed by the seed, as the hashes of keys are.
  uint64_t Hash(absl::string_view bytes) const { return hash_.OfBytes(bytes); }

 private:
  struct Directory {
    explicit Directory(int d) : depth(d), segments(size_t{1} << d) {}
    const int depth;
    std::vector<std::atomic<Segment*>> segments;
  };
  // A record to be written.
  struct NewRecord;
  // What became of a step under a segment's lock.
  enum class Step : unsigned char {
    kDone = 0,
    kAgain,  // the segment was split, or copied: look again
    kFull,   // nothing was done: it takes more memory than there may be
  };
  class Held;
  class Builder;

  Segment* SegmentOf(uint64_t hash) const {
    const Directory* const directory = directory_.load(std::memory_order_acquire);
    const size_t i = directory->depth == 0 ? 0 : hash >> (64 - directory->depth);
    return directory->segments[i].load(std::memory_order_acquire);
  }
  // Locked, and sure to be the key's.
  Segment* LockFor(uint64_t hash) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // The same for writers: where a snapshot is under way, there is room to note what they
  // overwrite, by Remember(). For who writes more than a few keys: its image was taken.
  Segment* LockToWrite(uint64_t hash, bool many = false) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (;;) {
      Segment* const segment = LockFor(hash);
      if (ABSL_PREDICT_TRUE(segment->epoch == epoch_) || Prepare(segment, many)) return segment;
      images_.WaitForRoom();
    }
  }
  // Before the key is changed; `old`: where it is, null where it is absent.
  void Remember(Segment* segment, const TableKey& key, const Chunk::Place* old) {
    if (ABSL_PREDICT_FALSE(segment->epoch != epoch_)) RememberNow(segment, key, old);
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE static bool FindIn(const Segment& segment, const TableKey& key,
                                                  int depth, Chunk::Place* place) {
    if (segment.chunk.Find(key, depth, place)) return true;
    if (ABSL_PREDICT_TRUE(segment.chunk.next.load(std::memory_order_acquire) == nullptr)) {
      return false;
    }
    Chunk::Place in_chain;  // so that `place` may stay in registers
    if (!FindInChain(segment, key, depth, &in_chain)) return false;
    *place = in_chain;
    return true;
  }
  // In the chunks behind the first.
  static bool FindInChain(const Segment& segment, const TableKey& key, int depth,
                          Chunk::Place* place);
  static bool IsLive(const Chunk::Place& place, int64_t now_ms) {
    const int64_t expires_at = place.layout.ExpiresAt(place.record);
    return expires_at == 0 || expires_at > now_ms;
  }
  uint64_t HashOf(const char* record, const RecordLayout& layout) const;
  static void GetKey(const char* record, const RecordLayout& layout, std::string* text);
  // The first hash behind the segment's; 0 behind the last one's.
  static uint64_t EndOf(const Segment& segment);
  // In Stamp::high: of a key that is there.
  static constexpr uint64_t kPresentMark = uint64_t{1} << 63;

  uint64_t NextUnique() { return unique_.fetch_add(1, std::memory_order_relaxed); }

  // table_read.cc
  void GetAny(const TableKey& key, const Want& want, ReadResult* result, Bytes* bytes);
  // Of the state that the key is in; of nobody's where it has to be made first.
  Stamp StampOf(const Segment& segment, const TableKey& key, int64_t now_ms);
  ABSL_ATTRIBUTE_ALWAYS_INLINE static absl::string_view CopyOut(const char* from, size_t size,
                                                                Bytes* bytes) {
    if (size == 0) return {};
    char* const copy = bytes->Allocate(size);
    LoadBytes(from, size, copy);
    return absl::string_view(copy, size);
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE static void Fill(const Chunk::Place& place, bool value,
                                                ReadResult* result, Bytes* bytes) {
    const RecordLayout& layout = place.layout;
    result->found = true;
    if (layout.header.has(RecordHeader::kExpiry)) {
      result->expires_at_ms = layout.ExpiresAt(place.record);
    }
    if (layout.header.has(RecordHeader::kType)) {
      result->content_type = CopyOut(place.record + layout.type, layout.type_size, bytes);
    }
    if (value && !layout.header.has(RecordHeader::kBlob)) {
      result->value = CopyOut(place.record + layout.value, layout.value_size, bytes);
    }
  }

  // table_write.cc: all with the segment's lock. New segments are put into `held`, where
  // there is one, else unlocked.
  absl::StatusOr<Step> ApplyLocked(Segment* segment, const TableKey& key, const Mutation& mutation,
                                   int64_t now_ms, Blob** blob, Held* held, bool* existed);
  // Most puts: a value over one of the same size, with nothing else to either. False where
  // this is another one; nothing was done.
  bool PutOver(const Segment* segment, const TableKey& key, int depth,
               const Mutation& mutation) const;
  absl::StatusOr<Step> Put(Segment* segment, const TableKey& key, const Chunk::Place* old,
                           bool was_live, const NewRecord& record, Held* held);
  void Erase(Segment* segment, const Chunk::Place& place);
  // Or makes room for it.
  absl::StatusOr<Step> MakeStamp(Segment* segment, const TableKey& key, Held* held);
  bool Holds(const Segment& segment, const TableKey& key, const Precondition& precondition,
             int64_t now_ms);
  void EraseIf(Segment* segment,
               absl::FunctionRef<bool(const char* record, const RecordLayout& layout)> condition);
  void EraseRange(Segment* segment, absl::string_view begin, absl::string_view end);
  void EraseAll(Segment* segment);
  // Of a value that is a blob: it comes, or goes.
  void ChargeBlob(Segment* segment, int64_t bytes) {
    pool_.Charge(bytes);
    segment->blob_bytes += static_cast<uint64_t>(bytes);
    holes_.Count(bytes);
  }
  void FreeBlob(Segment* segment, const RecordLayout& layout, const char* record);
  void LockAll(Held* held);
  // The segments of these keys, in the order of hashes.
  void LockAllOf(absl::Span<const TableKey> keys, bool to_write, Held* held);

  // table_scan.cc
  struct Found;
  static void FindHome(const Segment& segment, const Table& table, uint64_t begin, uint64_t end,
                       std::vector<Found>* found);

  // table_eviction.cc
  // Without any lock: gives memory back, from the segment of `*position` on and going
  // round, until there is room for `bytes` more. False where nothing is to be had. It
  // may be gone again: then once more, with the same position.
  bool FreeMemory(uint64_t* position, size_t bytes, int64_t now_ms);
  // The others with the segment's lock.
  bool Shrink(Segment* segment, int64_t now_ms);
  bool Evict(Segment* segment, int64_t now_ms);
  // Near the limit, before a write, so that what is written stays: segments that have more
  // than their share are the first to shrink. Says whether it has.
  bool ShrinkToShare(Segment* segment, int64_t now_ms) {
    // Not where a snapshot under way has to be told of each entry that goes.
    return options_.evict && IsNearLimit() && segment->epoch == epoch_ &&
           HasMoreThanShare(*segment) && Shrink(segment, now_ms);
  }
  bool HasMoreThanShare(const Segment& segment) const;
  bool IsNearLimit() const {
    return options_.max_bytes != 0 && pool_.used() > options_.max_bytes - options_.max_bytes / 64;
  }
  // What a new record has from the entry's past; `old`: where there is one.
  uint32_t Carried(const Segment& segment, const TableKey& key, const Chunk::Place* old) const;
  // Of a record that was read at this version. Not always counted.
  static void CountUse(Segment* segment, uint64_t version, char* record);
  static void CountUseLocked(char* record);
  void DropGhosts(Segment* segment);

  // table_snapshot.cc: with the segment's lock.
  void BeginSnapshot();
  // False where there is no room now: the segment is then unlocked.
  bool Prepare(Segment* segment, bool many);
  void RememberNow(Segment* segment, const TableKey& key, const Chunk::Place* old);
  // Its image; from now on it is as if there was no snapshot under way.
  std::unique_ptr<Image> TakeImage(Segment* segment);
  void Forget(Segment* segment);
  void ForgetAll();

  // table_growth.cc: with the segment's lock.
  absl::Status MakeRoom(Segment* segment, size_t bytes, Held* held);
  absl::Status Rebuild(Segment* segment);
  // Of what is to stay only, in this order.
  struct Kept {
    const char* record;
    RecordLayout layout;  // with a header that may be a new one
    uint64_t hash;
  };
  absl::Status RebuildOf(Segment* segment, absl::Span<const Kept> kept);
  // False where the directory may not grow for it.
  absl::StatusOr<bool> Split(Segment* segment, Held* held);
  absl::Status AddChunk(Segment* segment, size_t bytes);
  void CompactIfWasteful(Segment* segment);
  // Where the segment has shrunk, and the one beside it is small too: has both's records in
  // the segment, and its range. Again with what is then beside it. For who has no other lock.
  void MergeIfSmall(Segment* segment) {
    if (ABSL_PREDICT_FALSE(segment->shrunk)) MergeSmall(segment);
  }
  void MergeSmall(Segment* segment);
  bool Merge(Segment* segment, Segment* buddy);
  void Install(Segment* segment, Builder* builder);
  static uint32_t Groups(int depth, size_t records, size_t bytes);
  bool MayEnter(int depth) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Enter(Segment* segment, int parent_depth) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Charge(Chunk* chunk);
  void Free(Chunk* chunk);

  const Options options_;
  const KeyHash hash_;
  ExtentPool pool_;
  HeapHoles holes_;  // of blobs
  std::atomic<uint64_t> unique_;
  const uint64_t absent_mark_;  // Stamp::high of absent keys of this table
  Comings comings_;
  std::atomic<uint64_t> batches_begun_{0};
  std::atomic<uint64_t> batches_ended_{0};
  std::atomic<uint64_t> evicted_{0};
  std::atomic<uint64_t> expired_{0};
  std::atomic<const Directory*> directory_{nullptr};
  // Of the newest snapshot. Guarded by the segments' locks: by any for reading, by all for
  // writing.
  uint32_t epoch_ = 0;
  std::atomic<size_t> undo_bytes_{0};  // of all segments
  ImageQueue images_;

  // Taken last, for a moment, by who has locks of segments.
  mutable Mutex mu_;
  std::vector<std::unique_ptr<Directory>> directories_ ABSL_GUARDED_BY(mu_);  // the newest last
  std::vector<std::unique_ptr<Segment>> segments_ ABSL_GUARDED_BY(mu_);
  std::vector<Segment*> retired_ ABSL_GUARDED_BY(mu_);               // of them
  std::vector<std::unique_ptr<Chunk>> chunks_ ABSL_GUARDED_BY(mu_);  // that are, or were, `next`
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_TABLE_H_
