#include "testing/conformance/coordinator_harness.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace {

using Contents = Coordinator::Contents;
using Outcome = Coordinator::Outcome;
using Transaction = Coordinator::Transaction;

// A StatusOr on its way from a loop to the test's thread.
template <typename T>
struct Answer {
  bool done = false;
  CrossThreadStatus status;
  T value{};

  void Set(const absl::StatusOr<T>& result) {
    EXPECT_FALSE(done) << "a second answer";
    done = true;
    status = result.status();
    if (result.ok()) value = *result;
  }
  absl::StatusOr<T> Get() const {
    if (!done) return absl::InternalError("the test waited too long for an answer");
    if (absl::Status error = status.Get(); !error.ok()) return error;
    return value;
  }
};

int64_t RevisionOf(const Contents& contents, const std::string& name) {
  const auto it = contents.values.find(name);
  return it == contents.values.end() ? 0 : it->second.revision;
}

// Where a client counts: a number for each client in one value.
constexpr char kCounts[] = "counts";

// Counts for one client; all on its loop.
class Counter {
 public:
  Counter(Coordinator* coordinator, int number, int clients, int times, absl::Duration timeout,
          Awaited<int>* ended)
      : coordinator_(coordinator),
        number_(number),
        clients_(clients),
        times_(times),
        timeout_(timeout),
        ended_(ended) {}

  // What was done is told by what is there, whatever the last answer was.
  void Next() {
    coordinator_->Read(timeout_, [this](absl::StatusOr<Contents> contents) {
      if (!contents.ok()) return Next();
      std::vector<int> counts(clients_, 0);
      const auto it = contents->values.find(kCounts);
      if (it != contents->values.end()) {
        const std::vector<std::string> texts = absl::StrSplit(it->second.bytes, ' ');
        for (int i = 0; i < clients_; ++i) EXPECT_TRUE(absl::SimpleAtoi(texts[i], &counts[i]));
      }
      EXPECT_GE(counts[number_], known_) << "an increment was lost";
      EXPECT_LE(counts[number_], tried_) << "an increment was done twice";
      known_ = counts[number_];
      if (known_ >= times_) {
        ended_->Update([](int* ended) { ++*ended; });
        return;
      }
      tried_ = ++counts[number_];
      coordinator_->Commit(
          PutIf(kCounts, RevisionOf(*contents, kCounts), absl::StrJoin(counts, " ")), timeout_,
          [this](absl::StatusOr<Outcome> outcome) {
            if (outcome.ok() && outcome->succeeded) known_ = tried_;
            Next();
          });
    });
  }

 private:
  Coordinator* const coordinator_;
  const int number_;
  const int clients_;
  const int times_;
  const absl::Duration timeout_;
  Awaited<int>* const ended_;
  int known_ = 0;  // were counted for sure
  int tried_ = 0;
};

}  // namespace

TestCoordinator::TestCoordinator(CoordinatorFixture* fixture, EventLoop* loop) : loop_(loop) {
  EXPECT_TRUE(RunOn(loop_, [&] { coordinator_ = fixture->NewClient(loop_); }));
}

TestCoordinator::~TestCoordinator() { End(); }

void TestCoordinator::End() {
  if (coordinator_ == nullptr) return;
  EXPECT_TRUE(RunOn(loop_, [this] { coordinator_.reset(); }));
}

absl::StatusOr<Contents> TestCoordinator::Read(absl::Duration timeout) {
  auto answer = std::make_shared<Awaited<Answer<Contents>>>();
  loop_->Post([this, timeout, answer] {
    coordinator_->Read(timeout, [answer](const absl::StatusOr<Contents>& contents) {
      answer->Update([&](auto* a) { a->Set(contents); });
    });
  });
  answer->Await([](const auto& a) { return a.done; });
  return answer->Get().Get();
}

absl::StatusOr<Outcome> TestCoordinator::Commit(const Transaction& transaction,
                                                absl::Duration timeout) {
  auto answer = std::make_shared<Awaited<Answer<Outcome>>>();
  loop_->Post([this, transaction, timeout, answer] {
    coordinator_->Commit(transaction, timeout, [answer](const absl::StatusOr<Outcome>& outcome) {
      answer->Update([&](auto* a) { a->Set(outcome); });
    });
  });
  answer->Await([](const auto& a) { return a.done; });
  return answer->Get().Get();
}

Transaction PutIf(absl::string_view name, int64_t revision, absl::string_view bytes) {
  Transaction transaction;
  transaction.changes.push_back({std::string(name), std::string(bytes)});
  transaction.compares.push_back({std::string(name), revision});
  return transaction;
}

void ExpectNoLostIncrement(CoordinatorFixture* fixture, EventLoops* loops, int clients, int times,
                           absl::Duration timeout) {
  std::vector<std::unique_ptr<TestCoordinator>> coordinators;
  std::vector<std::unique_ptr<Counter>> counters;
  Awaited<int> ended(0);
  for (int i = 0; i < clients; ++i) {
    coordinators.push_back(
        std::make_unique<TestCoordinator>(fixture, loops->loop(i % loops->size())));
    counters.push_back(
        std::make_unique<Counter>(coordinators.back()->get(), i, clients, times, timeout, &ended));
  }
  for (int i = 0; i < clients; ++i) {
    coordinators[i]->loop()->Post([counter = counters[i].get()] { counter->Next(); });
  }
  EXPECT_TRUE(ended.AwaitValue(clients));
  absl::StatusOr<Contents> contents = absl::UnavailableError("");
  while (!contents.ok()) contents = coordinators[0]->Read(timeout);
  EXPECT_EQ(contents->values[kCounts].bytes, absl::StrJoin(std::vector<int>(clients, times), " "));
}

}  // namespace kvarts
