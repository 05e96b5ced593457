#include "storage/memory/snapshot_writer.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts::memory_internal {
namespace {

void AppendSize(std::string* out, size_t n) {
  for (; n >= 0x80; n >>= 7) out->push_back(static_cast<char>(n | 0x80));
  out->push_back(static_cast<char>(n));
}

void AppendView(std::string* out, absl::string_view bytes) {
  out->append(bytes.data(), bytes.size());
}

void AppendEntry(std::string* out, const SnapshotEntry& entry) {
  unsigned char flags = 0;
  if (entry.is_uuid) flags |= kEntryUuid;
  if (entry.expires_at_ms != 0) flags |= kEntryExpiry;
  if (!entry.content_type.empty()) flags |= kEntryType;
  out->push_back(static_cast<char>(flags));
  if (entry.expires_at_ms != 0) AppendLE64(out, static_cast<uint64_t>(entry.expires_at_ms));
  if (!entry.content_type.empty()) {
    out->push_back(static_cast<char>(entry.content_type.size()));
    AppendView(out, entry.content_type);
  }
  if (!entry.is_uuid) AppendSize(out, entry.key.size());
  AppendView(out, entry.key);
  AppendSize(out, entry.value.size());
  AppendView(out, entry.value);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SnapshotWriter>> SnapshotWriter::New(FileSystem* fs,
                                                                    absl::string_view path,
                                                                    int64_t created_ms) {
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(fs, path, created_ms));
  KVARTS_RETURN_IF_ERROR(writer->Begin());
  return writer;
}

SnapshotWriter::SnapshotWriter(FileSystem* fs, absl::string_view path, int64_t created_ms)
    : fs_(fs), path_(path), temporary_(absl::StrCat(path, ".tmp")), block_(kBlockHeadBytes, '\0') {
  totals_.created_ms = created_ms;
}

SnapshotWriter::~SnapshotWriter() {
  if (finished_) return;
  file_.reset();
  // Also where it was not opened: it may have been created, or be left over.
  fs_->Delete(temporary_).IgnoreError();
}

absl::Status SnapshotWriter::Begin() {
  KVARTS_ASSIGN_OR_RETURN(file_, fs_->OpenForWrite(temporary_, FileSystem::Create::kTruncate));
  std::string header(kSnapshotMagic);
  AppendLE32(&header, kSnapshotVersion);
  AppendLE32(&header, 0);
  AppendLE64(&header, static_cast<uint64_t>(totals_.created_ms));
  snapshot_ = Checksum(header);
  AppendLE64(&header, snapshot_);
  offset_ = header.size();
  return file_->Append(header);
}

absl::Status SnapshotWriter::Add(const SnapshotEntry& entry) {
  const size_t most = kMaxEntryOverhead + entry.key.size() + entry.value.size();
  if (entries_ > 0 && block_.size() - kBlockHeadBytes + most > kBlockBytes) {
    KVARTS_RETURN_IF_ERROR(WriteBlock(BlockHead::kEntries));
  }
  AppendEntry(&block_, entry);
  ++entries_;
  ++totals_.entries;
  totals_.bytes += entry.key.size() + entry.value.size();
  return absl::OkStatus();
}

absl::Status SnapshotWriter::WriteBlock(uint32_t kind) {
  BlockHead head;
  head.kind = kind;
  head.payload_bytes = static_cast<uint32_t>(block_.size() - kBlockHeadBytes);
  head.entries = entries_;
  head.payload_checksum = Checksum(absl::string_view(block_).substr(kBlockHeadBytes));
  head.WriteTo(&block_[0], snapshot_, offset_);
  KVARTS_RETURN_IF_ERROR(file_->Append(block_));
  offset_ += block_.size();
  ++totals_.blocks;
  entries_ = 0;
  // The memory of a large value is not kept.
  if (block_.capacity() > 2 * kBlockBytes) block_ = std::string();
  block_.resize(kBlockHeadBytes);
  return absl::OkStatus();
}

absl::Status SnapshotWriter::Finish() {
  if (entries_ > 0) KVARTS_RETURN_IF_ERROR(WriteBlock(BlockHead::kEntries));
  AppendLE64(&block_, totals_.entries);
  AppendLE64(&block_, totals_.bytes);
  AppendLE64(&block_, totals_.blocks);
  KVARTS_RETURN_IF_ERROR(WriteBlock(BlockHead::kEnd));
  --totals_.blocks;  // of entries
  KVARTS_RETURN_IF_ERROR(file_->Sync());
  KVARTS_RETURN_IF_ERROR(file_->Close());
  KVARTS_RETURN_IF_ERROR(fs_->Rename(temporary_, path_));
  finished_ = true;
  return fs_->SyncDir(DirName(path_));
}

}  // namespace kvarts::memory_internal
