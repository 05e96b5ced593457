// bisect beside tinycdb and LMDB: the same records, the same keys, one thread, in
// turn, several rounds; medians and ratios. Prints a table for docs/benchmarks.md.
//
//   ./bazelw run //storage/bisect:peers_benchmark -- --records=10000000 --dir=$PWD/.cache/peers

#include <cdb.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "gflags/gflags.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/bisect/dataset.h"

DEFINE_uint64(records, 1000000, "Records of 36 + 64 bytes.");
DEFINE_uint64(value_bytes, 64, "Bytes of a value.");
DEFINE_uint64(queries, 1000000, "Lookups a round; one in ten misses.");
DEFINE_int32(rounds, 5, "Rounds; the table gives their median.");
DEFINE_string(dir, "",
              "An existing directory for the files; they stay there and are used again. Empty: one "
              "of its own, removed at the end.");
DEFINE_bool(peers, true, "Build and ask tinycdb and LMDB too.");
DEFINE_string(only, "", "Run only subjects whose name holds this.");
DEFINE_uint64(memory_mib, 256, "Memory of the index build.");

namespace kvarts {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Processor time of this thread: on a busy machine the time of others does not count.
double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

double Seconds(SteadyClock::time_point since) {
  return std::chrono::duration<double>(SteadyClock::now() - since).count();
}

double Median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "peers_benchmark: %s\n", what.c_str());
  std::exit(1);
}

// Kilobytes of a line of /proc/self/smaps_rollup.
int64_t Rollup(const char* name) {
  std::FILE* const f = std::fopen("/proc/self/smaps_rollup", "r");
  char line[256];
  int64_t kb = -1;
  while (f != nullptr && std::fgets(line, sizeof line, f) != nullptr) {
    if (std::strncmp(line, name, std::strlen(name)) == 0) {
      kb = std::atoll(line + std::strlen(name) + 1);
    }
  }
  if (f != nullptr) std::fclose(f);
  return kb;
}

// Which pages of a file are in the page cache.
std::vector<unsigned char> Resident(const std::string& path, uint64_t* bytes) {
  const int fd = open(path.c_str(), O_RDONLY);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) Die(path);
  *bytes = info.st_size;
  void* const map = mmap(nullptr, info.st_size, PROT_READ, MAP_SHARED, fd, 0);
  std::vector<unsigned char> pages((info.st_size + 4095) / 4096);
  if (mincore(map, info.st_size, pages.data()) != 0) Die("mincore");
  munmap(map, info.st_size);
  close(fd);
  for (auto& p : pages) p &= 1;
  return pages;
}

void Evict(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  fdatasync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
}

struct Queries {
  std::vector<std::string> keys;
  std::vector<absl::string_view> views;
  uint64_t hits = 0;
};

Queries MakeQueries(uint64_t seed) {
  Queries q;
  std::mt19937_64 random(seed);
  q.keys.reserve(FLAGS_queries);
  for (uint64_t i = 0; i < FLAGS_queries; ++i) {
    const bool miss = random() % 10 == 0;
    const uint64_t number = random() % FLAGS_records;
    q.keys.push_back(BenchUuid(miss ? number + (uint64_t{1} << 40) : number));
    q.hits += !miss;
  }
  for (const auto& k : q.keys) q.views.push_back(k);
  return q;
}

void BuildCdb(const std::string& path) {
  if (access(path.c_str(), R_OK) == 0) return;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  cdb_make make;
  if (fd < 0 || cdb_make_start(&make, fd) != 0) Die("cdb_make_start");
  for (uint64_t i = 0; i < FLAGS_records; ++i) {
    const std::string key = BenchUuid(i);
    const std::string value = BenchValue(i, FLAGS_value_bytes);
    if (cdb_make_add(&make, key.data(), key.size(), value.data(), value.size()) != 0) {
      Die("cdb_make_add");
    }
  }
  if (cdb_make_finish(&make) != 0) Die("cdb_make_finish");
  close(fd);
}

