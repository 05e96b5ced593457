#include "storage/sort/entry_sort.h"

#include <pthread.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts::sort_internal {
namespace {

// Sorts `keys` through entries over an arena made by hand; returns the order,
// as indices.
std::vector<size_t> Order(const std::vector<std::string>& keys, size_t scratch_size) {
  size_t total = 0;
  for (const auto& key : keys) total += RecordSize(key.size(), 0);
  std::string arena(total, '?');
  char* const end = arena.data() + total;
  std::vector<Entry> entries;
  std::vector<uint64_t> positions;
  uint64_t used = 0;
  for (const auto& key : keys) {
    used += RecordSize(key.size(), 0);
    char* p = PutVarint(PutVarint(end - used, static_cast<uint32_t>(key.size())), 0);
    CopyBytes(p, key.data(), key.size());
    entries.push_back({LoadWord(key.data(), key.size()), MakeTag(key.size(), used)});
    positions.push_back(used);
  }
  std::vector<Entry> scratch(scratch_size);
  const uint64_t compared =
      SortEntries(entries.data(), entries.size(), end, scratch.data(), scratch_size);
  if (keys.size() > 1) {
    EXPECT_GE(compared, keys.size() - 1);
  } else {
    EXPECT_EQ(compared, 0u);
  }
  std::vector<size_t> order;
  for (const Entry& e : entries) {
    const auto at = std::lower_bound(positions.begin(), positions.end(), PositionOf(e));
    order.push_back(static_cast<size_t>(at - positions.begin()));
  }
  return order;
}

void Check(const std::vector<std::string>& keys) {
  std::vector<size_t> expected(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) expected[i] = i;
  std::stable_sort(expected.begin(), expected.end(),
                   [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  for (const size_t scratch_size : {256, 2048, 100000}) {
    ASSERT_TRUE(Order(keys, scratch_size) == expected) << "scratch " << scratch_size;
  }
}

TEST(EntrySortTest, WordsOrderAsTheBytesDo) {
  for (const std::string a : {"", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg",
                              "abcdefgh", "abcdefghi", "\x80", "b", "abd"}) {
    std::string padded = a.substr(0, 8);
    padded.resize(8);
    EXPECT_EQ(LoadWord(a.data(), a.size()), LoadBE64(padded.data())) << a;
  }
}

TEST(EntrySortTest, SortsUniformKeys) {
  std::mt19937_64 random(1);
  for (const size_t n : {0, 1, 2, 23, 24, 25, 255, 1025, 5000, 70000}) {
    std::vector<std::string> keys(n);
    for (auto& key : keys) {
      key.resize(16);
      for (char& c : key) c = static_cast<char>(random());
    }
    Check(keys);
  }
}

TEST(EntrySortTest, EqualKeysKeepTheirOrderAtEveryLength) {
  std::mt19937_64 random(2);
  for (size_t size = 0; size < 20; ++size) {
    std::vector<std::string> keys(3000, std::string(size, 'k'));
    Check(keys);
    for (auto& key : keys) {
      if (size > 0) key[random() % size] = static_cast<char>('j' + random() % 3);
    }
    Check(keys);
  }
}

TEST(EntrySortTest, ZerosAreNotPadding) {
  std::mt19937_64 random(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 5000; ++i) {
    std::string key(random() % 40, '\0');
    if (!key.empty() && random() % 3 == 0) key[random() % key.size()] = '\1';
    keys.push_back(key);
  }
  Check(keys);
}

TEST(EntrySortTest, SharedPrefixesOfEveryLength) {
  std::mt19937_64 random(4);
  for (const size_t prefix : {1, 7, 8, 9, 15, 16, 17, 100, 1000}) {
    std::vector<std::string> keys;
    for (int i = 0; i < 2000; ++i) {
      keys.push_back(absl::StrCat(std::string(prefix, 'p'), random() % 1500));
    }
    Check(keys);
  }
}

// Every level parts two keys off a large group: more levels than a small stack
// has room for.
TEST(EntrySortTest, NestedPrefixesDoNotNestTheStack) {
  std::mt19937_64 random(5);
  std::vector<std::string> keys;
  for (size_t i = 0; i < 2000; ++i) {
    keys.push_back(std::string(9 * i, 'a') + 'b');
    keys.push_back(std::string(9 * i, 'a'));
  }
  std::shuffle(keys.begin(), keys.end(), random);
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 192 << 10), 0);
  pthread_t thread;
  const auto run = [](void* all) -> void* {
    Check(*static_cast<std::vector<std::string>*>(all));
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &keys), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

// All but a few keys differ in their last bits only, so that each parting by
// the highest bits that differ takes off next to nothing.
TEST(EntrySortTest, SkewedKeysBitByBit) {
  std::mt19937_64 random(6);
  std::vector<std::string> keys;
  for (int i = 0; i < 30000; ++i) {
    const uint64_t word = random() % 100 == 0 ? uint64_t{1} << (random() % 64) : random() % 2000;
    std::string key(8, '\0');
    for (int b = 0; b < 8; ++b) key[b] = static_cast<char>(word >> (56 - 8 * b));
    keys.push_back(key);
  }
  Check(keys);
}

TEST(EntrySortTest, SortedAndReversedKeys) {
  std::vector<std::string> keys;
  for (int i = 0; i < 20000; ++i) keys.push_back(absl::StrCat(1000000 + i / 2));
  Check(keys);
  std::reverse(keys.begin(), keys.end());
  Check(keys);
}

}  // namespace
}  // namespace kvarts::sort_internal
