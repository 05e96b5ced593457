#include "groupby/aggregate/state_record.h"

#include <algorithm>
#include <cstring>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "groupby/aggregate/aggregate_hash.h"
#include "storage/sort/record.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kDistinctBytes = 32;
// What a Buffer is rounded up to.
constexpr size_t kSystemPage = 4096;

StateBlock* BlockOf(char* states, const StateLayout::Item& item) {
  return reinterpret_cast<StateBlock*>(states + item.offset);
}
const StateBlock& BlockOf(const char* states, const StateLayout::Item& item) {
  return *reinterpret_cast<const StateBlock*>(states + item.offset);
}

// Of bytes whose checksums are right.
absl::Status NoRecord() { return absl::DataLossError("a spilled record is none"); }

size_t PackedBytes(size_t words) { return (words + 1) / 2 + 8 * words; }

// Appends at `p`, which has PackedBytes(); returns what is behind.
char* Pack(const char* words, size_t count, char* p) {
  auto* sizes = reinterpret_cast<unsigned char*>(p);
  p += (count + 1) / 2;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t word = LoadLE64(words + 8 * i);
    const auto size = static_cast<unsigned>(absl::bit_width(word) + 7) / 8;
    if (i % 2 == 0) {
      sizes[i / 2] = static_cast<unsigned char>(size);
    } else {
      sizes[i / 2] |= static_cast<unsigned char>(size << 4);
    }
    StoreLE64(p, word);  // what is behind `size` is overwritten
    p += size;
  }
  return p;
}

// Returns what is behind, or null where `in` is too short.
const char* Unpack(absl::string_view in, size_t count, uint64_t* words) {
  const size_t size_bytes = (count + 1) / 2;
  if (in.size() < size_bytes) return nullptr;
  const char* p = in.data() + size_bytes;
  const char* const end = in.data() + in.size();
  for (size_t i = 0; i < count; ++i) {
    const auto sizes = static_cast<unsigned char>(in[i / 2]);
    const size_t size = i % 2 == 0 ? sizes & 15 : sizes >> 4;
    const auto left = static_cast<size_t>(end - p);
    if (size > 8 || size > left) return nullptr;
    if (left >= 8) {
      words[i] = size == 0 ? 0 : LoadLE64(p) & (~uint64_t{0} >> (64 - 8 * size));
    } else {
      words[i] = 0;
      std::memcpy(&words[i], p, size);
    }
    p += size;
  }
  return p;
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
  const size_t words = layout.state_bytes() / 8;
  // The states as they are written, then packed.
  scratch->resize(layout.state_bytes() + PackedBytes(words));
  char* const states = &(*scratch)[0];
  std::memcpy(states, entry.states(), layout.state_bytes());
  size_t block_bytes = 0;
  for (const StateLayout::Item& item : layout.items()) {
    if (!item.has_block) continue;
    const uint32_t size = BlockOf(entry.states(), item).bytes;
    block_bytes += size;
    StateBlock written;
    written.bytes = size;
    std::memcpy(states + item.offset, &written, sizeof written);
  }
  char* const packed = states + layout.state_bytes();
  const auto packed_bytes = static_cast<size_t>(Pack(states, words, packed) - packed);

  char sizes[10];
  const auto key_bytes = static_cast<uint32_t>(key.size());
  const size_t bytes =
      sort_internal::VarintSize(key_bytes) + key.size() + packed_bytes + block_bytes;
  char* end = sort_internal::PutVarint(sizes, static_cast<uint32_t>(bytes));
  end = sort_internal::PutVarint(end, key_bytes);
  KVARTS_RETURN_IF_ERROR(Append(absl::string_view(sizes, static_cast<size_t>(end - sizes))));
  KVARTS_RETURN_IF_ERROR(Append(key));
  KVARTS_RETURN_IF_ERROR(Append(absl::string_view(packed, packed_bytes)));
  if (block_bytes == 0) return absl::OkStatus();
  for (const StateLayout::Item& item : layout.items()) {
    if (!item.has_block) continue;
    KVARTS_RETURN_IF_ERROR(Append(BlockOf(entry.states(), item).view()));
  }
  return absl::OkStatus();
}

absl::Status RecordWriter::AppendStatesRecord(absl::string_view record) {
  char size[5];
  const char* const end = sort_internal::PutVarint(size, static_cast<uint32_t>(record.size()));
  KVARTS_RETURN_IF_ERROR(Append(absl::string_view(size, static_cast<size_t>(end - size))));
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

absl::Status RecordReader::Resize(Buffer* buffer, size_t bytes) {
  if (buffer->size() >= bytes) return absl::OkStatus();
  buffer->Free();
  if (buffer->Grow(bytes, /*may_ask=*/false).ok()) return absl::OkStatus();
  KVARTS_RETURN_IF_ERROR(room_->MakeRoom(bytes + kSystemPage));
  return buffer->Grow(bytes, /*may_ask=*/true);
}

absl::StatusOr<bool> RecordReader::NextBlock() {
  if (next_ == file_->blocks()) return false;
  KVARTS_RETURN_IF_ERROR(Resize(&block_, SpillFile::kHeaderBytes + file_->block_bytes(next_)));
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
  KVARTS_RETURN_IF_ERROR(Resize(&whole_, size));
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

absl::StatusOr<uint32_t> RecordReader::TakeVarint() {
  char bytes[5];
  for (size_t i = 0; i < sizeof bytes; ++i) {
    KVARTS_ASSIGN_OR_RETURN(const absl::string_view byte, Take(1));
    bytes[i] = byte[0];
    uint32_t v = 0;
    if ((bytes[i] & 0x80) == 0 && sort_internal::GetVarint(bytes, bytes + i + 1, &v) != nullptr) {
      return v;
    }
  }
  return NoRecord();
}

absl::StatusOr<bool> RecordReader::Next(absl::string_view* record) {
  if (rest_.empty()) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, NextBlock());
    if (!more) return false;
  }
  KVARTS_ASSIGN_OR_RETURN(const uint32_t size, TakeVarint());
  KVARTS_ASSIGN_OR_RETURN(*record, Take(size));
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

namespace {

// Takes the key off the front.
bool TakeKey(absl::string_view* record, absl::string_view* key) {
  uint32_t size = 0;
  const char* const begin =
      sort_internal::GetVarint(record->data(), record->data() + record->size(), &size);
  if (begin == nullptr) return false;
  record->remove_prefix(static_cast<size_t>(begin - record->data()));
  if (size > record->size()) return false;
  *key = record->substr(0, size);
  record->remove_prefix(size);
  return true;
}

}  // namespace

uint64_t StateRecord::Hash(absl::string_view record) {
  absl::string_view key;
  return TakeKey(&record, &key) ? HashGroup(key) : 0;
}

absl::Status StateRecord::Parse(absl::string_view record) {
  if (!TakeKey(&record, &key_)) return NoRecord();
  hash_ = HashGroup(key_);
  const char* const blocks = Unpack(record, states_.size(), states_.data());
  if (blocks == nullptr) return NoRecord();
  record.remove_prefix(static_cast<size_t>(blocks - record.data()));
  char* const states = reinterpret_cast<char*>(states_.data());
  for (const StateLayout::Item& item : layout_.items()) {
    if (!item.has_block) continue;
    StateBlock* const block = BlockOf(states, item);
    if (block->bytes > record.size()) return NoRecord();
    block->data = const_cast<char*>(record.data());  // read only, as `newer`
    record.remove_prefix(block->bytes);
  }
  return record.empty() ? absl::OkStatus() : NoRecord();
}

}  // namespace kvarts::groupby_internal
