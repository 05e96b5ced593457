#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/resp/session_harness.h"
#include "storage/layers/forwarding_store.h"
#include "testing/model/fake_maintenance.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace resp {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int64_t kSavedAt = 1600000000123;

// Thread-safe. A store whose Sync() ends when the test lets it.
class SlowSync final : public ForwardingStore {
 public:
  SlowSync() : ForwardingStore(NewModelStore()) {}

  absl::StatusOr<StoreStats> Stats() override {
    absl::StatusOr<StoreStats> stats = under().Stats();
    MutexLock lock(&mu_);
    if (stats.ok()) {
      stats->saved_at_ms = saved_at_ms_;
      stats->save_error = std::string(result_.message());
    }
    return stats;
  }
  absl::Status Sync() override {
    MutexLock lock(&mu_);
    ++waiting_;
    changed_.SignalAll();
    while (held_) changed_.Wait(&mu_);
    --waiting_;
    if (result_.ok()) saved_at_ms_ = kSavedAt;
    return result_;
  }

  void Hold() {
    MutexLock lock(&mu_);
    held_ = true;
  }
  void AwaitSync() {
    MutexLock lock(&mu_);
    while (waiting_ == 0) changed_.Wait(&mu_);
  }
  void LetGo(absl::Status result) {
    MutexLock lock(&mu_);
    held_ = false;
    result_ = std::move(result);
    changed_.SignalAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool held_ = false;
  int waiting_ = 0;
  absl::Status result_;
  int64_t saved_at_ms_ = 0;
};

// A connection to a server of a store.
class ServedStoreTest : public testing::Test {
 protected:
  void Serve(std::unique_ptr<Store> store) {
    RespOptions options;
    options.clock = &clock_;
    server_ = std::make_unique<SessionHarness>(std::move(store), options);
    connection_ = server_->Connect();
  }
  std::string Ask(absl::string_view request) {
    return server_->Send(*connection_, absl::StrCat(request, "\r\n"));
  }
  void AwaitIdle() {
    while (Ask("INFO persistence").find("rdb_bgsave_in_progress:0") == std::string::npos) {
    }
  }

  ManualClock clock_;
  std::unique_ptr<SessionHarness> server_;
  std::unique_ptr<SessionHarness::Connection> connection_;
};

class PersistenceTest : public ServedStoreTest {
 protected:
  PersistenceTest() {
    auto store = std::make_unique<SlowSync>();
    store_ = store.get();
    Serve(std::move(store));
  }

