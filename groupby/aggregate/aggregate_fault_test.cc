#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/aggregate_model.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

// So small that an error at each of its operations takes seconds in all, and yet with
// parts that are divided again, or fields that are counted in slices.
std::vector<ModelRow> ManyKeys() {
  std::vector<ModelRow> rows;
  for (int i = 0; i < 45000; ++i) {
    rows.push_back({absl::StrCat(i % 30000, std::string(500, 'k')), {absl::StrCat(i), "a field"}});
  }
  return rows;
}
std::vector<ModelRow> ManyFields() {
  std::vector<ModelRow> rows;
  for (int i = 0; i < 60000; ++i) {
    rows.push_back({"key", {absl::StrCat(i), absl::StrCat(i % 59000)}});
  }
  return rows;
}

struct Shape {
  const char* aggregates;
  std::vector<ModelRow> rows;
  GroupingOptions::Order order;
  size_t memory;
};

std::vector<Shape> Shapes() {
  std::vector<ModelRow> some = ManyKeys();
  some.resize(15000);
  return {{"sum,last:2", ManyKeys(), GroupingOptions::Order::kAny, 1 << 20},
          {"distinct:2", ManyFields(), GroupingOptions::Order::kAny, 1 << 20},
          {"count,first", std::move(some), GroupingOptions::Order::kKey, 2 << 20}};
}

absl::StatusOr<ModelResults> Aggregated(FileSystem* fs, const Shape& shape,
                                        AggregationStats* stats) {
  AggregationOptions options;
  options.fs = fs;
  options.temp_dir = "/temp";
  options.memory_bytes = shape.memory;
  options.order = shape.order;
  auto aggregation = Aggregation::New(options, SpecsOf(shape.aggregates, 2));
  if (!aggregation.ok()) return aggregation.status();
  const absl::Span<const ModelRow> rows(shape.rows);
  for (size_t i = 0; i < rows.size(); i += 1000) {
    const absl::Status added = AddModelRows(aggregation->get(), rows.subspan(i, 1000));
    if (!added.ok()) {
      // It stays, and nothing is left behind even before the end.
      EXPECT_EQ((*aggregation)->Finish().status(), added);
      return added;
    }
  }
  auto groups = (*aggregation)->Finish();
  if (!groups.ok()) return groups.status();
  auto all = ReadAllGroups(groups->get());
  if (!all.ok()) {
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    EXPECT_EQ((*groups)->Next(&key, &results).status(), all.status());
    return all.status();
  }
  *stats = (*aggregation)->stats();
  return ModelResults(all->begin(), all->end());
}

// A fault, and a shape by its number.
class AggregateFaultTest : public testing::TestWithParam<std::tuple<Fault, size_t>> {};

TEST_P(AggregateFaultTest, AnErrorAtAnyOperationIsReportedAndLeavesNothing) {
  const auto [fault, number] = GetParam();
  const Shape shape = Shapes()[number];
  const ModelResults model = ModelAggregate(shape.aggregates, shape.rows);
  uint64_t errors = 0;
  // Not each: operations of one kind are many.
  // All with --test_env=KVARTS_EVERY_FAULT=1.
  const bool all = std::getenv("KVARTS_EVERY_FAULT") != nullptr;
  for (uint64_t k = 0, step = 1;; k += step, step = all ? 1 : 1 + k / 12) {
    MemoryFileSystem memory;
    ASSERT_TRUE(memory.CreateDir("/temp").ok());
    FaultFileSystem fs(&memory);
    fs.SetRule({fault, k});
    AggregationStats stats;
    const absl::StatusOr<ModelResults> results = Aggregated(&fs, shape, &stats);
    const bool injected = fs.injected() > 0;
    fs.ClearRule();
    const std::vector<std::string> left = memory.List("/temp").value();
    // Of a folder that could not be removed, or was locked, the next one takes care.
    if (!left.empty()) {
      EXPECT_TRUE(injected) << k;
      AggregationStats ignored;
      ASSERT_TRUE(Aggregated(&fs, shape, &ignored).ok());
      EXPECT_TRUE(memory.List("/temp").value().empty()) << k;
    }
    if (results.ok()) {
      EXPECT_TRUE(*results == model) << k;
      EXPECT_GE(stats.levels, shape.order == GroupingOptions::Order::kKey ? 1u : 2u);
    } else {
      ASSERT_TRUE(injected) << results.status();
      ++errors;
      EXPECT_TRUE(absl::StrContains(results.status().message(), "/temp")) << results.status();
    }
    if (!injected) break;
  }
  EXPECT_GT(errors, 10u);
}

std::string NameOf(const testing::TestParamInfo<std::tuple<Fault, size_t>>& info) {
  const auto [fault, shape] = info.param;
  return absl::StrCat(fault == Fault::kIoError   ? "IoError"
                      : fault == Fault::kNoSpace ? "NoSpace"
                                                 : "ShortWrite",
                      "OfShape", shape);
}

INSTANTIATE_TEST_SUITE_P(Faults, AggregateFaultTest,
                         testing::Combine(testing::Values(Fault::kIoError, Fault::kNoSpace,
                                                          Fault::kShortWrite),
                                          testing::Values<size_t>(0, 1, 2)),
                         NameOf);

TEST(AggregateDamageTest, ABitThatIsFlippedInAnyFileIsFound) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDir("/temp").ok());
  const Shape shape = Shapes()[0];
  uint64_t seed = 1;
  for (int i = 0; i < 20; ++i) {
    AggregationOptions options;
    options.fs = &fs;
    options.temp_dir = "/temp";
    options.memory_bytes = shape.memory;
    auto aggregation = Aggregation::New(options, SpecsOf(shape.aggregates, 2));
    ASSERT_TRUE(aggregation.ok());
    ASSERT_TRUE(AddModelRows(aggregation->get(), shape.rows).ok());
    const std::string folder = JoinPath("/temp", fs.List("/temp").value()[0]);
    std::vector<std::string> files;
    const std::vector<std::string> names = fs.List(folder).value();
    for (const std::string& name : names) {
      if (name != "lock") files.push_back(JoinPath(folder, name));
    }
    seed = seed * 6364136223846793005 + 1442695040888963407;
    const std::string& path = files[(seed >> 33) % files.size()];
    const std::string bytes = ReadFile(&fs, path).value();
    const size_t at = (seed >> 20) % bytes.size();
    {
      auto file = fs.OpenForWrite(path, FileSystem::Create::kAppend);
      ASSERT_TRUE(file.ok());
      const char flipped = static_cast<char>(bytes[at] ^ (1 << (i % 8)));
      ASSERT_TRUE((*file)->WriteAt(at, absl::string_view(&flipped, 1)).ok());
    }
    auto groups = (*aggregation)->Finish();
    ASSERT_TRUE(groups.ok());
    const auto all = ReadAllGroups(groups->get());
    EXPECT_TRUE(absl::IsDataLoss(all.status())) << all.status();
    EXPECT_TRUE(absl::StrContains(all.status().message(), path)) << all.status();
    EXPECT_TRUE(absl::StrContains(all.status().message(), "offset")) << all.status();
    aggregation->reset();
    groups->reset();
    EXPECT_TRUE(fs.List("/temp").value().empty());
  }
}

}  // namespace
}  // namespace kvarts
