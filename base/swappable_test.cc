#include "base/swappable.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

// Counts those alive; its destructor wipes what readers look at.
struct Tracked {
  explicit Tracked(int value) : value(value), twice(2 * value) { ++alive; }
  ~Tracked() {
    value = -1;
    twice = 1;
    --alive;
  }
  static inline std::atomic<int> alive{0};
  int value;
  int twice;
};

TEST(SwappableTest, GuardsSeeTheNewestAndExchangeReturnsTheOld) {
  Swappable<Tracked> swappable(std::make_shared<Tracked>(1));
  EXPECT_EQ(swappable.Hold()->value, 1);
  const auto old = swappable.Exchange(std::make_shared<Tracked>(2));
  EXPECT_EQ(old->value, 1);
  EXPECT_EQ(swappable.Hold()->value, 2);
  EXPECT_EQ(swappable.Share()->value, 2);
}

TEST(SwappableTest, ExchangeWaitsForGuardsAndNotForReferences) {
  Swappable<Tracked> swappable(std::make_shared<Tracked>(1));
  const auto reference = swappable.Share();
  std::atomic<bool> held{false};
  std::atomic<bool> release{false};
  std::atomic<bool> exchanged{false};
  std::thread holder([&] {
    const auto guard = swappable.Hold();
    held = true;
    while (!release) std::this_thread::yield();
    EXPECT_FALSE(exchanged);
    EXPECT_EQ(guard->value, 1);
  });
  while (!held) std::this_thread::yield();
  std::thread exchanger([&] {
    swappable.Exchange(std::make_shared<Tracked>(2));
    exchanged = true;
  });
  while (swappable.Hold()->value != 2) std::this_thread::yield();
  EXPECT_FALSE(exchanged);
  release = true;
  holder.join();
  exchanger.join();
  EXPECT_EQ(reference->value, 1);
}

TEST(SwappableTest, GuardsNestMoreDeeplyThanASlotHolds) {
  Swappable<Tracked> one(std::make_shared<Tracked>(1));
  Swappable<Tracked> two(std::make_shared<Tracked>(2));
  const auto nest = [&](const auto& self, int depth) -> int {
    const auto a = one.Hold();
    const auto b = two.Hold();
    return (depth == 0 ? 0 : self(self, depth - 1)) + a->value + b->value;
  };
  EXPECT_EQ(nest(nest, 9), 30);
  EXPECT_EQ(swappable_internal::ThisThread()->depth, 0u);
}

TEST(SwappableTest, NobodySeesADestroyedObject) {
  {
    Swappable<Tracked> swappable(std::make_shared<Tracked>(0));
    std::atomic<bool> done{false};
    std::atomic<uint64_t> looks{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 4; ++t) {
      readers.emplace_back([&] {
        int last = 0;
        while (!done) {
          // Threads come and go too.
          for (int i = 0; i < 100; ++i) {
            const auto guard = swappable.Hold();
            ASSERT_EQ(guard->twice, 2 * guard->value);
            ASSERT_GE(guard->value, last) << "an older one than before";
            last = guard->value;
          }
          ++looks;
          std::thread([&] { ASSERT_GE(swappable.Hold()->value, 0); }).join();
        }
      });
    }
    for (int i = 1; i <= 300 || looks < 100; ++i) swappable.Exchange(std::make_shared<Tracked>(i));
    done = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(Tracked::alive, 1);
  }
  EXPECT_EQ(Tracked::alive, 0);
}

}  // namespace
}  // namespace kvarts
