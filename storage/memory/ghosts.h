#ifndef KVARTS_STORAGE_MEMORY_GHOSTS_H_
#define KVARTS_STORAGE_MEMORY_GHOSTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace kvarts::memory_internal {

// Not thread-safe. Keys of a segment that were evicted lately, by 16 bits of their
// hashes: lines of 32, the newest first, each of a part of the segment's hashes. To ask
// takes one cache line; one key in about 2,000 is taken for another.
class Ghosts {
 public:
  // As many as that are remembered from now on, about.
  void Fit(size_t entries);
  // `depth`: bits of the hash that are the segment's.
  void Add(uint64_t hash, int depth);
  bool Has(uint64_t hash, int depth) const;
  // Keeps those whose next bit is 0, and gives out the others.
  std::unique_ptr<Ghosts> SplitUpper();

  size_t MemoryBytes() const { return sizeof(*this) + lines_.capacity() * sizeof(Line); }

 private:
  static constexpr size_t kLineSlots = 32;
  struct alignas(64) Line {
    std::array<uint16_t, kLineSlots> prints{};  // 0: none
  };

  size_t LineOf(uint64_t hash, int depth) const {
    return bits_ == 0 ? 0 : (hash << depth) >> (64 - bits_);
  }
  static uint16_t Print(uint64_t hash) {
    const auto print = static_cast<uint16_t>(hash);
    return print != 0 ? print : 1;
  }
  void Double();
  void Halve();

  int bits_ = 0;       // as many lines as two to the power of it
  size_t looked_ = 0;  // slots of a line that count
  std::vector<Line> lines_ = std::vector<Line>(1);
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_GHOSTS_H_
