// The same commands to redis-server and to kvarts: every reply is compared. Needs
// redis-server 7.0 (Debian's package), hence "manual":
//   ./bazelw run //apps:resp_differential_test -- --seconds=20
// Random ones, and those of apps/testing/resp_differential/scripts. A difference is printed
// with its seed and the fewest commands that show it; --seed begins there.

#include <gflags/gflags.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "apps/testing/resp_differential/peers.h"
#include "apps/testing/resp_differential/reply.h"
#include "apps/testing/resp_differential/run.h"
#include "apps/testing/resp_differential/script.h"
#include "apps/testing/resp_differential/sequence.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/resp/session_harness.h"
#include "storage/memory/memory.h"
#include "testing/model/model_store.h"

DEFINE_string(redis_server, "/usr/bin/redis-server", "what to compare with");
DEFINE_string(kvarts, "server,memory",
              "what is compared, one after the other: `server`, a kv_server that is started; "
              "`memory` or `model`, sessions over such a store; or the address of a server that "
              "allows FLUSHALL, 127.0.0.1:7379");
DEFINE_string(store, "memory:", "what the kv_server serves; files are in a directory of the test");
DEFINE_double(seconds, 10, "how long random commands are sent to each");
DEFINE_uint64(seed, 0, "of the first sequence; 0: at random");
DEFINE_uint64(steps, 200, "commands of a sequence");
DEFINE_bool(go_on, false, "after a difference; else it ends the test");

namespace kvarts {
namespace resp_differential {
namespace {

using Ull = unsigned long long;  // NOLINT(google-runtime-int): what %llu takes

ProcessOptions In(const std::string& directory) {
  ProcessOptions options;
  options.directory = directory;
  // Where kv_server takes relative paths from; `bazel run` sets it to where the user stands.
  options.env["BUILD_WORKING_DIRECTORY"] = directory;
  return options;
}

// Of this process alone, gone with the object: two of this test may run at once, outside of
// Bazel in one /tmp.
class Directory {
 public:
  Directory() : path_(absl::StrCat(testing::TempDir(), "/resp_differential.XXXXXX")) {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr) << path_;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Keeps nothing.
class RedisServer {
 public:
  RedisServer(const std::string& directory, const std::string& password)
      : directory_(directory),
        password_(password),
        process_({FLAGS_redis_server, "--port", "0", "--unixsocket", "redis.sock", "--save", "",
                  "--databases", "1", "--proto-max-bulk-len", "64mb", "--dir", directory_,
                  "--requirepass", password},
                 In(directory_)) {
    std::string line;
    do {
      line = process_.ReadLine();
      if (absl::StrContains(line, "version=")) std::printf("%s\n", line.c_str());
    } while (!line.empty() && !absl::StrContains(line, "ready to accept connections"));
    EXPECT_NE(line, "") << process_.Errors();
  }

  std::unique_ptr<Peer> NewPeer() {
    return NewSocketPeer("unix:redis.sock", directory_, password_);
  }

 private:
  const std::string directory_;
  const std::string password_;
  Process process_;
};

// What is compared, and what it lives in.
struct Kvarts {
  Kvarts(const std::string& kind, const std::string& directory, const std::string& password = "") {
    if (kind == "model") {
      peer = NewSessionPeer([] { return NewModelStore(); }, password);
    } else if (kind == "memory") {
      peer = NewSessionPeer([] { return NewMemoryStore(); }, password);
    } else if (kind == "server") {
      std::vector<std::string> command = {"apps/kv_server", absl::StrCat("--store=", FLAGS_store),
                                          "--listen=", "--http=", "--resp=127.0.0.1:0"};
      if (!password.empty()) {
        WriteTestFile(absl::StrCat(directory, "/password"), password);
        command.emplace_back("--password_file=password");
      }
      server = std::make_unique<TestServer>(command, directory, In(directory));
      EXPECT_NE(server->resp, "") << server->process.Errors();
      peer = NewSocketPeer(server->resp, directory, password);
    } else {
      peer = NewSocketPeer(kind, "/", password);
    }
    // The model keeps a stamp for each key.
    allowed = kind == "model" ? nullptr : &false_conflicts;
  }

