#ifndef KVARTS_STORAGE_FS_CRASH_POLICY_H_
#define KVARTS_STORAGE_FS_CRASH_POLICY_H_

#include "base/language.h"

#include <array>
#include <cstdint>

namespace kvarts {

// What a power cut makes of what was not synced. What was synced always stays.
struct CrashPolicy {
  // The changes of a file since its last sync, in their order.
  enum class Data : unsigned char {
    kDropped = 0,  // none of them
    kPrefix,       // some first ones, and of the next write some first bytes
    // The size as under kPrefix; each sector of the unsynced ranges is old, new or
    // noise. Sectors have 1 to 512 bytes, drawn once a file.
    kGarbled,
    kKept,  // all of them
  };
  // The changes of a directory since its last sync (create, rename, link, delete),
  // in their order. Each is whole or not there, also one that spans directories.
  enum class Names : unsigned char { kLost = 0, kPrefix, kKept };

  Data data = Data::kDropped;
  Names names = Names::kLost;

  static constexpr std::array<CrashPolicy, 12> All() {
    std::array<CrashPolicy, 12> all{};
    for (unsigned char i = 0; i < 12; ++i) {
      all[i].data = static_cast<Data>(i % 4);
      all[i].names = static_cast<Names>(i / 4);
    }
    return all;
  }
};

// Not thread-safe. splitmix64: a crash replays from its seed with every compiler
// and library.
class CrashRandom {
 public:
  explicit CrashRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, limit].
  uint64_t UpTo(uint64_t limit) { return limit == UINT64_MAX ? Next() : Next() % (limit + 1); }

 private:
  uint64_t state_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_CRASH_POLICY_H_
