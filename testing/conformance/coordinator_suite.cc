#include "testing/conformance/coordinator_suite.h"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/coordinator.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace {

using Contents = Coordinator::Contents;
using Outcome = Coordinator::Outcome;
using Transaction = Coordinator::Transaction;

Transaction Put(absl::string_view name, absl::string_view bytes) {
  Transaction transaction;
  transaction.changes.push_back({std::string(name), std::string(bytes)});
  return transaction;
}

Transaction Remove(absl::string_view name) {
  Transaction transaction;
  transaction.changes.push_back({std::string(name), std::nullopt});
  return transaction;
}

int64_t RevisionOf(const Contents& contents, const std::string& name) {
  const auto it = contents.values.find(name);
  return it == contents.values.end() ? 0 : it->second.revision;
}

}  // namespace

std::string CoordinatorSuiteName(const testing::TestParamInfo<CoordinatorSuiteParam>& info) {
  return info.param.name;
}

CoordinatorSuite::CoordinatorSuite()
    : loops_(EventLoops::New(2).value()), fixture_(GetParam().make(loops_.get())) {}

CoordinatorSuite::~CoordinatorSuite() = default;

std::unique_ptr<TestCoordinator> CoordinatorSuite::NewClient() {
  return std::make_unique<TestCoordinator>(fixture_.get(), loops_->loop(clients_++ % 2));
}

namespace {

TEST_P(CoordinatorSuite, NothingIsThereAtFirst) {
  const auto client = NewClient();
  const auto contents = client->Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(contents->values.empty());
}

TEST_P(CoordinatorSuite, WhatWasCommittedIsReadWithItsRevision) {
  const auto client = NewClient();
  const auto first = client->Commit(Put("a", "1"));
  const auto second = client->Commit(Put("b", ""));
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_TRUE(first->succeeded && second->succeeded);
  const auto contents = client->Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  const std::map<std::string, Coordinator::Value> expected = {{"a", {"1", first->revision}},
                                                              {"b", {"", second->revision}}};
  EXPECT_EQ(contents->values, expected);
  EXPECT_GE(contents->revision, second->revision);
}

TEST_P(CoordinatorSuite, AComparisonWithNothingHoldsWhereTheNameIsAbsent) {
  const auto client = NewClient();
  const auto first = client->Commit(PutIf("a", 0, "1"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->succeeded);
  const auto second = client->Commit(PutIf("a", 0, "2"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->succeeded);
  EXPECT_EQ(client->Read()->values["a"].bytes, "1");
}

TEST_P(CoordinatorSuite, AComparisonWithARevisionHoldsForThatOneOnly) {
  const auto client = NewClient();
  const int64_t first = client->Commit(Put("a", "1"))->revision;
  const int64_t other = client->Commit(Put("b", "1"))->revision;
  for (const int64_t wrong : {first - 1, first + 1, other, int64_t{0}, INT64_MAX}) {
    if (wrong == first) continue;
    const auto outcome = client->Commit(PutIf("a", wrong, "2"));
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_FALSE(outcome->succeeded) << wrong << " for " << first;
  }
  const auto outcome = client->Commit(PutIf("a", first, "2"));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->succeeded);
  EXPECT_EQ(client->Read()->values["a"].bytes, "2");
}

TEST_P(CoordinatorSuite, OneComparisonThatFailsLeavesAllAsItWas) {
  const auto client = NewClient();
  const int64_t a = client->Commit(Put("a", "1"))->revision;
  const int64_t b = client->Commit(Put("b", "1"))->revision;
  const auto before = client->Read()->values;
  Transaction transaction;
  transaction.compares = {{"a", a}, {"absent", 0}, {"b", b + 1}};
  transaction.changes = {{"a", "2"}, {"b", std::nullopt}, {"absent", "2"}};
  const auto outcome = client->Commit(transaction);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->succeeded);
  EXPECT_EQ(client->Read()->values, before);

  transaction.compares.back().revision = b;
  const auto again = client->Commit(transaction);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->succeeded);
  const std::map<std::string, Coordinator::Value> expected = {{"a", {"2", again->revision}},
                                                              {"absent", {"2", again->revision}}};
  EXPECT_EQ(client->Read()->values, expected);
}