  std::unique_ptr<TestServer> server;
  std::unique_ptr<Peer> peer;
  uint64_t false_conflicts = 0;
  uint64_t* allowed;
};

std::vector<std::string> Kinds() { return absl::StrSplit(FLAGS_kvarts, ','); }

class RespDifferentialTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::access(FLAGS_redis_server.c_str(), X_OK), 0)
        << "there is no " << FLAGS_redis_server
        << ": this test compares with it. Debian: apt-get install redis-server; elsewhere say "
           "where it is by --redis_server";
    StartRedis("");
  }

  void StartRedis(const std::string& password) {
    expected_.reset();
    redis_.reset();
    redis_ = std::make_unique<RedisServer>(directory_.path(), password);
    expected_ = redis_->NewPeer();
  }

  void RunScripts(const std::string& kind, const std::vector<Script>& scripts, Kvarts* kvarts) {
    uint64_t commands = 0;
    int differences = 0;
    for (const Script& script : scripts) {
      commands += script.sequence.steps.size();
      const std::string difference =
          Compare(script.sequence, expected_.get(), kvarts->peer.get(), kvarts->allowed);
      if (difference.empty()) continue;
      ++differences;
      Difference(absl::StrCat(kind, ": ", script.name), script.sequence, difference, kvarts);
    }
    std::printf("%s: %zu scripts, %llu commands, %d differences, %llu given up\n", kind.c_str(),
                scripts.size(), static_cast<Ull>(commands), differences,
                static_cast<Ull>(kvarts->false_conflicts));
  }

  // Both are still there: nothing that was asked has ended one.
  void Difference(const std::string& name, const Sequence& sequence, const std::string& difference,
                  Kvarts* kvarts) {
    const Sequence fewer =
        Shrink(sequence, expected_.get(), kvarts->peer.get(), kvarts->allowed, /*runs=*/200);
    ADD_FAILURE() << name << ":\n"
                  << difference << "\nthe fewest commands that differ:\n"
                  << ToText(fewer)
                  << Compare(fewer, expected_.get(), kvarts->peer.get(), kvarts->allowed);
  }

  const Directory directory_;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<Peer> expected_;
};

TEST_F(RespDifferentialTest, EveryReplyOfTheScriptsIsThatOfRedis) {
  for (const std::string& kind : Kinds()) {
    Kvarts kvarts(kind, directory_.path());
    RunScripts(kind, AllScripts(), &kvarts);
  }
}

TEST_F(RespDifferentialTest, EveryReplyOfTheScriptsIsThatOfRedisWithAPassword) {
  StartRedis(kScriptPassword);
  for (const std::string& kind : Kinds()) {
    if (absl::StrContains(kind, ':')) continue;  // it has the password that it has
    Kvarts kvarts(kind, directory_.path(), kScriptPassword);
    RunScripts(kind, AllScripts(/*with_password=*/true), &kvarts);
  }
}

// The reply to one request, of one kind.
std::string Text(Peer* peer, const std::vector<absl::string_view>& args) {
  const std::vector<std::string> replies = peer->Ask(0, resp::Request(args), 1);
  absl::string_view bytes = replies.empty() ? "" : absl::string_view(replies[0]);
  const std::optional<Reply> reply = TakeReply(&bytes);
  return reply.has_value() ? reply->text : "no reply";
}

// What one of them dumped the other restores, also where only one compresses.
TEST_F(RespDifferentialTest, ValuesGoBothWaysByDumpAndRestore) {
  std::vector<std::string> values = {"",       "0",          "-1",         "127",
                                     "-32769", "2147483647", "2147483648", "hello"};
  for (const size_t size : {21, 63, 64, 1000, 16383, 16384, 100000}) {
    values.emplace_back(size, 'x');
    std::mt19937_64 random(size);
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(random() % 3 * 97));
    values.push_back(bytes);
  }
  for (const std::string& kind : Kinds()) {
    Kvarts kvarts(kind, directory_.path());
    expected_->Reset();
    kvarts.peer->Reset();
    for (const auto& [from, to] : {std::pair(expected_.get(), kvarts.peer.get()),
                                   std::pair(kvarts.peer.get(), expected_.get())}) {
      for (const std::string& value : values) {
        EXPECT_EQ(Text(from, {"SET", "k", value}), "OK");
        const std::string payload = Text(from, {"DUMP", "k"});
        EXPECT_EQ(Text(to, {"RESTORE", "restored", "0", payload, "REPLACE"}), "OK");
        EXPECT_EQ(Text(to, {"GET", "restored"}), value);
      }
    }
  }
}

