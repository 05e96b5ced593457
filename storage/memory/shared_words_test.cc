#include "storage/memory/shared_words.h"

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace kvarts::memory_internal {
namespace {

constexpr size_t kSizes = 200;

// Words of which each byte is another.
struct alignas(8) Words {
  Words() {
    for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<char>(i + 1);
  }
  char bytes[kSizes + 24];
};

TEST(SharedWordsTest, BytesOfAllSizesAreLoadedAndNoMoreWritten) {
  const Words from;
  for (size_t at : {0, 4, 8, 12}) {
    for (size_t n = 0; n <= kSizes; ++n) {
      std::string to(n + 32, '-');
      LoadBytes(from.bytes + at, n, &to[16]);
      const std::string want(from.bytes + at, n);
      ASSERT_EQ(to, std::string(16, '-') + want + std::string(16, '-')) << at << " " << n;
    }
  }
}

TEST(SharedWordsTest, EveryByteThatDiffersIsSeen) {
  for (size_t at : {0, 4, 8, 12}) {
    for (size_t n = 0; n <= kSizes; ++n) {
      Words shared;
      const std::string other(shared.bytes + at, n);
      // As they are stored: what is behind them in their last word is zero.
      StoreBytes(shared.bytes + at, other);
      ASSERT_TRUE(EqualBytes(shared.bytes + at, other)) << at << " " << n;
      for (size_t i = 0; i < n; ++i) {
        std::string wrong = other;
        wrong[i] = static_cast<char>(wrong[i] ^ 0x40);
        ASSERT_FALSE(EqualBytes(shared.bytes + at, wrong)) << at << " " << n << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace kvarts::memory_internal