MDB_env* OpenLmdb(const std::string& path) {
  const bool fresh = access(path.c_str(), R_OK) != 0;
  MDB_env* env = nullptr;
  mdb_env_create(&env);
  mdb_env_set_mapsize(env, FLAGS_records * (FLAGS_value_bytes + 36) * 2 + (64 << 20));
  if (mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOSYNC | MDB_NORDAHEAD, 0644) != 0) {
    Die("mdb_env_open");
  }
  if (!fresh) return env;
  std::vector<uint64_t> order(FLAGS_records);
  std::iota(order.begin(), order.end(), 0);
  // Numbers in key order: by the first 64 bits.
  std::sort(order.begin(), order.end(),
            [](uint64_t a, uint64_t b) { return BenchUuid(a) < BenchUuid(b); });
  MDB_txn* txn = nullptr;
  MDB_dbi dbi;
  mdb_txn_begin(env, nullptr, 0, &txn);
  mdb_dbi_open(txn, nullptr, 0, &dbi);
  for (const uint64_t i : order) {
    const std::string key = BenchUuid(i);
    const std::string value = BenchValue(i, FLAGS_value_bytes);
    MDB_val k{key.size(), const_cast<char*>(key.data())};
    MDB_val v{value.size(), const_cast<char*>(value.data())};
    if (mdb_put(txn, dbi, &k, &v, MDB_APPEND) != 0) Die("mdb_put");
  }
  if (mdb_txn_commit(txn) != 0) Die("mdb_txn_commit");
  return env;
}

// Runs all keys; returns hits. Reads the last byte of each value, as a user would.
struct Subject {
  std::string name;
  std::function<uint64_t(const Queries&, uint64_t* sum)> run;
  std::vector<double> ns;
};

std::unique_ptr<Store> Open(const std::string& data) {
  auto store = OpenBisect(data, BisectOptions());
  if (!store.ok()) Die(std::string(store.status().message()));
  return *std::move(store);
}

void ColdPages(const std::string& data, const std::string& index) {
  auto dataset = Dataset::Open(FileSystem::Posix(), data, index);
  if (!dataset.ok()) Die(std::string(dataset.status().message()));
  const uint64_t radix_pages = (*dataset)->index().header().first_entry_page();
  // Few enough that two lookups seldom meet in one page.
  const uint64_t lookups = std::min<uint64_t>(2000, FLAGS_records / 500 + 1);
  std::mt19937_64 random(99);
  dataset->reset();
  Evict(data);
  Evict(index);
  dataset = Dataset::Open(FileSystem::Posix(), data, index);
  uint64_t bytes = 0;
  const auto before_data = Resident(data, &bytes);
  const auto before_index = Resident(index, &bytes);
  const auto start = SteadyClock::now();
  for (uint64_t i = 0; i < lookups; ++i) {
    absl::string_view value;
    const std::string key = BenchUuid(random() % FLAGS_records);
    if ((*dataset)->Find(key, &value) != Dataset::Outcome::kFound) Die("lost a key");
  }
  const double us = Seconds(start) * 1e6 / lookups;
  const auto after_data = Resident(data, &bytes);
  const auto after_index = Resident(index, &bytes);
  double data_pages = 0;
  double index_pages = 0;
  for (size_t i = 0; i < after_data.size(); ++i) data_pages += after_data[i] && !before_data[i];
  for (size_t i = radix_pages; i < after_index.size(); ++i) {
    index_pages += after_index[i] && !before_index[i];
  }
  // Of `l` draws from `m` equal pages some fall together.
  const auto corrected = [&](double touched, double pages) {
    return -pages * std::log1p(-touched / pages) / lookups;
  };
  std::printf(
      "cold hits: %llu lookups, %.1f us each; pages read: index %.3f, data %.3f (corrected for "
      "lookups that share a page: %.3f, %.3f)\n",
      static_cast<unsigned long long>(lookups), us, index_pages / lookups, data_pages / lookups,
      corrected(index_pages, after_index.size() - radix_pages),
      corrected(data_pages, after_data.size()));
}

