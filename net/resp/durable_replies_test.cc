// What a server over a durable store has answered outlives a power cut: at each reply, and at each
// operation of the disk, the power goes, and the store that is then opened has all that was
// answered. kill -9 tests none of this: the system keeps what a killed process wrote.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/resp/session_harness.h"
#include "storage/fs/memory.h"
#include "storage/sstable/sstable.h"

namespace kvarts {
namespace resp {
namespace {

using State = std::map<std::string, std::string>;

constexpr char kDir[] = "store";

SstableOptions Options(FileSystem* fs) {
  SstableOptions options;
  options.fs = fs;
  options.threads = false;
  options.memory = 1 << 20;
  options.memtable_bytes = 300 << 10;
  options.block_bytes = 128;
  options.table_bytes = 1024;
  options.level1_bytes = 4096;
  return options;
}

State ContentsOf(Store* store) {
  State state;
  auto cursor = store->NewCursor({}).value();
  ScanPage page;
  do {
    EXPECT_TRUE(cursor->Next(PageLimits(), &page).ok());
    for (const ScanEntry& entry : page) state[std::string(entry.key)] = std::string(entry.value);
  } while (!page.empty());
  return state;
}

// A session of commands, and what the store holds after each of them.
class Conversation {
 public:
  void Say(const std::vector<std::string>& args) {
    const std::vector<absl::string_view> views(args.begin(), args.end());
    requests_.push_back(Request(views));
    const std::string& command = args[0];
    if (command == "SET") state_[args[1]] = args[2];
    if (command == "MSET") {
      for (size_t i = 1; i < args.size(); i += 2) state_[args[i]] = args[i + 1];
    }
    if (command == "DEL") {
      for (size_t i = 1; i < args.size(); ++i) state_.erase(args[i]);
    }
    if (command == "INCR") {
      state_[args[1]] =
          absl::StrCat(state_.count(args[1]) == 0 ? 1 : std::stoi(state_[args[1]]) + 1);
    }
    if (command == "APPEND") state_[args[1]] += args[2];
    states_.push_back(state_);
  }
  size_t size() const { return requests_.size(); }
  const std::string& request(size_t i) const { return requests_[i]; }
  // After `n` commands.
  State after(size_t n) const { return n == 0 ? State() : states_[n - 1]; }

 private:
  std::vector<std::string> requests_;
  State state_;
  std::vector<State> states_;
};

Conversation MakeConversation() {
  Conversation talk;
  CrashRandom random(1);
  for (int i = 0; i < 120; ++i) {
    const std::string key = absl::StrCat("key", random.UpTo(9));
    switch (random.UpTo(9)) {
      case 0:
        talk.Say({"DEL", key, absl::StrCat("key", random.UpTo(9))});
        break;
      case 1:
        talk.Say({"MSET", key, absl::StrCat(i), absl::StrCat(key, "x"), absl::StrCat(i)});
        break;
      case 2:
      case 3:
        talk.Say({"INCR", "counter"});
        break;
      case 4:
        talk.Say({"APPEND", absl::StrCat(key, "a"), "more"});
        break;
      case 5:
        talk.Say({"SET", key, std::string(random.UpTo(40000), 'v')});
        break;
      default:
        talk.Say({"SET", key, absl::StrCat("value ", i)});
        break;
    }
  }
  return talk;
}

// Replies that have come whole: one line each, for these commands.
size_t RepliesIn(const std::string& written) {
  size_t replies = 0;
  for (const char c : written) replies += c == '\n' ? 1 : 0;
  return replies;
}

// `pipelined`: so many commands come at once.
void CheckConversation(size_t pipelined) {
  const Conversation talk = MakeConversation();
  MemoryFileSystem fs;
  auto store = OpenSstable(kDir, Options(&fs)).value();
  SessionHarness harness(std::move(store));
  const auto connection = harness.Connect();
  size_t sent = 0;
  uint64_t checks = 0;
  uint64_t waits = 0;  // moments at which some that were sent had no answer yet
  const auto check = [&] {
    const size_t answered = RepliesIn(connection->wire->written);
    ++checks;
    waits += answered < sent ? 1 : 0;
    const auto after = fs.CloneAfterCrash(checks, {});  // what was not synced, and names, are lost
    auto reopened = OpenSstable(kDir, Options(after.get()));
    ASSERT_TRUE(reopened.ok()) << reopened.status();
    const State found = ContentsOf(reopened->get());
    bool any = false;
    for (size_t n = answered; n <= sent && !any; ++n) any = found == talk.after(n);
    ASSERT_TRUE(any) << "a store that lacks what was answered, at reply " << answered << " of "
                     << sent;
  };
  fs.SetHook([&](MemoryFileSystem::Moment, const FileOperation&) {
    if (!testing::Test::HasFatalFailure()) check();
  });
  const auto end = absl::MakeCleanup([&] { fs.SetHook({}); });
  while (sent < talk.size()) {
    std::string bytes;
    for (size_t i = 0; i < pipelined && sent < talk.size(); ++i) bytes += talk.request(sent++);
    const std::string reply = harness.Send(*connection, bytes);
    ASSERT_EQ(RepliesIn(connection->wire->written), sent) << reply;
    ASSERT_EQ(reply.find('-'), std::string::npos) << reply;
    check();
    if (testing::Test::HasFatalFailure()) break;
  }
  EXPECT_GT(checks, talk.size());
  EXPECT_GT(waits, 0u);
}

TEST(DurableRepliesTest, AtEachReplyThePowerMayGo) { CheckConversation(1); }

TEST(DurableRepliesTest, AlsoWhenManyCommandsComeAtOnce) { CheckConversation(7); }

}  // namespace
}  // namespace resp
}  // namespace kvarts
