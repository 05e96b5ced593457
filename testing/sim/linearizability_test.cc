#include "testing/sim/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/random.h"
#include "testing/sim/history.h"

namespace kvarts {
namespace {

using Op = HistoryOperation;
using Value = absl::optional<std::string>;

// A history of key "k", by calls and answers in the order written.
class Script {
 public:
  size_t Read() { return Call(Op::kRead, absl::nullopt); }
  size_t Put(const std::string& value) { return Call(Op::kPut, value); }
  size_t Delete() { return Call(Op::kDelete, absl::nullopt); }
  size_t Increment() { return Call(Op::kIncrement, absl::nullopt); }
  size_t Swap(Value expected, Value value) {
    return Call(Op::kCompareAndSet, std::move(value), std::move(expected));
  }
  void Gave(size_t number, Value value) { history_.Ok(number, Tick(), std::move(value)); }
  void Done(size_t number, bool done = true) { history_.Done(number, Tick(), done); }
  void Ok(size_t number) { history_.Ok(number, Tick()); }
  void Failed(size_t number) { history_.Failed(number, Tick()); }
  void Lost(size_t number) { history_.MayHaveHappened(number, Tick()); }
  // One after the other.
  void Reads(Value value) { Gave(Read(), std::move(value)); }
  void Puts(const std::string& value) { Ok(Put(value)); }

  LinearizabilityReport Check(uint64_t most_steps = 2000000) const {
    return CheckLinearizability(history_.operations(), most_steps);
  }
  bool Holds() const { return Check().verdict == LinearizabilityReport::kLinearizable; }

 private:
  size_t Call(Op::Kind kind, Value value, Value expected = absl::nullopt) {
    Op operation;
    operation.kind = kind;
    operation.client = static_cast<int>(next_client_++ % 8);
    operation.key = "k";
    operation.value = std::move(value);
    operation.expected = std::move(expected);
    operation.delta = 1;
    return history_.Call(operation, Tick());
  }
  absl::Duration Tick() { return now_ += absl::Milliseconds(1); }

