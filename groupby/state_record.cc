#include "groupby/state_record.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kDistinctBytes = 32;

StateBlock* BlockOf(char* states, const StateLayout::Item& item) {
  return reinterpret_cast<StateBlock*>(states + item.offset);
}
static_assert(offsetof(StateBlock, data) == 0, "is cleared in files");
const StateBlock& BlockOf(const char* states, const StateLayout::Item& item) {
  return *reinterpret_cast<const StateBlock*>(states + item.offset);
}

}  // namespace

absl::Status RecordWriter::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (used_ == room_bytes_) KVARTS_RETURN_IF_ERROR(Flush());
    const size_t size = std::min(bytes.size(), room_bytes_ - used_);
    std::memcpy(room_ + used_, bytes.data(), size);
    used_ += size;
    bytes.remove_prefix(size);
  }
  return absl::OkStatus();
}

absl::Status RecordWriter::Flush() {
  const size_t bytes = used_ - SpillFile::kHeaderBytes;
  if (bytes == 0) return absl::OkStatus();
  used_ = SpillFile::kHeaderBytes;
  written_ += bytes + SpillFile::kHeaderBytes;
  return file_->Append(room_, bytes);
}

absl::Status RecordWriter::AppendStates(const StateLayout& layout, const StateEntry& entry,
                                        std::string* scratch) {
  const absl::string_view key = entry.key(layout);
  size_t bytes = 8 + layout.state_bytes() + 4 + key.size();
  for (const StateLayout::Item& item : layout.items()) {
    if (item.has_block) bytes += BlockOf(entry.states(), item).bytes;
  }
  scratch->clear();
  AppendLE32(scratch, static_cast<uint32_t>(bytes));
  AppendLE64(scratch, entry.hash);
  const size_t states = scratch->size();
  scratch->append(entry.states(), layout.state_bytes());
  for (const StateLayout::Item& item : layout.items()) {
    if (!item.has_block) continue;
    // No address goes to a file.
    std::fill_n(scratch->begin() + static_cast<ptrdiff_t>(states + item.offset), sizeof(char*),
                '\0');
  }
  AppendLE32(scratch, static_cast<uint32_t>(key.size()));
  KVARTS_RETURN_IF_ERROR(Append(*scratch));
  KVARTS_RETURN_IF_ERROR(Append(key));
  for (const StateLayout::Item& item : layout.items()) {
    if (!item.has_block) continue;
    KVARTS_RETURN_IF_ERROR(Append(BlockOf(entry.states(), item).view()));
  }
  return absl::OkStatus();
}

absl::Status RecordWriter::AppendStatesRecord(absl::string_view record) {
  char size[4];
  StoreLE32(size, static_cast<uint32_t>(record.size()));
  KVARTS_RETURN_IF_ERROR(Append(absl::string_view(size, sizeof size)));
  return Append(record);
}

absl::Status RecordWriter::AppendDistinct(const StateLayout& layout, const StateEntry& entry,
                                          size_t item, const Hash128& field) {
  return AppendDistinctRecord(
      DistinctRecord{entry.hash, DistinctCheck(entry.key(layout)) | item, field});
}

absl::Status RecordWriter::AppendDistinctRecord(const DistinctRecord& record) {
  char bytes[kDistinctBytes];
  StoreLE64(bytes, record.hash);
  StoreLE64(bytes + 8, record.check);
  StoreLE64(bytes + 16, record.field.low);
  StoreLE64(bytes + 24, record.field.high);
  return Append(absl::string_view(bytes, sizeof bytes));
}

absl::StatusOr<bool> RecordReader::NextBlock() {
  if (next_ == file_->blocks()) return false;
  KVARTS_RETURN_IF_ERROR(
      block_.Resize(SpillFile::kHeaderBytes + file_->block_bytes(next_), /*may_ask=*/true));
  KVARTS_ASSIGN_OR_RETURN(rest_, file_->Read(next_, block_.data()));
  ++next_;
  return true;
}

absl::StatusOr<absl::string_view> RecordReader::Take(size_t size) {
  if (size <= rest_.size()) {
    const absl::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  KVARTS_RETURN_IF_ERROR(whole_.Resize(size, /*may_ask=*/true));
  for (size_t got = 0; got < size;) {
    if (rest_.empty()) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, NextBlock());
      if (!more) {
        return absl::DataLossError(absl::StrCat(file_->path(), ": offset ", file_->file_bytes(),
                                                ": the file ends within a record"));
      }
    }
    const size_t part = std::min(size - got, rest_.size());
    std::memcpy(whole_.data() + got, rest_.data(), part);
    got += part;
    rest_.remove_prefix(part);
  }
  return absl::string_view(whole_.data(), size);
}

absl::StatusOr<bool> RecordReader::Next(absl::string_view* record) {
  if (rest_.empty()) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, NextBlock());
    if (!more) return false;
  }
  KVARTS_ASSIGN_OR_RETURN(const absl::string_view size, Take(4));
  KVARTS_ASSIGN_OR_RETURN(*record, Take(LoadLE32(size.data())));
  return true;
}

absl::StatusOr<bool> RecordReader::NextDistinct(DistinctRecord* record) {
  if (rest_.empty()) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, NextBlock());
    if (!more) return false;
  }
  KVARTS_ASSIGN_OR_RETURN(const absl::string_view bytes, Take(kDistinctBytes));
  record->hash = LoadLE64(bytes.data());
  record->check = LoadLE64(bytes.data() + 8);
  record->field = {LoadLE64(bytes.data() + 16), LoadLE64(bytes.data() + 24)};
  return true;
}

uint64_t StateRecord::Hash(absl::string_view record) {
  return record.size() < 8 ? 0 : LoadLE64(record.data());
}

absl::Status StateRecord::Parse(absl::string_view record) {
  const auto bad = [] { return absl::DataLossError("a spilled record is none"); };
  const size_t fixed = 8 + layout_.state_bytes() + 4;
  if (record.size() < fixed) return bad();
  hash_ = LoadLE64(record.data());
  char* const states = reinterpret_cast<char*>(states_.data());
  std::memcpy(states, record.data() + 8, layout_.state_bytes());
  const size_t key_bytes = LoadLE32(record.data() + fixed - 4);
  record.remove_prefix(fixed);
  if (key_bytes > record.size()) return bad();
  key_ = record.substr(0, key_bytes);
  record.remove_prefix(key_bytes);
  for (const StateLayout::Item& item : layout_.items()) {
    if (!item.has_block) continue;
    StateBlock* const block = BlockOf(states, item);
    if (block->bytes > record.size()) return bad();
    block->data = const_cast<char*>(record.data());  // read only, as `newer`
    record.remove_prefix(block->bytes);
  }
  return record.empty() ? absl::OkStatus() : bad();
}

}  // namespace kvarts::groupby_internal
