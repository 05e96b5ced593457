#ifndef KVARTS_STORAGE_SSTABLE_TABLE_H_
#define KVARTS_STORAGE_SSTABLE_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/blocks/block_cache.h"
#include "storage/blocks/compression.h"
#include "storage/blocks/fuse_filter.h"
#include "storage/fs/file_system.h"
#include "storage/sstable/block.h"
#include "storage/sstable/entry.h"
#include "storage/sstable/iterator.h"
#include "storage/sstable/open_files.h"
#include "storage/sstable/range_tombstones.h"

// A sorted, immutable file of entries: blocks, then what is needed to find one in them, then a
// footer. FORMAT.md has the bytes.
namespace kvarts::sstable {

// What a table holds, as the manifest has it.
struct TableInfo {
  uint64_t number = 0;  // also its file's name
  uint64_t size = 0;    // the bytes of its file
  uint64_t id = 0;      // random: another table of the same number is not taken for it
  // It goes from the first key to the last, range tombstones included; where `largest_open`, to,
  // but not including, `largest`, and `largest` may be "": no end.
  std::string smallest;
  std::string largest;
  bool largest_open = false;
  Sequence smallest_sequence = 0;
  Sequence largest_sequence = 0;
  uint64_t entries = 0;
  uint64_t deletions = 0;   // part of the entries; range tombstones are not counted
  uint64_t ranges = 0;      // range tombstones
  uint64_t data_bytes = 0;  // keys and blobs
  // From when on a quarter of its entries has expired, in Unix milliseconds; 0: never.
  int64_t rewrite_at_ms = 0;
  // The sum of the hashes of its entries: what was meant to be written.
  uint64_t entry_hash = 0;
  // 0: each entry has its own sequence. Else what stands in all of them, from before it was known
  // which one they would have: readers take the smallest above, which is also the largest.
  Sequence stored_sequence = 0;

  // The trailer that an entry of the table counts with, of the one that stands in it.
  Trailer Shown(Trailer stored) const {
    return stored_sequence == 0
               ? stored
               : MakeTrailer(smallest_sequence, static_cast<unsigned char>(stored));
  }
  // The other way round: what is before or behind the table's sequence stays so.
  Trailer Stored(Trailer shown) const {
    if (stored_sequence == 0) return shown;
    if (SequenceOf(shown) != smallest_sequence) {
      return SequenceOf(shown) < smallest_sequence ? 0 : ~Trailer{0};
    }
    return MakeTrailer(stored_sequence, static_cast<unsigned char>(shown));
  }

  // These compare a key, or a range [begin, end) ("": no end), with the table's own range.
  bool Contains(absl::string_view key) const {
    return CompareKeys(key, smallest) >= 0 && !IsPast(key);
  }
  bool IsPast(absl::string_view key) const {
    if (largest_open) return !largest.empty() && CompareKeys(key, largest) >= 0;
    return CompareKeys(key, largest) > 0;
  }
  bool Overlaps(absl::string_view begin, absl::string_view end) const {
    return (end.empty() || absl::string_view(smallest) < end) && !IsPast(begin);
  }
};

std::string TablePath(absl::string_view dir, uint64_t number);
// Adds up, whatever the order.
uint64_t EntryHash(const Entry& entry);

struct TableOptions {
  size_t block_bytes = 4096;
  Compression compression = Compression::kLz4;
};

// Not thread-safe. The file is deleted with it unless Finish() was OK.
class TableBuilder {
 public:
  static absl::StatusOr<std::unique_ptr<TableBuilder>> Create(FileSystem* fs, absl::string_view dir,
                                                              uint64_t number,
                                                              const TableOptions& options);
  ~TableBuilder();

  // Entries in their order.
  absl::Status Add(const Entry& entry);
  // Takes them in any order, at any time.
  void AddRange(const RangeTombstone& tombstone);

  // Bytes written or gathered.
  uint64_t size() const { return offset_ + buffer_.size() + block_.size(); }
  bool empty() const { return info_.entries == 0 && ranges_.empty(); }

  // The file is whole and durable, but for its name in the directory.
  absl::StatusOr<TableInfo> Finish();

 private:
  TableBuilder(FileSystem* fs, std::string path, const TableOptions& options,
               std::unique_ptr<WritableFile> file);
  // Ends a block; `next_key` is the first of the following one, null at the end.
  absl::Status EndBlock(const absl::string_view* next_key);
  absl::Status WriteOut();
  std::string EncodeMeta();

  FileSystem* const fs_;
  const std::string path_;
  const TableOptions options_;
  std::unique_ptr<WritableFile> file_;
  TableInfo info_;
  bool finished_ = false;

