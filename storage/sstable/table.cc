#include "storage/sstable/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/prefetch.h"
#include "base/status_macros.h"
#include "storage/blocks/compression.h"
#include "storage/sstable/table_format.h"
#include "storage/sstable/two_level_iterator.h"
#include "storage/store.h"

namespace kvarts::sstable {
namespace {

// A block has one key's versions more than its size at the most; a value may be as large as any.
constexpr size_t kMaxBlockBytes = size_t{1} << 31;

absl::Status Damage(const std::string& path, uint64_t offset, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what, " at offset ", offset));
}

absl::Status ReadTo(const RandomAccessFile& file, const std::string& path, uint64_t offset,
                    uint64_t size, char* out) {
  KVARTS_ASSIGN_OR_RETURN(const size_t got, file.Read(offset, static_cast<size_t>(size), out));
  return got < size ? Damage(path, offset + got, "the file ends") : absl::OkStatus();
}

absl::StatusOr<std::string> ReadAll(const RandomAccessFile& file, const std::string& path,
                                    uint64_t offset, uint64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  KVARTS_RETURN_IF_ERROR(ReadTo(file, path, offset, size, bytes.data()));
  return bytes;
}

struct Footer {
  uint64_t id = 0;
  uint64_t meta_offset = 0;
  uint64_t meta_size = 0;
};

absl::StatusOr<Footer> ReadFooter(const RandomAccessFile& file, const std::string& path,
                                  uint64_t size) {
  if (size < kFooterBytes + kMetaTrailer) return Damage(path, 0, "no table: the file ends");
  const uint64_t offset = size - kFooterBytes;
  KVARTS_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(file, path, offset, kFooterBytes));
  if (absl::string_view(bytes).substr(0, kTableMagic.size()) != kTableMagic ||
      LoadLE64(bytes.data() + 40) != Checksum(absl::string_view(bytes).substr(0, 40))) {
    return Damage(path, offset, "no footer of a table");
  }
  const uint32_t version = LoadLE32(bytes.data() + 8);
  if (version != kTableVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": version ", version, " of the format; this program reads version ", kTableVersion));
  }
  Footer footer{LoadLE64(bytes.data() + 16), LoadLE64(bytes.data() + 24),
                LoadLE64(bytes.data() + 32)};
  if (footer.meta_offset > offset ||
      footer.meta_size != offset - footer.meta_offset - kMetaTrailer) {
    return Damage(path, offset, "a footer that does not fit its file");
  }
  return footer;
}

absl::StatusOr<std::string> ReadMeta(const RandomAccessFile& file, const std::string& path,
                                     const Footer& footer) {
  KVARTS_ASSIGN_OR_RETURN(std::string meta,
                          ReadAll(file, path, footer.meta_offset, footer.meta_size + kMetaTrailer));
  const uint64_t checksum = LoadLE64(meta.data() + footer.meta_size);
  meta.resize(static_cast<size_t>(footer.meta_size));
  if (checksum != BlockChecksum(footer.id, footer.meta_offset, meta)) {
    return Damage(path, footer.meta_offset, "a damaged index");
  }
  return meta;
}

// Not thread-safe. The entries of a block as they count in its table: see TableInfo::Shown().
class ShownEntries final : public Iterator {
 public:
  ShownEntries(std::unique_ptr<Iterator> stored, const TableInfo& info)
      : stored_(std::move(stored)), info_(info) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    stored_->Seek(key, info_.Stored(trailer));
    ShowIt();
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    stored_->SeekBefore(key, info_.Stored(trailer));
    ShowIt();
  }
  void SeekToLast() override {
    stored_->SeekToLast();
    ShowIt();
  }
  void Next() override {
    stored_->Next();
    ShowIt();
  }
  void Prev() override {
    stored_->Prev();
    ShowIt();
  }
  absl::Status status() const override { return stored_->status(); }
  Pin pin() const override { return stored_->pin(); }

 private:
  void ShowIt() {
    if (!stored_->valid()) return ShowNothing();
    const Entry& entry = stored_->entry();
    Show({entry.key, info_.Shown(entry.trailer), entry.blob});
  }

  const std::unique_ptr<Iterator> stored_;
  const TableInfo& info_;
};

}  // namespace

