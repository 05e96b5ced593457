#include "base/memory_budget.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(MemoryBudgetTest, OneUserMayHaveEverythingAndNoMore) {
  MemoryBudget budget(100);
  const auto account = budget.Open(nullptr);
  EXPECT_TRUE(account->TryReserve(60));
  EXPECT_FALSE(account->TryReserve(41));
  EXPECT_TRUE(account->Reserve(40).ok());
  EXPECT_EQ(budget.used(), 100);
  const absl::Status full = account->Reserve(1);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(full.message(),
            "the memory budget of 100 bytes has no room for 1 more: 100 are in use");
  account->Release(100);
  EXPECT_EQ(budget.used(), 0);
  EXPECT_EQ(budget.peak(), 100);
  EXPECT_EQ(account->peak(), 100);
}

TEST(MemoryBudgetTest, AUserIsAskedToShrinkItselfWhereItIsAlone) {
  MemoryBudget budget(100);
  std::unique_ptr<MemoryBudget::Account> account;
  size_t asked_for = 0;
  account = budget.Open([&](size_t bytes) {
    asked_for = bytes;
    account->Release(50);
    return 50;
  });
  ASSERT_TRUE(account->TryReserve(90));
  EXPECT_TRUE(account->Reserve(30).ok());
  EXPECT_EQ(asked_for, 30);
  EXPECT_EQ(account->used(), 70);
  account->Release(70);
}

TEST(MemoryBudgetTest, WhoHasMostGivesFirstAndNobodyBelowItsShareGives) {
  MemoryBudget budget(90);
  struct User {
    std::unique_ptr<MemoryBudget::Account> account;
    int asked = 0;
  } users[3];
  for (User& user : users) {
    user.account = budget.Open([&user](size_t) -> size_t {
      ++user.asked;
      if (user.account->used() == 0) return 0;
      user.account->Release(10);
      return 10;
    });
  }
  EXPECT_EQ(budget.fair_share(), 30);
  ASSERT_TRUE(users[0].account->TryReserve(60));
  ASSERT_TRUE(users[1].account->TryReserve(30));
  // The third gets its share from the first alone.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(users[2].account->Reserve(10).ok());
  EXPECT_EQ(users[0].account->used(), 30);
  EXPECT_EQ(users[1].account->used(), 30);
  EXPECT_EQ(users[1].asked, 0);
  // More than that comes from itself.
  EXPECT_TRUE(users[2].account->Reserve(10).ok());
  EXPECT_EQ(users[0].account->used(), 30);
  EXPECT_EQ(users[1].account->used(), 30);
  EXPECT_EQ(users[2].account->used(), 30);
  EXPECT_EQ(users[2].asked, 1);
  for (User& user : users) user.account->Release(user.account->used());
}

TEST(MemoryBudgetTest, WhoTookWhatAnotherGaveIsAskedAgain) {
  MemoryBudget budget(90);
  std::unique_ptr<MemoryBudget::Account> taker;
  std::unique_ptr<MemoryBudget::Account> giver;
  size_t spare = 0;
  taker = budget.Open([&](size_t) {
    const size_t given = spare;
    spare = 0;
    taker->Release(given);
    return given;
  });
  giver = budget.Open([&](size_t) -> size_t {
    if (giver->used() <= 30) return 0;
    giver->Release(10);
    // Before the one that asked gets it.
    EXPECT_TRUE(taker->TryReserve(10));
    spare = 10;
    return 10;
  });
  const auto asker = budget.Open(nullptr);
  ASSERT_TRUE(taker->TryReserve(50));  // at first all in use
  ASSERT_TRUE(giver->TryReserve(40));
  EXPECT_TRUE(asker->Reserve(10).ok());
  asker->Release(10);
  giver->Release(30);
  taker->Release(50);
}

TEST(MemoryBudgetTest, WhoHasClosedIsNotAskedAndIsNoUserAndStillGivesBack) {
  MemoryBudget budget(100);
  int asked = 0;
  const auto closed = budget.Open([&](size_t) {
    ++asked;
    return size_t{0};
  });
  const auto other = budget.Open(nullptr);
  ASSERT_TRUE(closed->TryReserve(100));
  closed->Close();
  EXPECT_EQ(budget.fair_share(), 100);
  EXPECT_FALSE(other->Reserve(50).ok());
  EXPECT_EQ(asked, 0);
  closed->Release(100);
  EXPECT_TRUE(other->Reserve(50).ok());
  other->Release(50);
}

TEST(MemoryBudgetTest, ManyThreadsNeverHaveMoreThanThereIs) {
  constexpr size_t kTotal = 1000;
  MemoryBudget budget(kTotal);
  std::atomic<size_t> held{0};
  std::atomic<bool> too_much{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      // What it could do without.
      std::atomic<size_t> spare{0};
      std::unique_ptr<MemoryBudget::Account> account;
      account = budget.Open([&](size_t) {
        const size_t given = spare.exchange(0);
        held.fetch_sub(given);
        account->Release(given);
        return given;
      });
      for (int i = 0; i < 2000; ++i) {
        if (!account->Reserve(90).ok()) continue;
        if (held.fetch_add(90) + 90 > kTotal) too_much = true;
        spare.fetch_add(90);
      }
      const size_t rest = spare.exchange(0);
      held.fetch_sub(rest);
      account->Release(rest);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(too_much);
  EXPECT_EQ(budget.used(), 0);
}

}  // namespace
}  // namespace kvarts
