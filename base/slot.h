#ifndef KVARTS_BASE_SLOT_H_
#define KVARTS_BASE_SLOT_H_

#include "base/language.h"

#include <cstdint>

#include "absl/strings/string_view.h"

namespace kvarts {

inline constexpr int kSlots = 16384;

// The slot of a key, 0 to 16383, as Redis Cluster has it: CRC16/XMODEM
// (polynomial 0x1021, initial value 0) modulo 16384, of the bytes inside the
// first non-empty {...} only, where there is one. KeySlot("foo") == 12182,
// KeySlot("foo{bar}x") == 5061, KeySlot("{}x") == 10595.
uint16_t KeySlot(absl::string_view key);

// What is inside those {...}; empty where there is none. Keys of one tag are of one slot.
absl::string_view HashTag(absl::string_view key);

// Slots `first` to `last`, both included.
struct SlotRange {
  uint16_t first = 0;
  uint16_t last = kSlots - 1;
};

}  // namespace kvarts

#endif  // KVARTS_BASE_SLOT_H_