absl::StatusOr<TableInfo> Table::ReadInfo(FileSystem* fs, const std::string& path) {
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForRead(path));
  KVARTS_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  KVARTS_ASSIGN_OR_RETURN(const Footer footer, ReadFooter(*file, path, size));
  KVARTS_ASSIGN_OR_RETURN(const std::string meta, ReadMeta(*file, path, footer));
  TableInfo info;
  ByteReader reader(meta);
  if (!TakeTableInfo(&reader, &info)) return Damage(path, footer.meta_offset, "a bad index");
  info.size = size;
  info.id = footer.id;
  return info;
}

absl::StatusOr<std::shared_ptr<const Table>> Table::Open(FileSystem* fs, absl::string_view dir,
                                                         const TableInfo& info,
                                                         ReadCounters* counters, OpenFiles* files) {
  return OpenWithMeta(fs, dir, info, std::string(), counters, files);
}

absl::StatusOr<std::shared_ptr<const Table>> Table::OpenWithMeta(
    FileSystem* fs, absl::string_view dir, const TableInfo& info, std::string meta,
    ReadCounters* counters, OpenFiles* files) {
  const std::string path = TablePath(dir, info.number);
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForRead(path));
  KVARTS_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size != info.size) {
    return Damage(path, std::min(size, info.size),
                  absl::StrCat("the file has ", size, " bytes, the manifest says ", info.size));
  }
  KVARTS_ASSIGN_OR_RETURN(const Footer footer, ReadFooter(*file, path, size));
  if (footer.id != info.id) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": another table than it was"));
  }
  if (meta.empty()) {
    counters->index_reads.fetch_add(1, std::memory_order_relaxed);
    counters->read_bytes.fetch_add(footer.meta_size, std::memory_order_relaxed);
    KVARTS_ASSIGN_OR_RETURN(meta, ReadMeta(*file, path, footer));
  }
  if (files != nullptr) file = files->Keep(path, std::move(file));
  auto table = std::shared_ptr<Table>(new Table(path, info, std::move(file)));
  table->meta_ = std::move(meta);
  KVARTS_RETURN_IF_ERROR(table->Parse());
  if (table->offsets_.back() != footer.meta_offset) {
    return Damage(path, footer.meta_offset, "an index that does not fit its file");
  }
  return table;
}

absl::Status Table::Parse() {
  const auto bad = [this] { return Damage(path_, 0, "a bad index"); };
  ByteReader reader(meta_);
  TableInfo info;
  if (!TakeTableInfo(&reader, &info)) return bad();
  const uint64_t blocks = reader.Varint();
  if (blocks > meta_.size()) return bad();
  offsets_.reserve(static_cast<size_t>(blocks) + 1);
  offsets_.push_back(0);
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t size = reader.Varint();
    if (size < kBlockTrailer || size > info_.size) return bad();
    offsets_.push_back(offsets_.back() + size);
  }
  common_ = reader.Sized();
  for (uint64_t i = 1; i < blocks && reader.ok(); ++i) {
    separators_.push_back(reader.Sized());
    prefixes_.push_back(KeyPrefix(separators_.back()));
  }
  prefixes_.resize((prefixes_.size() + kGroup - 1) / kGroup * kGroup, ~uint64_t{0});
  for (size_t i = kGroup; i <= prefixes_.size(); i += kGroup) {
    group_ends_.push_back(prefixes_[i - 1]);
  }
  std::vector<RangeTombstone> ranges;
  const uint64_t count = reader.Varint();
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    RangeTombstone range;
    range.begin = std::string(reader.Sized());
    range.end = std::string(reader.Sized());
    range.sequence = reader.Varint();
    ranges.push_back(std::move(range));
  }
  filter_ = FuseFilter(reader.Sized());
  if (!reader.ok() || !reader.done()) return bad();
  ranges_ = std::make_shared<const RangeTombstones>(ranges);
  return absl::OkStatus();
}

size_t Table::memory_bytes() const {
  return sizeof(Table) + meta_.capacity() + 8 * offsets_.capacity() + 8 * prefixes_.capacity() +
         8 * group_ends_.capacity() + sizeof(absl::string_view) * separators_.capacity() +
         96 * ranges_->size();
}

