#include "apps/common/reloader.h"

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/dict/dict.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

class ReloaderTest : public testing::Test {
 protected:
  ReloaderTest()
      : path_(absl::StrCat(testing::TempDir(), "/",
                           testing::UnitTest::GetInstance()->current_test_info()->name())) {
    options_.data_path = path_;
    options_.open = [this] {
      ++opens_;
      return OpenDict(path_, DictOptions());
    };
    options_.say = [this](absl::string_view sentence) {
      MutexLock lock(&mu_);
      said_.emplace_back(sentence);
    };
  }

  void Replace(absl::string_view text) {
    ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), path_, text).ok());
  }
  void Make() {
    reloader_ = std::make_unique<Reloader>(options_);
    auto first = options_.open();
    ASSERT_TRUE(first.ok()) << first.status();
    store_ = reloader_->Wrap(*std::move(first));
    opens_ = 0;
  }
  std::string Get(absl::string_view key) {
    const auto value = store_->Get(key);
    EXPECT_TRUE(value.ok()) << value.status();
    return value->has_value() ? **value : "(absent)";
  }

  const std::string path_;
  ReloaderOptions options_;
  int opens_ = 0;
  Mutex mu_;
  std::vector<std::string> said_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Store> store_;
  std::unique_ptr<Reloader> reloader_;
};

TEST_F(ReloaderTest, AFileThatWasReplacedIsServedOnceItStands) {
  Replace("a 1\n");
  Make();
  EXPECT_FALSE(*reloader_->Check(false));
  Replace("a 2\n");
  EXPECT_FALSE(*reloader_->Check(false)) << "it may still be on its way";
  EXPECT_EQ(Get("a"), "1");
  EXPECT_TRUE(*reloader_->Check(false));
  EXPECT_EQ(Get("a"), "2");
  EXPECT_FALSE(*reloader_->Check(false));
  EXPECT_EQ(opens_, 1);
}

TEST_F(ReloaderTest, WhoAsksIsAnsweredAtOnce) {
  Replace("a 1\n");
  Make();
  EXPECT_TRUE(*reloader_->Check(true)) << "changed or not";
  Replace("a 2\n");
  EXPECT_TRUE(*reloader_->Check(true));
  EXPECT_EQ(Get("a"), "2");
}

TEST_F(ReloaderTest, AFileThatCannotBeOpenedLeavesTheOldAndIsNotTriedAgain) {
  Replace("a 1\n");
  Make();
  Replace("malformed\n");
  EXPECT_FALSE(*reloader_->Check(false));
  const auto failed = reloader_->Check(false);
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("line 1"));
  EXPECT_EQ(Get("a"), "1");
  EXPECT_FALSE(*reloader_->Check(false));
  EXPECT_EQ(opens_, 1);
  EXPECT_FALSE(reloader_->Check(true).ok()) << "unless it is asked for";
  Replace("a 3\n");
  EXPECT_FALSE(*reloader_->Check(false));
  EXPECT_TRUE(*reloader_->Check(false));
  EXPECT_EQ(Get("a"), "3");
}

TEST_F(ReloaderTest, AFileThatIsGoneForAMomentIsNoFailure) {
  Replace("a 1\n");
  Make();
  ASSERT_TRUE(FileSystem::Posix()->Delete(path_).ok());
  EXPECT_FALSE(*reloader_->Check(false));
  EXPECT_EQ(reloader_->Check(true).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Get("a"), "1");
}

TEST_F(ReloaderTest, AChangeDuringTheFirstOpeningIsSeen) {
  Replace("a 1\n");
  options_.open = [this] {
    auto store = OpenDict(path_, DictOptions());
    if (opens_++ == 0) Replace("a 2\n");
    return store;
  };
  Make();
  EXPECT_EQ(Get("a"), "1");
  EXPECT_FALSE(*reloader_->Check(false));
  EXPECT_TRUE(*reloader_->Check(false));
  EXPECT_EQ(Get("a"), "2");
}

TEST_F(ReloaderTest, TheThreadWatchesAndIsAskedAndStops) {
  for (const bool watches : {true, false}) {
    Replace("a 1\n");
    options_.interval = watches ? absl::Milliseconds(1) : absl::ZeroDuration();
    options_.keep = absl::Milliseconds(1);
    Make();
    ASSERT_TRUE(reloader_->Start().ok());
    std::atomic<bool> done{false};
    std::thread reader([&] {
      while (!done) {
        const std::string value = Get("a");
        ASSERT_TRUE(value == "1" || value == "2") << value;
      }
    });
    Replace("a 2\n");
    if (!watches) reloader_->Request();
    while (Get("a") != "2") std::this_thread::yield();
    done = true;
    reader.join();
    while (!reloader_->Stop()) std::this_thread::yield();
    MutexLock lock(&mu_);
    ASSERT_FALSE(said_.empty());
    EXPECT_THAT(said_.back(), HasSubstr("the new data are served: 1 keys"));
    said_.clear();
  }
}

}  // namespace
}  // namespace kvarts