TEST_P(CoordinatorSuite, ATransactionMayCompareOnly) {
  const auto client = NewClient();
  const int64_t a = client->Commit(Put("a", "1"))->revision;
  Transaction transaction;
  transaction.compares = {{"a", a}, {"b", 0}};
  const auto outcome = client->Commit(transaction);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->succeeded);
  transaction.compares = {{"a", a}, {"b", a}};
  EXPECT_FALSE(client->Commit(transaction)->succeeded);
}

TEST_P(CoordinatorSuite, ARemovedNameIsAbsentAndItsRevisionDoesNotReturn) {
  const auto client = NewClient();
  const int64_t first = client->Commit(Put("a", "1"))->revision;
  ASSERT_TRUE(client->Commit(Remove("a")).ok());
  EXPECT_TRUE(client->Read()->values.empty());
  EXPECT_FALSE(client->Commit(PutIf("a", first, "2"))->succeeded);
  const auto again = client->Commit(PutIf("a", 0, "1"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->succeeded);
  EXPECT_GT(again->revision, first);
  EXPECT_FALSE(client->Commit(PutIf("a", first, "2"))->succeeded);
}

TEST_P(CoordinatorSuite, RemovingWhatIsNotThereIsNoError) {
  const auto client = NewClient();
  const auto outcome = client->Commit(Remove("a"));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->succeeded);
  EXPECT_TRUE(client->Read()->values.empty());
}

TEST_P(CoordinatorSuite, RevisionsGrowOverAllClients) {
  const auto one = NewClient();
  const auto two = NewClient();
  int64_t last = one->Read()->revision;
  for (int i = 0; i < 20; ++i) {
    const auto outcome = (i % 2 == 0 ? one : two)->Commit(Put(absl::StrCat("n", i % 3), "x"));
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_GT(outcome->revision, last);
    last = outcome->revision;
    const auto contents = (i % 3 == 0 ? one : two)->Read();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_GE(contents->revision, last);
    EXPECT_EQ(RevisionOf(*contents, absl::StrCat("n", i % 3)), last);
    last = contents->revision;
  }
}

TEST_P(CoordinatorSuite, AReadSeesWhatAnotherClientsTransactionsDid) {
  const auto one = NewClient();
  const auto two = NewClient();
  for (int i = 0; i < 50; ++i) {
    const auto& writer = i % 2 == 0 ? one : two;
    const auto& reader = i % 2 == 0 ? two : one;
    ASSERT_TRUE(writer->Commit(Put("a", absl::StrCat(i))).ok());
    ASSERT_EQ(reader->Read()->values["a"].bytes, absl::StrCat(i));
  }
}

TEST_P(CoordinatorSuite, OneOfTwoClientsWinsWhereBothCompareTheSame) {
  const auto one = NewClient();
  const auto two = NewClient();
  int64_t revision = 0;
  for (int i = 0; i < 20; ++i) {
    Awaited<std::vector<Outcome>> outcomes;
    for (const auto& [client, name] : {std::pair(one.get(), "one"), std::pair(two.get(), "two")}) {
      client->loop()->Post([&, client = client, name = name] {
        client->get()->Commit(PutIf("a", revision, name), absl::Seconds(30),
                              [&](absl::StatusOr<Outcome> outcome) {
                                ASSERT_TRUE(outcome.ok()) << outcome.status();
                                outcomes.Update([&](auto* all) { all->push_back(*outcome); });
                              });
      });
    }
    ASSERT_TRUE(outcomes.Await([](const auto& all) { return all.size() == 2; }));
    const auto both = outcomes.Get();
    ASSERT_NE(both[0].succeeded, both[1].succeeded);
    revision = both[0].succeeded ? both[0].revision : both[1].revision;
    EXPECT_EQ(RevisionOf(*one->Read(), "a"), revision);
  }
}

