#include "groupby/sorted/run_file.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kMaxVarint = 10;
// The first number of a record that goes on with the group before it.
constexpr uint64_t kContinues = 1;

char* PutVarint64(char* p, uint64_t v) {
  for (; v >= 0x80; v >>= 7) *p++ = static_cast<char>(v | 0x80);
  *p++ = static_cast<char>(v);
  return p;
}

// Null where [p, end) does not start with one.
const char* GetVarint64(const char* p, const char* end, uint64_t* v) {
  uint64_t result = 0;
  for (int shift = 0; shift < 64 && p != end; shift += 7) {
    const uint64_t byte = static_cast<unsigned char>(*p++);
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *v = result;
      return shift < 63 || byte < 2 ? p : nullptr;
    }
  }
  return nullptr;
}

}  // namespace

void RunWriter::NoteKey(absl::string_view key) {
  if (key.size() > static_cast<size_t>(end_ - at_)) {
    run_.crossing_key = std::max(run_.crossing_key, key.size());
  }
  if (is_first_) {
    is_first_ = false;
    run_.common = std::min(key.size(), kMaxCommon);
    std::copy_n(key.data(), run_.common, first_key_);
  } else if (run_.common != 0) {
    const size_t both = std::min(run_.common, key.size());
    const auto ends = std::mismatch(first_key_, first_key_ + both, key.data());
    run_.common = static_cast<size_t>(ends.first - first_key_);
  }
}

absl::Status RunWriter::PutHeader(uint64_t tag, uint64_t bytes) {
  if (static_cast<size_t>(end_ - at_) >= 2 * kMaxVarint) [[likely]] {
    at_ = PutVarint64(PutVarint64(at_, tag), bytes);
    return absl::OkStatus();
  }
  char header[2 * kMaxVarint];
  const char* const end = PutVarint64(PutVarint64(header, tag), bytes);
  return PutAcross(absl::string_view(header, static_cast<size_t>(end - header)));
}

absl::Status RunWriter::BeginGroup(absl::string_view key, uint64_t bytes) {
  KVARTS_RETURN_IF_ERROR(PutHeader(uint64_t{key.size()} << 1, bytes));
  NoteKey(key);
  return Put(key);
}

absl::Status RunWriter::ContinueGroup(uint64_t bytes) { return PutHeader(kContinues, bytes); }

absl::Status RunWriter::PutAcross(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (at_ == end_) KVARTS_RETURN_IF_ERROR(Flush());
    const size_t n = std::min(bytes.size(), static_cast<size_t>(end_ - at_));
    std::memcpy(at_, bytes.data(), n);
    at_ += n;
    bytes.remove_prefix(n);
  }
  return absl::OkStatus();
}

absl::Status RunWriter::Flush() {
  if (cancelled_->load(std::memory_order_relaxed)) {
    return absl::CancelledError("the grouping was cancelled");
  }
  char* const begin = room_ + SpillFile::kHeaderBytes;
  const size_t bytes = static_cast<size_t>(at_ - begin);
  at_ = begin;
  return run_.file->Append(room_, bytes);
}

absl::StatusOr<SortedRun> RunWriter::Finish() {
  if (at_ != room_ + SpillFile::kHeaderBytes) KVARTS_RETURN_IF_ERROR(Flush());
  KVARTS_RETURN_IF_ERROR(run_.file->FinishWriting());
  return std::move(run_);
}

absl::Status RunReader::Damaged(absl::string_view what) const {
  const SpillFile& file = *run_->file;
  const size_t block = next_ == 0 ? 0 : next_ - 1;
  return absl::DataLossError(absl::StrCat(file.path(), ": offset ",
                                          file.blocks() == 0 ? 0 : file.block_offset(block),
                                          ": block ", block, " is damaged: ", what));
}

absl::Status RunReader::Fill() {
  if (cancelled_->load(std::memory_order_relaxed)) {
    return absl::CancelledError("the grouping was cancelled");
  }
  char rest[kCarryBytes];
  const size_t n = here();
  assert(n <= kCarryBytes);
  if (n != 0) std::memcpy(rest, at_, n);
  KVARTS_ASSIGN_OR_RETURN(const absl::string_view block, run_->file->Read(next_, room_));
  ++next_;
  // Over the header, which was checked.
  char* const begin = room_ + SpillFile::kHeaderBytes - n;
  if (n != 0) std::memcpy(begin, rest, n);
  at_ = begin;
  end_ = block.data() + block.size();
  return absl::OkStatus();
}

absl::Status RunReader::Ensure(size_t bytes) {
  while (here() < bytes && has_block()) KVARTS_RETURN_IF_ERROR(Fill());
  return absl::OkStatus();
}