void OpenCost(const std::string& data) {
  const std::string key = BenchUuid(FLAGS_records / 2);
  std::vector<double> ms;
  std::vector<double> dirty;
  std::vector<std::unique_ptr<Store>> stores;
  stores.push_back(Open(data));
  for (int i = 0; i < 11; ++i) {
    const int64_t before = Rollup("Private_Dirty:");
    const auto start = SteadyClock::now();
    stores.push_back(Open(data));
    ReadResults results;
    stores.back()->Read(key, ReadOptions(), &results);
    ms.push_back(Seconds(start) * 1e3);
    if (!results[0].found) Die("lost a key");
    // Once all pages were touched, the bits of all are.
    const Queries q = MakeQueries(i);
    for (const auto& k : q.views) stores.back()->Read(k, ReadOptions(), &results);
    dirty.push_back(static_cast<double>(Rollup("Private_Dirty:") - before));
  }
  std::printf(
      "open to first answer: median %.2f ms; Private_Dirty a further open, after %llu "
      "lookups: median %.0f KiB\n",
      Median(ms), static_cast<unsigned long long>(FLAGS_queries), Median(dirty));
}

int Main() {
  const bool own_dir = FLAGS_dir.empty();
  if (own_dir) {
    char name[] = "/tmp/peers_benchmark.XXXXXX";
    if (mkdtemp(name) == nullptr) Die("mkdtemp");
    FLAGS_dir = name;
  }
  const std::string stem = absl::StrCat(FLAGS_dir, "/bench-", FLAGS_records);
  const std::string data = absl::StrCat(stem, ".data");
  if (access(data.c_str(), R_OK) != 0 && !WriteBenchData(data, FLAGS_records, FLAGS_value_bytes)) {
    Die(data);
  }
  BuildOptions options;
  options.memory_bytes = FLAGS_memory_mib << 20;
  const auto built = BuildBisect(data, options);
  if (!built.ok()) Die(std::string(built.status().message()));
  const double seconds = absl::ToDoubleSeconds(built->time);
  std::printf(
      "%llu records; index %llu bytes, %.3f a record; built in %.2f s, %.2f M records/s "
      "(memory %llu MiB, spilled %llu MiB)\n",
      static_cast<unsigned long long>(built->entries),
      static_cast<unsigned long long>(built->index_bytes),
      static_cast<double>(built->index_bytes) / built->entries, seconds,
      built->entries / seconds / 1e6, static_cast<unsigned long long>(FLAGS_memory_mib),
      static_cast<unsigned long long>(built->spilled_bytes >> 20));

  // Every file in the page cache, and in pieces of the same size there, whoever
  // wrote it: how large they are moves all figures by a quarter.
  const auto warm = [](const std::string& path) {
    Evict(path);
    const auto file = FileSystem::Posix()->OpenForRead(path);
    std::string block(1 << 20, '\0');
    uint64_t offset = 0;
    while (true) {
      if (!file.ok()) Die(path);
      const auto got = (*file)->Read(offset, block.size(), &block[0]);
      if (!got.ok()) Die(path);
      if (*got == 0) break;
      offset += *got;
    }
  };
  warm(data);
  warm(DefaultIndexPath(data));
  std::unique_ptr<Store> store = Open(data);
  std::vector<Subject> subjects;
  subjects.push_back({"bisect, single", [&](const Queries& q, uint64_t* sum) {
                        ReadResults results;
                        uint64_t hits = 0;
                        for (const auto& key : q.views) {
                          store->Read(key, ReadOptions(), &results);
                          if (!results[0].found) continue;
                          ++hits;
                          *sum += results[0].value.back();
                        }
                        return hits;
                      }});
  for (const size_t batch : {8, 64}) {
    subjects.push_back(
        {absl::StrCat("bisect, batches of ", batch), [&, batch](const Queries& q, uint64_t* sum) {
           ReadResults results;
           uint64_t hits = 0;
           const absl::Span<const absl::string_view> all(q.views);
           for (size_t i = 0; i < all.size(); i += batch) {
             store->MultiGet(all.subspan(i, batch), ReadOptions(), &results);
             for (const ReadResult& r : results) {
               if (!r.found) continue;
               ++hits;
               *sum += r.value.back();
             }
           }
           return hits;
         }});
  }
  cdb cdb_reader;
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  if (FLAGS_peers) {
    BuildCdb(stem + ".cdb");
    warm(stem + ".cdb");
    const int fd = open((stem + ".cdb").c_str(), O_RDONLY);
    if (fd < 0 || cdb_init(&cdb_reader, fd) != 0) Die("cdb_init");
    mdb_env_close(OpenLmdb(stem + ".lmdb"));
    warm(stem + ".lmdb");
    env = OpenLmdb(stem + ".lmdb");
    mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
    mdb_dbi_open(txn, nullptr, 0, &dbi);
    subjects.push_back({"tinycdb", [&](const Queries& q, uint64_t* sum) {
                          uint64_t hits = 0;
                          for (const auto& key : q.views) {
                            if (cdb_find(&cdb_reader, key.data(), key.size()) <= 0) continue;
                            const unsigned size = cdb_datalen(&cdb_reader);
                            const char* const value = static_cast<const char*>(
                                cdb_get(&cdb_reader, size, cdb_datapos(&cdb_reader)));
                            ++hits;
                            *sum += value[size - 1];
                          }
                          return hits;
                        }});
    subjects.push_back({"LMDB", [&](const Queries& q, uint64_t* sum) {
                          uint64_t hits = 0;
                          for (const auto& key : q.views) {
                            MDB_val k{key.size(), const_cast<char*>(key.data())};
                            MDB_val v;
                            if (mdb_get(txn, dbi, &k, &v) != 0) continue;
                            ++hits;
                            *sum += static_cast<const char*>(v.mv_data)[v.mv_size - 1];
                          }
                          return hits;
                        }});
  }
  for (int round = -1; round < FLAGS_rounds; ++round) {  // the first one warms
    const Queries q = MakeQueries(1000 + round);
    uint64_t first_sum = 0;
    for (size_t i = 0; i < subjects.size(); ++i) {
      if (subjects[i].name.find(FLAGS_only) == std::string::npos) continue;
      uint64_t sum = 0;
      const double start = ThreadSeconds();
      const uint64_t hits = subjects[i].run(q, &sum);
      const double ns = (ThreadSeconds() - start) * 1e9 / q.views.size();
      if (hits != q.hits) Die(subjects[i].name + " lost keys");
      if (first_sum == 0) first_sum = sum;
      if (sum != first_sum) Die(subjects[i].name + " gave other values");
      if (round >= 0) subjects[i].ns.push_back(ns);
    }
  }
  const double cdb_ns = FLAGS_peers ? Median(subjects[subjects.size() - 2].ns) : 0;
  const double lmdb_ns = FLAGS_peers ? Median(subjects.back().ns) : 0;
  std::printf("%-24s %10s %10s %12s %12s\n", "one thread, warm", "ns", "M/s", "x tinycdb",
              "x LMDB");
  for (const Subject& s : subjects) {
    const double ns = Median(s.ns);
    std::printf("%-24s %10.0f %10.2f %12.2f %12.2f\n", s.name.c_str(), ns, 1e3 / ns, cdb_ns / ns,
                lmdb_ns / ns);
  }
  OpenCost(data);
  subjects.clear();
  store.reset();  // mapped pages are not evicted
  ColdPages(data, DefaultIndexPath(data));
  if (own_dir) {
    for (const auto& name : *FileSystem::Posix()->List(FLAGS_dir)) {
      unlink(JoinPath(FLAGS_dir, name).c_str());
    }
    rmdir(FLAGS_dir.c_str());
  }
  return 0;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return kvarts::Main();
}