  BlockBuilder block_;
  std::string buffer_;   // to be appended
  uint64_t offset_ = 0;  // where buffer_ begins
  std::string last_key_;
  std::vector<uint64_t> block_sizes_;
  std::vector<std::string> separators_;
  std::vector<uint64_t> hashes_;
  std::vector<int64_t> expiries_;
  std::vector<RangeTombstone> ranges_;
};

// Thread-safe. Counts the reads of tables.
struct ReadCounters {
  std::atomic<uint64_t> index_reads{0};  // an index and its filter came from the disk
  std::atomic<uint64_t> block_reads{0};
  std::atomic<uint64_t> read_bytes{0};
  std::atomic<uint64_t> filter_skips{0};
};

// Immutable, thread-safe. An open table: its index, its filter and its range tombstones in memory.
class Table final : public BlockCache::Piece {
 public:
  // Checks the footer, and that this is the table of `info`. kDataLoss with the offset, or
  // kFailedPrecondition for another table. `files`: keeps its file; null: it stays open.
  static absl::StatusOr<std::shared_ptr<const Table>> Open(FileSystem* fs, absl::string_view dir,
                                                           const TableInfo& info,
                                                           ReadCounters* counters,
                                                           OpenFiles* files = nullptr);
  // Opens it with the meta bytes as raw_meta() gave them.
  static absl::StatusOr<std::shared_ptr<const Table>> OpenWithMeta(
      FileSystem* fs, absl::string_view dir, const TableInfo& info, std::string meta,
      ReadCounters* counters, OpenFiles* files = nullptr);
  // Reads what the footer and the meta bytes of a file say, whatever its name.
  static absl::StatusOr<TableInfo> ReadInfo(FileSystem* fs, const std::string& path);

  const TableInfo& info() const { return info_; }
  const std::string& raw_meta() const { return meta_; }
  size_t memory_bytes() const;
  size_t blocks() const { return offsets_.size() - 1; }
  const std::shared_ptr<const RangeTombstones>& ranges() const { return ranges_; }

  // The newest version of `key` that a reader at `at` sees; `*found` false: none. The entry's
  // bytes are in `*block`. `cache` may be null. kUnavailable where `no_wait` and the block is not
  // in the cache.
  absl::Status Get(absl::string_view key, uint64_t hash, Sequence at, bool no_wait,
                   BlockCache* cache, ReadCounters* counters, bool* found, Entry* entry,
                   std::shared_ptr<const Block>* block) const;

  // The steps of Get(), for reads of many keys.
  void PrefetchFilter(uint64_t hash) const { filter_.Prefetch(hash); }
  bool MayContain(uint64_t hash) const { return blocks() > 0 && filter_.MayContain(hash); }
  // The block that a key is in, if it is in any: how many separators are not above it. First the
  // group of separators that decides, of which one in kGroup is looked at.
  size_t FindGroup(absl::string_view key) const;
  void PrefetchGroup(size_t group) const;
  size_t FindBlock(size_t group, absl::string_view key) const;
  size_t FindBlock(absl::string_view key) const { return FindBlock(FindGroup(key), key); }
  BlockCache::Key BlockKey(size_t i) const { return {info_.number, offsets_[i]}; }

  // What `block` of it has, as Block::Get().
  bool GetFrom(const Block& block, absl::string_view key, uint64_t hash, Sequence at,
               Entry* entry) const {
    if (!block.Get(key, hash, info_.Stored(SeekTrailer(at)), entry)) return false;
    entry->trailer = info_.Shown(entry->trailer);
    return true;
  }

  // Keeps `table`. Without a cache it reads ahead, for who reads all of it.
  static std::unique_ptr<Iterator> NewIterator(std::shared_ptr<const Table> table,
                                               BlockCache* cache, ReadCounters* counters);

  // For who reads what a damaged table still has: the entries of block i, from the file, not beyond
  // the table's life, and a key that none of them is below.
  absl::StatusOr<std::unique_ptr<Iterator>> OpenBlock(size_t i, ReadCounters* counters) const;
  std::string BlockBegin(size_t i) const;

  // Reads all of it: checksums, order, counts, the hash of the entries.
  static absl::Status Verify(const std::shared_ptr<const Table>& table, ReadCounters* counters);

  // The bytes of blocks that may have keys of [begin, end).
  uint64_t ApproximateBytes(absl::string_view begin, absl::string_view end) const;

 private:
  friend class TableBlocks;

  Table(std::string path, TableInfo info, std::unique_ptr<RandomAccessFile> file)
      : path_(std::move(path)), info_(std::move(info)), file_(std::move(file)) {}
  static constexpr size_t kGroup = 16;  // two lines

  absl::Status Parse();
  absl::StatusOr<std::shared_ptr<const Block>> ReadBlock(size_t i, bool no_wait, BlockCache* cache,
                                                         ReadCounters* counters) const;
  // Not beyond the table's life.
  std::unique_ptr<Iterator> NewBlockIterator(std::shared_ptr<const Block> block) const;
  absl::StatusOr<std::shared_ptr<const Block>> DecodeBlock(size_t i, absl::string_view raw) const;
  // Puts block i into the cache. Where nothing has to go for it, it is there to stay, and laid out:
  // of a scan at once, which comes by once; of a single key when it is read again, since of a large
  // store most blocks are not. Else it may be gone before that has paid.
  enum class ReadFor : unsigned char { kKey, kScan };
  void Keep(size_t i, std::shared_ptr<const Block> block, ReadFor why, BlockCache* cache) const;

  const std::string path_;
  TableInfo info_;
  const std::unique_ptr<RandomAccessFile> file_;
  std::string meta_;
  std::vector<uint64_t> offsets_;  // where the blocks begin, and the last ends
  // A key of block i is below separator i and not below separator i - 1; the last block has none.
  absl::string_view common_;                   // what all separators begin with
  std::vector<uint64_t> prefixes_;             // eight bytes behind that, whole groups
  std::vector<uint64_t> group_ends_;           // the last one of each group
  std::vector<absl::string_view> separators_;  // what is behind it, into meta_
  FuseFilter filter_;
  std::shared_ptr<const RangeTombstones> ranges_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_TABLE_H_
