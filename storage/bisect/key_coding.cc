#include "storage/bisect/key_coding.h"

#include <algorithm>
#include <cstring>

namespace kvarts {
namespace {

// Leaves six bits to scale with, so that codes reach almost to 2^64: under 2 %
// of the radix table stay unused.
constexpr uint64_t kMostNumbers = uint64_t{1} << 58;

constexpr char kHex[] = "0123456789abcdef";

bool IsDash(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

// A hex digit's value, or -1.
int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr std::array<bool, 256> HexTable() {
  std::array<bool, 256> table{};
  for (int i = 0; i < 16; ++i) table[static_cast<uint8_t>(kHex[i])] = true;
  return table;
}
constexpr std::array<bool, 256> kIsHex = HexTable();

// Writes codes from the top bit down.
class BitWriter {
 public:
  // False where they do not fit any more.
  bool Put(uint64_t value, int bits) {
    if (used_ + bits > 64) return false;
    used_ += bits;
    code_ |= value << (64 - used_);
    return true;
  }
  uint64_t zeros() const { return code_; }
  uint64_t ones() const { return used_ == 64 ? code_ : code_ | (~uint64_t{0} >> used_); }

 private:
  uint64_t code_ = 0;
  int used_ = 0;
};

}  // namespace

KeyCoding KeyCoding::Text(absl::string_view prefix, const Alphabet& alphabet) {
  KeyCoding coding;
  coding.kind_ = Kind::kText;
  coding.prefix_ = std::string(prefix.substr(0, kMaxPrefix));
  coding.alphabet_ = alphabet;
  for (int c = 0; c < 256; ++c) {
    const bool in = (alphabet[c / 64] >> (c % 64) & 1) != 0;
    coding.rank_[c] = in ? static_cast<int16_t>(coding.base_++) : int16_t{-1};
  }
  uint64_t power = 1;
  if (coding.base_ > 1) {
    while (power <= kMostNumbers / coding.base_) {
      power *= coding.base_;
      ++coding.digits_;
    }
  }
  coding.scale_ = ~uint64_t{0} / power;
  return coding;
}

bool KeyCoding::TextCode(absl::string_view key, uint64_t* code) const {
  if (key.size() < prefix_.size() || std::memcmp(key.data(), prefix_.data(), prefix_.size()) != 0) {
    return false;
  }
  uint64_t number = 0;
  size_t at = prefix_.size();
  for (int i = 0; i < digits_; ++i, ++at) {
    number *= base_;
    if (at >= key.size()) continue;
    const int rank = rank_[static_cast<uint8_t>(key[at])];
    if (rank < 0) return false;
    number += rank;
  }
  *code = number * scale_;
  return true;
}

uint64_t KeyCoding::BoundCode(absl::string_view bound) const {
  return kind_ == Kind::kUuid4 ? Uuid4Bound(bound) : TextBound(bound);
}

// Walks the text as far as it is like a UUID's. Where it leaves that, all keys
// with the same beginning lie on one side of it: zeros or ones say which.
uint64_t KeyCoding::Uuid4Bound(absl::string_view bound) const {
  BitWriter out;
  for (size_t i = 0; i < 18; ++i) {  // the code ends with digit 17
    if (i == bound.size()) return out.zeros();
    const char c = bound[i];
    if (IsDash(i) || i == 14) {
      const char fixed = i == 14 ? '4' : '-';
      if (c != fixed) {
        return static_cast<uint8_t>(c) < static_cast<uint8_t>(fixed) ? out.zeros() : out.ones();
      }
      continue;
    }
    const int digit = Digit(c);
    if (digit < 0) {
      const uint8_t u = static_cast<uint8_t>(c);
      if (u < '0') return out.zeros();
      if (u < 'a') out.Put(9, 4);
      return out.ones();
    }
    out.Put(digit, 4);
  }
  return out.zeros();
}

uint64_t KeyCoding::TextBound(absl::string_view bound) const {
  const int order = bound.substr(0, prefix_.size()).compare(prefix_);
  if (order < 0) return 0;
  if (order > 0) return ~uint64_t{0};
  uint64_t number = 0;
  uint64_t rest = 0;  // the digit that all further places have: 0, or the last
  bool inside = true;
  size_t at = prefix_.size();
  for (int i = 0; i < digits_; ++i, ++at) {
    number *= base_;
    if (!inside || at >= bound.size()) {
      number += rest;
      continue;
    }
    const uint8_t c = static_cast<uint8_t>(bound[at]);
    if (rank_[c] >= 0) {
      number += rank_[c];
      continue;
    }
    // Between two digits: the least of what begins with the greater one; behind
    // the last: the most there is.
    inside = false;
    uint64_t below = 0;
    for (int b = 0; b < c; ++b) below += rank_[b] >= 0;
    if (below == base_) rest = --below;
    number += below;
  }
  return rest == 0 ? number * scale_ : number * scale_ + (scale_ - 1);
}

bool KeyCoding::IsUuid4(absl::string_view key) {
  if (key.size() != 36) return false;
  const char* const p = key.data();
  if (p[8] != '-' || p[13] != '-' || p[14] != '4' || p[18] != '-' || p[23] != '-') return false;
  if (p[19] != '8' && p[19] != '9' && p[19] != 'a' && p[19] != 'b') return false;
  bool hex = true;
  for (size_t i = 0; i < 36; ++i) hex &= kIsHex[static_cast<uint8_t>(p[i])] || IsDash(i);
  return hex;
}

void KeyCoding::PackUuid(const char* text, char packed[16]) {
  // The groups of 8-4-4-4-12 digits, without the dashes, as four of eight.
  char digits[32];
  std::memcpy(digits, text, 8);
  std::memcpy(digits + 8, text + 9, 4);
  std::memcpy(digits + 12, text + 14, 4);
  std::memcpy(digits + 16, text + 19, 4);
  std::memcpy(digits + 20, text + 24, 12);
  for (int i = 0; i < 4; ++i) {
    const uint32_t word = __builtin_bswap32(static_cast<uint32_t>(Hex8(digits + 8 * i)));
    std::memcpy(packed + 4 * i, &word, 4);
  }
}

void KeyCoding::UnpackUuid(const char packed[16], char text[36]) {
  size_t at = 0;
  for (int i = 0; i < 16; ++i) {
    if (IsDash(at)) text[at++] = '-';
    const uint8_t byte = static_cast<uint8_t>(packed[i]);
    text[at++] = kHex[byte >> 4];
    text[at++] = kHex[byte & 15];
  }
}

void AlphabetBuilder::Note(absl::string_view bytes) {
  for (const char c : bytes) {
    const uint8_t u = static_cast<uint8_t>(c);
    alphabet_[u / 64] |= uint64_t{1} << (u % 64);
  }
}

void AlphabetBuilder::Add(absl::string_view key) {
  if (!any_) {
    any_ = true;
    prefix_ = std::string(key.substr(0, KeyCoding::kMaxPrefix));
    Note(key.substr(prefix_.size()));
    return;
  }
  const size_t most = std::min(prefix_.size(), key.size());
  size_t common = 0;
  while (common < most && prefix_[common] == key[common]) ++common;
  if (common < prefix_.size()) {
    // What is no longer prefix belongs to the keys before.
    Note(absl::string_view(prefix_).substr(common));
    prefix_.resize(common);
  }
  Note(key.substr(common));
}

}  // namespace kvarts