  SlowSync* store_;
};

TEST_F(PersistenceTest, OneSaveAtATime) {
  EXPECT_EQ(Ask("LASTSAVE"), absl::StrCat(":", ManualClock::kStartMs / 1000, "\r\n"));
  store_->Hold();
  EXPECT_EQ(Ask("BGSAVE"), "+Background saving started\r\n");
  store_->AwaitSync();
  for (const char* again : {"BGSAVE", "bgsave schedule", "SAVE"}) {
    EXPECT_EQ(Ask(again), "-ERR Background save already in progress\r\n");
  }
  EXPECT_THAT(Ask("INFO persistence"), HasSubstr("rdb_bgsave_in_progress:1\r\n"));
  EXPECT_EQ(Ask("SET a b"), "+OK\r\n");
  store_->LetGo(absl::OkStatus());
  AwaitIdle();
  EXPECT_EQ(Ask("LASTSAVE"), ":1600000000\r\n");
  EXPECT_EQ(Ask("SAVE"), "+OK\r\n");
  EXPECT_EQ(Ask("BGSAVE SCHEDULE"), "+Background saving started\r\n");
}

TEST_F(PersistenceTest, AFailureIsToldUntilTheNextOneIsGood) {
  store_->LetGo(absl::ResourceExhaustedError("no space"));
  EXPECT_THAT(Ask("SAVE"), HasSubstr("no space"));
  EXPECT_EQ(Ask("BGSAVE"), "+Background saving started\r\n");
  AwaitIdle();
  EXPECT_THAT(Ask("INFO persistence"), HasSubstr("rdb_last_bgsave_status:err\r\n"));
  store_->LetGo(absl::OkStatus());
  EXPECT_EQ(Ask("SAVE"), "+OK\r\n");
  EXPECT_THAT(Ask("INFO persistence"), HasSubstr("rdb_last_bgsave_status:ok\r\n"));
}

TEST_F(PersistenceTest, ArgumentsAreThoseOfRedis) {
  EXPECT_EQ(Ask("BGSAVE now"), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask("BGSAVE SCHEDULE now"), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask("SAVE now"), "-ERR wrong number of arguments for 'save' command\r\n");
  EXPECT_EQ(Ask("LASTSAVE now"), "-ERR wrong number of arguments for 'lastsave' command\r\n");
}

// EXEC's own view of the store is gone when the save is done.
TEST_F(PersistenceTest, ASaveFromATransactionIsOfTheStore) {
  store_->Hold();
  EXPECT_EQ(Ask("MULTI"), "+OK\r\n");
  EXPECT_EQ(Ask("SET a b"), "+QUEUED\r\n");
  EXPECT_EQ(Ask("BGSAVE"), "+QUEUED\r\n");
  EXPECT_EQ(Ask("EXEC"), "*2\r\n+OK\r\n+Background saving started\r\n");
  EXPECT_EQ(Ask("GET a"), "$1\r\nb\r\n");
  store_->LetGo(absl::OkStatus());
  AwaitIdle();
  EXPECT_EQ(Ask("LASTSAVE"), ":1600000000\r\n");
}

TEST_F(PersistenceTest, SaveIsRefusedWithinATransaction) {
  EXPECT_EQ(Ask("MULTI"), "+OK\r\n");
  EXPECT_EQ(Ask("SAVE"), "-ERR Command not allowed inside a transaction\r\n");
  EXPECT_EQ(Ask("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

// A store that cares for its files has what was acknowledged: to save it is to make a checkpoint.
class CheckpointTest : public ServedStoreTest {
 protected:
  CheckpointTest() {
    auto store = std::make_unique<MaintainedStore>(NewModelStore());
    fake_ = store->maintenance();
    Serve(std::move(store));
  }

  FakeMaintenance* fake_;
};

TEST_F(CheckpointTest, SaveAndBgSaveMakeOne) {
  const auto now = [this] { return absl::StrCat(":", absl::ToUnixSeconds(clock_.Now()), "\r\n"); };
  EXPECT_EQ(Ask("LASTSAVE"), now()) << "the start";
  clock_.Advance(absl::Seconds(100));
  EXPECT_EQ(Ask("SAVE"), "+OK\r\n");
  EXPECT_EQ(Ask("LASTSAVE"), now());
  clock_.Advance(absl::Seconds(100));
  fake_->Hold();
  EXPECT_EQ(Ask("BGSAVE"), "+Background saving started\r\n");
  fake_->AwaitCalls(2);
  EXPECT_EQ(Ask("BGSAVE"), "-ERR Background save already in progress\r\n");
  EXPECT_EQ(Ask("SAVE"), "-ERR Background save already in progress\r\n");
  fake_->LetGo();
  AwaitIdle();
  EXPECT_EQ(Ask("LASTSAVE"), now());
  EXPECT_THAT(fake_->Calls(), testing::ElementsAre("checkpoint ", "checkpoint "));
}

TEST_F(CheckpointTest, AFailureIsToldUntilTheNextOneIsGood) {
  fake_->LetGo(absl::FailedPreconditionError("there is no directory for checkpoints"));
  EXPECT_THAT(Ask("SAVE"), HasSubstr("there is no directory for checkpoints"));
  EXPECT_THAT(Ask("INFO persistence"), HasSubstr("rdb_last_bgsave_status:err\r\n"));
  fake_->LetGo();
  EXPECT_EQ(Ask("BGSAVE"), "+Background saving started\r\n");
  AwaitIdle();
  EXPECT_THAT(Ask("INFO persistence"), HasSubstr("rdb_last_bgsave_status:ok\r\n"));
}

TEST(PersistenceOfNothingTest, IsAnError) {
  SessionHarness server;
  const auto connection = server.Connect();
  EXPECT_THAT(server.Send(*connection, "SAVE\r\n"), StartsWith("-ERR This store has no file"));
  EXPECT_THAT(server.Send(*connection, "BGSAVE\r\n"), StartsWith("-ERR This store has no file"));
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