// The names in front of `mark` in the words of `text`.
std::set<std::string> Names(absl::string_view text, char mark) {
  std::set<std::string> names;
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar("\r\n "))) {
    const size_t at = word.find(mark);
    if (at != absl::string_view::npos) names.emplace(word.substr(0, at));
  }
  return names;
}

// What kvarts tells is what redis-server tells, and may be less: there is no other field but those
// of its own, which are listed here.
TEST_F(RespDifferentialTest, TheFieldsOfInfoAndClientListAreThoseOfRedis) {
  const auto only_here = [](std::set<std::string> here, const std::set<std::string>& there) {
    for (const std::string& name : there) here.erase(name);
    return here;
  };
  for (const std::string& kind : Kinds()) {
    Kvarts kvarts(kind, directory_.path());
    for (Peer* const peer : {expected_.get(), kvarts.peer.get()}) {
      peer->Reset();
      Text(peer, {"SET", "k", "v"});
      Text(peer, {"CONFIG", "RESETSTAT"});
      Text(peer, {"GET", "k"});
      Text(peer, {"GET"});
      Text(peer, {"INCR", "k"});
    }
    for (const absl::string_view section :
         {"server", "clients", "memory", "persistence", "stats", "replication", "cpu",
          "commandstats", "errorstats", "cluster", "keyspace"}) {
      SCOPED_TRACE(section);
      std::set<std::string> here = Names(Text(kvarts.peer.get(), {"INFO", section}), ':');
      EXPECT_EQ(here.erase("kvarts_version"), section == "server" ? 1u : 0u);
      EXPECT_THAT(only_here(here, Names(Text(expected_.get(), {"INFO", section}), ':')),
                  testing::IsEmpty());
      EXPECT_FALSE(here.empty());
    }
    // Those that are in the sections of no name: in the same order.
    std::vector<std::string> titles[2];
    for (const int i : {0, 1}) {
      Peer* const peer = i == 0 ? expected_.get() : kvarts.peer.get();
      for (const absl::string_view line : absl::StrSplit(Text(peer, {"INFO"}), "\r\n")) {
        if (absl::StartsWith(line, "# ") && line != "# Modules") titles[i].emplace_back(line);
      }
    }
    EXPECT_EQ(titles[1], titles[0]);
    std::set<std::string> fields = Names(Text(kvarts.peer.get(), {"CLIENT", "LIST"}), '=');
    EXPECT_EQ(fields.erase("lib-name") + fields.erase("lib-ver"), 2u);  // of 7.2
    EXPECT_THAT(only_here(fields, Names(Text(expected_.get(), {"CLIENT", "LIST"}), '=')),
                testing::IsEmpty());
    EXPECT_GE(fields.size(), 20u);
  }
}

TEST_F(RespDifferentialTest, EveryReplyIsThatOfRedis) {
  for (const std::string& kind : Kinds()) {
    Kvarts kvarts(kind, directory_.path());
    uint64_t seed = FLAGS_seed != 0 ? FLAGS_seed : std::random_device()();
    const uint64_t first = seed;
    const absl::Time end = absl::Now() + absl::Seconds(FLAGS_seconds);
    uint64_t commands = 0;
    int differences = 0;
    for (; absl::Now() < end; ++seed) {
      const Sequence sequence = Generate(seed, FLAGS_steps);
      commands += sequence.steps.size();
      const std::string difference =
          Compare(sequence, expected_.get(), kvarts.peer.get(), kvarts.allowed);
      if (difference.empty()) continue;
      ++differences;
      Difference(absl::StrCat(kind, ": --seed=", seed), sequence, difference, &kvarts);
      if (!FLAGS_go_on) break;
    }
    std::printf(
        "%s: seeds %llu to %llu, %llu commands, %d differences, "
        "%llu transactions given up without a reason\n",
        kind.c_str(), static_cast<Ull>(first), static_cast<Ull>(seed), static_cast<Ull>(commands),
        differences, static_cast<Ull>(kvarts.false_conflicts));
  }
}

}  // namespace
}  // namespace resp_differential
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return RUN_ALL_TESTS();
}