size_t Table::FindGroup(absl::string_view key) const {
  if (group_ends_.empty()) return 0;
  if (!BeginsWith(key, common_)) return key < common_ ? 0 : group_ends_.size() - 1;
  const uint64_t prefix = KeyPrefix(key.substr(common_.size()));
  // Halved by a mask, since no branch foresees the way: searches for several keys then overlap.
  size_t low = 0;
  size_t left = group_ends_.size();
  while (left > 1) {
    const size_t half = left / 2;
    low += half & (size_t{0} - size_t{group_ends_[low + half - 1] < prefix});
    left -= half;
  }
  return low + (low + 1 < group_ends_.size() && group_ends_[low] < prefix ? 1 : 0);
}

void Table::PrefetchGroup(size_t group) const {
  const uint64_t* const first = prefixes_.data() + group * kGroup;
  PrefetchRead(first);
  PrefetchRead(first + kGroup / 2);
  PrefetchRead(first + kGroup - 1);
}

size_t Table::FindBlock(size_t group, absl::string_view key) const {
  if (separators_.empty()) return 0;
  if (!BeginsWith(key, common_)) return key < common_ ? 0 : separators_.size();
  key.remove_prefix(common_.size());
  const uint64_t prefix = KeyPrefix(key);
  const uint64_t* const first = prefixes_.data() + group * kGroup;
  size_t low = group * kGroup;
  for (size_t i = 0; i < kGroup; ++i) low += first[i] < prefix ? 1 : 0;
  if (low >= separators_.size() || prefixes_[low] != prefix) {
    return std::min(low, separators_.size());
  }
  // The rest decides between those with the same eight bytes, bisected too: keys may have much in
  // common behind the common beginning.
  const auto begin = prefixes_.begin() + static_cast<ptrdiff_t>(low);
  const auto end = prefixes_.begin() + static_cast<ptrdiff_t>(separators_.size());
  const auto same =
      separators_.begin() + (std::upper_bound(begin, end, prefix) - prefixes_.begin());
  return static_cast<size_t>(
      std::upper_bound(separators_.begin() + static_cast<ptrdiff_t>(low), same, key) -
      separators_.begin());
}

absl::StatusOr<std::shared_ptr<const Block>> Table::DecodeBlock(size_t i,
                                                                absl::string_view raw) const {
  const size_t size = raw.size() - kBlockTrailer;
  if (LoadLE64(raw.data() + size + 1) !=
      BlockChecksum(info_.id, offsets_[i], raw.substr(0, size + 1))) {
    return Damage(path_, offsets_[i], "a damaged block");
  }
  const auto how = static_cast<Compression>(raw[size]);
  const absl::string_view packed = raw.substr(0, size);
  const absl::StatusOr<size_t> bytes = DecompressedSize(how, packed, kMaxBlockBytes);
  absl::Status status = bytes.status();
  std::shared_ptr<const Block> block;
  if (status.ok()) {
    block = Block::Make(*bytes, [&](char* to) {
      status = DecompressTo(how, packed, to, *bytes);
      return status.ok();
    });
  }
  if (!status.ok()) return Damage(path_, offsets_[i], status.message());
  if (block == nullptr) return Damage(path_, offsets_[i], "a block that is none");
  return block;
}

absl::StatusOr<std::shared_ptr<const Block>> Table::ReadBlock(size_t i, bool no_wait,
                                                              BlockCache* cache,
                                                              ReadCounters* counters) const {
  const BlockCache::Key key = BlockKey(i);
  if (cache != nullptr) {
    if (auto pin = cache->Find(key); pin != nullptr) {
      return std::static_pointer_cast<const Block>(std::move(pin));
    }
  }
  if (no_wait) return absl::UnavailableError("a block that is not in memory");
  counters->block_reads.fetch_add(1, std::memory_order_relaxed);
  const uint64_t size = offsets_[i + 1] - offsets_[i];
  counters->read_bytes.fetch_add(size, std::memory_order_relaxed);
  const auto raw = std::make_unique_for_overwrite<char[]>(size);
  KVARTS_RETURN_IF_ERROR(ReadTo(*file_, path_, offsets_[i], size, raw.get()));
  KVARTS_ASSIGN_OR_RETURN(auto block, DecodeBlock(i, {raw.get(), size}));
  if (cache != nullptr) Keep(i, block, ReadFor::kKey, cache);
  return block;
}

