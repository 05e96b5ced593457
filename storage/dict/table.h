#ifndef KVARTS_STORAGE_DICT_TABLE_H_
#define KVARTS_STORAGE_DICT_TABLE_H_

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/prefetch.h"
#include "storage/data_file/data_file.h"
#include "storage/dict/page_memory.h"

namespace kvarts {

// How the 64 bits of a slot are used, chosen by the size of the data file:
//
//    63 | 62 ........ | ................ | ........... 0
//     S |     tag     | size of the value | offset of the record
//
// A value of all ones in `size` means: not known, look for the newline. The
// offset is one no record has in an empty slot. S is of use in the last slot of
// a line: keys whose home is this line or one before it are in lines behind it.
struct SlotLayout {
  static constexpr int kMinTagBits = 12;
  static constexpr int kMaxTagBits = 31;   // all in the upper half, for one comparison
  static constexpr int kMaxSizeBits = 27;  // holds kMaxValueBytes
  static constexpr int kMaxOffsetBits = 63 - kMinTagBits;

  int offset_bits = 0;
  int size_bits = 0;
  int tag_bits = 0;

  // For a file of up to 2^kMaxOffsetBits bytes.
  static SlotLayout For(uint64_t file_bytes);

  int payload_bits() const { return offset_bits + size_bits; }
  uint64_t Payload(uint64_t offset, uint64_t value_size) const {
    const uint64_t unknown = (uint64_t{1} << size_bits) - 1;
    return (value_size < unknown ? value_size : unknown) << offset_bits | offset;
  }
  uint64_t Offset(uint64_t slot) const { return slot & ((uint64_t{1} << offset_bits) - 1); }
  // DataFileMap::kUnknownSize where it is not known.
  uint64_t ValueSize(uint64_t slot) const {
    const uint64_t unknown = (uint64_t{1} << size_bits) - 1;
    const uint64_t size = slot >> offset_bits & unknown;
    return size == unknown ? DataFileMap::kUnknownSize : size;
  }
};

// Thread-safe, immutable. Slots in lines of eight, one cache line each. A key's
// home is the line that its hash names, proportionally: hashes in order have
// homes in order. Slots that find no room at home are in lines behind it.
class DictTable {
 public:
  static constexpr size_t kSlotsPerLine = 8;
  static constexpr size_t kLineBytes = 64;
  static constexpr uint64_t kSpilled = uint64_t{1} << 63;
  static constexpr uint64_t kEmpty = ~kSpilled;
  // Of the slots, how many may be taken. README.md has the figures.
  static constexpr double kLoad = 0.75;

  struct Home {
    const uint64_t* line;
    uint64_t tag;  // in place
  };

  uint64_t Hash(absl::string_view key) const { return Checksum(key, seed_); }
  Home HomeOf(uint64_t hash) const {
    const uint64_t tag_bits = layout_.tag_bits;
    const unsigned __int128 product = static_cast<unsigned __int128>(hash & hash_mask_) * lines_;
    const uint64_t line = static_cast<uint64_t>(product >> 64);
    uint64_t tag = static_cast<uint64_t>(product) >> (64 - tag_bits);
    tag -= tag == (uint64_t{1} << tag_bits) - 1;  // that of empty slots
    return {slots_ + line * kSlotsPerLine, tag << (63 - tag_bits)};
  }
  // A bit for each slot of `line` that has the tag.
  uint32_t Matches(const uint64_t* line, uint64_t tag) const {
#if defined(__SSE2__)
    const __m128i needle = _mm_set1_epi32(static_cast<int>(tag >> 32));
    const __m128i mask = _mm_set1_epi32(static_cast<int>(tag_mask_ >> 32));
    uint32_t out = 0;
    for (int i = 0; i < 2; ++i) {
      const auto* const p = reinterpret_cast<const __m128i*>(line) + 2 * i;
      const __m128 a = _mm_castsi128_ps(_mm_load_si128(p));
      const __m128 b = _mm_castsi128_ps(_mm_load_si128(p + 1));
      const __m128i high = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
      const __m128i equal = _mm_cmpeq_epi32(_mm_and_si128(high, mask), needle);
      out |= static_cast<uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(equal))) << (4 * i);
    }
    return out;
#else
    uint32_t out = 0;
    for (size_t i = 0; i < kSlotsPerLine; ++i) {
      out |= static_cast<uint32_t>((line[i] & tag_mask_) == tag) << i;
    }
    return out;
#endif
  }
  // Keys of this line may be in the next.
  static bool Spilled(const uint64_t* line) { return (line[kSlotsPerLine - 1] & kSpilled) != 0; }

  const SlotLayout& layout() const { return layout_; }
  uint64_t entries() const { return entries_; }
  uint64_t memory_bytes() const { return used_bytes_; }

 private:
  friend class DictTableWriter;

  SlotLayout layout_;
  uint64_t seed_ = 0;
  uint64_t hash_mask_ = 0;
  uint64_t tag_mask_ = 0;
  uint64_t lines_ = 0;  // homes; a few lines lie behind them
  uint64_t entries_ = 0;
  uint64_t used_bytes_ = 0;
  const uint64_t* slots_ = nullptr;
  PageMemory memory_;
};

// Not thread-safe. Fills a table from entries in the order of their hashes,
// front to back, so that memory is touched once.
class DictTableWriter {
 public:
  // `hash_bits`: how many upper bits of hashes are known; `entries` will come.
  static absl::StatusOr<DictTableWriter> New(const SlotLayout& layout, uint64_t seed, int hash_bits,
                                             uint64_t entries);

  // kInternal where hashes come so unevenly that the table overflows.
  absl::Status Add(uint64_t hash, uint64_t payload);
  absl::StatusOr<DictTable> Finish();

 private:
  DictTableWriter() = default;
  absl::Status CloseLine();

  DictTable table_;
  uint64_t line_ = 0;  // being filled
  size_t filled_ = 0;
  std::deque<uint64_t> spilled_;  // slots that found no room yet
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_TABLE_H_
