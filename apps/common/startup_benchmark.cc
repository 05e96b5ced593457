#include "apps/common/startup_benchmark.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/size.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

constexpr size_t kSample = 100'000;
constexpr size_t kStarts = 1000;
constexpr size_t kBatch = 64;

using Clock = std::chrono::steady_clock;

// Adds at most `limit` keys from `range` on.
absl::Status AddKeys(Store* store, const KeyRange& range, size_t limit,
                     std::vector<std::string>* keys) {
  ScanOptions options;
  options.range = range;
  options.keys_only = true;
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, store->NewCursor(options));
  ScanPage page;
  while (limit > 0) {
    PageLimits limits;
    limits.entries = std::min(limits.entries, limit);
    KVARTS_RETURN_IF_ERROR(cursor->Next(limits, &page));
    if (page.empty()) break;
    for (const ScanEntry& entry : page) keys->emplace_back(entry.key);
    limit -= std::min(limit, page.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SampleKeys(Store* store, std::mt19937_64* random) {
  std::vector<std::string> keys;
  const Capabilities has = store->capabilities();
  if (has.ordered_scan == Support::kNative) {
    // From random places of the UUIDs' range, some keys each. Other keys lie
    // elsewhere: they are taken from the front, below.
    for (size_t i = 0; i < kStarts; ++i) {
      const std::string start = absl::StrFormat("%08x", static_cast<uint32_t>((*random)()));
      KVARTS_RETURN_IF_ERROR(AddKeys(store, KeyRange::From(start), kSample / kStarts, &keys));
    }
  }
  if (keys.size() < kSample / 2) {
    KVARTS_RETURN_IF_ERROR(AddKeys(store, KeyRange::All(), kSample, &keys));
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::shuffle(keys.begin(), keys.end(), *random);
  return keys;
}

// Reads all `keys`, `batch` at a time, again and again; returns the seconds a
// key.
absl::StatusOr<double> Measure(Store* store, absl::Span<const absl::string_view> keys, size_t batch,
                               absl::Duration time) {
  ReadResults results;
  const ReadOptions options;
  uint64_t done = 0;
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = start + absl::ToChronoNanoseconds(time);
  while (true) {
    for (size_t i = 0; i < keys.size(); i += batch) {
      const auto some = keys.subspan(i, batch);
      if (batch == 1) {
        store->Read(some[0], options, &results);
      } else {
        store->MultiGet(some, options, &results);
      }
      for (const ReadResult& result : results) {
        KVARTS_RETURN_IF_ERROR(result.status);
        if (!result.found) return absl::DataLossError("a key that was scanned is not found");
      }
      done += some.size();
      if (i / batch % 64 == 63 && Clock::now() >= end) break;
    }
    const Clock::time_point now = Clock::now();
    if (now >= end) {
      return std::chrono::duration<double>(now - start).count() / static_cast<double>(done);
    }
  }
}

std::string Line(absl::string_view what, double seconds) {
  return absl::StrFormat("%s: %.3f us each, %s lookups/s\n", what, seconds * 1e6,
                         FormatCount(1 / std::max(seconds, 1e-12)));
}

}  // namespace

absl::StatusOr<std::string> RunStartupBenchmark(Store* store, absl::Duration time) {
  KVARTS_ASSIGN_OR_RETURN(const StoreStats stats, store->Stats());
  std::string lines =
      absl::StrCat("entries: ", stats.entries_exact ? "" : "about ", stats.entries, "\n");
  std::mt19937_64 random(1);
  KVARTS_ASSIGN_OR_RETURN(const std::vector<std::string> keys, SampleKeys(store, &random));
  if (keys.empty()) return absl::StrCat(lines, "lookups: there are no keys to look up\n");
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  KVARTS_ASSIGN_OR_RETURN(const double single, Measure(store, views, 1, time));
  KVARTS_ASSIGN_OR_RETURN(const double batch, Measure(store, views, kBatch, time));
  return absl::StrCat(lines, Line("single lookups", single), Line("batches of 64", batch));
}

}  // namespace kvarts
