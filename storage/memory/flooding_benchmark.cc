// What keys do that were made to collide: as many as the table should hold, whose hashes
// under a known seed begin alike, in a table with that seed, in one with a seed at random,
// and there beside as many ordinary keys.
//
//   ./bazelw run //storage/memory:flooding_benchmark
//
// Fails where the known seed makes no chains (then the keys are no attack), and where a seed
// at random does. Times are told only, and are the processor's.

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "base/siphash.h"
#include "bench/bench_data.h"
#include "gflags/gflags.h"
#include "storage/memory/table.h"

DEFINE_uint64(keys, 1'000'000, "Keys of each kind.");
DEFINE_int32(bits, 0,
             "Bits that the hashes of the colliding keys begin with; 0: as many as it takes for "
             "the directory not to grow for them.");
DEFINE_int32(rounds, 5, "Rounds of a seed at random, of which the median is told.");
DEFINE_int32(value_bytes, 64, "Bytes of a value.");
DEFINE_double(limit_s, 120, "Seconds for writing under the known seed, and again for reading.");
DEFINE_int32(threads, 2, "Threads that look for keys.");

namespace kvarts::memory_internal {
namespace {

constexpr HashSeed kKnown{11, 12};
// A word of the hash, less the byte that has the length: the cheapest keys to look for.
constexpr size_t kKeyBytes = 7;
constexpr uint64_t kKeyMask = (uint64_t{1} << (8 * kKeyBytes)) - 1;

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "flooding_benchmark: %s\n", what);
  std::exit(1);
}

// Of the processor, by this thread: what else runs on the machine is not in it.
double Seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Key {
  explicit Key(uint64_t number) { StoreLE64(bytes, number); }
  absl::string_view text() const { return absl::string_view(bytes, kKeyBytes); }
  char bytes[8];
};

// MayEnter() of table_growth.cc, for a table that holds nothing else: every bit that the keys
// share is a split that adds one segment, an empty one, and at depth 10 there are 11 segments
// and no larger directory for them. Then all keys are in the one segment of ten zeros. The
// bit more has them there in one half of each chunk's groups.
int BitsToShare() { return FLAGS_bits != 0 ? FLAGS_bits : 11; }

std::vector<uint64_t> CollidingKeys() {
  const int shift = 64 - BitsToShare();
  std::atomic<uint64_t> found{0};
  std::vector<std::vector<uint64_t>> parts(static_cast<size_t>(std::max(FLAGS_threads, 1)));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < parts.size(); ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = t; found.load(std::memory_order_relaxed) < FLAGS_keys; i += parts.size()) {
        if (SipHash<1, 3>(Key(i).text(), kKnown) >> shift != 0) continue;
        parts[t].push_back(i);
        found.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<uint64_t> keys;
  for (const auto& part : parts) keys.insert(keys.end(), part.begin(), part.end());
  keys.resize(FLAGS_keys);
  return keys;
}

std::vector<uint64_t> OrdinaryKeys() {
  std::vector<uint64_t> keys(FLAGS_keys);
  for (uint64_t i = 0; i < keys.size(); ++i) keys[i] = Mix(i) & kKeyMask;
  return keys;
}

struct Result {
  uint64_t written = 0;
  uint64_t read = 0;
  double put_ns = 0;
  double get_ns = 0;
  double bytes = 0;  // an entry
  Table::Sums sums;
};

