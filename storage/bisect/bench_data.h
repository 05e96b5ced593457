#ifndef KVARTS_STORAGE_BISECT_BENCH_DATA_H_
#define KVARTS_STORAGE_BISECT_BENCH_DATA_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace kvarts {

// Data for benchmarks and tests: made from a record's number, so that nothing
// of it needs to be kept.

inline uint64_t Mix(uint64_t x) {  // SplitMix64 (Steele, Lea, Flood 2014)
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The text of a version 4 UUID, of 36 bytes, into `out`.
inline void BenchUuid(uint64_t number, char* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  const uint64_t words[2] = {Mix(2 * number), Mix(2 * number + 1)};
  int digit = 0;
  for (int i = 0; i < 36; ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      out[i] = '-';
      continue;
    }
    uint64_t nibble = words[digit / 16] >> (60 - digit % 16 * 4) & 15;
    if (digit == 12) nibble = 4;
    if (digit == 16) nibble = 8 | (nibble & 3);
    out[i] = kHex[nibble];
    ++digit;
  }
}
inline std::string BenchUuid(uint64_t number) {
  std::string out(36, '\0');
  BenchUuid(number, &out[0]);
  return out;
}

// `size` printable bytes.
inline void BenchValue(uint64_t number, size_t size, char* out) {
  uint64_t random = Mix(~number);
  for (size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) random = Mix(random);
    out[i] = static_cast<char>('!' + (random >> (i % 8 * 8) & 63));
  }
}
inline std::string BenchValue(uint64_t number, size_t size) {
  std::string out(size, '\0');
  BenchValue(number, size, &out[0]);
  return out;
}

// Writes a data file of UUID keys. False: errno says why.
inline bool WriteBenchData(const std::string& path, uint64_t records, size_t value_bytes) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  std::string line(38 + value_bytes, ' ');
  line.back() = '\n';
  bool ok = true;
  for (uint64_t i = 0; i < records && ok; ++i) {
    BenchUuid(i, &line[0]);
    BenchValue(i, value_bytes, &line[37]);
    ok = std::fwrite(line.data(), 1, line.size(), file) == line.size();
  }
  return (std::fclose(file) == 0) && ok;
}

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_BENCH_DATA_H_
