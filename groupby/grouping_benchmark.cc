#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "benchmark/benchmark.h"
#include "groupby/bench/bench_rows.h"
#include "groupby/grouping.h"

// A group-by of rows that lie in memory, by itself: adding, grouping, and reading all
// values. `items_per_second` are rows. For figures:
//
//   bazel run //groupby:grouping_benchmark -- --benchmark_filter=2M

namespace kvarts {
namespace {

struct Case {
  BenchShape shape = BenchShape::kUniform;
  uint64_t rows = 0;
  size_t memory_mib = 1;
  int threads = 1;
  GroupingOptions::Order order = GroupingOptions::Order::kAny;
  bool integers = false;
};

constexpr GroupingOptions::Order kByKey = GroupingOptions::Order::kKey;

std::string TempDir() {
  const char* const dir = std::getenv("TEST_TMPDIR");
  return dir != nullptr ? dir : std::filesystem::temp_directory_path().string();
}

// The rows of a case, kept until other ones are asked for.
class Rows {
 public:
  static const Rows& Of(const Case& which) {
    static auto* const last = new std::unique_ptr<Rows>;
    if (*last == nullptr || !(*last)->Fits(which)) {
      last->reset();
      last->reset(new Rows(which));
    }
    return **last;
  }

  absl::Span<const KeyValue> rows() const { return rows_; }
  size_t bytes() const { return bytes_; }

 private:
  explicit Rows(const Case& which)
      : shape_(which.shape), count_(which.rows), integers_(which.integers) {
    BenchRowsOptions options;
    options.shape = which.shape;
    options.rows = which.rows;
    options.integers = which.integers;
    const BenchRows maker = BenchRows::New(options).value();
    text_.reserve(which.rows * (which.integers ? 20 : options.row_bytes));
    for (uint64_t block = 0; block < maker.blocks(); ++block) maker.AppendBlock(block, &text_);
    rows_.reserve(which.rows);
    for (size_t at = 0; at < text_.size();) {
      const size_t tab = text_.find('\t', at);
      const size_t end = text_.find('\n', tab);
      const absl::string_view text(text_);
      rows_.push_back({text.substr(at, tab - at), text.substr(tab + 1, end - tab - 1)});
      at = end + 1;
    }
    bytes_ = text_.size() - 2 * rows_.size();
  }

  bool Fits(const Case& which) const {
    return shape_ == which.shape && count_ == which.rows && integers_ == which.integers;
  }

