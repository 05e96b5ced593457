#include "storage/dict/table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

int BitWidth(uint64_t x) { return x == 0 ? 0 : 64 - __builtin_clzll(x); }

// Behind the last home: for what spills out of it. Room only, until touched.
constexpr uint64_t kLinesBehind = 1 << 14;

}  // namespace

SlotLayout SlotLayout::For(uint64_t file_bytes) {
  SlotLayout layout;
  // Records begin before the file's end: all ones are left for empty slots.
  layout.offset_bits = std::max(1, BitWidth(file_bytes));
  layout.size_bits = std::clamp(63 - kMinTagBits - layout.offset_bits, 0, kMaxSizeBits);
  layout.tag_bits = std::min(63 - layout.payload_bits(), kMaxTagBits);
  return layout;
}

absl::StatusOr<DictTableWriter> DictTableWriter::New(const SlotLayout& layout, uint64_t seed,
                                                     int hash_bits, uint64_t entries) {
  DictTableWriter writer;
  DictTable& table = writer.table_;
  table.layout_ = layout;
  table.seed_ = seed;
  table.hash_mask_ = hash_bits >= 64 ? ~uint64_t{0} : ~(~uint64_t{0} >> hash_bits);
  table.tag_mask_ = ((uint64_t{1} << layout.tag_bits) - 1) << (63 - layout.tag_bits);
  const double slots = static_cast<double>(entries) / DictTable::kLoad;
  table.lines_ = static_cast<uint64_t>(slots / DictTable::kSlotsPerLine) + 1;
  const uint64_t reserved = table.lines_ + kLinesBehind;
  absl::StatusOr<PageMemory> memory =
      PageMemory::Reserve(reserved * DictTable::kLineBytes, /*huge=*/true);
  if (!memory.ok()) return memory.status();
  table.memory_ = *std::move(memory);
  table.slots_ = reinterpret_cast<const uint64_t*>(table.memory_.data());
  return writer;
}

absl::Status DictTableWriter::Add(uint64_t hash, uint64_t payload) {
  const DictTable::Home home = table_.HomeOf(hash);
  const uint64_t line = (home.line - table_.slots_) / DictTable::kSlotsPerLine;
  while (line_ < line) {
    absl::Status status = CloseLine();
    if (!status.ok()) return status;
  }
  auto* const slots = reinterpret_cast<uint64_t*>(table_.memory_.data());
  const uint64_t slot = home.tag | payload;
  if (filled_ < DictTable::kSlotsPerLine) {
    slots[line_ * DictTable::kSlotsPerLine + filled_++] = slot;
  } else {
    spilled_.push_back(slot);
  }
  ++table_.entries_;
  return absl::OkStatus();
}

// What spilled from lines before comes last: keys at home are found first.
absl::Status DictTableWriter::CloseLine() {
  if ((line_ + 1) * DictTable::kLineBytes > table_.memory_.size()) {
    return absl::InternalError(
        absl::StrCat("the hash table overflows at line ", line_, " of ", table_.lines_));
  }
  uint64_t* const line =
      reinterpret_cast<uint64_t*>(table_.memory_.data()) + line_ * DictTable::kSlotsPerLine;
  while (filled_ < DictTable::kSlotsPerLine && !spilled_.empty()) {
    line[filled_++] = spilled_.front();
    spilled_.pop_front();
  }
  while (filled_ < DictTable::kSlotsPerLine) line[filled_++] = DictTable::kEmpty;
  if (!spilled_.empty()) line[DictTable::kSlotsPerLine - 1] |= DictTable::kSpilled;
  ++line_;
  filled_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<DictTable> DictTableWriter::Finish() {
  while (line_ < table_.lines_ || !spilled_.empty()) {
    absl::Status status = CloseLine();
    if (!status.ok()) return status;
  }
  table_.used_bytes_ = line_ * DictTable::kLineBytes;
  return std::move(table_);
}

}  // namespace kvarts
