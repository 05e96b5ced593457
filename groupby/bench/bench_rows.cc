#include "groupby/bench/bench_rows.h"

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/coding.h"
#include "bench/bench_data.h"

namespace kvarts {
namespace {

constexpr uint64_t kMaxRows = 10000000000;  // of kRowDigits
constexpr uint64_t kFewKeys = 1000;

// Eight letters of A-P and a-p: no quote, comma, backslash or space.
uint64_t Letters(uint64_t random) {
  return (random & 0x0F0F0F0F0F0F0F0Fu) + ((random & 0x1010101010101010u) << 1) +
         0x4141414141414141u;
}

// Adds one to a number of decimal digits.
void Increment(char* digits, size_t size) {
  while (size > 0 && digits[size - 1] == '9') digits[--size] = '0';
  if (size > 0) ++digits[size - 1];
}

uint64_t Keys(const BenchRowsOptions& options) {
  switch (options.shape) {
    case BenchShape::kDistinct:
      return options.rows;
    case BenchShape::kEqual:
      return 1;
    case BenchShape::kFew:
      return options.keys > 0 ? options.keys : kFewKeys;
    default:
      return options.keys > 0 ? options.keys : std::max<uint64_t>(options.rows / 4, 1);
  }
}

}  // namespace

absl::string_view ToText(BenchShape shape) {
  switch (shape) {
    case BenchShape::kUniform:
      return "uniform";
    case BenchShape::kZipf:
      return "zipf";
    case BenchShape::kFew:
      return "few";
    case BenchShape::kDistinct:
      return "distinct";
    case BenchShape::kEqual:
      return "equal";
    case BenchShape::kHalf:
      return "half";
  }
  return "";
}

absl::StatusOr<BenchShape> ParseBenchShape(absl::string_view name) {
  for (const BenchShape shape : kBenchShapes) {
    if (name == ToText(shape)) return shape;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is no shape; expected ",
                   absl::StrJoin(kBenchShapes, ", ", [](std::string* out, BenchShape shape) {
                     absl::StrAppend(out, ToText(shape));
                   })));
}

absl::StatusOr<BenchRows> BenchRows::New(const BenchRowsOptions& options) {
  if (options.rows == 0 || options.rows > kMaxRows) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.rows, " rows; expected 1 to ", kMaxRows));
  }
  if (options.key_bytes < 1 || options.key_bytes > 16) {
    return absl::InvalidArgumentError(
        absl::StrCat("keys of ", options.key_bytes, " bytes; expected 1 to 16"));
  }
  if (options.theta < 0) {
    return absl::InvalidArgumentError(absl::StrCat("a theta of ", options.theta, " is below 0"));
  }
  BenchRows rows(options);
  if (rows.key_bits_ < 64 && rows.options_.keys > uint64_t{1} << rows.key_bits_) {
    return absl::InvalidArgumentError(absl::StrCat(rows.options_.keys, " keys do not fit into ",
                                                   options.key_bytes, " hexadecimal digits"));
  }
  const size_t least = options.key_bytes + kRowDigits + 2;
  if (!options.integers && (options.row_bytes < least || options.row_bytes > (64 << 20))) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows of ", options.row_bytes, " bytes; expected ", least, " to 64 MiB"));
  }
  return rows;
}

BenchRows::BenchRows(const BenchRowsOptions& options)
    : options_(options),
      key_bits_(options.integers ? (Keys(options) >> 32 > 0 ? 62 : 32)
                                 : static_cast<int>(4 * options.key_bytes)),
      key_mask_(~uint64_t{0} >> (64 - key_bits_)),
      key_salt_(Mix(options.seed) & key_mask_),
      zipf_(Keys(options), options.theta) {
  options_.keys = Keys(options);
}

uint64_t BenchRows::KeyNumber(uint64_t row, BenchRandom* random) const {
  switch (options_.shape) {
    case BenchShape::kZipf:
      return zipf_.Choose(random);
    case BenchShape::kDistinct:
      return row;
    case BenchShape::kEqual:
      return 0;
    case BenchShape::kHalf:
      return random->Next() >> 63 != 0 ? 0 : random->Below(options_.keys);
    case BenchShape::kUniform:
    case BenchShape::kFew:
      break;
  }
  return random->Below(options_.keys);
}

// A permutation of the numbers of key_bits_ bits: each step can be undone.
uint64_t BenchRows::Scrambled(uint64_t number) const {
  const int half = (key_bits_ + 1) / 2;
  uint64_t x = number ^ key_salt_;
  for (const uint64_t factor : {0x9E3779B97F4A7C15u, 0xBF58476D1CE4E5B9u, 0x94D049BB133111EBu}) {
    x = (x * factor) & key_mask_;
    x ^= x >> half;
  }
  return x;
}

void BenchRows::AppendBlock(uint64_t block, std::string* out) const {
  const uint64_t first = block * kBlockRows;
  const uint64_t last = std::min(first + kBlockRows, options_.rows);
  BenchRandom random(options_.seed, block);
  if (!options_.integers) return AppendText(first, last, &random, out);
  for (uint64_t row = first; row < last; ++row) {
    absl::StrAppend(out, Scrambled(KeyNumber(row, &random)), "\t", row, "\n");
  }
}

void BenchRows::AppendText(uint64_t first, uint64_t last, BenchRandom* random,
                           std::string* out) const {
  const size_t key_bytes = options_.key_bytes;
  const size_t letters = options_.row_bytes - key_bytes - kRowDigits - 2;
  size_t at = out->size();
  out->resize(at + (last - first) * options_.row_bytes);
  char digits[kRowDigits];
  uint64_t number = first;
  for (size_t i = kRowDigits; i > 0; --i, number /= 10) {
    digits[i - 1] = static_cast<char>('0' + number % 10);
  }
  for (uint64_t row = first; row < last; ++row) {
    char* p = &(*out)[at];
    at += options_.row_bytes;
    uint64_t key = Scrambled(KeyNumber(row, random));
    for (size_t i = key_bytes; i > 0; --i, key >>= 4) p[i - 1] = "0123456789abcdef"[key & 15];
    p += key_bytes;
    *p++ = '\t';
    std::memcpy(p, digits, kRowDigits);
    p += kRowDigits;
    size_t i = 0;
    for (; i + 8 <= letters; i += 8) StoreLE64(p + i, Letters(random->Next()));
    char rest[8];
    StoreLE64(rest, Letters(random->Next()));
    std::memcpy(p + i, rest, letters - i);
    p[letters] = '\n';
    Increment(digits, kRowDigits);
  }
}

}  // namespace kvarts
