#include "net/output.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "storage/read_results.h"

namespace kvarts {
namespace {

TEST(OutputTest, WhatWasLostIsSaidUntilItIsCleared) {
  std::atomic<uint32_t> losses{3};
  auto results = std::make_shared<ReadResults>();
  results->Reset(1);
  results->bytes().WatchLosses(losses, 3);
  Output output;
  output.Keep(results);
  EXPECT_TRUE(output.intact());
  ++losses;
  EXPECT_FALSE(output.intact());
  output.Clear();
  EXPECT_TRUE(output.intact());
  output.MarkLost();
  EXPECT_FALSE(output.intact());
  output.Clear();
  EXPECT_TRUE(output.intact());
}

TEST(OutputTest, PiecesKeepTheOrderOfWhatWasAdded) {
  Output output;
  const auto large = std::make_shared<std::string>(5000, 'x');
  auto results = std::make_shared<ReadResults>();
  results->bytes().AddPin(large);
  output.bytes() += "a";
  output.Lend(*large);
  output.Lend(absl::string_view(*large).substr(0, 3));
  output.bytes() += "b";
  output.Keep(std::move(results));
  std::string all;
  for (const absl::string_view piece : output.Pieces()) all += std::string(piece);
  EXPECT_EQ(all, "a" + *large + "xxxb");
  EXPECT_EQ(output.size(), all.size());
  EXPECT_EQ(large.use_count(), 2);
  output.Clear();
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(large.use_count(), 1);
}

TEST(OutputTest, WhatIsTakenBackIsNotSent) {
  const std::string large(5000, 'l');
  Output output;
  output.bytes() += "first";
  output.Lend(large);
  const Output::Mark mark = output.mark();
  std::atomic<uint32_t> losses{1};
  auto results = std::make_shared<ReadResults>();
  results->Reset(1);
  results->bytes().WatchLosses(losses, 0);
  output.bytes() += "second";
  output.Lend(large);
  output.Keep(std::move(results));
  EXPECT_FALSE(output.intact());
  output.Rewind(mark);
  EXPECT_TRUE(output.intact());
  output.bytes() += "third";
  std::string all;
  for (const absl::string_view piece : output.Pieces()) all += std::string(piece);
  EXPECT_EQ(all, "first" + large + "third");
  EXPECT_EQ(output.size(), all.size());
}

}  // namespace
}  // namespace kvarts
