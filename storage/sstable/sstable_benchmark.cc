// The SSTable store by itself: fills, reads, scans, opening. Keys of 16 bytes and values of 100
// that compress to half, as RocksDB's db_bench has them, so that the two can be run in turns:
//
//   ./bazelw run //storage/sstable:sstable_benchmark -- --entries=10000000 --dir=/tmp/store
//   db_bench --benchmarks=fillrandom,readrandom --num=10000000 --db=/tmp/rocks

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/coding.h"
#include "gflags/gflags.h"
#include "storage/sstable/sstable.h"

DEFINE_uint64(entries, 1'000'000, "How many are put; keys are drawn from as many.");
DEFINE_uint64(reads, 0, "Reads of each thread; 0: as many as entries.");
DEFINE_int32(threads, 1, "That read, or that write synced.");
DEFINE_string(dir, "", "Where; empty: a directory of its own below $TEST_TMPDIR or /tmp.");
DEFINE_uint64(memory, uint64_t{256} << 20, "SstableOptions::memory.");
DEFINE_string(
    jobs, "fillrandom,rest,open,readrandom,readmissing,scan,fillsync,stats",
    "Which: fillseq, fillrandom, fillsync, rest, open, readrandom, readmissing, multiget, "
    "scan, compact, stats, in this order.");
DEFINE_bool(compress, true, "LZ4 and zstd; false: none.");
DEFINE_uint64(synced, 1000, "Puts of fillsync, of each thread.");

namespace kvarts {
namespace {

using Clock = std::chrono::steady_clock;

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "sstable_benchmark: %s\n", status.ToString().c_str());
  std::abort();
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void SetKey(uint64_t i, char* key) {
  StoreLE64(key, __builtin_bswap64(i));
  std::fill(key + 8, key + 16, '0');
}

// A megabyte of which each hundred bytes compress to about half.
std::string Values() {
  std::string values;
  for (uint64_t i = 0; values.size() < 1 << 20; ++i) {
    std::string piece;
    for (uint64_t j = 0; piece.size() < 50; ++j) {
      piece.push_back(static_cast<char>(' ' + Mix(i * 64 + j) % 95));
    }
    values += piece + piece;
  }
  return values;
}

class Bench {
 public:
  explicit Bench(std::string dir) : dir_(std::move(dir)) { Open(); }

  void Run(const std::string& job) {
    const auto start = Clock::now();
    const clock_t cpu = std::clock();
    const uint64_t done = Do(job);
    const double seconds = SecondsSince(start);
    if (done == 0) {
      absl::PrintF("%-12s %.3f s\n", job, seconds);
      return;
    }
    absl::PrintF(
        "%-12s %9.0f/s  %7.3f us  %7.3f us of processor%s\n", job,
        static_cast<double>(done) / seconds, seconds * 1e6 / static_cast<double>(done),
        static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC * 1e6 / static_cast<double>(done),
        note_);
    note_.clear();
    std::fflush(stdout);
  }

 private:
  void Open() {
    SstableOptions options;
    options.memory = FLAGS_memory;
    if (!FLAGS_compress) options.compress = SstableOptions::Compress::kNone;
    auto store = OpenSstable(dir_, options);
    Require(store.status());
    store_ = *std::move(store);
  }

