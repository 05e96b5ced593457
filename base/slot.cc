#include "base/slot.h"

#include <array>
#include <cstddef>

#include "base/coding.h"

namespace kvarts {
namespace {

// So many bytes are taken in at a time. Sixteen tables are 8 KiB, a quarter of a first-level
// cache.
constexpr size_t kSlice = 16;

// table[k][b] is the checksum of the byte b and k zero bytes after it. The checksum of a text
// is then the exclusive or of one entry a byte: CRC is linear, and the initial value is 0.
using Tables = std::array<std::array<uint16_t, 256>, kSlice>;

constexpr uint16_t AppendZeroBits(uint16_t crc, int bits) {
  for (int bit = 0; bit < bits; ++bit) {
    crc = static_cast<uint16_t>((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0));
  }
  return crc;
}

constexpr Tables MakeTables() {
  Tables tables{};
  for (int byte = 0; byte < 256; ++byte) {
    tables[0][byte] = AppendZeroBits(static_cast<uint16_t>(byte << 8), 8);
    for (size_t k = 1; k < kSlice; ++k) {
      tables[k][byte] = AppendZeroBits(tables[k - 1][byte], 8);
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

// What the eight bytes of `bytes`, the first one lowest, add to the checksum of a text in
// which `after` bytes follow them.
uint16_t Part(uint64_t bytes, size_t after) {
  uint16_t crc = 0;
  for (size_t i = 0; i < 8; ++i) crc ^= kTables[after + 7 - i][(bytes >> (8 * i)) & 0xFF];
  return crc;
}

uint16_t Crc16(absl::string_view text) {
  // What does not fill a slice comes first, where no checksum has to be carried into it: the
  // lookups wait for nothing. After it, a slice waits only for the last one's sum.
  const size_t head = text.size() % kSlice;
  uint16_t crc = 0;
  for (size_t i = 0; i < head; ++i) {
    crc ^= kTables[head - 1 - i][static_cast<uint8_t>(text[i])];
  }
  for (size_t i = head; i < text.size(); i += kSlice) {
    // The sum so far stands in for the slice's first two bytes, high byte first.
    const uint64_t carried = static_cast<uint64_t>((crc >> 8) | ((crc & 0xFF) << 8));
    crc = static_cast<uint16_t>(Part(LoadLE64(text.data() + i) ^ carried, 8) ^
                                Part(LoadLE64(text.data() + i + 8), 0));
  }
  return crc;
}

}  // namespace

absl::string_view HashTag(absl::string_view key) {
  const size_t open = key.find('{');
  if (open == absl::string_view::npos) return {};
  const size_t close = key.find('}', open + 1);
  return close == absl::string_view::npos ? absl::string_view()
                                          : key.substr(open + 1, close - open - 1);
}

uint16_t KeySlot(absl::string_view key) {
  const absl::string_view tag = HashTag(key);
  return Crc16(tag.empty() ? key : tag) % kSlots;
}

}  // namespace kvarts