void Table::Keep(size_t i, std::shared_ptr<const Block> block, ReadFor why,
                 BlockCache* cache) const {
  const BlockCache::Key key = BlockKey(i);
  if (cache->HasRoom(key, block->memory_bytes())) {
    if (why == ReadFor::kScan) block = block->LayOut();
    if (why == ReadFor::kKey) block->LayOutAtNextRead();
  }
  const size_t bytes = block->memory_bytes();
  cache->Insert(key, std::move(block), bytes);
}

absl::Status Table::Get(absl::string_view key, uint64_t hash, Sequence at, bool no_wait,
                        BlockCache* cache, ReadCounters* counters, bool* found, Entry* entry,
                        std::shared_ptr<const Block>* block) const {
  *found = false;
  if (blocks() == 0) return absl::OkStatus();
  if (!filter_.MayContain(hash)) {
    counters->filter_skips.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  }
  const size_t i = FindBlock(key);
  KVARTS_ASSIGN_OR_RETURN(*block, ReadBlock(i, no_wait, cache, counters));
  *found = GetFrom(**block, key, hash, at, entry);
  return absl::OkStatus();
}

uint64_t Table::ApproximateBytes(absl::string_view begin, absl::string_view end) const {
  if (blocks() == 0 || !info_.Overlaps(begin, end)) return 0;
  const size_t last = end.empty() ? blocks() - 1 : FindBlock(end);
  return offsets_[last + 1] - offsets_[FindBlock(begin)];
}

// Not thread-safe. The blocks of a table, for TwoLevelIterator. It reads ahead, in the direction in
// which it goes: without a cache, for who reads all of the table, at once, else the more the longer
// it goes on, since the page of a scan may end with every block.
class TableBlocks {
 public:
  TableBlocks(std::shared_ptr<const Table> table, BlockCache* cache, ReadCounters* counters)
      : table_(std::move(table)), cache_(cache), counters_(counters) {}

  size_t size() const { return table_->blocks(); }
  size_t Find(absl::string_view key) const { return table_->FindBlock(key); }
  size_t FindBefore(absl::string_view key) const { return table_->FindBlock(key); }
  absl::StatusOr<std::unique_ptr<Iterator>> Open(size_t i) {
    BlockCache::Pin pin = cache_ == nullptr ? nullptr : cache_->Find(table_->BlockKey(i));
    if (pin != nullptr) {
      return table_->NewBlockIterator(std::static_pointer_cast<const Block>(std::move(pin)));
    }
    const uint64_t begin = table_->offsets_[i];
    const uint64_t end = table_->offsets_[i + 1];
    if (begin < ahead_begin_ || end > ahead_end_) KVARTS_RETURN_IF_ERROR(Read(i));
    last_ = i;
    KVARTS_ASSIGN_OR_RETURN(
        auto block, table_->DecodeBlock(i, {ahead_.get() + (begin - ahead_begin_), end - begin}));
    if (cache_ != nullptr) table_->Keep(i, block, Table::ReadFor::kScan, cache_);
    return table_->NewBlockIterator(std::move(block));
  }
  absl::Status Error(size_t i, const absl::Status&) const {
    return Damage(table_->path_, table_->offsets_[i], "a block that is none");
  }

 private:
  static constexpr uint64_t kFirstReadAhead = 16 << 10;
  static constexpr uint64_t kReadAhead = 256 << 10;

