#ifndef KVARTS_APPS_TESTING_SOAK_SOAK_H_
#define KVARTS_APPS_TESTING_SOAK_SOAK_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "apps/testing/programs.h"
#include "apps/testing/soak/connections.h"
#include "base/mutex.h"

namespace kvarts::soak {

using Random = std::mt19937_64;

// Thread-safe. How often what was done.
class Tally {
 public:
  void Add(absl::string_view what, uint64_t n = 1) {
    MutexLock lock(&mu_);
    const auto it = counts_.find(what);
    it != counts_.end() ? it->second += n : counts_[std::string(what)] = n;
  }
  uint64_t Of(absl::string_view what) const {
    MutexLock lock(&mu_);
    const auto it = counts_.find(what);
    return it != counts_.end() ? it->second : 0;
  }
  // A line each.
  std::string ToString() const;

 private:
  mutable Mutex mu_;
  std::map<std::string, uint64_t, std::less<>> counts_ ABSL_GUARDED_BY(mu_);
};

// What the clients of a soak share. Two servers: the cache evicts and is flushed, so that
// nothing of it can be counted on but that what is there is right; the ledger does neither,
// and is exact.
struct Soak {
  Soak(const TestServer& c, const TestServer& l, std::string d)
      : cache(c), ledger(l), dir(std::move(d)) {}
  // Goes on with what another one's servers had saved.
  Soak(const TestServer& c, const TestServer& l, const Soak& before) : Soak(c, l, before.dir) {
    versions = before.versions.load();
    added = before.added.load();
    ledger_counters = before.ledger_counters;
    cache_counters = before.cache_counters;
  }

  const TestServer& cache;
  const TestServer& ledger;
  const std::string dir;
  Tally tally;
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> versions{0};
  std::atomic<uint64_t> first_key{0};  // of those of the cache that are used now
  std::atomic<uint64_t> added{0};      // to the ledger's kSharedCounter
  std::atomic<uint64_t> full_scans{0};
  // Of the one client that increments them.
  std::array<uint64_t, 8> ledger_counters{};
  std::array<uint64_t, 8> cache_counters{};

  // False once there was a failure, too.
  bool goes_on() const;
  uint32_t NextVersion() { return ++versions; }
};

// --- The cache's keys ---

// One of those in use now, some more often than others.
uint64_t AnyKey(Random* random, const Soak& soak);
// Text, or a UUID.
std::string KeyOf(uint64_t number);
bool IsLarge(uint64_t number);  // its values are of 4 KiB and more
// Up to 200 B, 4 KB or 100 KiB, and 0 now and then.
size_t SizeFor(uint64_t number, Random* random);
// Written in atomic batches only, both halves with values of one version.
std::string PairKey(uint64_t pair, char half);
inline constexpr uint64_t kPairs = 64;

// --- The ledger's ---

inline constexpr char kSharedCounter[] = "shared";  // by clients of all protocols
inline constexpr uint64_t kStays = 2000;            // keys that are there all the while
std::string StayingKey(uint64_t number);
std::string CounterKey(uint64_t number);

// --- Clients ---
// Each has connections of its own until soak->stop, and has closed them when it returns.
// What is not as it should be is a failure of the test.

// SET with and without expiry, GET, DEL, APPEND, MGET, in pipelines.
void DrivePipelines(uint64_t seed, Soak* soak);
// MULTI, WATCH, EXEC: of pairs, and of the shared counter.
void DriveTransactions(uint64_t seed, Soak* soak);
// INCR, beside keys that come and go. One client.
void DriveCounters(uint64_t seed, Soak* soak);
// SCAN of all keys, INFO, BGSAVE, FLUSHALL.
void DriveScans(uint64_t seed, Soak* soak);
void DriveHttp(uint64_t seed, Soak* soak);
void DriveNative(uint64_t seed, Soak* soak);
// Connections that end early, say too little, are killed, or are not read from.
void Disturb(uint64_t seed, Soak* soak);

// --- For them ---

// A failure, unless it is absent or a value that was written for the key.
void CheckValue(absl::string_view who, absl::string_view key, bool found, absl::string_view value);
// A failure, unless one of them is absent, or both are of one version.
void CheckPair(absl::string_view who, uint64_t pair, const std::string* a, const std::string* b);
// "+OK", or the refusal of a store at its limit, which is counted.
void CheckWritten(const Reply& reply, absl::string_view what, Soak* soak);
// A failure where it is not connected.
bool CheckConnected(const TestSocket& socket, Soak* soak);

}  // namespace kvarts::soak

#endif  // KVARTS_APPS_TESTING_SOAK_SOAK_H_
