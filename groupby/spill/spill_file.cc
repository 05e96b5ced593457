#include "groupby/spill/spill_file.h"

#include <cassert>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

constexpr uint32_t kMagic = 0x0153474b;  // "KGS", version 1
constexpr size_t kChecksumBytes = 8;

// Of all of a block but the checksum itself.
uint64_t BlockChecksum(size_t number, const char* room, size_t bytes) {
  return Checksum(
      absl::string_view(room + kChecksumBytes, SpillFile::kHeaderBytes - kChecksumBytes + bytes),
      number);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpillFile>> SpillFile::New(FileSystem* fs, std::string path) {
  auto file = fs->OpenForWrite(path, FileSystem::Create::kNew);
  if (!file.ok()) {
    // It may have been made all the same.
    if (!absl::IsAlreadyExists(file.status())) fs->Delete(path).IgnoreError();
    return file.status();
  }
  std::unique_ptr<SpillFile> spill(new SpillFile(fs, std::move(path)));
  spill->writing_ = *std::move(file);
  return spill;
}

SpillFile::~SpillFile() {
  writing_.reset();
  reading_.reset();
  // Once more where it fails for once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status status = fs_->Delete(path_);
    if (status.ok() || absl::IsNotFound(status)) break;
  }
}

absl::Status SpillFile::Append(char* room, size_t bytes) {
  assert(bytes <= kMaxBlockBytes);
  StoreLE32(room + 8, static_cast<uint32_t>(bytes));
  StoreLE32(room + 12, kMagic);
  StoreLE64(room, BlockChecksum(blocks(), room, bytes));
  KVARTS_RETURN_IF_ERROR(writing_->Append(absl::string_view(room, kHeaderBytes + bytes)));
  if (rest_.empty() && (equal_ == 0 || equal_bytes_ == bytes)) {
    ++equal_;
    equal_bytes_ = static_cast<uint32_t>(bytes);
  } else {
    rest_.push_back({end_, static_cast<uint32_t>(bytes)});
  }
  end_ += kHeaderBytes + bytes;
  return absl::OkStatus();
}

absl::Status SpillFile::FinishWriting() {
  const absl::Status status = writing_->Close();
  writing_.reset();
  return status;
}

absl::Status SpillFile::OpenForRead() {
  if (reading_ != nullptr) return absl::OkStatus();
  KVARTS_ASSIGN_OR_RETURN(reading_, fs_->OpenForRead(path_));
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> SpillFile::Read(size_t i, char* room) {
  assert(i < blocks());
  KVARTS_RETURN_IF_ERROR(OpenForRead());
  return ReadBlock(i, BlockAt(i), room);
}

absl::StatusOr<absl::string_view> SpillFile::ReadBlock(size_t i, const Block& block,
                                                       char* room) const {
  const size_t size = kHeaderBytes + block.bytes;
  KVARTS_ASSIGN_OR_RETURN(const size_t got, reading_->Read(block.offset, size, room));
  const auto damaged = [&](const auto&... what) {
    return absl::DataLossError(
        absl::StrCat(path_, ": offset ", block.offset, ": block ", i, " is damaged: ", what...));
  };
  if (got != size) {
    return damaged("the file ends at ", block.offset + got, ", expected ", block.offset + size,
                   " or more");
  }
  if (LoadLE32(room + 12) != kMagic) return damaged("wrong magic or version");
  if (LoadLE32(room + 8) != block.bytes) {
    return damaged("its size is ", LoadLE32(room + 8), ", expected ", block.bytes);
  }
  if (LoadLE64(room) != BlockChecksum(i, room, block.bytes)) return damaged("wrong checksum");
  return absl::string_view(room + kHeaderBytes, block.bytes);
}

}  // namespace kvarts::groupby_internal
