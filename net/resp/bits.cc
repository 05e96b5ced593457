#include "net/resp/bits.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kvarts {
namespace resp {
namespace {

uint64_t Word(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Eight bytes a step, then the rest.
template <typename Operation>
void Combine(const char* other, size_t size, char* value, Operation operation) {
  size_t i = 0;
  for (; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
    const uint64_t word = operation(Word(value + i), Word(other + i));
    std::memcpy(value + i, &word, sizeof word);
  }
  for (; i < size; ++i) {
    value[i] = static_cast<char>(
        operation(static_cast<unsigned char>(value[i]), static_cast<unsigned char>(other[i])));
  }
}

}  // namespace

bool BitAt(absl::string_view value, uint64_t bit) {
  const uint64_t byte = bit / 8;
  return byte < value.size() && ((static_cast<unsigned char>(value[byte]) >> (7 - bit % 8)) & 1);
}

void SetBitAt(std::string* value, uint64_t bit, bool on) {
  char& byte = (*value)[bit / 8];
  const int mask = 1 << (7 - bit % 8);
  byte = static_cast<char>(on ? byte | mask : byte & ~mask);
}

uint64_t BitsAt(absl::string_view value, uint64_t offset, int bits) {
  uint64_t number = 0;
  for (int i = 0; i < bits; ++i) {
    number = number << 1 | (BitAt(value, offset + static_cast<uint64_t>(i)) ? 1 : 0);
  }
  return number;
}

void SetBitsAt(std::string* value, uint64_t offset, int bits, uint64_t number) {
  for (int i = bits - 1; i >= 0; --i, number >>= 1) {
    SetBitAt(value, offset + static_cast<uint64_t>(i), (number & 1) != 0);
  }
}

uint64_t CountBits(absl::string_view value, uint64_t first, uint64_t last) {
  uint64_t count = 0;
  // Up to a whole byte, then whole ones, eight at a time, then the rest.
  for (; first <= last && first % 8 != 0; ++first) count += BitAt(value, first) ? 1 : 0;
  for (; first + 63 <= last; first += 64) {
    count += static_cast<uint64_t>(std::popcount(Word(value.data() + first / 8)));
  }
  for (; first <= last; ++first) count += BitAt(value, first) ? 1 : 0;
  return count;
}

int64_t FindBit(absl::string_view value, bool wanted, uint64_t first, uint64_t last) {
  const uint64_t none = wanted ? 0 : ~uint64_t{0};  // a word without such a bit
  while (first <= last) {
    if (first % 8 == 0 && first + 63 <= last && Word(value.data() + first / 8) == none) {
      first += 64;
    } else if (BitAt(value, first) == wanted) {
      return static_cast<int64_t>(first);
    } else {
      ++first;
    }
  }
  return -1;
}

void CombineBits(BitOperation operation, absl::string_view other, std::string* value) {
  const size_t both = std::min(value->size(), other.size());
  switch (operation) {
    case BitOperation::kAnd:
      Combine(other.data(), both, value->data(), [](auto a, auto b) { return a & b; });
      std::fill(value->begin() + static_cast<std::ptrdiff_t>(both), value->end(), '\0');
      value->resize(std::max(value->size(), other.size()));
      return;
    case BitOperation::kOr:
      Combine(other.data(), both, value->data(), [](auto a, auto b) { return a | b; });
      break;
    case BitOperation::kXor:
      Combine(other.data(), both, value->data(), [](auto a, auto b) { return a ^ b; });
      break;
  }
  value->append(other.data() + both, other.size() - both);
}

void InvertBits(std::string* value) {
  for (char& byte : *value) byte = static_cast<char>(~byte);
}

}  // namespace resp
}  // namespace kvarts