  const BenchShape shape_;
  const uint64_t count_;
  const bool integers_;
  std::string text_;
  std::vector<KeyValue> rows_;
  size_t bytes_;
};

// Bytes of all values of a group.
template <typename Source>
absl::StatusOr<uint64_t> ValueBytes(Source* source) {
  uint64_t sum = 0;
  while (true) {
    auto values = source->Values();
    if (!values.ok()) return values.status();
    if (values->empty()) return sum;
    for (const absl::string_view value : *values) sum += value.size();
  }
}

// Reads everything, on one thread or several; the bytes of keys and values.
absl::StatusOr<uint64_t> ReadAll(Groups* groups, int threads) {
  std::atomic<uint64_t> sum{0};
  if (threads > 1) {
    const absl::Status status = groups->Drain(
        [&](Groups::Cursor* group, Groups::Output*) {
          const auto bytes = ValueBytes(group);
          if (bytes.ok()) sum.fetch_add(*bytes, std::memory_order_relaxed);
          return bytes.status();
        },
        [](absl::string_view) { return absl::OkStatus(); });
    if (!status.ok()) return status;
    return sum.load();
  }
  while (true) {
    absl::string_view key;
    const auto more = groups->Next(&key);
    if (!more.ok()) return more.status();
    if (!*more) return sum.load();
    const auto bytes = ValueBytes(groups);
    if (!bytes.ok()) return bytes.status();
    sum += *bytes;
  }
}

absl::StatusOr<uint64_t> Group(const Case& which, const Rows& rows, GroupingStats* stats) {
  constexpr size_t kBatch = 512;
  GroupingOptions options;
  options.memory_bytes = which.memory_mib << 20;
  options.threads = which.threads;
  options.temp_dir = TempDir();
  options.order = which.order;
  auto grouping = Grouping::New(options);
  if (!grouping.ok()) return grouping.status();
  for (size_t at = 0; at < rows.rows().size(); at += kBatch) {
    const absl::Status status = (*grouping)->Add(rows.rows().subspan(at, kBatch));
    if (!status.ok()) return status;
  }
  auto groups = (*grouping)->Finish();
  if (!groups.ok()) return groups.status();
  auto bytes = ReadAll(groups->get(), which.threads);
  *stats = (*grouping)->stats();
  return bytes;
}

void BM_Group(benchmark::State& state, const Case& which) {
  const Rows& rows = Rows::Of(which);
  uint64_t expected = 0;
  for (const KeyValue& row : rows.rows()) expected += row.value.size();
  GroupingStats stats;
  for (auto _ : state) {
    const auto bytes = Group(which, rows, &stats);
    if (!bytes.ok()) return state.SkipWithError(bytes.status().ToString().c_str());
    if (*bytes != expected) return state.SkipWithError("values were lost");
  }
  const auto count = static_cast<double>(rows.rows().size());
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(count));
  state.counters["groups"] = static_cast<double>(stats.groups);
  state.counters["spilled"] =
      static_cast<double>(stats.spilled_bytes) / static_cast<double>(rows.bytes());
  state.counters["levels"] = static_cast<double>(stats.levels);
  state.counters["runs"] = static_cast<double>(stats.runs);
  state.counters["probes"] = static_cast<double>(stats.probes) / count;
  state.counters["comparisons"] = static_cast<double>(stats.comparisons) / count;
  state.counters["counted_MiB"] = static_cast<double>(stats.peak_memory) / (1 << 20);
}

#define KVARTS_GROUP(name, ...)                       \
  BENCHMARK_CAPTURE(BM_Group, name, Case __VA_ARGS__) \
      ->Unit(benchmark::kMillisecond)                 \
      ->MeasureProcessCPUTime()                       \
      ->UseRealTime()

using Shape = BenchShape;
constexpr uint64_t kSmall = 30000;  // 3 MB
constexpr uint64_t k2M = 2000000;   // 200 MB

KVARTS_GROUP(small_uniform_in_memory, {Shape::kUniform, kSmall, 16});
KVARTS_GROUP(small_uniform_spilled, {Shape::kUniform, kSmall, 1});
KVARTS_GROUP(small_zipf_spilled, {Shape::kZipf, kSmall, 1});
KVARTS_GROUP(small_few_spilled, {Shape::kFew, kSmall, 1});
KVARTS_GROUP(small_distinct_spilled, {Shape::kDistinct, kSmall, 1});
KVARTS_GROUP(small_equal_spilled, {Shape::kEqual, kSmall, 1});
KVARTS_GROUP(small_half_spilled, {Shape::kHalf, kSmall, 1});
KVARTS_GROUP(small_uniform_2_threads, {Shape::kUniform, kSmall, 2, 2});
KVARTS_GROUP(small_uniform_by_key, {Shape::kUniform, kSmall, 1, 1, kByKey});

KVARTS_GROUP(2M_uniform_512MiB, {Shape::kUniform, k2M, 512});
KVARTS_GROUP(2M_uniform_512MiB_2_threads, {Shape::kUniform, k2M, 512, 2});
KVARTS_GROUP(2M_uniform_64MiB, {Shape::kUniform, k2M, 64});
KVARTS_GROUP(2M_uniform_64MiB_2_threads, {Shape::kUniform, k2M, 64, 2});
KVARTS_GROUP(2M_uniform_16MiB, {Shape::kUniform, k2M, 16});
KVARTS_GROUP(2M_uniform_4MiB, {Shape::kUniform, k2M, 4});
KVARTS_GROUP(2M_uniform_512MiB_by_key, {Shape::kUniform, k2M, 512, 1, kByKey});
KVARTS_GROUP(2M_uniform_64MiB_by_key, {Shape::kUniform, k2M, 64, 1, kByKey});
KVARTS_GROUP(2M_zipf_512MiB, {Shape::kZipf, k2M, 512});
KVARTS_GROUP(2M_zipf_64MiB, {Shape::kZipf, k2M, 64});
KVARTS_GROUP(2M_few_512MiB, {Shape::kFew, k2M, 512});
KVARTS_GROUP(2M_few_64MiB, {Shape::kFew, k2M, 64});
KVARTS_GROUP(2M_distinct_512MiB, {Shape::kDistinct, k2M, 512});
KVARTS_GROUP(2M_distinct_64MiB, {Shape::kDistinct, k2M, 64});
KVARTS_GROUP(2M_equal_512MiB, {Shape::kEqual, k2M, 512});
KVARTS_GROUP(2M_equal_64MiB, {Shape::kEqual, k2M, 64});
KVARTS_GROUP(2M_half_512MiB, {Shape::kHalf, k2M, 512});
KVARTS_GROUP(2M_half_64MiB, {Shape::kHalf, k2M, 64});
KVARTS_GROUP(2M_integers_512MiB,
             {Shape::kUniform, k2M, 512, 1, GroupingOptions::Order::kAny, true});
KVARTS_GROUP(2M_integers_4MiB, {Shape::kUniform, k2M, 4, 1, GroupingOptions::Order::kAny, true});

}  // namespace
}  // namespace kvarts