TEST_P(CoordinatorSuite, NoIncrementOfFourClientsIsLost) {
  ExpectNoLostIncrement(fixture(), loops(), 4, 200);
}

TEST_P(CoordinatorSuite, AReaderNeverSeesHalfATransaction) {
  const auto writer = NewClient();
  const auto reader = NewClient();
  ASSERT_TRUE(writer->Commit(Put("a", "0")).ok());
  ASSERT_TRUE(writer->Commit(Put("z", "0")).ok());
  Awaited<int> written(0);
  // The next one from the answer to the last, for as long as the test reads.
  std::function<void(int)> write = [&](int i) {
    Transaction transaction = Put("a", absl::StrCat(i));
    transaction.changes.push_back({absl::StrCat("odd", i % 2), absl::StrCat(i)});
    transaction.changes.push_back({absl::StrCat("odd", 1 - i % 2), std::nullopt});
    transaction.changes.push_back({"z", absl::StrCat(i)});
    writer->get()->Commit(transaction, absl::Seconds(30), [&, i](absl::StatusOr<Outcome> outcome) {
      EXPECT_TRUE(outcome.ok()) << outcome.status();
      written.Set(i);
      if (i < 50) write(i + 1);
    });
  };
  writer->loop()->Post([&] { write(1); });
  for (int reads = 0; written.Get() < 50 || reads < 1; ++reads) {
    auto contents = reader->Read();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->values["a"].bytes, contents->values["z"].bytes);
    if (contents->values["a"].bytes == "0") continue;
    EXPECT_EQ(contents->values["a"].revision, contents->values["z"].revision);
    EXPECT_EQ(contents->values.count("odd0") + contents->values.count("odd1"), 1u);
  }
}

TEST_P(CoordinatorSuite, ValuesAndNamesAreAnyBytes) {
  const auto writer = NewClient();
  const auto reader = NewClient();
  std::string large;
  for (uint32_t i = 0; i < 100'000; ++i) large.push_back(static_cast<char>(i * 2654435761u >> 24));
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  const std::map<std::string, std::string> wanted = {
      {"large", large}, {"a/b", all}, {all, "x"}, {"\xff\xff", "y"}, {"é \"\\\n", "\0z"}};
  Transaction transaction;
  for (const auto& [name, bytes] : wanted) transaction.changes.push_back({name, bytes});
  ASSERT_TRUE(writer->Commit(transaction).ok());
  const auto contents = reader->Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  std::map<std::string, std::string> got;
  for (const auto& [name, value] : contents->values) got[name] = value.bytes;
  EXPECT_TRUE(got == wanted);
}

TEST_P(CoordinatorSuite, OneHundredAndTwentyChangesAreOneTransaction) {
  const auto client = NewClient();
  Transaction transaction;
  for (int i = 0; i < 120; ++i) {
    transaction.compares.push_back({absl::StrCat("n", i), 0});
    transaction.changes.push_back({absl::StrCat("n", i), "x"});
  }
  const auto outcome = client->Commit(transaction);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->succeeded);
  EXPECT_EQ(client->Read()->values.size(), 120u);
}

