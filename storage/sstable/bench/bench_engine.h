#ifndef KVARTS_STORAGE_SSTABLE_BENCH_BENCH_ENGINE_H_
#define KVARTS_STORAGE_SSTABLE_BENCH_BENCH_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {

// What is the same for each engine. What has no counterpart in one of them, README.md says.
struct BenchEngineOptions {
  size_t memtable_bytes = 8 << 20;  // of one
  int memtables = 3;                // at most, the frozen ones included
  size_t cache_bytes = 40 << 20;    // blocks, indexes and filters
  bool compress = true;             // the engine's fast compression; else none
};

// One thread's reads. What they return is good until its next call.
class BenchReader {
 public:
  virtual ~BenchReader() = default;

  // False where the key is absent.
  virtual bool Get(absl::string_view key, absl::string_view* value) = 0;
  // One value a key; one without data() where it is absent.
  virtual void MultiGet(absl::Span<const absl::string_view> keys,
                        std::vector<absl::string_view>* values) = 0;
  // Calls `entry` on at most `limit` entries: those from `begin` on, or backwards from the last
  // key of all. Returns how many.
  using Entry = absl::FunctionRef<void(absl::string_view key, absl::string_view value)>;
  virtual uint64_t Scan(absl::string_view begin, uint64_t limit, Entry entry) = 0;
  virtual uint64_t ScanBackward(uint64_t limit, Entry entry) = 0;
};

// A store of some engine, as the jobs of the benchmark see it. Thread-safe. An error ends the
// process: a figure beside it would mean nothing. The destructor closes; readers go before it.
class BenchEngine {
 public:
  using Pairs = absl::Span<const std::pair<absl::string_view, absl::string_view>>;

  virtual ~BenchEngine() = default;

  // `sync`: returns when the bytes outlive a power cut; else when the system has them.
  virtual void Put(absl::string_view key, absl::string_view value, bool sync) = 0;
  virtual void PutBatch(Pairs pairs, bool sync) = 0;
  // Makes what was put durable.
  virtual void Sync() = 0;
  virtual std::unique_ptr<BenchReader> NewReader() = 0;
  // The keys k with begin <= k < end.
  virtual void DeleteRange(absl::string_view begin, absl::string_view end) = 0;
  // Puts all that `next` gives, in the order of the keys, until it returns false; with sorted files
  // of its own where the engine can. Returns the seconds of its last step, which other writers wait
  // for; 0 where it has none.
  using Source = absl::FunctionRef<bool(absl::string_view* key, absl::string_view* value)>;
  virtual double Ingest(Source next) = 0;
  // Keeps what tells where keys are for a later opening, and takes it, where the engine can.
  virtual void SaveIndex() {}
  virtual void LoadIndex() {}
  // What is in memory is in sorted files afterwards.
  virtual void Flush() = 0;
  // False while the engine says that flushes or compactions are due or under way. True is not yet
  // rest: see WaitForRest() in open_loops.h.
  virtual bool MayBeAtRest() = 0;
};

struct BenchEngineKind {
  std::string name;
  std::unique_ptr<BenchEngine> (*open)(const std::string& dir, const BenchEngineOptions& options);
};

// Those of the program, the one to be compared first. A library for each set defines it.
std::vector<BenchEngineKind> BenchEngines();

std::unique_ptr<BenchEngine> OpenSstableBenchEngine(const std::string& dir,
                                                    const BenchEngineOptions& options);
std::unique_ptr<BenchEngine> OpenRocksdbBenchEngine(const std::string& dir,
                                                    const BenchEngineOptions& options);
std::unique_ptr<BenchEngine> OpenLeveldbBenchEngine(const std::string& dir,
                                                    const BenchEngineOptions& options);

// Prints and ends the process where `ok` is false.
void RequireBench(bool ok, absl::string_view what);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_BENCH_BENCH_ENGINE_H_
