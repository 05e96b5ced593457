#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/checksum.h"
#include "base/siphash.h"
#include "base/status_macros.h"
#include "storage/sstable/table.h"
#include "storage/sstable/table_format.h"

namespace kvarts::sstable {
namespace {

constexpr size_t kWriteBytes = 512 << 10;

// The shortest beginning of `next` that is above `last`.
absl::string_view Separator(absl::string_view last, absl::string_view next) {
  size_t shared = 0;
  while (shared < last.size() && last[shared] == next[shared]) ++shared;
  return next.substr(0, shared + 1);
}

}  // namespace

std::string TablePath(absl::string_view dir, uint64_t number) {
  return JoinPath(dir, absl::StrFormat("%06d.tbl", number));
}

uint64_t KeyHash(absl::string_view key) { return Checksum(key, 0x6b76617274736b79); }

uint64_t EntryHash(const Entry& entry) {
  return Checksum(entry.blob, Checksum(entry.key, entry.trailer));
}

void AppendTableInfo(std::string* out, const TableInfo& info) {
  AppendSized(out, info.smallest);
  AppendSized(out, info.largest);
  out->push_back(static_cast<char>(info.largest_open));
  for (const uint64_t v :
       {info.smallest_sequence, info.largest_sequence, info.entries, info.deletions, info.ranges,
        info.data_bytes, static_cast<uint64_t>(info.rewrite_at_ms)}) {
    AppendVarint(out, v);
  }
  AppendLE64(out, info.entry_hash);
}

bool TakeTableInfo(ByteReader* reader, TableInfo* info) {
  info->smallest = std::string(reader->Sized());
  info->largest = std::string(reader->Sized());
  info->largest_open = reader->Byte() != 0;
  for (uint64_t* v : {&info->smallest_sequence, &info->largest_sequence, &info->entries,
                      &info->deletions, &info->ranges, &info->data_bytes}) {
    *v = reader->Varint();
  }
  info->rewrite_at_ms = static_cast<int64_t>(reader->Varint());
  info->entry_hash = reader->Fixed64();
  return reader->ok();
}

absl::StatusOr<std::unique_ptr<TableBuilder>> TableBuilder::Create(FileSystem* fs,
                                                                   absl::string_view dir,
                                                                   uint64_t number,
                                                                   const TableOptions& options) {
  const std::string path = TablePath(dir, number);
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForWrite(path, FileSystem::Create::kTruncate));
  auto builder =
      std::unique_ptr<TableBuilder>(new TableBuilder(fs, path, options, std::move(file)));
  builder->info_.number = number;
  builder->info_.id = HashSeed::Random().k0;
  return builder;
}

TableBuilder::TableBuilder(FileSystem* fs, std::string path, const TableOptions& options,
                           std::unique_ptr<WritableFile> file)
    : fs_(fs), path_(std::move(path)), options_(options), file_(std::move(file)) {}

TableBuilder::~TableBuilder() {
  if (finished_) return;
  file_ = nullptr;
  fs_->Delete(path_).IgnoreError();
}

absl::Status TableBuilder::Add(const Entry& entry) {
  const bool same_key = info_.entries > 0 && entry.key == last_key_;
  // All versions of a key are in one block, so that a lookup reads one.
  if (block_.size() >= options_.block_bytes && !block_.empty() && !same_key) {
    KVARTS_RETURN_IF_ERROR(EndBlock(&entry.key));
  }
  block_.Add(entry);
  if (!same_key) {
    hashes_.push_back(KeyHash(entry.key));
    if (info_.entries == 0) info_.smallest.assign(entry.key.data(), entry.key.size());
    last_key_.assign(entry.key.data(), entry.key.size());
  }
  const Sequence sequence = entry.sequence();
  info_.smallest_sequence =
      info_.smallest_sequence == 0 ? sequence : std::min(info_.smallest_sequence, sequence);
  info_.largest_sequence = std::max(info_.largest_sequence, sequence);
  ++info_.entries;
  if (!entry.is_put()) ++info_.deletions;
  if (const int64_t at = entry.expires_at_ms(); at != 0) expiries_.push_back(at);
  info_.data_bytes += entry.key.size() + entry.blob.size();
  info_.entry_hash += EntryHash(entry);
  return buffer_.size() >= kWriteBytes ? WriteOut() : absl::OkStatus();
}

