#include "storage/sstable/disk_reserve.h"

#include <algorithm>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace kvarts::sstable {
namespace {

// Less than this helps nobody.
constexpr uint64_t kLeast = 64 << 10;

}  // namespace

uint64_t DiskReserve::OldBytes() const {
  const absl::StatusOr<std::string> text = ReadFile(&fs_, path_);
  uint64_t old = 0;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripSuffix(*text, "\n"), &old)) return 0;
  return old;
}

void DiskReserve::Open() {
  MutexLock lock(&mu_);
  const uint64_t old = OldBytes();
  const absl::StatusOr<uint64_t> free = fs_.FreeSpace(dir_);
  bytes_ = std::max(std::min(old, wanted_), std::min(wanted_, free.value_or(0) / 4));
  if (bytes_ < kLeast) {
    bytes_ = 0;
    return;
  }
  // Space that it has is not given back only to be asked for again.
  if (const auto info = fs_.Stat(path_); old == bytes_ && info.ok() && info->allocated >= bytes_) {
    held_bytes_ = bytes_;
    return;
  }
  if (Fill().ok()) {
    if (old == 0) fs_.SyncDir(dir_).IgnoreError();
    return;
  }
  if (old == 0) {
    bytes_ = 0;
    fs_.Delete(path_).IgnoreError();
    return;
  }
  spent_ = true;
}

absl::StatusOr<std::unique_ptr<WritableFile>> DiskReserve::WriteEmpty() {
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file,
                          fs_.OpenForWrite(path_, FileSystem::Create::kTruncate));
  KVARTS_RETURN_IF_ERROR(file->Append(absl::StrCat(bytes_, "\n")));
  return file;
}

absl::Status DiskReserve::Fill() {
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, WriteEmpty());
  absl::Status status = file->Preallocate(bytes_);
  if (status.ok()) status = file->Sync();
  if (status.ok()) {
    held_bytes_ = bytes_;
    spent_ = false;
  } else {
    // A part of it may have been taken.
    WriteEmpty().status().IgnoreError();
  }
  return status;
}

bool DiskReserve::Spend(uint64_t before) {
  MutexLock lock(&mu_);
  if (times_spent_ != before) return true;
  if (bytes_ == 0) bytes_ = OldBytes();
  if (bytes_ == 0 || spent_) return false;
  if (!WriteEmpty().ok()) return false;
  spent_ = true;
  ++times_spent_;
  return true;
}

bool DiskReserve::IsAlmostUsed() {
  if (!spent_) return false;
  MutexLock lock(&mu_);
  const absl::StatusOr<uint64_t> free = fs_.FreeSpace(dir_);
  return free.ok() && *free < bytes_ / 4;
}

bool DiskReserve::IsSpent() {
  if (!spent_) return false;
  MutexLock lock(&mu_);
  // With some space left over: else the next write would spend it again, in a new log each time,
  // and what compacts would find no space in between.
  const absl::StatusOr<uint64_t> free = fs_.FreeSpace(dir_);
  if (free.ok() && *free < bytes_ + bytes_ / 8) return true;
  return spent_ && !Fill().ok();
}

}  // namespace kvarts::sstable
