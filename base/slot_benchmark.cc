// What it costs to know a key's slot, beside the definition of the checksum byte by byte.
//
//   bazel run -c opt //base:slot_benchmark

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/slot.h"

namespace kvarts {
namespace {

// Different keys in turn, so that nothing of one is known from the last.
std::vector<std::string> Keys(int length, absl::string_view before, absl::string_view after) {
  std::vector<std::string> keys;
  uint64_t random = 88172645463325252u;
  for (int i = 0; i < 64; ++i) {
    std::string key(before);
    for (int j = 0; j < length; ++j) {
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      key += "0123456789abcdef"[random % 16];
    }
    keys.push_back(key.append(after.data(), after.size()));
  }
  return keys;
}

uint16_t ByteByByte(absl::string_view key) {
  static const auto* const table = [] {
    auto* const made = new std::array<uint16_t, 256>();
    for (int byte = 0; byte < 256; ++byte) {
      int crc = byte << 8;
      for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x11021 : 0);
      (*made)[byte] = static_cast<uint16_t>(crc);
    }
    return made;
  }();
  uint16_t crc = 0;
  for (const char c : key) {
    crc = static_cast<uint16_t>((crc << 8) ^ (*table)[(crc >> 8) ^ static_cast<uint8_t>(c)]);
  }
  return crc % kSlots;
}

template <typename Slot>
void Run(benchmark::State& state, const std::vector<std::string>& keys, Slot slot) {
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(slot(keys[next++ % 64]));
}

void BM_KeySlot(benchmark::State& state) {
  Run(state, Keys(static_cast<int>(state.range(0)), "", ""), KeySlot);
}
BENCHMARK(BM_KeySlot)->Arg(8)->Arg(16)->Arg(36)->Arg(100)->Arg(300);

// A tag of 36 bytes in a key of 49.
void BM_KeySlotOfATag(benchmark::State& state) {
  Run(state, Keys(36, "user:{", "}:value"), KeySlot);
}
BENCHMARK(BM_KeySlotOfATag);

void BM_ByteByByte(benchmark::State& state) { Run(state, Keys(36, "", ""), ByteByByte); }
BENCHMARK(BM_ByteByByte);

}  // namespace
}  // namespace kvarts

BENCHMARK_MAIN();