  // Block i, and what is thought to come after it.
  absl::Status Read(size_t i) {
    const bool forwards = i == last_ + 1;
    const bool goes_on = forwards || i + 1 == last_;
    bytes_ = cache_ == nullptr ? kReadAhead
             : goes_on         ? std::clamp(bytes_ * 2, kFirstReadAhead, kReadAhead)
                               : 0;
    // Whole blocks: of the one that a border would cut, all is read with what follows.
    const auto& offsets = table_->offsets_;
    uint64_t begin = offsets[i];
    uint64_t end = offsets[i + 1];
    if (forwards || !goes_on) {
      end = std::max(end,
                     *std::prev(std::upper_bound(offsets.begin(), offsets.end(), begin + bytes_)));
    } else {
      begin = std::min(
          begin, *std::lower_bound(offsets.begin(), offsets.end(), end - std::min(end, bytes_)));
    }
    ahead_end_ = ahead_begin_ = 0;  // nothing is there, should this fail
    ahead_ = std::make_unique_for_overwrite<char[]>(end - begin);
    counters_->block_reads.fetch_add(1, std::memory_order_relaxed);
    counters_->read_bytes.fetch_add(end - begin, std::memory_order_relaxed);
    KVARTS_RETURN_IF_ERROR(ReadTo(*table_->file_, table_->path_, begin, end - begin, ahead_.get()));
    ahead_begin_ = begin;
    ahead_end_ = end;
    return absl::OkStatus();
  }

  std::shared_ptr<const Table> table_;
  BlockCache* cache_;
  ReadCounters* counters_;
  size_t last_ = ~size_t{0} - 1;  // the block that was not in the cache last
  uint64_t bytes_ = 0;            // that were wanted with it
  std::unique_ptr<char[]> ahead_;
  uint64_t ahead_begin_ = 0;
  uint64_t ahead_end_ = 0;
};

std::unique_ptr<Iterator> Table::NewIterator(std::shared_ptr<const Table> table, BlockCache* cache,
                                             ReadCounters* counters) {
  return std::make_unique<TwoLevelIterator<TableBlocks>>(
      TableBlocks(std::move(table), cache, counters));
}

absl::StatusOr<std::unique_ptr<Iterator>> Table::OpenBlock(size_t i, ReadCounters* counters) const {
  KVARTS_ASSIGN_OR_RETURN(auto block, ReadBlock(i, false, nullptr, counters));
  return NewBlockIterator(std::move(block));
}

std::unique_ptr<Iterator> Table::NewBlockIterator(std::shared_ptr<const Block> block) const {
  auto entries = Block::NewIterator(std::move(block));
  if (info_.stored_sequence == 0) return entries;
  return std::make_unique<ShownEntries>(std::move(entries), info_);
}

std::string Table::BlockBegin(size_t i) const {
  return i == 0 ? info_.smallest : absl::StrCat(common_, separators_[i - 1]);
}

absl::Status Table::Verify(const std::shared_ptr<const Table>& table, ReadCounters* counters) {
  const TableInfo& info = table->info();
  const auto bad = [&](absl::string_view what) { return Damage(table->path_, 0, what); };
  TableInfo meta;
  ByteReader reader(table->meta_);
  if (!TakeTableInfo(&reader, &meta) || meta.entry_hash != info.entry_hash ||
      meta.entries != info.entries || meta.smallest != info.smallest ||
      meta.largest != info.largest) {
    return bad("the index is another than the manifest says; found");
  }
  uint64_t entries = 0;
  uint64_t hash = 0;
  std::string last_key;
  Trailer last_trailer = 0;
  const std::unique_ptr<Iterator> it = NewIterator(table, nullptr, counters);
  for (it->SeekToFirst(); it->valid(); it->Next()) {
    const Entry entry = it->entry();
    if (entries > 0 && !EntryLess(last_key, last_trailer, entry.key, entry.trailer)) {
      return bad("entries that are not in order");
    }
    if (!info.Contains(entry.key) || entry.sequence() < info.smallest_sequence ||
        entry.sequence() > info.largest_sequence) {
      return bad("an entry that is not within the table's range");
    }
    // What a lookup finds by the filter must be what is there.
    if (!table->filter_.MayContain(KeyHash(entry.key))) {
      return bad("an entry that its filter does not have");
    }
    last_key.assign(entry.key.data(), entry.key.size());
    last_trailer = entry.trailer;
    hash += EntryHash({entry.key, info.Stored(entry.trailer), entry.blob});
    ++entries;
  }
  KVARTS_RETURN_IF_ERROR(it->status());
  if (entries != info.entries || hash != info.entry_hash) {
    return bad("other entries than were written");
  }
  return absl::OkStatus();
}

}  // namespace kvarts::sstable