// Writes `keys`, and reads them in another order, each within `limit_s`.
Result Run(const HashSeed& seed, const std::vector<uint64_t>& keys, double limit_s) {
  Table::Options options;
  options.seed = seed;
  options.capabilities.write = Support::kNative;
  Table table(options);
  const std::string value(static_cast<size_t>(FLAGS_value_bytes), 'v');
  TableKey key;
  Result result;
  double start = Seconds();
  while (result.written < keys.size() &&
         (result.written % 256 != 0 || Seconds() - start < limit_s)) {
    const Key name(keys[result.written++]);
    table.SetKey(name.text(), &key);
    bool existed = false;
    const Mutation put{Mutation::Kind::kPut, name.text(), value, {}};
    Require(table.Apply(key, put, 0, &existed).ok(), "a put failed");
  }
  result.put_ns = (Seconds() - start) * 1e9 / static_cast<double>(result.written);
  ReadResults results;
  start = Seconds();
  while (result.read < result.written && (result.read % 256 != 0 || Seconds() - start < limit_s)) {
    // A prime, so that each comes once.
    const Key name(keys[result.read++ * 2'654'435'761 % result.written]);
    table.SetKey(name.text(), &key);
    results.Reset(1);
    table.Get(key, {}, &results.mutable_result(0), &results.bytes());
    Require(results[0].found && results[0].value.size() == value.size(), "a key is not there");
  }
  result.get_ns = (Seconds() - start) * 1e9 / static_cast<double>(result.read);
  result.sums = table.sums();
  result.bytes = static_cast<double>(table.memory_bytes()) / static_cast<double>(result.written);
  return result;
}

void Print(const char* what, const Result& result) {
  absl::PrintF("%-28s %9d %9d %10.0f %10.0f %10.1f %9d %9d\n", what, result.written, result.read,
               result.put_ns, result.get_ns, result.bytes, result.sums.segments,
               result.sums.longest_chain);
  std::fflush(stdout);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Main() {
  Require(FLAGS_keys > 0 && FLAGS_rounds > 0 && FLAGS_threads > 0, "nothing to do");
  const std::vector<uint64_t> colliding = CollidingKeys();
  absl::PrintF("%d keys of %d B, values of %d B; hashes under the known seed begin with %d zeros\n",
               FLAGS_keys, kKeyBytes, FLAGS_value_bytes, BitsToShare());
  absl::PrintF("%-28s %9s %9s %10s %10s %10s %9s %9s\n", "", "written", "read", "put, ns",
               "get, ns", "B an entry", "segments", "chain");
  const std::vector<uint64_t> ordinary = OrdinaryKeys();

  const Result attacked = Run(kKnown, colliding, FLAGS_limit_s);
  Print("a  colliding, known seed", attacked);
  std::vector<double> put_ratios;
  std::vector<double> get_ratios;
  std::vector<double> attacked_puts;
  std::vector<double> attacked_gets;
  for (int round = 0; round < FLAGS_rounds; ++round) {
    // In turn the first, which finds the memory that the one before gave back.
    Result results[2];
    for (const int i : {round % 2, 1 - round % 2}) {
      results[i] = Run(HashSeed::Random(), i == 0 ? colliding : ordinary, 1e9);
      Print(i == 0 ? "b  colliding, random seed" : "c  ordinary, random seed", results[i]);
      // The longest chain is one of chunks in a segment: one is none.
      Require(results[i].sums.longest_chain == 1, "a seed at random made chains");
    }
    put_ratios.push_back(results[0].put_ns / results[1].put_ns);
    get_ratios.push_back(results[0].get_ns / results[1].get_ns);
    attacked_puts.push_back(attacked.put_ns / results[1].put_ns);
    attacked_gets.push_back(attacked.get_ns / results[1].get_ns);
  }
  absl::PrintF("b/c, median of %d rounds: put %.3f, get %.3f\n", FLAGS_rounds, Median(put_ratios),
               Median(get_ratios));
  absl::PrintF("a/c, median of %d rounds: put %.1f, get %.1f\n", FLAGS_rounds,
               Median(attacked_puts), Median(attacked_gets));
  // A chunk is 256 KiB: what is in one segment is a chain of at least so many.
  const uint64_t log_bytes =
      attacked.written * (kKeyBytes + static_cast<uint64_t>(FLAGS_value_bytes));
  Require(attacked.sums.longest_chain >= std::max<uint64_t>(2, log_bytes / Chunk::kBytes),
          "the known seed made no chain of all keys");
}

}  // namespace
}  // namespace kvarts::memory_internal

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  kvarts::memory_internal::Main();
}