  History history_;
  size_t next_client_ = 0;
  absl::Duration now_;
};

TEST(LinearizabilityTest, EmptyAndSequentialHistoriesAreLinearizable) {
  Script script;
  EXPECT_TRUE(script.Holds());
  script.Reads(absl::nullopt);
  script.Puts("a");
  script.Reads("a");
  script.Done(script.Swap("a", "b"));
  script.Done(script.Swap("a", "c"), false);
  script.Reads("b");
  script.Done(script.Delete(), true);
  script.Done(script.Delete(), false);
  script.Gave(script.Increment(), "1");
  script.Gave(script.Increment(), "2");
  script.Reads("2");
  EXPECT_TRUE(script.Holds()) << script.Check().text;
}

TEST(LinearizabilityTest, ConcurrentOperationsMayComeInAnyOrder) {
  Script script;
  const size_t a = script.Put("a");
  const size_t b = script.Put("b");
  const size_t read = script.Read();
  script.Ok(a);
  script.Ok(b);
  script.Reads("a");
  script.Gave(read, "b");
  EXPECT_TRUE(script.Holds()) << script.Check().text;
}

TEST(LinearizabilityTest, StaleReadIsFoundAndShown) {
  Script script;
  script.Puts("noise");
  script.Reads("noise");
  script.Puts("old");
  script.Reads("old");
  script.Puts("new");
  script.Reads("new");
  script.Reads("old");
  script.Puts("later");
  const LinearizabilityReport report = script.Check();
  ASSERT_EQ(report.verdict, LinearizabilityReport::kNotLinearizable);
  EXPECT_EQ(report.key, "k");
  // put old, put new, read old.
  EXPECT_EQ(report.culprits.size(), 3) << report.text;
  EXPECT_TRUE(absl::StrContains(report.text, "read \"k\" -> \"old\"")) << report.text;
}

TEST(LinearizabilityTest, ReadsThatSeeConcurrentWritesInTwoOrdersAreFound) {
  Script script;
  const size_t a = script.Put("a");
  script.Puts("b");
  script.Reads("b");
  script.Reads("a");
  script.Reads("b");
  script.Ok(a);
  EXPECT_FALSE(script.Holds());
}

TEST(LinearizabilityTest, LostUpdateIsFound) {
  Script script;
  script.Puts("0");
  const size_t one = script.Swap("0", "1");
  const size_t two = script.Swap("0", "2");
  script.Done(one);
  script.Done(two);
  EXPECT_FALSE(script.Holds());
}

TEST(LinearizabilityTest, LostIncrementAndDuplicatedIncrementAreFound) {
  for (const char* const second : {"1", "3"}) {
    Script script;
    script.Gave(script.Increment(), "1");
    script.Gave(script.Increment(), second);
    EXPECT_FALSE(script.Holds());
  }
  Script twice;
  const size_t lost = twice.Increment();
  twice.Lost(lost);
  twice.Reads("1");
  twice.Reads("2");
  const LinearizabilityReport report = twice.Check();
  EXPECT_EQ(report.verdict, LinearizabilityReport::kNotLinearizable) << report.text;
}

TEST(LinearizabilityTest, ReadFromTheFutureIsFound) {
  Script script;
  script.Reads("a");
  script.Puts("a");
  EXPECT_FALSE(script.Holds());
}

TEST(LinearizabilityTest, DeletedKeyThatComesBackIsFound) {
  Script script;
  script.Puts("a");
  script.Done(script.Delete(), true);
  script.Reads(absl::nullopt);
  script.Reads("a");
  EXPECT_FALSE(script.Holds());
}

TEST(LinearizabilityTest, OperationThatMayHaveHappenedHappensLateOrNeverOrOnce) {
  Script late;
  late.Lost(late.Put("x"));
  late.Puts("a");
  late.Reads("a");
  late.Reads("x");
  EXPECT_TRUE(late.Holds()) << late.Check().text;
  late.Puts("b");
  EXPECT_TRUE(late.Holds());
  late.Reads("x");
  EXPECT_FALSE(late.Holds());

  Script never;
  never.Puts("a");
  never.Lost(never.Delete());
  never.Reads("a");
  EXPECT_TRUE(never.Holds());
}

TEST(LinearizabilityTest, OperationWithoutAnAnswerMayHaveHappened) {
  Script script;
  script.Put("x");
  script.Reads(absl::nullopt);
  script.Reads("x");
  EXPECT_TRUE(script.Holds());
}

TEST(LinearizabilityTest, OperationThatFailedForSureIsSeenByNobody) {
  Script script;
  script.Failed(script.Put("x"));
  EXPECT_TRUE(script.Holds());
  script.Reads("x");
  EXPECT_FALSE(script.Holds());
}

TEST(LinearizabilityTest, UnobservedPutMayExplainWhatAnotherWasTold) {
  Script swap;
  swap.Puts("a");
  swap.Lost(swap.Put("x"));
  swap.Done(swap.Swap("a", "b"), false);
  EXPECT_TRUE(swap.Holds()) << swap.Check().text;
  Script existed;
  existed.Lost(existed.Put("x"));
  existed.Done(existed.Delete(), true);
  EXPECT_TRUE(existed.Holds()) << existed.Check().text;
}

TEST(LinearizabilityTest, PutOfTheValueThatIsThereMayBringItBackLater) {
  Script script;
  script.Puts("a");
  const size_t again = script.Put("a");
  script.Puts("b");
  script.Reads("b");
  script.Reads("a");
  script.Ok(again);
  EXPECT_TRUE(script.Holds()) << script.Check().text;
}

TEST(LinearizabilityTest, OneBadKeyAmongGoodOnesIsNamed) {
  History history;
  for (int i = 0; i < 10; ++i) {
    Op put;
    put.kind = Op::kPut;
    put.key = absl::StrCat("key", i);
    put.value = "v";
    history.Ok(history.Call(put, absl::ZeroDuration()), absl::ZeroDuration());
    Op read;
    read.key = put.key;
    history.Ok(history.Call(read, absl::ZeroDuration()), absl::ZeroDuration(),
               i == 7 ? Value() : Value("v"));
  }
  EXPECT_EQ(CheckLinearizability(history.operations()).key, "key7");
}

TEST(LinearizabilityTest, SearchThatTakesTooLongIsUndecided) {
  Script script;
  std::vector<size_t> puts;
  for (int i = 0; i < 20; ++i) puts.push_back(script.Put(absl::StrCat(i)));
  for (const size_t put : puts) script.Ok(put);
  script.Reads("nobody's");
  EXPECT_EQ(script.Check(10000).verdict, LinearizabilityReport::kUndecided);
}

// Eight clients on ten keys of a map. Each operation happens at a random time between its
// call and its answer; of those whose answer is lost, half, and at any time.
std::vector<Op> RandomHistory(uint64_t seed, int size) {
  BenchRandom random(seed, 0);
  History history;
  std::map<std::string, std::string> map;
  absl::Duration now;
  struct Client {
    enum { kIdle, kCalled, kHappened } state = kIdle;
    Op op;
    size_t number;
    Value result;
    absl::optional<bool> done;
  };
  std::vector<Client> clients(8);
  std::vector<Client> later;  // lost, and still to happen
  const auto happen = [&](Client* client) {
    const Op& op = client->op;
    const auto it = map.find(op.key);
    const Value value = it == map.end() ? Value() : Value(it->second);
    switch (op.kind) {
      case Op::kRead:
        client->result = value;
        break;
      case Op::kPut:
        map[op.key] = *op.value;
        break;
      case Op::kDelete:
        client->done = value.has_value();
        map.erase(op.key);
        break;
      case Op::kCompareAndSet:
        client->done = value == op.expected;
        if (*client->done) map[op.key] = *op.value;
        break;
      case Op::kIncrement: {
        int64_t n = 0;
        EXPECT_TRUE(!value.has_value() || absl::SimpleAtoi(*value, &n));
        client->result = map[op.key] = absl::StrCat(n + op.delta);
      }
    }
  };
  int called = 0;
  int busy = 0;
  while (called < size || busy > 0) {
    now += absl::Microseconds(1 + random.Below(100));
    if (!later.empty() && random.Below(20) == 0) {
      happen(&later.back());
      later.pop_back();
    }
    Client& client = clients[random.Below(clients.size())];
    switch (client.state) {
      case Client::kIdle:
        if (called == size) break;
        client = Client();
        client.op.kind = static_cast<Op::Kind>(random.Below(5));
        client.op.client = static_cast<int>(&client - clients.data());
        client.op.key = absl::StrCat("key", random.Below(10));
        client.op.value = absl::StrCat(random.Below(20));
        client.op.delta = 1 + static_cast<int64_t>(random.Below(3));
        if (client.op.kind == Op::kCompareAndSet && map.count(client.op.key) > 0) {
          client.op.expected = map[client.op.key];
        }
        client.number = history.Call(client.op, now);
        client.state = Client::kCalled;
        ++called;
        ++busy;
        break;
      case Client::kCalled:
        if (random.Below(20) == 0) {
          if (random.Below(2) == 0) {
            history.Failed(client.number, now);
          } else {
            history.MayHaveHappened(client.number, now);
            if (random.Below(2) == 0) later.push_back(client);
          }
          client.state = Client::kIdle;
          --busy;
          break;
        }
        happen(&client);
        client.state = Client::kHappened;
        break;
      case Client::kHappened:
        if (client.done.has_value()) {
          history.Done(client.number, now, *client.done);
        } else if (client.result.has_value() || client.op.kind == Op::kRead) {
          history.Ok(client.number, now, client.result);
        } else {
          history.Ok(client.number, now);
        }
        client.state = Client::kIdle;
        --busy;
    }
  }
  return history.operations();
}

// Changes an answer; false where the operation chosen has none to change.
bool Corrupt(BenchRandom* random, std::vector<Op>* operations) {
  Op& op = (*operations)[random->Below(operations->size())];
  if (op.outcome != Op::kOk) return false;
  switch (op.kind) {
    case Op::kRead: {
      const Value other = random->Below(4) == 0 ? Value() : Value(absl::StrCat(random->Below(20)));
      if (other == op.result) return false;
      op.result = other;
      return true;
    }
    case Op::kIncrement:
      op.result = absl::StrCat(*op.result, "0");
      return true;
    case Op::kCompareAndSet:
    case Op::kDelete:
      op.done = !*op.done;
      return true;
    case Op::kPut:
      return false;
  }
  return false;
}

TEST(LinearizabilityTest, RandomHistoriesPassAndCorruptedOnesMostlyFail) {
  constexpr int kHistories = 1000;
  int found = 0;
  uint64_t most_steps = 0;
  for (int seed = 0; seed < kHistories; ++seed) {
    std::vector<Op> operations = RandomHistory(seed, 1000);
    const LinearizabilityReport good = CheckLinearizability(operations);
    ASSERT_EQ(good.verdict, LinearizabilityReport::kLinearizable) << "seed " << seed << "\n"
                                                                  << good.text;
    most_steps = std::max(most_steps, good.steps);
    BenchRandom random(seed, 1);
    while (!Corrupt(&random, &operations)) {
    }
    const LinearizabilityReport bad = CheckLinearizability(operations);
    ASSERT_NE(bad.verdict, LinearizabilityReport::kUndecided) << "seed " << seed;
    if (bad.verdict == LinearizabilityReport::kLinearizable) continue;
    ++found;
    EXPECT_FALSE(bad.culprits.empty());
    EXPECT_EQ(CheckLinearizability(bad.culprits).verdict, LinearizabilityReport::kNotLinearizable);
  }
  // The others are other histories that may be: a read that saw a concurrent write, or not.
  EXPECT_GT(found, kHistories * 8 / 10);
  // Of about a quarter of a microsecond each.
  EXPECT_LT(most_steps, 20000);
  RecordProperty("found", found);
  RecordProperty("most_steps", static_cast<int>(most_steps));
}

}  // namespace
}  // namespace kvarts
