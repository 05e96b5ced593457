#ifndef KVARTS_BENCH_BENCH_DATA_H_
#define KVARTS_BENCH_BENCH_DATA_H_

#include "base/language.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "base/coding.h"

namespace kvarts {

// Data for benchmarks and tests: made from a record's number, so that nothing
// of it needs to be kept, and whoever knows the number knows what is right.

inline uint64_t Mix(uint64_t x) {  // SplitMix64 (Steele, Lea, Flood 2014)
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

inline constexpr size_t kBenchUuidBytes = 36;

namespace bench_internal {

// The two digits of each byte: "00", "01", ... "ff".
struct HexPairs {
  constexpr HexPairs() {
    constexpr char kHex[] = "0123456789abcdef";
    for (int i = 0; i < 256; ++i) {
      text[2 * i] = kHex[i >> 4];
      text[2 * i + 1] = kHex[i & 15];
    }
  }
  char text[512] = {};
};
inline constexpr HexPairs kHexPairs;

// The eight bytes number `word` of a value, as the machine has them in memory.
inline uint64_t ValueWord(uint64_t random) {
  return (random & 0x3F3F3F3F3F3F3F3Fu) + 0x2121212121212121u;  // from '!' on
}

}  // namespace bench_internal

// The text of a version 4 UUID, of 36 bytes, into `out`.
inline void BenchUuid(uint64_t number, char* out) {
  uint64_t words[2] = {Mix(2 * number), Mix(2 * number + 1)};
  words[0] = (words[0] & ~uint64_t{0xF000}) | 0x4000;
  words[1] = (words[1] & ~(uint64_t{3} << 62)) | uint64_t{2} << 62;
  // Where the two digits of each byte stand; the dashes are between.
  static constexpr unsigned char kPlaces[16] = {0,  2,  4,  6,  9,  11, 14, 16,
                                                19, 21, 24, 26, 28, 30, 32, 34};
  for (int i = 0; i < 16; ++i) {
    const uint64_t byte = words[i / 8] >> (56 - i % 8 * 8) & 255;
    std::memcpy(out + kPlaces[i], bench_internal::kHexPairs.text + 2 * byte, 2);
  }
  out[8] = out[13] = out[18] = out[23] = '-';
}
inline std::string BenchUuid(uint64_t number) {
  std::string out(kBenchUuidBytes, '\0');
  BenchUuid(number, &out[0]);
  return out;
}

// `size` printable bytes.
inline void BenchValue(uint64_t number, size_t size, char* out) {
  uint64_t random = Mix(~number);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) StoreLE64(out + i, bench_internal::ValueWord(random = Mix(random)));
  char last[8];
  StoreLE64(last, bench_internal::ValueWord(Mix(random)));
  std::memcpy(out + i, last, size - i);
}
inline std::string BenchValue(uint64_t number, size_t size) {
  std::string out(size, '\0');
  BenchValue(number, size, &out[0]);
  return out;
}
// Whether `value` is BenchValue(number, value.size()), without making it.
inline bool IsBenchValue(uint64_t number, absl::string_view value) {
  uint64_t random = Mix(~number);
  uint64_t differ = 0;
  size_t i = 0;
  for (; i + 8 <= value.size(); i += 8) {
    random = Mix(random);
    differ |= LoadLE64(value.data() + i) ^ bench_internal::ValueWord(random);
  }
  char last[8];
  StoreLE64(last, bench_internal::ValueWord(Mix(random)));
  return differ == 0 && value.substr(i) == absl::string_view(last, value.size() - i);
}

// Writes a data file of UUID keys. False: errno says why. Calls `report` now and
// then with the number of records so far.
template <typename Report>
bool WriteBenchData(const std::string& path, uint64_t records, size_t value_bytes, Report report) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  std::string line(kBenchUuidBytes + 2 + value_bytes, ' ');
  line.back() = '\n';
  bool ok = true;
  for (uint64_t i = 0; i < records && ok; ++i) {
    BenchUuid(i, &line[0]);
    BenchValue(i, value_bytes, &line[kBenchUuidBytes + 1]);
    ok = std::fwrite(line.data(), 1, line.size(), file) == line.size();
    if (i % 1024 == 0) report(i);
  }
  const int error = errno;
  const bool closed = std::fclose(file) == 0;
  if (!ok) errno = error;
  return ok && closed;
}
inline bool WriteBenchData(const std::string& path, uint64_t records, size_t value_bytes) {
  return WriteBenchData(path, records, value_bytes, [](uint64_t) {});
}

}  // namespace kvarts

#endif  // KVARTS_BENCH_BENCH_DATA_H_