TEST_P(CoordinatorSuite, ATransactionThatIsTooLargeOrContradictsItselfIsInvalid) {
  const auto client = NewClient();
  Transaction large;
  for (int i = 0; i < 121; ++i) large.changes.push_back({absl::StrCat("n", i), "x"});
  EXPECT_EQ(client->Commit(large).status().code(), absl::StatusCode::kInvalidArgument);
  Transaction twice = Put("a", "1");
  twice.changes.push_back({"a", std::nullopt});
  EXPECT_EQ(client->Commit(twice).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(client->Read()->values.empty());
}

TEST_P(CoordinatorSuite, AWatchHintsAtEachChangeOfOthers) {
  const auto writer = NewClient();
  const auto watcher = NewClient();
  Awaited<int> hints(0);
  ASSERT_TRUE(RunOn(watcher->loop(), [&] {
    watcher->get()->Watch([&] {
      EXPECT_TRUE(watcher->loop()->InLoop());
      hints.Update([](int* n) { ++*n; });
    });
  }));
  for (int i = 0; i < 5; ++i) {
    const int before = hints.Get();
    ASSERT_TRUE(writer->Commit(i == 3 ? Remove("a") : Put("a", absl::StrCat(i))).ok());
    EXPECT_TRUE(hints.Await([before](int n) { return n > before; }));
  }
  watcher->End();
}

TEST_P(CoordinatorSuite, AnswersComeOnTheLoopAndNeverInsideTheCall) {
  const auto client = NewClient();
  Awaited<int> answers(0);
  ASSERT_TRUE(RunOn(client->loop(), [&] {
    Transaction wrong = Put("a", "1");
    wrong.changes.push_back({"a", "2"});
    const auto in_call = std::make_shared<bool>(true);
    const auto check = [&, in_call] {
      EXPECT_FALSE(*in_call);
      EXPECT_TRUE(client->loop()->InLoop());
      answers.Update([](int* n) { ++*n; });
    };
    client->get()->Read(absl::Seconds(30), [check](const auto&) { check(); });
    client->get()->Commit(Put("a", "1"), absl::Seconds(30), [check](const auto&) { check(); });
    client->get()->Commit(wrong, absl::Seconds(30), [check](const auto&) { check(); });
    client->get()->Read(absl::ZeroDuration(), [check](const auto&) { check(); });
    client->get()->Commit(Put("a", "1"), absl::ZeroDuration(), [check](const auto&) { check(); });
    *in_call = false;
  }));
  EXPECT_TRUE(answers.AwaitValue(5));
}

TEST_P(CoordinatorSuite, ACallBackMayEndTheCoordinator) {
  auto client = NewClient();
  Awaited<bool> ended(false);
  std::unique_ptr<Coordinator> coordinator;
  EventLoop* const loop = client->loop();
  ASSERT_TRUE(RunOn(loop, [&] {
    coordinator = fixture()->NewClient(loop);
    coordinator->Read(absl::Seconds(30), [&](const auto&) {
      coordinator.reset();
      ended.Set(true);
    });
    coordinator->Read(absl::Seconds(30), [&](const auto&) { EXPECT_FALSE(ended.Get()); });
  }));
  EXPECT_TRUE(ended.AwaitValue(true));
  EXPECT_TRUE(client->Read().ok());
}

TEST_P(CoordinatorSuite, TheEndDestroysCallbacksUnrun) {
  const auto other = NewClient();
  for (int i = 0; i < 10; ++i) {
    const auto token = std::make_shared<int>(0);
    EventLoop* const loop = loops()->loop(i % 2);
    // One task: nothing is answered before the end.
    ASSERT_TRUE(RunOn(loop, [&] {
      const std::unique_ptr<Coordinator> client = fixture()->NewClient(loop);
      client->Watch([token] {});
      client->Read(absl::Seconds(30), [token](const auto&) { ADD_FAILURE(); });
      for (int k = 0; k < 3; ++k) {
        client->Commit(PutIf(absl::StrCat("n", i), 0, "x"), absl::Seconds(30),
                       [token](const auto&) { ADD_FAILURE(); });
      }
    }));
    EXPECT_EQ(token.use_count(), 1);
  }
  // What was under way is done or not; others go on.
  const auto outcome = other->Commit(Put("a", "1"));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(other->Read()->values["a"].bytes, "1");
}

}  // namespace
}  // namespace kvarts
