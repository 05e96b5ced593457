#include "groupby/spill/ordered_writer.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/memory_budget.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kPage = 4096;

class Parts final : public OrderedWriter::Owner {
 public:
  bool ok() const override { return ok_; }
  absl::Status status() const override {
    return ok_ ? absl::OkStatus() : absl::CancelledError("cancelled");
  }
  size_t ahead_bytes() const override { return 100; }
  void Cancel() { ok_ = false; }

 private:
  std::atomic<bool> ok_{true};
};

class OrderedWriterTest : public testing::Test {
 protected:
  explicit OrderedWriterTest(size_t memory = 64 * kPage)
      : budget_(memory), account_(budget_.Open(nullptr)) {
    pool_ = PagePool::New(account_.get(), kPage).value();
  }

  Parts parts_;
  MemoryBudget budget_;
  std::unique_ptr<MemoryBudget::Account> account_;
  std::unique_ptr<PagePool> pool_;
  std::string written_;
  const Groups::Write write_ = [this](absl::string_view text) {
    written_.append(text.data(), text.size());
    return absl::OkStatus();
  };
};

TEST_F(OrderedWriterTest, TextsOfPartsThatEndInAnyOrderAreInTheirs) {
  OrderedWriter writer(&parts_, pool_.get(), write_, 10, 64 * kPage);
  auto last = std::make_unique<OrderedWriter::Text>(&writer, 40, 0);
  auto middle = std::make_unique<OrderedWriter::Text>(&writer, 20, 40);
  auto first = std::make_unique<OrderedWriter::Text>(&writer, 10, 20);
  ASSERT_TRUE(last->Append("last").ok());
  ASSERT_TRUE(last->End().ok());
  last = nullptr;
  ASSERT_TRUE(middle->Append("middle ").ok());
  ASSERT_TRUE(middle->End().ok());
  middle = nullptr;
  EXPECT_TRUE(writer.IsCurrent(10));
  EXPECT_EQ(written_, "");
  ASSERT_TRUE(first->Append("first ").ok());
  ASSERT_TRUE(first->End().ok());
  EXPECT_EQ(written_, "first middle last");
  EXPECT_TRUE(writer.IsCurrent(0));
}

TEST_F(OrderedWriterTest, TheCurrentPartIsWrittenWithoutMemory) {
  std::vector<char*> pages;
  while (char* const page = pool_->TryTake()) pages.push_back(page);
  OrderedWriter writer(&parts_, pool_.get(), write_, 0, 64 * kPage);
  std::string text;
  {
    OrderedWriter::Text first(&writer, 0, 1);
    for (int i = 0; i < 20000; ++i) {
      const std::string piece = absl::StrCat(i, " ");
      ASSERT_TRUE(first.Append(piece).ok());
      text += piece;
      if (i == 10000) {  // from here on there is some
        pool_->Give(pages.back());
        pages.pop_back();
      }
    }
    ASSERT_TRUE(first.End().ok());
  }
  EXPECT_EQ(written_, text);
  for (char* const page : pages) pool_->Give(page);
}

TEST_F(OrderedWriterTest, WhoHasNoRoomToWaitInWaitsForItsTurn) {
  OrderedWriter writer(&parts_, pool_.get(), write_, 0, 2 * kPage);
  const std::string large(10 * kPage, 'b');
  std::thread second([&] {
    OrderedWriter::Text text(&writer, 1, 2);
    EXPECT_TRUE(text.Append(large).ok());
    EXPECT_TRUE(text.End().ok());
  });
  {
    OrderedWriter::Text text(&writer, 0, 1);
    EXPECT_TRUE(text.Append("a").ok());
    EXPECT_TRUE(text.End().ok());
  }
  second.join();
  EXPECT_EQ(written_, "a" + large);
  EXPECT_LE(budget_.peak(), 5 * kPage);
}

TEST_F(OrderedWriterTest, WhoWaitsIsWokenWhenSomethingHasFailed) {
  OrderedWriter writer(&parts_, pool_.get(), write_, 0, 0);
  std::thread second([&] {
    OrderedWriter::Text text(&writer, 1, 2);
    EXPECT_TRUE(absl::IsCancelled(text.Append("b")));
  });
  parts_.Cancel();
  writer.WakeAll();
  second.join();
}

TEST_F(OrderedWriterTest, AnErrorOfTheWriteIsReturnedAndNothingIsLost) {
  const Groups::Write fails = [](absl::string_view) { return absl::InternalError("full"); };
  OrderedWriter writer(&parts_, pool_.get(), fails, 0, 64 * kPage);
  {
    OrderedWriter::Text ahead(&writer, 1, 2);
    ASSERT_TRUE(ahead.Append("b").ok());
    ASSERT_TRUE(ahead.End().ok());
    OrderedWriter::Text text(&writer, 0, 1);
    EXPECT_TRUE(text.Append("a").ok());
    EXPECT_EQ(text.End().message(), "full");
  }
  EXPECT_TRUE(writer.IsCurrent(0));
}

TEST_F(OrderedWriterTest, PartsAheadAreAdmittedUntilTheyAreTooLargeTogether) {
  OrderedWriter writer(&parts_, pool_.get(), write_, 0, 64 * kPage);
  EXPECT_TRUE(writer.AdmitAhead(1, 60));
  EXPECT_FALSE(writer.AdmitAhead(2, 60));
  EXPECT_TRUE(writer.AdmitAhead(2, 40));
  OrderedWriter::Text text(&writer, 0, 1);
  ASSERT_TRUE(text.End().ok());
  // 1 is the current one.
  EXPECT_TRUE(writer.AdmitAhead(3, 60));
}

}  // namespace
}  // namespace kvarts::groupby_internal
