#include "apps/testing/resp_differential/run.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/resp_differential/compare.h"
#include "apps/testing/resp_differential/script.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/memory/memory.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace resp_differential {
namespace {

using testing::HasSubstr;

std::unique_ptr<Peer> ModelPeer() {
  return NewSessionPeer([] { return NewModelStore(); });
}

// The stores differ in all but what is said of them.
TEST(RespDifferentialTest, AllStoresAnswerTheSame) {
  uint64_t false_conflicts = 0;
  ModelStoreOptions blocking;
  blocking.capabilities.may_block = true;
  blocking.capabilities.atomic_multi_get = false;
  const std::unique_ptr<Peer> model = ModelPeer();
  const std::unique_ptr<Peer> others[] = {
      NewSessionPeer([] { return NewMemoryStore(); }),
      NewSessionPeer([&] { return NewModelStore(blocking); }),
  };
  for (const auto& other : others) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      const Sequence sequence = Generate(seed, 200);
      const std::string difference = Compare(sequence, model.get(), other.get(), &false_conflicts);
      if (difference.empty()) continue;
      FAIL() << "seed " << seed << ": " << difference << "\nshrunk:\n"
             << ToText(Shrink(sequence, model.get(), other.get(), &false_conflicts));
    }
  }
}

TEST(RespDifferentialTest, AllStoresAnswerTheScriptsTheSame) {
  uint64_t false_conflicts = 0;
  const std::unique_ptr<Peer> model = ModelPeer();
  const std::unique_ptr<Peer> memory = NewSessionPeer([] { return NewMemoryStore(); });
  const std::vector<Script> scripts = AllScripts();
  EXPECT_GT(scripts.size(), 200u);
  for (const Script& script : scripts) {
    EXPECT_EQ(Compare(script.sequence, model.get(), memory.get(), &false_conflicts), "")
        << script.name;
  }
}

TEST(RespDifferentialTest, AllStoresAnswerTheScriptsTheSameWithAPassword) {
  const std::unique_ptr<Peer> model =
      NewSessionPeer([] { return NewModelStore(); }, kScriptPassword);
  const std::unique_ptr<Peer> memory =
      NewSessionPeer([] { return NewMemoryStore(); }, kScriptPassword);
  for (const Script& script : AllScripts(/*with_password=*/true)) {
    EXPECT_EQ(Compare(script.sequence, model.get(), memory.get()), "") << script.name;
  }
}

// A server with a fault in one reply.
class FaultyPeer final : public Peer {
 public:
  FaultyPeer(std::string right, std::string wrong)
      : right_(std::move(right)), wrong_(std::move(wrong)) {}
  void Reset() override { peer_->Reset(); }
  std::vector<std::string> Ask(int connection, absl::string_view requests,
                               size_t replies) override {
    std::vector<std::string> answers = peer_->Ask(connection, requests, replies);
    for (std::string& answer : answers) {
      if (answer == right_) answer = wrong_;
    }
    return answers;
  }
  std::string AskToTheEnd(absl::string_view bytes) override { return peer_->AskToTheEnd(bytes); }

 private:
  const std::unique_ptr<Peer> peer_ = ModelPeer();
  const std::string right_;
  const std::string wrong_;
};

TEST(RespDifferentialTest, AFaultIsFoundAndShrunk) {
  const std::unique_ptr<Peer> model = ModelPeer();
  for (const auto& [right, wrong] : std::vector<std::pair<std::string, std::string>>{
           {":2\r\n", ":3\r\n"},
           {"-ERR no such key\r\n", "-ERR no such key.\r\n"},
           {"*-1\r\n", "$-1\r\n"},
           {"+string\r\n", "+none\r\n"},
           {"$5\r\nshort\r\n", "$-1\r\n"}}) {
    FaultyPeer faulty(right, wrong);
    std::string difference;
    uint64_t seed = 0;
    while (difference.empty() && ++seed < 200) {
      difference = Compare(Generate(seed, 200), model.get(), &faulty);
    }
    EXPECT_THAT(difference, HasSubstr("expected ")) << right;
    const Sequence shrunk = Shrink(Generate(seed, 200), model.get(), &faulty);
    EXPECT_LE(shrunk.steps.size(), 6u) << ToText(shrunk);
    EXPECT_NE(Compare(shrunk, model.get(), &faulty), "");
  }
}

