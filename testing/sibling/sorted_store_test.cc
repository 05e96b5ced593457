#include "sorted_store.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "storage/store.h"

namespace sibling {
namespace {

TEST(SortedStoreTest, ValuesAreLentNotCopied) {
  const auto store = NewSortedStore();
  ASSERT_TRUE(store->Put("a", "1").ok());
  kvarts::ReadResults first;
  kvarts::ReadResults second;
  store->Read("a", kvarts::ReadOptions(), &first);
  store->Read("a", kvarts::ReadOptions(), &second);
  EXPECT_EQ(first[0].value.data(), second[0].value.data());
  ASSERT_TRUE(store->Put("a", "2").ok());
  EXPECT_EQ(first[0].value, "1");
}

TEST(SortedStoreTest, SnapshotOfAnotherStoreIsRefused) {
  const auto one = NewSortedStore();
  const auto other = NewSortedStore();
  ASSERT_TRUE(one->Put("a", "1").ok());
  ASSERT_TRUE(other->Put("a", "2").ok());
  kvarts::ReadOptions options;
  options.snapshot = *one->GetSnapshot();
  kvarts::ReadResults results;
  other->Read("a", options, &results);
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kInvalidArgument);
  one->Read("a", options, &results);
  EXPECT_EQ(results[0].value, "1");
}

TEST(SortedStoreTest, SnapshotOfAnEmptyStoreStaysEmpty) {
  const auto store = NewSortedStore();
  kvarts::ReadOptions options;
  options.snapshot = *store->GetSnapshot();
  ASSERT_TRUE(store->Put("a", "1").ok());
  kvarts::ReadResults results;
  store->Read("a", options, &results);
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_FALSE(results[0].found);
}

}  // namespace
}  // namespace sibling
