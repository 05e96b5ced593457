#include "storage/memory/snapshots.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/memory/image.h"
#include "storage/memory/snapshot_reader.h"
#include "storage/memory/snapshot_writer.h"

namespace kvarts::memory_internal {
namespace {

SnapshotEntry EntryOf(const char* record, const RecordLayout& layout) {
  SnapshotEntry entry;
  entry.is_uuid = layout.header.has(RecordHeader::kUuid);
  entry.key = absl::string_view(record + layout.key, layout.key_size);
  entry.expires_at_ms = layout.ExpiresAt(record);
  entry.content_type = absl::string_view(record + layout.type, layout.type_size);
  if (layout.header.has(RecordHeader::kBlob)) {
    Blob* const blob = layout.BlobOf(record);
    entry.value = absl::string_view(blob->data(), blob->size);
  } else {
    entry.value = absl::string_view(record + layout.value, layout.value_size);
  }
  return entry;
}

// At most Table::kBatch.
absl::Status Insert(absl::Span<const SnapshotEntry> entries, int64_t now_ms, Table* table) {
  char texts[Table::kBatch][kUuidTextBytes];
  TableKey keys[Table::kBatch];
  for (size_t i = 0; i < entries.size(); ++i) {
    absl::string_view text = entries[i].key;
    if (entries[i].is_uuid) {
      UnpackUuid(text.data(), texts[i]);
      text = absl::string_view(texts[i], kUuidTextBytes);
    }
    table->SetKey(text, &keys[i]);
  }
  table->Prefetch(absl::MakeConstSpan(keys, entries.size()));
  for (size_t i = 0; i < entries.size(); ++i) {
    const int64_t expires_at = entries[i].expires_at_ms;
    if (expires_at != 0 && expires_at <= now_ms) continue;
    const Mutation put{Mutation::Kind::kPut, keys[i].text(), entries[i].value,
                       Metadata::Of(expires_at, entries[i].content_type)};
    bool existed;
    KVARTS_RETURN_IF_ERROR(table->Apply(keys[i], put, now_ms, &existed));
  }
  return absl::OkStatus();
}

std::string LockPath(absl::string_view path) { return absl::StrCat(path, ".lock"); }

}  // namespace

absl::Status Snapshots::Lock() {
  MutexLock saving(&saving_);
  const absl::Status status = TakeLock();
  const bool takes_no_files = absl::IsPermissionDenied(status) || absl::IsNotFound(status);
  return takes_no_files ? absl::OkStatus() : status;
}

absl::Status Snapshots::TakeLock() {
  if (lock_ != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<FileLock>> lock = fs_.Lock(LockPath(path_));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": another process has this snapshot open, and both would save to it (",
                     LockPath(path_), " is locked)"));
  }
  KVARTS_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  return absl::OkStatus();
}

void Snapshots::Unlock() {
  MutexLock saving(&saving_);
  if (lock_ == nullptr) return;
  fs_.Delete(LockPath(path_)).IgnoreError();  // the lock counts, not the file
  lock_ = nullptr;
}

absl::StatusOr<bool> Snapshots::Load(ProgressSink* progress) {
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  bool expires = false;
  const auto take = [&](absl::Span<const SnapshotEntry> entries) -> absl::Status {
    for (size_t first = 0; first < entries.size(); first += Table::kBatch) {
      const auto some = entries.subspan(first, Table::kBatch);
      const absl::Status inserted = Insert(some, now_ms, &table_);
      if (!inserted.ok()) {
        return absl::Status(inserted.code(), absl::StrCat(path_, ": ", inserted.message()));
      }
      for (const SnapshotEntry& entry : some) expires = expires || entry.expires_at_ms != 0;
    }
    return absl::OkStatus();
  };
  const absl::StatusOr<SnapshotTotals> totals = ReadSnapshot(&fs_, path_, progress, take);
  if (absl::IsNotFound(totals.status())) return false;
  KVARTS_RETURN_IF_ERROR(totals.status());
  saved_at_ms_ = totals->created_ms;
  return expires;
}

absl::Status Snapshots::last_save() const {
  MutexLock lock(&mu_);
  return last_save_;
}

absl::Status Snapshots::CheckCanSave() {
  // Not under the name that Save() writes to: another process may be saving.
  const std::string probe = absl::StrCat(path_, ".", HashSeed::Random().k0, ".tmp");
  absl::Status tried = fs_.OpenForWrite(probe, FileSystem::Create::kNew).status();
  if (tried.ok()) tried = fs_.Delete(probe);
  if (tried.ok()) return tried;
  return absl::Status(
      tried.code(),
      absl::StrCat(path_, ": a snapshot could not be saved there: ", tried.message()));
}

absl::Status Snapshots::Save() {
  MutexLock saving(&saving_);
  absl::Status status = TakeLock();
  if (status.ok()) status = Write();
  MutexLock lock(&mu_);
  last_save_ = status;
  return status;
}

absl::Status Snapshots::Write() {
  const int64_t now_ms = absl::ToUnixMillis(clock_.Now());
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<SnapshotWriter> writer,
                          SnapshotWriter::New(&fs_, path_, now_ms));
  KVARTS_RETURN_IF_ERROR(table_.TakeImages([&](const Image& image) -> absl::Status {
    for (const char* record = nullptr; (record = image.Next(record)) != nullptr;) {
      const SnapshotEntry entry = EntryOf(record, RecordLayout::At(record));
      if (entry.expires_at_ms != 0 && entry.expires_at_ms <= now_ms) continue;
      KVARTS_RETURN_IF_ERROR(writer->Add(entry));
    }
    return absl::OkStatus();
  }));
  KVARTS_RETURN_IF_ERROR(writer->Finish());
  saved_at_ms_ = absl::ToUnixMillis(clock_.Now());
  return absl::OkStatus();
}

}  // namespace kvarts::memory_internal