void TableBuilder::AddRange(const RangeTombstone& tombstone) {
  ranges_.push_back(tombstone);
  const Sequence sequence = tombstone.sequence;
  info_.smallest_sequence =
      info_.smallest_sequence == 0 ? sequence : std::min(info_.smallest_sequence, sequence);
  info_.largest_sequence = std::max(info_.largest_sequence, sequence);
  ++info_.ranges;
}

absl::Status TableBuilder::EndBlock(const absl::string_view* next_key) {
  const size_t start = buffer_.size();
  const Compression how = Compress(options_.compression, block_.Finish(), &buffer_);
  buffer_.push_back(static_cast<char>(how));
  AppendLE64(&buffer_,
             BlockChecksum(info_.id, offset_ + start, absl::string_view(buffer_).substr(start)));
  block_sizes_.push_back(buffer_.size() - start);
  block_.Reset();
  if (next_key != nullptr) separators_.emplace_back(Separator(last_key_, *next_key));
  return absl::OkStatus();
}

absl::Status TableBuilder::WriteOut() {
  KVARTS_RETURN_IF_ERROR(file_->Append(buffer_));
  offset_ += buffer_.size();
  buffer_.clear();
  return absl::OkStatus();
}

std::string TableBuilder::EncodeMeta() {
  std::string out;
  AppendTableInfo(&out, info_);
  AppendVarint(&out, block_sizes_.size());
  for (const uint64_t size : block_sizes_) AppendVarint(&out, size);
  // They are in order: what the first and the last begin with, all do.
  absl::string_view common;
  if (!separators_.empty()) {
    const absl::string_view a = separators_.front();
    const absl::string_view b = separators_.back();
    size_t shared = 0;
    while (shared < std::min(a.size(), b.size()) && a[shared] == b[shared]) ++shared;
    common = a.substr(0, shared);
  }
  AppendSized(&out, common);
  for (const std::string& separator : separators_) {
    AppendSized(&out, absl::string_view(separator).substr(common.size()));
  }
  AppendVarint(&out, ranges_.size());
  for (const RangeTombstone& range : ranges_) {
    AppendSized(&out, range.begin);
    AppendSized(&out, range.end);
    AppendVarint(&out, range.sequence);
  }
  AppendSized(&out, BuildFuseFilter(std::move(hashes_)));
  return out;
}

absl::StatusOr<TableInfo> TableBuilder::Finish() {
  if (!block_.empty()) KVARTS_RETURN_IF_ERROR(EndBlock(nullptr));
  if (info_.entries > 0) info_.largest = last_key_;
  bool first = info_.entries == 0;
  for (const RangeTombstone& range : ranges_) {
    if (first || range.begin < info_.smallest) info_.smallest = range.begin;
    // A key that is the largest is past an end that is the same.
    if (first || (info_.largest_open ? EndLess(info_.largest, range.end)
                                     : range.end.empty() || range.end > info_.largest)) {
      info_.largest = range.end;
      info_.largest_open = true;
    }
    first = false;
  }
  if (expiries_.size() >= (info_.entries + 3) / 4 && !expiries_.empty()) {
    const auto quarter = expiries_.begin() + static_cast<ptrdiff_t>((info_.entries + 3) / 4 - 1);
    std::nth_element(expiries_.begin(), quarter, expiries_.end());
    info_.rewrite_at_ms = *quarter;
  }
  const uint64_t meta_offset = offset_ + buffer_.size();
  const std::string meta = EncodeMeta();
  buffer_ += meta;
  AppendLE64(&buffer_, BlockChecksum(info_.id, meta_offset, meta));
  std::string footer(kTableMagic);
  AppendLE32(&footer, kTableVersion);
  AppendLE32(&footer, 0);
  AppendLE64(&footer, info_.id);
  AppendLE64(&footer, meta_offset);
  AppendLE64(&footer, meta.size());
  AppendLE64(&footer, Checksum(footer));
  buffer_ += footer;
  KVARTS_RETURN_IF_ERROR(WriteOut());
  KVARTS_RETURN_IF_ERROR(file_->Sync());
  KVARTS_RETURN_IF_ERROR(file_->Close());
  info_.size = offset_;
  finished_ = true;
  return info_;
}

}  // namespace kvarts::sstable
