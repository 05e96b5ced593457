// The same random commands to redis-server and to kvarts: every reply is compared. Needs
// redis-server 7.0 (Debian's package), hence "manual":
//   ./bazelw run //apps:resp_differential_test -- --seconds=20
// A difference is printed with its seed and the fewest commands that show it; --seed
// begins there.

#include <gflags/gflags.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "apps/testing/resp_differential/peers.h"
#include "apps/testing/resp_differential/run.h"
#include "apps/testing/resp_differential/sequence.h"
#include "gtest/gtest.h"
#include "storage/memory/memory.h"
#include "testing/model/model_store.h"

DEFINE_string(redis_server, "/usr/bin/redis-server", "what to compare with");
DEFINE_string(kvarts, "memory",
              "what is compared: sessions over a store, `model` or `memory`, or the address "
              "of a server that allows FLUSHALL, 127.0.0.1:7379");
DEFINE_double(seconds, 20, "how long");
DEFINE_uint64(seed, 0, "of the first sequence; 0: at random");
DEFINE_uint64(steps, 200, "commands of a sequence");
DEFINE_bool(go_on, false, "after a difference; else it ends the test");

namespace kvarts {
namespace resp_differential {
namespace {

std::unique_ptr<Peer> NewKvarts() {
  if (FLAGS_kvarts == "model") return NewSessionPeer([] { return NewModelStore(); });
  if (FLAGS_kvarts == "memory") return NewSessionPeer([] { return NewMemoryStore(); });
  return NewSocketPeer(FLAGS_kvarts, "/");
}

// In a directory of its own; keeps nothing.
class RedisServer {
 public:
  RedisServer()
      : directory_(TestDirectory()),
        process_({FLAGS_redis_server, "--port", "0", "--unixsocket", "redis.sock", "--save", "",
                  "--databases", "1", "--proto-max-bulk-len", "64mb", "--dir", directory_},
                 In(directory_)) {
    std::string line;
    do {
      line = process_.ReadLine();
      if (absl::StrContains(line, "version=")) std::printf("%s\n", line.c_str());
    } while (!line.empty() && !absl::StrContains(line, "ready to accept connections"));
    EXPECT_NE(line, "") << process_.Errors();
  }

  std::unique_ptr<Peer> NewPeer() { return NewSocketPeer("unix:redis.sock", directory_); }

 private:
  static ProcessOptions In(const std::string& directory) {
    ProcessOptions options;
    options.directory = directory;
    return options;
  }

  const std::string directory_;
  Process process_;
};

TEST(RespDifferentialTest, EveryReplyIsThatOfRedis) {
  ASSERT_EQ(::access(FLAGS_redis_server.c_str(), X_OK), 0)
      << "there is no " << FLAGS_redis_server
      << ": this test compares with it. Debian: apt-get install redis-server; elsewhere say "
         "where it is by --redis_server";
  RedisServer redis;
  const std::unique_ptr<Peer> expected = redis.NewPeer();
  const std::unique_ptr<Peer> actual = NewKvarts();
  uint64_t seed = FLAGS_seed != 0 ? FLAGS_seed : std::random_device()();
  const uint64_t first = seed;
  const absl::Time end = absl::Now() + absl::Seconds(FLAGS_seconds);
  uint64_t commands = 0;
  int differences = 0;
  uint64_t false_conflicts = 0;
  // The model keeps a stamp for each key.
  uint64_t* const allowed = FLAGS_kvarts == "model" ? nullptr : &false_conflicts;
  for (; absl::Now() < end; ++seed) {
    const Sequence sequence = Generate(seed, FLAGS_steps);
    commands += sequence.steps.size();
    const std::string difference = Compare(sequence, expected.get(), actual.get(), allowed);
    if (difference.empty()) continue;
    ++differences;
    const Sequence fewer = Shrink(sequence, expected.get(), actual.get(), allowed);
    ADD_FAILURE() << "--seed=" << seed << ":\n"
                  << difference << "\nthe fewest commands that differ:\n"
                  << ToText(fewer) << Compare(fewer, expected.get(), actual.get(), allowed);
    if (!FLAGS_go_on) break;
  }
  std::printf(
      "seeds %llu to %llu, %llu commands, %d differences, "
      "%llu transactions given up without a reason\n",
      static_cast<unsigned long long>(first),     // NOLINT(google-runtime-int)
      static_cast<unsigned long long>(seed),      // NOLINT(google-runtime-int)
      static_cast<unsigned long long>(commands),  // NOLINT(google-runtime-int)
      differences,
      static_cast<unsigned long long>(false_conflicts));  // NOLINT(google-runtime-int)
}

}  // namespace
}  // namespace resp_differential
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return RUN_ALL_TESTS();
}
