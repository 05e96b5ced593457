// Sessions over a store that may block and says how not to.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/native/session_harness.h"
#include "testing/model/model_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace native {
namespace {

using Connection = SessionHarness::Connection;

// Writes end at store().Commit(), calls that wait at harness.held().RunHeld().
class NativeWaitingTest : public testing::Test {
 protected:
  std::unique_ptr<Store> NewStore() {
    SlowStoreOptions options;
    options.by_itself = false;
    options.on_loop = [this] { return loop_ != nullptr && loop_->InLoop(); };
    auto store = std::make_unique<SlowStore>(NewModelStore(), options);
    store_ = store.get();
    return store;
  }

  std::unique_ptr<Connection> Connect(absl::string_view client = "client") {
    auto connection = harness_.Connect();
    harness_.Send(*connection, Hello(client));
    return connection;
  }
  std::string StoredValue(absl::string_view key) {
    ReadResults results;
    store_->Read(key, ReadOptions(), &results);
    return results[0].found ? std::string(results[0].value) : "absent";
  }
  void CommitAndRun() {
    store_->Commit();
    harness_.loop().Run();
  }

  SlowStore* store_ = nullptr;
  ScriptedLoop* loop_ = nullptr;
  SessionHarness harness_{NewStore()};
  const bool has_loop_ = (loop_ = &harness_.loop()) != nullptr;
};

TEST_F(NativeWaitingTest, TheWritesOfFiftyClientsAreWithTheStoreTogether) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < 50; ++i) {
    connections.push_back(Connect(absl::StrCat(i)));
    harness_.Send(*connections.back(), PutFrame(1, absl::StrCat("key", i), "value", 1, 1));
  }
  EXPECT_TRUE(harness_.held().held.empty());
  EXPECT_EQ(store_->Commit(), 50U);
  harness_.loop().Run();
  for (const auto& connection : connections) {
    ASSERT_EQ(connection->answers().size(), 2U);
    EXPECT_EQ(connection->answers()[1].response.id(), 1U);
    EXPECT_EQ(connection->answers()[1].response.code(), 0U);
  }
  EXPECT_EQ(StoredValue("key49"), "value");
}

TEST_F(NativeWaitingTest, ReadsAreAnsweredWhileWritesWait) {
  const auto connection = Connect();
  harness_.Send(*connection, PutFrame(1, "k", "v") + GetFrame(2, "k"));
  ASSERT_EQ(connection->answers().size(), 2U);
  EXPECT_EQ(connection->answers()[1].response.id(), 2U);
  EXPECT_EQ(store_->submitted(), 1U);
  CommitAndRun();
  ASSERT_EQ(connection->answers().size(), 3U);
  EXPECT_EQ(connection->answers()[2].response.id(), 1U);
}

TEST_F(NativeWaitingTest, AReadThatWouldWaitGoesToThePoolAndIsAnswered) {
  const auto connection = Connect();
  harness_.Send(*connection, PutFrame(1, "k", "value"));
  CommitAndRun();
  store_->MakeCold("k");
  harness_.Send(*connection, GetFrame(2, "k"));
  EXPECT_EQ(connection->answers().size(), 2U);
  ASSERT_EQ(harness_.held().held.size(), 1U);
  harness_.held().RunHeld();
  harness_.loop().Run();
  ASSERT_EQ(connection->answers().size(), 3U);
  EXPECT_EQ(connection->answers()[2].payload, "value");
}

TEST_F(NativeWaitingTest, AFailedWriteIsTheErrorOfItsClientOnly) {
  const auto good = Connect("good");
  const auto bad = Connect("bad");
  store_->FailWritesOf("bad", absl::DeadlineExceededError("the sync failed"));
  harness_.Send(*bad, PutFrame(1, "bad", "v"));
  harness_.Send(*good, PutFrame(1, "good", "v"));
  EXPECT_EQ(store_->submitted(), 2U);
  CommitAndRun();
  EXPECT_EQ(good->answers()[1].response.code(), 0U);
  EXPECT_EQ(bad->answers()[1].response.message(), "the sync failed");
}

TEST_F(NativeWaitingTest, AClientThatLeftMayAskForItsWriteAgain) {
  auto connection = Connect();
  harness_.Send(*connection, PutFrame(1, "k", std::string(100000, 'x'), 7, 7));
  EXPECT_EQ(store_->submitted(), 1U);
  connection->session.reset();
  const auto again = Connect();
  harness_.Send(*again, PutFrame(1, "k", std::string(100000, 'x'), 7, 7));
  EXPECT_EQ(store_->submitted(), 1U) << "it is not written twice";
  EXPECT_EQ(again->answers().size(), 1U);
  CommitAndRun();
  ASSERT_EQ(again->answers().size(), 2U);
  EXPECT_EQ(again->answers()[1].response.code(), 0U);
  EXPECT_EQ(StoredValue("k"), std::string(100000, 'x')) << "its bytes stayed";
}

TEST_F(NativeWaitingTest, AnInvalidWriteIsAnsweredAtOnce) {
  const auto connection = Connect();
  Request request = NewRequest(1, WRITE);
  request.mutable_write()->add_mutations()->set_key_size(5);
  harness_.Send(*connection, ToFrame(request, "k"));
  EXPECT_EQ(store_->submitted(), 0U);
  ASSERT_EQ(connection->answers().size(), 2U);
  EXPECT_NE(connection->answers()[1].response.code(), 0U);
}

TEST_F(NativeWaitingTest, DrainingAnswersTheWritesThatAreWithTheStore) {
  const auto connection = Connect();
  harness_.Send(*connection, PutFrame(1, "k", "v"));
  connection->session->Drain();
  harness_.loop().Run();
  EXPECT_FALSE(connection->wire->write_ended);
  CommitAndRun();
  EXPECT_GE(connection->answers().size(), 2U);
  EXPECT_TRUE(connection->wire->write_ended);
}

}  // namespace
}  // namespace native
}  // namespace kvarts