TEST(ScriptTest, AScriptComesInFourWays) {
  const std::vector<Script> scripts = ParseScripts("file",
                                                   "# Nothing.\n"
                                                   "== What it is\n"
                                                   "SET k \"a\\x00 b\" <xy*3>z\n"
                                                   "1> GET k\n"
                                                   "@scan 0 COUNT 5\n"
                                                   "@repeat 3 SET key:# #\n"
                                                   "@raw *1\\r\\n<ab*2>\n"
                                                   "@gone k\n");
  ASSERT_EQ(scripts.size(), 4u);
  EXPECT_EQ(scripts[0].name, "file: What it is (RESP2)");
  EXPECT_EQ(ToText(scripts[0].sequence),
            "0: RESP2\n1: RESP2\n"
            "0: \"SET\" \"k\" \"a\\x00 b\" \"xyxyxyz\"\n"
            "1: \"GET\" \"k\"\n"
            "0: \"SCAN\" \"0\" \"COUNT\" \"5\" (to the end)\n"
            "0: \"SET\" \"key:0\" \"0\" (with the next)\n"
            "0: \"SET\" \"key:1\" \"1\" (with the next)\n"
            "0: \"SET\" \"key:2\" \"2\"\n"
            "0: \"*1\\r\\nabab\" (as it is)\n"
            "0: \"k\" (until it is gone)\n");
  EXPECT_EQ(scripts[1].name, "file: What it is (RESP2, at once)");
  EXPECT_TRUE(scripts[1].sequence.steps[0].with_next);
  EXPECT_EQ(scripts[2].sequence.protocols, (std::vector<int>{3, 3}));
}

TEST(CompareTest, RepliesAgreeAsTheirCommandsSay) {
  struct Case {
    std::vector<std::string> args;
    const char* expected;
    const char* actual;
    bool agree;
  };
  const std::vector<Case> cases = {
      {{"GET", "k"}, "$1\r\na\r\n", "$1\r\na\r\n", true},
      {{"GET", "k"}, "$1\r\na\r\n", "$1\r\nb\r\n", false},
      {{"GET", "k"}, "$-1\r\n", "*-1\r\n", false},
      {{"ttl", "k"}, ":100\r\n", ":99\r\n", true},
      {{"TTL", "k"}, ":100\r\n", ":97\r\n", false},
      {{"TTL", "k"}, ":100\r\n", ":-1\r\n", false},
      {{"TTL", "k"}, ":-1\r\n", ":-2\r\n", false},
      {{"PTTL", "k"}, ":10000\r\n", ":9000\r\n", true},
      {{"KEYS", "*"}, "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\nb\r\n$1\r\na\r\n", true},
      {{"KEYS", "*"}, "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*1\r\n$1\r\na\r\n", false},
      {{"RANDOMKEY"}, "$1\r\na\r\n", "$1\r\nb\r\n", true},
      {{"RANDOMKEY"}, "$1\r\na\r\n", "$-1\r\n", false},
      {{"TIME", "x"}, "-ERR a\r\n", "-ERR b\r\n", false},
      {{"DBSIZE"}, ":1\r\n", ":2\r\n", true},
      {{"CLIENT", "ID"}, ":1\r\n", ":2\r\n", true},
      {{"CLIENT", "GETNAME"}, "$1\r\na\r\n", "$1\r\nb\r\n", false},
      {{"GET", "k"}, "no reply", "no reply", false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Comparer().Compare(c.args, false, c.expected, c.actual).empty(), c.agree)
        << c.args[0] << " " << c.expected << " " << c.actual;
  }
  EXPECT_NE(Comparer().Compare({"DBSIZE"}, true, ":1\r\n", ":2\r\n"), "");
}

TEST(CompareTest, RepliesOfATransactionAgreeAsThoseOfItsCommands) {
  for (const bool agrees : {true, false}) {
    Comparer comparer;
    EXPECT_EQ(comparer.Compare({"MULTI"}, false, "+OK\r\n", "+OK\r\n"), "");
    EXPECT_EQ(comparer.Compare({"TTL", "k"}, false, "+QUEUED\r\n", "+QUEUED\r\n"), "");
    EXPECT_EQ(comparer.Compare({"GET"}, false, "-ERR x\r\n", "-ERR x\r\n"), "");
    EXPECT_EQ(comparer.Compare({"STRLEN", "k"}, false, "+QUEUED\r\n", "+QUEUED\r\n"), "");
    EXPECT_EQ(comparer
                  .Compare({"EXEC"}, false, "*2\r\n:100\r\n:5\r\n",
                           agrees ? "*2\r\n:99\r\n:5\r\n" : "*2\r\n:100\r\n:4\r\n")
                  .empty(),
              agrees);
  }
}

}  // namespace
}  // namespace resp_differential
}  // namespace kvarts
