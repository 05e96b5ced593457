#include "storage/sort/run_file.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::sort_internal {
namespace {

// Of the first sixteen bytes of the header, then of the body. The offset as the
// seed finds a block that is whole but out of place.
uint64_t BlockChecksum(const char* header, const char* body, size_t size, uint64_t offset) {
  return Checksum(absl::string_view(body, size), Checksum(absl::string_view(header, 16), offset));
}

}  // namespace

// -- RunWriter ---------------------------------------------------------------

absl::Status RunWriter::Finish() {
  KVARTS_RETURN_IF_ERROR(Flush());
  return file_->Close();
}

absl::Status RunWriter::Flush() {
  if (block_records_ == 0) return absl::OkStatus();
  const char* body = buffer_ + kBlockHeader;
  const size_t size = static_cast<size_t>(at_ - body);
  SealHeader(buffer_, body, size, block_records_);
  at_ = buffer_ + kBlockHeader;
  block_records_ = 0;
  return file_->Append(absl::string_view(buffer_, kBlockHeader + size));
}

absl::Status RunWriter::AddLarge(const Record& record) {
  char header[kBlockHeader];
  SealHeader(header, record.begin, record.size(), 1);
  KVARTS_RETURN_IF_ERROR(file_->Append(absl::string_view(header, sizeof header)));
  KVARTS_RETURN_IF_ERROR(file_->Append(absl::string_view(record.begin, record.size())));
  Note(record);
  return absl::OkStatus();
}

void RunWriter::SealHeader(char* header, const char* body, size_t size, uint32_t records) {
  StoreLE32(header, kBlockMagic);
  StoreLE32(header + 4, static_cast<uint32_t>(size));
  StoreLE32(header + 8, records);
  StoreLE32(header + 12, static_cast<uint32_t>(run_.number));
  StoreLE64(header + 16, BlockChecksum(header, body, size, run_.size));
  run_.size += kBlockHeader + size;
  run_.max_block = std::max(run_.max_block, static_cast<uint32_t>(kBlockHeader + size));
}

void RunWriter::StartCommon(const Record& record) {
  run_.common = static_cast<uint16_t>(std::min<size_t>(record.key_size, kMaxCommon));
  std::memcpy(first_key_, record.key, run_.common);
}

void RunWriter::NarrowCommon(const Record& record) {
  uint16_t same = 0;
  const size_t most = std::min<size_t>(run_.common, record.key_size);
  while (same < most && first_key_[same] == record.key[same]) ++same;
  run_.common = same;
}

// -- RunReader ---------------------------------------------------------------

bool RunReader::Damaged(absl::string_view what) {
  const uint64_t offset = buffer_offset_ + static_cast<uint64_t>(block_ - buffer_);
  status_ = absl::DataLossError(
      absl::StrCat(path_, ": offset ", offset, ": damaged block of a sorted run: ", what));
  at_ = block_end_ = nullptr;
  run_.size = 0;  // nothing more is read
  return false;
}

// Moves what is left of the buffer to its start and fills it up.
bool RunReader::Fill() {
  const size_t left = filled_ - static_cast<size_t>(block_ - buffer_);
  std::memmove(buffer_, block_, left);
  buffer_offset_ += filled_ - left;
  block_ = buffer_;
  const uint64_t from = buffer_offset_ + left;
  const size_t want =
      static_cast<size_t>(std::min<uint64_t>(run_.max_block - left, run_.size - from));
  filled_ = left + want;
  if (want == 0) return true;
  auto got = file_->Read(from, want, buffer_ + left);
  if (!got.ok()) {
    status_ = std::move(got).status();
    run_.size = 0;
    return false;
  }
  if (*got == want) return true;
  return Damaged(
      absl::StrCat("the file ends at ", from + *got, ", expected ", run_.size, " bytes"));
}

bool RunReader::NextBlock() {
  if (!status_.ok()) return false;
  block_ = block_end_ == nullptr ? buffer_ : block_end_;
  at_ = block_end_ = block_;
  const uint64_t offset = buffer_offset_ + static_cast<uint64_t>(block_ - buffer_);
  if (offset == run_.size) {
    if (records_ == run_.records) return false;
    return Damaged(
        absl::StrCat("the run ends after ", records_, " records, expected ", run_.records));
  }
  // Whole blocks that are here already are used before more is read.
  const auto here = [this] { return filled_ - static_cast<size_t>(block_ - buffer_); };
  if (here() < kBlockHeader || here() < kBlockHeader + LoadLE32(block_ + 4)) {
    if (!Fill()) return false;
    if (here() < kBlockHeader) return Damaged("its header is cut off");
  }
  at_ = block_end_ = block_;
  if (LoadLE32(block_) != kBlockMagic) return Damaged("wrong magic or version");
  const uint64_t size = LoadLE32(block_ + 4);
  if (size > here() - kBlockHeader) {
    return Damaged(absl::StrCat("a length of ", size, ", more than there is"));
  }
  const char* body = block_ + kBlockHeader;
  if (LoadLE64(block_ + 16) != BlockChecksum(block_, body, size, offset)) {
    return Damaged("wrong checksum");
  }
  if (LoadLE32(block_ + 12) != static_cast<uint32_t>(run_.number)) {
    return Damaged(
        absl::StrCat("it is of run ", LoadLE32(block_ + 12), ", expected ", run_.number));
  }
  if (size == 0) return Damaged("it is empty");
  at_ = body;
  block_end_ = body + size;
  return true;
}

}  // namespace kvarts::sort_internal