absl::Status RunReader::CopyOut(char* to, size_t bytes) {
  for (;;) {
    const size_t n = std::min(bytes, here());
    if (n != 0) std::memcpy(to, at_, n);
    at_ += n;
    to += n;
    bytes -= n;
    if (bytes == 0) return absl::OkStatus();
    if (!has_block()) return Damaged("the run ends within a record");
    KVARTS_RETURN_IF_ERROR(Fill());
  }
}

absl::StatusOr<bool> RunReader::More() {
  assert(left_ == 0);
  KVARTS_RETURN_IF_ERROR(Ensure(2 * kMaxVarint));
  if (here() == 0) {
    at_end_ = true;
    return false;
  }
  uint64_t tag = 0;
  uint64_t bytes = 0;
  const char* p = GetVarint64(at_, end_, &tag);
  if (p != nullptr) p = GetVarint64(p, end_, &bytes);
  if (p == nullptr) return Damaged("a record without its sizes");
  at_ = p;
  if (bytes == 0) return Damaged("a record without values");
  if (tag == kContinues) {
    left_ = bytes;
    return true;
  }
  const uint64_t size = tag >> 1;
  if ((tag & 1) != 0 || size > Grouping::kMaxKeyBytes) return Damaged("a wrong key size");
  if (here() == 0 && size != 0 && has_block()) KVARTS_RETURN_IF_ERROR(Fill());
  if (size <= here()) {
    key_ = absl::string_view(at_, size);
    at_ += size;
  } else {
    if (size > run_->crossing_key) return Damaged("a key is longer than all that were written");
    KVARTS_RETURN_IF_ERROR(CopyOut(crossing_key_, size));
    key_ = absl::string_view(crossing_key_, size);
  }
  left_ = bytes;
  return false;
}

absl::StatusOr<absl::string_view> RunReader::Bytes() {
  assert(left_ > 0);
  if (here() == 0) {
    if (!has_block()) return Damaged("the run ends within a record");
    KVARTS_RETURN_IF_ERROR(Fill());
  }
  const size_t n = std::min<uint64_t>(left_, here());
  const absl::string_view bytes(at_, n);
  at_ += n;
  left_ -= n;
  return bytes;
}

absl::StatusOr<absl::Span<const absl::string_view>> RunReader::Values(
    absl::Span<absl::string_view> views, absl::Span<char> room) {
  assert(left_ > 0 && !views.empty());
  size_t n = 0;
  while (n < views.size() && left_ > 0) {
    uint64_t size = 0;
    const char* p = GetVarint64(at_, end_, &size);
    if (p == nullptr) {
      if (n != 0) break;
      KVARTS_RETURN_IF_ERROR(Ensure(std::min<uint64_t>(kMaxVarint, left_)));
      p = GetVarint64(at_, end_, &size);
    }
    // Behind the size, a value that begins a block is whole in it.
    if (p == end_ && n == 0 && size != 0 && has_block()) {
      const uint64_t header = static_cast<uint64_t>(p - at_);
      if (header > left_) return Damaged("a value goes beyond its record");
      left_ -= header;
      at_ = p;
      KVARTS_RETURN_IF_ERROR(Fill());
      p = at_;
    }
    const uint64_t header = p == nullptr ? 0 : static_cast<uint64_t>(p - at_);
    if (p == nullptr || header > left_ || size > left_ - header) {
      return Damaged("a value goes beyond its record");
    }
    if (size <= static_cast<uint64_t>(end_ - p)) {
      views[n++] = absl::string_view(p, size);
      at_ = p + size;
      left_ -= header + size;
      continue;
    }
    if (n != 0) break;
    if (size > room.size()) return Damaged("a value is longer than all that were written");
    at_ = p;
    left_ -= header + size;
    KVARTS_RETURN_IF_ERROR(CopyOut(room.data(), size));
    views[n++] = absl::string_view(room.data(), size);
    break;
  }
  return absl::Span<const absl::string_view>(views.data(), n);
}

absl::Status RunReader::Skip() {
  while (left_ > here()) {
    left_ -= here();
    at_ = end_;
    while (has_block() && run_->file->block_bytes(next_) <= left_) {
      left_ -= run_->file->block_bytes(next_++);
    }
    if (left_ == 0) return absl::OkStatus();
    if (!has_block()) return Damaged("the run ends within a record");
    KVARTS_RETURN_IF_ERROR(Fill());
  }
  at_ += left_;
  left_ = 0;
  return absl::OkStatus();
}

}  // namespace kvarts::groupby_internal