  uint64_t Do(const std::string& job) {
    const uint64_t n = FLAGS_entries;
    const uint64_t reads = FLAGS_reads == 0 ? n : FLAGS_reads;
    if (job == "fillseq") return Fill(n, false, [](uint64_t i) { return i; });
    if (job == "fillrandom") return Fill(n, false, [n](uint64_t i) { return Mix(i + 1) % n; });
    if (job == "fillsync") {
      return OnThreads([&](uint64_t thread) {
        Fill(FLAGS_synced, true, [&](uint64_t i) { return Mix(thread << 40 | i) % n; });
        return FLAGS_synced;
      });
    }
    if (job == "rest") {
      while (Detail("level_0_runs") >= 4 || Detail("frozen_memtables") > 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      return 0;
    }
    if (job == "open") {
      Require(store_->Close());
      store_ = nullptr;
      const auto start = Clock::now();
      Open();
      absl::PrintF("opened in %.1f ms; ", SecondsSince(start) * 1e3);
      return 0;
    }
    if (job == "compact") {
      Require(store_->maintenance()->Compact(KeyRange::All()));
      return 0;
    }
    if (job == "readrandom" || job == "readmissing") {
      std::atomic<uint64_t> found{0};
      const uint64_t done = OnThreads([&](uint64_t thread) {
        ReadResults results;
        char key[16];
        uint64_t hits = 0;
        for (uint64_t i = 0; i < reads; ++i) {
          SetKey(Mix(thread << 40 | i) % n, key);
          if (job == "readmissing") key[15] = '!';
          store_->Read(absl::string_view(key, 16), ReadOptions(), &results);
          Require(results[0].status);
          hits += results[0].found ? 1 : 0;
        }
        found += hits;
        return reads;
      });
      note_ = absl::StrCat("  found ", found.load(), " of ", done);
      return done;
    }
    if (job == "multiget") {
      return OnThreads([&](uint64_t thread) {
        ReadResults results;
        std::vector<std::string> texts(64, std::string(16, '0'));
        std::vector<absl::string_view> keys(texts.begin(), texts.end());
        for (uint64_t i = 0; i < reads; i += 64) {
          for (uint64_t j = 0; j < 64; ++j) {
            SetKey(Mix(thread << 40 | (i + j)) % n, texts[j].data());
            keys[j] = texts[j];
          }
          store_->MultiGet(keys, ReadOptions(), &results);
        }
        return reads;
      });
    }
    if (job == "scan") {
      auto cursor = store_->NewCursor({});
      Require(cursor.status());
      ScanPage page;
      uint64_t entries = 0;
      do {
        Require((*cursor)->Next(PageLimits(), &page));
        entries += page.size();
      } while (!page.empty());
      return entries;
    }
    if (job == "stats") {
      auto stats = store_->Stats();
      Require(stats.status());
      for (const auto& [name, value] : stats->details) absl::PrintF("%s=%s ", name, value);
      absl::PrintF("\n");
      std::ifstream status("/proc/self/status");
      for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmHWM", 0) == 0 || line.rfind("VmRSS", 0) == 0) absl::PrintF("%s\n", line);
      }
      return 0;
    }
    Require(absl::InvalidArgumentError(absl::StrCat("--jobs: no job ", job)));
    return 0;
  }

  template <typename Key>
  uint64_t Fill(uint64_t n, bool sync, const Key& key_of) {
    WriteOptions options;
    options.sync = sync;
    char key[16];
    for (uint64_t i = 0; i < n; ++i) {
      SetKey(key_of(i), key);
      WriteBatch batch;
      batch.Put(absl::string_view(key, 16),
                absl::string_view(values_).substr(i * 100 % (values_.size() - 100), 100));
      Require(store_->Write(batch, options, nullptr));
    }
    return n;
  }

  template <typename Work>
  uint64_t OnThreads(const Work& work) {
    std::atomic<uint64_t> done{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < FLAGS_threads; ++i) {
      threads.emplace_back([&, i] { done += work(static_cast<uint64_t>(i) + 1); });
    }
    for (std::thread& thread : threads) thread.join();
    return done;
  }

  uint64_t Detail(absl::string_view wanted) {
    auto stats = store_->Stats();
    Require(stats.status());
    for (const auto& [name, value] : stats->details) {
      if (name == wanted) return std::strtoull(value.c_str(), nullptr, 10);
    }
    return 0;
  }

  const std::string dir_;
  const std::string values_ = Values();
  std::unique_ptr<Store> store_;
  std::string note_;
};

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  std::string dir = FLAGS_dir;
  if (dir.empty()) {
    const char* const tmp = std::getenv("TEST_TMPDIR");
    dir = absl::StrCat(tmp == nullptr ? "/tmp" : tmp, "/sstable_benchmark.", getpid());
  }
  kvarts::Bench bench(dir);
  for (const auto& job : absl::StrSplit(FLAGS_jobs, ',')) bench.Run(std::string(job));
  return 0;
}
