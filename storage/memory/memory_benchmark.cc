// What an entry of the memory store takes, and how fast it is beside absl::flat_hash_map
// behind 64 mutexes, round by round in one process.
//
//   ./bazelw run //storage/memory:memory_benchmark -- --entries=10000000
//   ./bazelw run //storage/memory:memory_benchmark -- --memory --entries=2000000

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/bench_data.h"
#include "gflags/gflags.h"
#include "storage/memory/memory.h"

DEFINE_uint64(entries, 1'000'000, "Entries in each store.");
DEFINE_uint64(operations, 2'000'000, "Operations a thread, a round.");
DEFINE_int32(rounds, 5, "Rounds, of which the median is told.");
DEFINE_string(mix, "", "Only this one: \"95/5\", \"50/50 in batches of 32\", ...");
DEFINE_bool(memory, false, "Only what entries take.");
DEFINE_string(shape, "uuid",
              "With --memory: uuid (36 B and 64 B), small (8 and 8), large (16 and 1 KiB).");

namespace kvarts {
namespace {

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "memory_benchmark: %s\n", what);
  std::abort();
}

// A line of /proc/self/status, in bytes.
int64_t Status(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::atoll(line.c_str() + name.size() + 1) * 1024;
  }
  return 0;
}

// --- Memory ---

std::string KeyOf(uint64_t i) {
  if (FLAGS_shape == "uuid") return BenchUuid(i);
  const uint64_t x = Mix(i);
  std::string key(reinterpret_cast<const char*>(&x), 8);
  if (FLAGS_shape == "large") key += key;
  return key;
}
size_t ValueBytes() { return FLAGS_shape == "uuid" ? 64 : FLAGS_shape == "small" ? 8 : 1024; }

void Report(const char* what, int64_t base, uint64_t entries, Store* store) {
  const int64_t resident = Status("VmRSS") - base;
  const absl::StatusOr<StoreStats> stats = store->Stats();
  Require(stats.ok(), "no statistics");
  Require(stats->entries == entries, "entries are missing");
  std::printf("%-28s %10llu entries  %7.2f B resident an entry  %7.2f counted", what,
              static_cast<unsigned long long>(entries),
              static_cast<double>(resident) / static_cast<double>(entries),
              static_cast<double>(stats->memory_bytes) / static_cast<double>(entries));
  for (const auto& [name, value] : stats->details) {
    std::printf("  %s=%s", name.c_str(), value.c_str());
  }
  std::printf("\n");
}

void MeasureMemory() {
  const int64_t base = Status("VmRSS");
  const std::unique_ptr<Store> store = NewMemoryStore();
  const std::string value(ValueBytes(), 'v');
  const uint64_t n = FLAGS_entries;
  for (uint64_t i = 0; i < n; ++i) Require(store->Put(KeyOf(i), value).ok(), "put failed");
  Report("loaded", base, n, store.get());
  const double steady = static_cast<double>(Status("VmRSS") - base);
  std::printf("peak while growing: %.3f of that\n",
              static_cast<double>(Status("VmHWM") - base) / steady);
  for (int round = 1; round <= 10; ++round) {
    for (uint64_t i = 0; i < n; ++i) {
      // From a half to three halves, and the size it had at the end.
      const size_t size =
          round == 10 ? value.size() : value.size() / 2 + Mix(i * 16 + round) % value.size();
      Require(store->Put(KeyOf(i), std::string(size, 'w')).ok(), "put failed");
    }
  }
  Report("overwritten ten times", base, n, store.get());
  std::printf("%.3f of loaded\n", static_cast<double>(Status("VmRSS") - base) / steady);
  for (uint64_t i = 0; i < n; i += 2) Require(store->Delete(KeyOf(i)).ok(), "delete failed");
  Report("half deleted", base, n / 2, store.get());
  std::printf("%.3f of half of loaded\n", static_cast<double>(Status("VmRSS") - base) * 2 / steady);
  uint64_t left = 0;
  for (uint64_t i = 1; i < n; i += 2) {
    if (i % 100 == 1) {
      ++left;
    } else {
      Require(store->Delete(KeyOf(i)).ok(), "delete failed");
    }
  }
  Report("all but a hundredth deleted", base, left, store.get());
}

// --- Speed ---

class ShardedMap {
 public:
  void Put(absl::string_view key, absl::string_view value) {
    Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mu);
    shard.map[key].assign(value.data(), value.size());
  }
  bool Get(absl::string_view key, std::string* value) {
    Shard& shard = ShardOf(key);
    const std::lock_guard<std::mutex> lock(shard.mu);
    const auto it = shard.map.find(key);
    if (it == shard.map.end()) return false;
    value->assign(it->second);
    return true;
  }

 private:
  struct alignas(64) Shard {
    std::mutex mu;
    absl::flat_hash_map<std::string, std::string> map;
  };
  Shard& ShardOf(absl::string_view key) {
    return shards_[absl::Hash<absl::string_view>()(key) >> 58];
  }
  std::array<Shard, 64> shards_;
};

struct Workload {
  const char* name;
  unsigned read_percent;
  size_t batch;
};

constexpr Workload kWorkloads[] = {
    {"95/5", 95, 1},
    {"50/50", 50, 1},
    {"95/5 in batches of 32", 95, 32},
    {"50/50 in batches of 32", 50, 32},
};

// Keys of all threads, made before: making one costs more than a lookup.
const std::vector<std::string>& Keys() {
  static const auto* const keys = [] {
    auto* const made = new std::vector<std::string>;
    for (uint64_t i = 0; i < FLAGS_entries; ++i) made->push_back(BenchUuid(i));
    return made;
  }();
  return *keys;
}

