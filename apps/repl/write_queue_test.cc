#include "apps/repl/write_queue.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "apps/repl/group_commit_store.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(WriteQueueTest, ManyWritesShareFewSyncs) {
  GroupCommitStore store;
  uint64_t answered = 0;
  WriteQueue queue(&store, true, [&](const WriteQueue::Answer& answer) {
    EXPECT_EQ(answer.line, ++answered);
    ASSERT_EQ(answer.keys.size(), 1u);
    EXPECT_TRUE(store.IsDurable(answer.keys[0])) << answer.keys[0];
    ASSERT_EQ(answer.results.size(), 1u);
    EXPECT_TRUE(answer.results[0].status.ok());
  });
  for (uint64_t line = 1; line <= 1000; ++line) {
    queue.Put(line, absl::StrCat("key", line), absl::StrCat("value", line));
  }
  queue.Wait();
  EXPECT_EQ(answered, 1000u);
  EXPECT_LE(store.syncs(), 3u);
  EXPECT_EQ(**store.Get("key1000"), "value1000");
}

TEST(WriteQueueTest, NothingIsAnsweredBeforeItIsDone) {
  GroupCommitStore store;
  store.Hold();
  std::vector<std::string> answered;
  WriteQueue queue(&store, true, [&](const WriteQueue::Answer& answer) {
    EXPECT_TRUE(store.IsDurable(answer.keys[0]));
    answered.push_back(answer.keys[0]);
  });
  for (uint64_t line = 1; line <= 5000; ++line) queue.Put(line, absl::StrCat(line), "v");
  EXPECT_TRUE(answered.empty());
  EXPECT_FALSE(queue.empty());
  store.Release();
  queue.Wait();
  EXPECT_EQ(answered.size(), 5000u);
  EXPECT_TRUE(queue.empty());
}

TEST(WriteQueueTest, WhatIsOutIsBounded) {
  for (const size_t value_bytes : {size_t{0}, size_t{100000}}) {
    GroupCommitStore store;
    const size_t bound = value_bytes == 0 ? 10000 : (16 << 20) / value_bytes;
    const size_t group = value_bytes == 0 ? 1000 : (1 << 20) / value_bytes + 1;
    store.Hold();
    // It goes on only when the queue has put out all that it may.
    std::thread releaser([&] {
      store.WaitForWaiting(bound - group);
      store.Release();
    });
    size_t answered = 0;
    WriteQueue queue(&store, true, [&](const WriteQueue::Answer&) { ++answered; });
    for (uint64_t line = 1; line <= 3 * bound; ++line) {
      queue.Put(line, absl::StrCat(line), std::string(value_bytes, 'v'));
    }
    queue.Wait();
    releaser.join();
    EXPECT_EQ(answered, 3 * bound);
    EXPECT_LE(store.most_waiting(), bound + group);
  }
}

TEST(WriteQueueTest, PutsAndDeletesKeepTheirOrder) {
  GroupCommitStore store;
  std::vector<std::string> answers;
  WriteQueue queue(&store, true, [&](const WriteQueue::Answer& answer) {
    std::string text = absl::StrCat(answer.line, answer.is_delete ? " delete" : " put");
    for (size_t i = 0; i < answer.keys.size(); ++i) {
      absl::StrAppend(&text, " ", answer.keys[i],
                      answer.is_delete && !answer.results[i].existed ? "-" : "");
    }
    answers.push_back(text);
  });
  queue.Put(1, "a", "1");
  queue.Put(2, "b", "2");
  queue.Delete(3, {"a", "c", "a"});
  queue.Put(4, "a", "3");
  queue.Delete(5, {"b"});
  queue.Wait();
  EXPECT_EQ(answers, (std::vector<std::string>{"1 put a", "2 put b", "3 delete a c- a-", "4 put a",
                                               "5 delete b"}));
  EXPECT_EQ(**store.Get("a"), "3");
  EXPECT_FALSE(store.Get("b")->has_value());
}

TEST(WriteQueueTest, TheErrorOfAGroupIsThatOfEachLine) {
  GroupCommitStore store;
  std::vector<std::string> errors;
  WriteQueue queue(&store, true, [&](const WriteQueue::Answer& answer) {
    for (const WriteResult& result : answer.results) {
      errors.emplace_back(result.status.message());
    }
  });
  store.FailWith(absl::UnavailableError("no disk"));
  queue.Put(1, "a", "1");
  queue.Delete(2, {"a", "b"});
  queue.Wait();
  EXPECT_EQ(errors, (std::vector<std::string>(3, "no disk")));
}

TEST(WriteQueueTest, ABadWriteHarmsNoOther) {
  GroupCommitStore store;
  std::vector<bool> ok;
  WriteQueue queue(&store, true, [&](const WriteQueue::Answer& answer) {
    ok.push_back(answer.results[0].status.ok());
  });
  queue.Put(1, "a", "1");
  queue.Put(2, std::string(kMaxKeyBytes + 1, 'k'), "2");
  queue.Put(3, "b", "3");
  queue.Wait();
  EXPECT_EQ(ok, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(**store.Get("b"), "3");
}

TEST(WriteQueueTest, SyncIsHandedOn) {
  for (const bool sync : {true, false}) {
    GroupCommitStore store;
    WriteQueue queue(&store, sync, [](const WriteQueue::Answer&) {});
    queue.Put(1, "a", "1");
    queue.Wait();
    EXPECT_EQ(store.syncs(), sync ? 1u : 0u);
  }
}

}  // namespace
}  // namespace kvarts
