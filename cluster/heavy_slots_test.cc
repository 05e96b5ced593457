#include "cluster/heavy_slots.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace cluster {
namespace {

TEST(HeavySlotsTest, TheHeaviestComeFirstWithTheTagThatHasTheMost) {
  const std::unique_ptr<Store> low = *OpenMemoryStore(MemoryOptions());
  const std::unique_ptr<Store> high = *OpenMemoryStore(MemoryOptions());
  const auto put = [&](const std::string& key, size_t bytes) {
    Store* const store = KeySlot(key) < 8192 ? low.get() : high.get();
    ASSERT_TRUE(store->Put(key, std::string(bytes, 'x')).ok());
  };
  // "b" is of slot 3300, "foo" of 12182.
  ASSERT_LT(KeySlot("b"), 8192);
  ASSERT_GE(KeySlot("foo"), 8192);
  for (int i = 0; i < 3; ++i) put(absl::StrCat("{foo}", i), 1000);
  put("foo", 10);
  for (int i = 0; i < 20; ++i) put(absl::StrCat("{b}", i), 100);
  put("light", 1);

  const SlotsOfNode nodes[] = {{low.get(), {{0, 8191}}}, {high.get(), {{8192, 16383}}}};
  const auto heavy = HeaviestSlots(nodes, 2);
  ASSERT_TRUE(heavy.ok()) << heavy.status();
  ASSERT_EQ(heavy->size(), 2u);
  EXPECT_EQ((*heavy)[0].slot, KeySlot("foo"));
  EXPECT_EQ((*heavy)[0].all.keys, 4u);
  EXPECT_EQ((*heavy)[0].all.bytes, 3 * 1006u + 13);
  EXPECT_EQ((*heavy)[0].tag, "foo");
  EXPECT_EQ((*heavy)[0].of_tag.keys, 3u);
  EXPECT_EQ((*heavy)[0].of_tag.bytes, 3 * 1006u);
  EXPECT_EQ((*heavy)[1].slot, KeySlot("b"));
  EXPECT_EQ((*heavy)[1].tag, "b");

  // Slots without keys are none, and what a node is not asked for is not counted.
  EXPECT_EQ(HeaviestSlots(nodes, 100)->size(), 3u);
  EXPECT_TRUE(HeaviestSlots({{high.get(), {}}}, 100)->empty());
  EXPECT_TRUE(HeaviestSlots({{low.get(), {{0, 0}}}}, 100)->empty());
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