// What a thread does next, in blocks whose keys are in the cache, as those of a request
// that was just received are. Only the time of the operations counts.
class Operations {
 public:
  static constexpr size_t kBlock = 1024;

  Operations(const Workload& workload, uint64_t seed) : workload_(workload), seed_(seed) {}

  // False at the end.
  bool Next() {
    if (done_ >= FLAGS_operations) return false;
    const std::vector<std::string>& keys = Keys();
    for (size_t i = 0; i < kBlock; ++i) {
      const uint64_t random = Mix(seed_ << 40 | (done_ + i));
      keys_[i] = keys[random % keys.size()];
      is_read_[i] = (random >> 40) % 100 < workload_.read_percent;
    }
    done_ += kBlock;
    return true;
  }
  absl::string_view key(size_t i) const { return keys_[i]; }
  bool is_read(size_t i) const { return is_read_[i]; }

 private:
  const Workload& workload_;
  const uint64_t seed_;
  uint64_t done_ = 0;
  std::array<std::string, kBlock> keys_;
  std::array<bool, kBlock> is_read_{};
};

using Clock = std::chrono::steady_clock;

// Million operations a second of all threads. `run` does a block, and says how many
// bytes it found.
double Rate(int threads, const Workload& workload, int round,
            const std::function<std::function<uint64_t(const Operations&)>()>& start) {
  std::vector<std::thread> running;
  std::atomic<uint64_t> found{0};
  std::vector<double> rates(static_cast<size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      const auto run = start();
      Operations operations(workload, static_cast<uint64_t>(round * 8 + t));
      Clock::duration time{};
      uint64_t bytes = 0;
      uint64_t blocks = 0;
      while (operations.Next()) {
        const auto begin = Clock::now();
        bytes += run(operations);
        time += Clock::now() - begin;
        ++blocks;
      }
      found += bytes;
      rates[static_cast<size_t>(t)] = static_cast<double>(blocks * Operations::kBlock) / 1e6 /
                                      std::chrono::duration<double>(time).count();
    });
  }
  for (std::thread& thread : running) thread.join();
  Require(found > 0, "nothing was found");
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// Does blocks of operations on the store.
struct StoreRun {
  Store* store;
  size_t batch;
  std::string value = std::string(64, 'w');
  ReadResults results;
  WriteBatch puts;
  std::vector<absl::string_view> gets;

  uint64_t operator()(const Operations& operations) {
    uint64_t found = 0;
    for (size_t i = 0; i < Operations::kBlock; i += batch) {
      gets.clear();
      puts.Clear();
      for (size_t b = i; b < i + batch; ++b) {
        if (operations.is_read(b)) {
          gets.push_back(operations.key(b));
        } else {
          puts.Put(operations.key(b), value);
        }
      }
      if (gets.size() == 1) {
        store->Read(gets[0], ReadOptions(), &results);
        found += results[0].value.size();
      } else if (!gets.empty()) {
        store->MultiGet(gets, ReadOptions(), &results);
        for (const ReadResult& result : results) found += result.value.size();
      }
      if (!puts.empty()) Require(store->Write(puts, WriteOptions(), nullptr).ok(), "write failed");
    }
    return found;
  }
};

struct MapRun {
  ShardedMap* map;
  std::string value = std::string(64, 'w');
  std::string got;

  uint64_t operator()(const Operations& operations) {
    uint64_t found = 0;
    for (size_t i = 0; i < Operations::kBlock; ++i) {
      if (!operations.is_read(i)) {
        map->Put(operations.key(i), value);
      } else if (map->Get(operations.key(i), &got)) {
        found += got.size();
      }
    }
    return found;
  }
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void MeasureSpeed() {
  const std::unique_ptr<Store> store = NewMemoryStore();
  const auto map = std::make_unique<ShardedMap>();
  const std::string value(64, 'v');
  for (const std::string& key : Keys()) {
    Require(store->Put(key, value).ok(), "put failed");
    map->Put(key, value);
  }
  std::printf("%llu entries, UUID and 64 B; million operations a second, medians of %d rounds\n",
              static_cast<unsigned long long>(FLAGS_entries), FLAGS_rounds);
  std::printf("%-26s %8s %8s %8s %8s\n", "mix", "threads", "ours", "theirs", "ratio");
  for (const Workload& workload : kWorkloads) {
    if (!FLAGS_mix.empty() && FLAGS_mix != workload.name) continue;
    for (const int threads : {1, 2}) {
      std::vector<double> ours;
      std::vector<double> theirs;
      std::vector<double> ratios;
      for (int round = 0; round < FLAGS_rounds; ++round) {
        ours.push_back(Rate(threads, workload, round, [&] {
          const auto run = std::make_shared<StoreRun>();
          run->store = store.get();
          run->batch = workload.batch;
          return [run](const Operations& operations) { return (*run)(operations); };
        }));
        theirs.push_back(Rate(threads, workload, round, [&] {
          const auto run = std::make_shared<MapRun>();
          run->map = map.get();
          return [run](const Operations& operations) { return (*run)(operations); };
        }));
        ratios.push_back(ours.back() / theirs.back());
      }
      std::printf("%-26s %8d %8.2f %8.2f %8.2f\n", workload.name, threads, Median(ours),
                  Median(theirs), Median(ratios));
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (FLAGS_memory) {
    kvarts::MeasureMemory();
  } else {
    kvarts::MeasureSpeed();
  }
}
