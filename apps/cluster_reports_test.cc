// What users of clusters of this kind have reported, each as a test named after what happens, over
// real processes. The numbers are those of the table in cluster/README.md, "Tests".

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/cluster_fixture.h"
#include "apps/testing/forwarder.h"
#include "apps/testing/programs.h"
#include "apps/testing/resp_connection.h"
#include "base/slot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/resp/client/reply_parser.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using resp_client::ReplyItem;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

// Half of it moves from a node that has all slots to a second one.
constexpr int kBulkValues = kSanitized ? 200 : 800;
constexpr size_t kBulkBytes = 32 << 10;  // a value's
constexpr size_t kBulkMoving = kBulkValues / 2 * kBulkBytes;
// A node that has all slots gives the upper half of them to a second one.
constexpr int kFirstMoving = kSlots / 2;

// How often what is killed at random is killed: KVARTS_CLUSTER_KILLS says more.
int Kills() {
  int kills = kSanitized ? 1 : 2;
  if (const char* const more = std::getenv("KVARTS_CLUSTER_KILLS"); more != nullptr) {
    EXPECT_TRUE(absl::SimpleAtoi(more, &kills)) << more;
  }
  return kills;
}

// Until it is so; a failure where it is not for a long time.
void Await(const std::function<bool()>& is_so, absl::string_view what) {
  for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
    if (is_so()) return;
    absl::SleepFor(absl::Milliseconds(2));
  }
  ADD_FAILURE() << what << ": not after a long time";
}

// The number behind "name:" of INFO or CLUSTER INFO.
int64_t NumberInInfo(const std::string& info, absl::string_view name) {
  const size_t at = info.find(absl::StrCat(name, ":"));
  int64_t number = -1;
  if (at == std::string::npos) return number;
  const std::string rest = info.substr(at + name.size() + 1);
  if (!absl::SimpleAtoi(rest.substr(0, rest.find_first_not_of("-0123456789")), &number)) return -1;
  return number;
}

std::string BulkKey(int i) {
  const int slot = static_cast<int>(static_cast<unsigned>(i) * 7919u % (kSlots / 2)) +
                   (i % 2 == 0 ? kFirstMoving : 0);
  return absl::StrCat("{", KeyIn(slot), "}bulk", i);
}

std::string BulkValue(int i) {
  std::string value(kBulkBytes, static_cast<char>('a' + i % 26));
  const std::string number = absl::StrCat(i, " ");
  return value.replace(0, number.size(), number);
}

// A key in a slot that moves.
std::string MovingKey(int i, absl::string_view name = "") {
  return absl::StrCat("{", KeyIn(kFirstMoving + i % (kSlots - kFirstMoving)), "}", name, i);
}

// All the ports of a node, so that another process can have the same.
std::vector<std::string> FixedPorts() {
  std::vector<std::string> flags;
  for (const char* flag : {"--listen", "--resp", "--http", "--internal"}) {
    flags.push_back(absl::StrCat(flag, "=127.0.0.1:", FreePort()));
  }
  return flags;
}

class ClusterReportsTest : public ClusterFixture {
 protected:
  // One node that has all slots, and one that has none before BeginMove(), and is reached by the
  // first through `forwarder_`.
  void StartTwo(const std::string& first = "memory:", const std::string& second = "memory:") {
    Create();
    one_ = Start(first);
    ASSERT_NE(one_->ready, "") << one_->process.Errors();
    AwaitEven(1);
    StartSecond(second);
  }
  void StartSecond(const std::string& store = "memory:") {
    const int port = FreePort();
    forwarder_ = std::make_unique<Forwarder>(port);
    two_ = Start(store, {"--manual", absl::StrCat("--internal=127.0.0.1:", port),
                         absl::StrCat("--advertise=internal=127.0.0.1:", forwarder_->port())});
    ASSERT_NE(two_->ready, "") << two_->process.Errors();
  }
  void BeginMove() {
    const ProcessResult added = Cluster("add", {two_->resp, "--timeout=0s"});
    ASSERT_EQ(added.exit_code, 0) << added.err;
  }
  // Begins it, and has it stand still once so many bytes have been copied.
  void BeginMoveUntil(size_t bytes) {
    forwarder_->StallAfter(bytes);
    BeginMove();
    if (HasFatalFailure()) return;
    Await([this] { return forwarder_->stalled() > 0; }, "copies have come so far");
  }
  void GoOn() { forwarder_->StallAfter(SIZE_MAX); }

  void FillBulk() {
    RespClusterClient client(one_->resp, dir_);
    for (int i = 0; i < kBulkValues; ++i) {
      ASSERT_EQ(client.Ask({"SET", BulkKey(i), BulkValue(i)}), "OK");
    }
  }
  void ExpectBulk() {
    RespClusterClient client(one_->resp, dir_);
    for (int i = 0; i < kBulkValues; ++i) {
      const std::string value = client.Ask({"GET", BulkKey(i)});
      EXPECT_TRUE(value == BulkValue(i)) << i << ": " << value.substr(0, 100);
    }
  }
  int64_t UsedMemory(const TestServer& node) {
    return NumberInInfo(Ask(node.resp, "INFO memory"), "used_memory");
  }
  std::string AskText(const TestServer& node, const std::vector<std::string>& words) {
    RespConnection connection(node.resp, dir_);
    return connection.AskText(words);
  }
  int64_t DbSize(const TestServer& node) {
    int64_t size = -1;
    EXPECT_TRUE(absl::SimpleAtoi(AskText(node, {"DBSIZE"}), &size));
    return size;
  }
  // Says a figure in the test's log, and in its result.
  void Note(const std::string& name, const std::string& figure) {
    RecordProperty(name, figure);
    std::fputs(absl::StrCat(name, ": ", figure, "\n").c_str(), stdout);
    std::fflush(stdout);
  }
  static std::string Ms(absl::Duration time) {
    return absl::StrCat(absl::ToInt64Milliseconds(time), " ms");
  }

  std::unique_ptr<TestServer> one_;
  std::unique_ptr<Forwarder> forwarder_;
  std::unique_ptr<TestServer> two_;
};

// 1
TEST_F(ClusterReportsTest, ATargetThatIsKilledLeavesNoSlotInTransitAndEveryKeyOnceAtItsSource) {
  StartTwo();
  FillBulk();
  std::minstd_rand random(1);
  absl::Duration longest;
  for (int round = 0; round < Kills(); ++round) {
    if (round > 0) StartSecond();
    BeginMoveUntil(1 + random() % (kBulkMoving * 9 / 10));
    if (HasFatalFailure()) return;
    EXPECT_GT(NumberIn(Cluster("status", {"--json"}).out, "slots_moving"), 0);
    two_->process.Signal(SIGKILL);
    two_->process.Wait();
    const absl::Time killed = absl::Now();
    AwaitRest();
    longest = std::max(longest, absl::Now() - killed);
    EXPECT_EQ(DbSize(*one_), kBulkValues);
    EXPECT_EQ(CountByScan({one_.get()}), kBulkValues);
    ExpectBulk();
    // As operators look for it.
    const std::string info = Ask(one_->resp, "CLUSTER INFO");
    EXPECT_THAT(info, HasSubstr("cluster_slots_ok:16384"));
    EXPECT_THAT(info, HasSubstr("cluster_slots_fail:0"));
    // Else a later node may come to one of its ports.
    const ProcessResult removed = Cluster("remove", {two_->resp, "--force"});
    ASSERT_EQ(removed.exit_code, 0) << removed.err;
  }
  Note("longest_in_transit", Ms(longest));
  if (std::getenv("KVARTS_CLUSTER_KILLS") != nullptr) {
    EXPECT_LE(longest, absl::Seconds(5));
  }
}

// 2
TEST_F(ClusterReportsTest, WhatIsCopiedIsSeenByNobodyAndIsGoneAfterTheMoveIsCancelled) {
  StartTwo();
  FillBulk();
  const int64_t empty = UsedMemory(*two_);
  BeginMoveUntil(kBulkMoving / 2);
  Await([&] { return UsedMemory(*two_) > empty + static_cast<int64_t>(kBulkMoving / 3); },
        "half of the copies are there");
  RespConnection connection(two_->resp, dir_);
  EXPECT_EQ(connection.AskText({"DBSIZE"}), "0");
  EXPECT_EQ(connection.AskText({"KEYS", "*"}), "0");
  EXPECT_EQ(connection.AskText({"RANDOMKEY"}), "(nil)");
  const std::vector<RespItem> scanned = connection.Ask({"SCAN", "0", "COUNT", "100000"});
  EXPECT_EQ(scanned.back().kind, ReplyItem::Kind::kArray);
  EXPECT_EQ(scanned.back().number, 0);
  for (int i = 0; i < kBulkValues; i += 2) {
    const int slot = KeySlot(BulkKey(i));
    EXPECT_EQ(connection.AskText({"CLUSTER", "COUNTKEYSINSLOT", absl::StrCat(slot)}), "0");
    EXPECT_EQ(connection.AskText({"CLUSTER", "GETKEYSINSLOT", absl::StrCat(slot), "10"}), "0");
    EXPECT_EQ(connection.AskText({"GET", BulkKey(i)}),
              absl::StrCat("MOVED ", slot, " ", one_->resp));
  }
  EXPECT_EQ(CountByScan({two_.get()}), 0);
  const std::string json = Cluster("status", {"--json"}).out;
  EXPECT_EQ(Nodes(json)[two_->resp].keys, 0) << json;
  EXPECT_EQ(SumOfKeys(json), kBulkValues);
  ExpectBulk();

  const ProcessResult cancelled = Cluster("remove", {two_->resp, "--timeout=0s"});
  EXPECT_EQ(cancelled.exit_code, 0) << cancelled.err;
  const absl::Time at = absl::Now();
  Await([&] { return UsedMemory(*two_) < empty + static_cast<int64_t>(kBulkMoving / 20); },
        "what was copied is gone");
  Note("memory_back", Ms(absl::Now() - at));
  AwaitRest();
  EXPECT_EQ(DbSize(*one_), kBulkValues);
  ExpectBulk();
  GoOn();

  // A second try.
  StartSecond();
  const ProcessResult added = Cluster("add", {two_->resp});
  EXPECT_EQ(added.exit_code, 0) << added.err;
  EXPECT_EQ(DbSize(*one_), kBulkValues / 2);
  EXPECT_EQ(DbSize(*two_), kBulkValues / 2);
  EXPECT_EQ(CountByScan({one_.get(), two_.get()}), kBulkValues);
  ExpectBulk();
}

// 2
TEST_F(ClusterReportsTest, FromTheFirstMovedOnTheOldOwnerShowsNothingOfTheSlot) {
  StartTwo();
  RespConnection connection(one_->resp, dir_);
  for (int slot = 0; slot < kSlots; slot += 8) {
    ASSERT_EQ(connection.AskText({"SET", KeyIn(slot), "x"}), "OK");
  }
  BeginMove();
  int seen = 0;
  // A round waits for one group of slots after the other: what is held is not answered.
  Await(
      [&] {
        int moved = 0;
        for (int slot = kFirstMoving; slot < kSlots; slot += 256) {
          if (!absl::StartsWith(connection.AskText({"GET", KeyIn(slot)}), "MOVED")) continue;
          ++moved;
          ++seen;
          EXPECT_EQ(connection.AskText({"CLUSTER", "COUNTKEYSINSLOT", absl::StrCat(slot)}), "0");
          EXPECT_EQ(connection.AskText({"CLUSTER", "GETKEYSINSLOT", absl::StrCat(slot), "9"}), "0");
          EXPECT_EQ(connection.AskText({"KEYS", KeyIn(slot)}), "0");
          int64_t size = 0;
          EXPECT_TRUE(absl::SimpleAtoi(connection.AskText({"DBSIZE"}), &size));
          EXPECT_LE(size, kSlots / 8 - moved * 256 / 8);
        }
        return moved == (kSlots - kFirstMoving) / 256;
      },
      "all have moved");
  AwaitRest();
  Note("times_moved_was_looked_at", absl::StrCat(seen));
  EXPECT_EQ(DbSize(*one_) + DbSize(*two_), kSlots / 8);
}

// 3
TEST_F(ClusterReportsTest, TheTargetHasWhatWasWrittenThoughTheStreamOfCopiesIsCutTenTimes) {
  StartTwo();
  FillBulk();
  struct Writer {
    std::map<std::string, std::string> model;
    std::set<std::string> expire;
    int64_t calls = 0;
    std::string error;
  };
  Writer writers[4];
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int w = 0; w < 4; ++w) {
    threads.emplace_back([&, w] {
      Writer& writer = writers[w];
      RespClusterClient client(one_->resp, dir_);
      std::minstd_rand random(static_cast<unsigned>(w) + 1);
      while (!stop && writer.error.empty()) {
        const std::string key = MovingKey(static_cast<int>(random() % 200) * 41 + w, "w");
        const bool is_there = writer.model.count(key) != 0;
        const std::string value = absl::StrCat("value ", writer.calls++);
        std::string reply;
        std::string expected = "OK";
        switch (random() % 5) {
          case 0:
          case 1:
            reply = client.Ask({"SET", key, value});
            writer.model[key] = value;
            writer.expire.erase(key);
            break;
          case 2:
            reply = client.Ask({"DEL", key});
            expected = is_there ? "1" : "0";
            writer.model.erase(key);
            writer.expire.erase(key);
            break;
          case 3:
            reply = client.Ask({"EXPIRE", key, "1000"});
            expected = is_there ? "1" : "0";
            if (is_there) writer.expire.insert(key);
            break;
          default:
            reply = client.Ask({"PERSIST", key});
            expected = writer.expire.erase(key) != 0 ? "1" : "0";
        }
        if (reply != expected) writer.error = absl::StrCat(reply, " instead of ", expected);
      }
    });
  }
  forwarder_->CutAfter(kBulkMoving / 4);
  BeginMove();
  Await([this] { return forwarder_->cut() >= 10; }, "ten cuts");
  forwarder_->CutAfter(SIZE_MAX);
  AwaitRest();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  AwaitEven(2);
  RespClusterClient client(two_->resp, dir_);
  int64_t keys = kBulkValues;
  for (int w = 0; w < 4; ++w) {
    EXPECT_EQ(writers[w].error, "");
    keys += static_cast<int64_t>(writers[w].model.size());
    for (int i = 0; i < 200; ++i) {
      const std::string key = MovingKey(i * 41 + w, "w");
      const auto it = writers[w].model.find(key);
      EXPECT_EQ(client.Ask({"GET", key}), it == writers[w].model.end() ? "(nil)" : it->second);
      if (it == writers[w].model.end()) continue;
      const std::string ttl = client.Ask({"TTL", key});
      EXPECT_EQ(ttl == "-1", writers[w].expire.count(key) == 0) << ttl;
    }
  }
  EXPECT_EQ(client.moved(), 0) << "all of these are the second node's";
  EXPECT_EQ(DbSize(*one_) + DbSize(*two_), keys);
  EXPECT_EQ(CountByScan({one_.get(), two_.get()}), keys);
  ExpectBulk();
}

// 4
TEST_F(ClusterReportsTest, TimesToLiveAndContentTypesMoveWithTheirKeys) {
  StartTwo();
  FillBulk();
  constexpr int kEach = 40;
  const int64_t now = absl::ToUnixMillis(absl::Now());
  const std::string far = absl::StrCat(now + 1'000'000);
  const std::string farther = absl::StrCat(now + 2'000'000);
  RespConnection one(one_->resp, dir_);
  const std::unique_ptr<Store> client = Client(*one_);
  ASSERT_NE(client, nullptr);
  const auto key = [](absl::string_view name, int i) { return MovingKey(i * 199, name); };
  for (int i = 0; i < kEach; ++i) {
    for (const char* name : {"none", "given", "far", "changed", "persisted"}) {
      ASSERT_EQ(one.AskText({"SET", key(name, i), "x"}), "OK");
    }
    for (const char* name : {"far", "changed", "persisted"}) {
      ASSERT_EQ(one.AskText({"PEXPIREAT", key(name, i), far}), "1");
    }
    ASSERT_EQ(one.AskText({"SET", key("ending", i), "x", "PX", "1000"}), "OK");
    ASSERT_TRUE(client->Put(key("typed", i), "{}", Metadata::Of(0, "application/json")).ok());
    ASSERT_TRUE(
        client->Put(key("typed far", i), "{}", Metadata::Of(now + 1'000'000, "application/json"))
            .ok());
  }
  BeginMoveUntil(kBulkMoving / 2);
  for (int i = 0; i < kEach; ++i) {
    EXPECT_EQ(one.AskText({"PEXPIREAT", key("given", i), farther}), "1");
    EXPECT_EQ(one.AskText({"PEXPIREAT", key("changed", i), farther}), "1");
    EXPECT_EQ(one.AskText({"PERSIST", key("persisted", i)}), "1");
    Await([&] { return one.AskText({"GET", key("ending", i)}) == "(nil)"; }, "its time has come");
  }
  GoOn();
  AwaitEven(2);

  RespConnection two(two_->resp, dir_);
  const auto expect_end = [&](const std::string& name, int i, const std::string& end) {
    int64_t end_ms = 0;
    int64_t left = 0;
    ASSERT_TRUE(absl::SimpleAtoi(end, &end_ms));
    const int64_t before = absl::ToUnixMillis(absl::Now());
    const std::string reply = two.AskText({"PTTL", key(name, i)});
    const int64_t after = absl::ToUnixMillis(absl::Now());
    ASSERT_TRUE(absl::SimpleAtoi(reply, &left)) << reply;
    EXPECT_LE(left, end_ms - before + 50) << name;
    EXPECT_GE(left, end_ms - after - 50) << name;
  };
  for (int i = 0; i < kEach; ++i) {
    EXPECT_EQ(two.AskText({"PTTL", key("none", i)}), "-1");
    EXPECT_EQ(two.AskText({"PTTL", key("persisted", i)}), "-1");
    EXPECT_EQ(two.AskText({"PTTL", key("ending", i)}), "-2");
    EXPECT_EQ(two.AskText({"GET", key("ending", i)}), "(nil)");
    expect_end("far", i, far);
    expect_end("given", i, farther);
    expect_end("changed", i, farther);
    for (const char* name : {"typed", "typed far"}) {
      const std::string asked = key(name, i);
      const absl::string_view keys[] = {asked};
      ReadResults results;
      client->MultiGet(keys, ReadOptions(), &results);
      ASSERT_TRUE(results[0].status.ok()) << results[0].status;
      EXPECT_EQ(results[0].value, "{}");
      EXPECT_EQ(results[0].content_type, "application/json");
      EXPECT_EQ(results[0].expires_at_ms, std::string(name) == "typed" ? 0 : now + 1'000'000);
    }
  }
  ExpectBulk();
  EXPECT_EQ(CountByScan({one_.get(), two_.get()}), kBulkValues + 7 * kEach);
}

// 5
TEST_F(ClusterReportsTest, AValueOf64MiBMovesWhileOthersAreServed) {
  StartTwo();
  std::string large(kSanitized ? kMaxValueBytes / 8 : kMaxValueBytes, '\0');
  std::minstd_rand random(1);
  for (size_t i = 0; i < large.size(); i += 61) large[i] = static_cast<char>(random());
  const std::string large_key = MovingKey(1000, "large");
  ASSERT_EQ(AskText(*one_, {"SET", large_key, large}), "OK");
  // Reads and writes of keys that stay, with how long each took.
  std::atomic<bool> stop{false};
  std::atomic<bool> moves{false};
  std::vector<absl::Duration> times[2];
  std::string error;
  std::atomic<int> calls[2] = {0, 0};
  std::thread others([&] {
    RespConnection connection(one_->resp, dir_);
    for (int i = 0; !stop && error.empty(); ++i) {
      const std::string key = KeyIn(i % kFirstMoving);
      const absl::Time start = absl::Now();
      const size_t when = moves ? 1 : 0;
      const std::string set = connection.AskText({"SET", key, absl::StrCat(i)});
      const std::string get = connection.AskText({"GET", key});
      times[when].push_back(absl::Now() - start);
      ++calls[when];
      if (set != "OK" || get != absl::StrCat(i)) error = absl::StrCat(set, ", ", get);
    }
  });
  Await([&] { return calls[0] >= 2000 || !error.empty(); }, "there are steady times");
  moves = true;
  const absl::Time start = absl::Now();
  const ProcessResult added = Cluster("add", {two_->resp});
  Note("moved_in", Ms(absl::Now() - start));
  EXPECT_EQ(added.exit_code, 0) << added.err;
  stop = true;
  others.join();
  EXPECT_EQ(error, "");
  RespConnection two(two_->resp, dir_);
  EXPECT_EQ(two.AskText({"STRLEN", large_key}), absl::StrCat(large.size()));
  EXPECT_TRUE(two.AskText({"GET", large_key}) == large);
  const char* const names[] = {"steady", "moving"};
  for (int when = 0; when < 2; ++when) {
    std::vector<absl::Duration>& all = times[when];
    if (all.empty()) continue;
    std::sort(all.begin(), all.end());
    Note(absl::StrCat("p99_", names[when]),
         absl::StrCat(absl::ToInt64Microseconds(all[all.size() * 99 / 100]), " us of ", all.size(),
                      ", longest ", absl::ToInt64Microseconds(all.back()), " us"));
  }
}

// 6
TEST_F(ClusterReportsTest, AMoveEndsThoughWritersDoNothingButWriteToItsSlots) {
  StartTwo();
  FillBulk();
  absl::Time start = absl::Now();
  ProcessResult added = Cluster("add", {two_->resp});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const absl::Duration idle = absl::Now() - start;
  const ProcessResult removed = Cluster("remove", {two_->resp});
  ASSERT_EQ(removed.exit_code, 0) << removed.err;
  StartSecond();

  constexpr int kBatch = 100;
  constexpr int kWriters = 3;
  std::atomic<bool> stop{false};
  std::atomic<int64_t> batches{0};
  std::vector<std::thread> threads;
  std::vector<int64_t> rounds(kWriters, 0);
  std::vector<absl::Status> errors(kWriters);
  for (size_t w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      const std::unique_ptr<Store> client = Client(*one_);
      if (client == nullptr) return;
      while (!stop && errors[w].ok()) {
        std::vector<std::string> bytes;
        bytes.reserve(2 * kBatch);
        WriteBatch batch;
        for (int i = 0; i < kBatch; ++i) {
          bytes.push_back(MovingKey(i * 81 + static_cast<int>(w), "busy"));
          bytes.push_back(absl::StrCat(rounds[w] + 1));
          batch.Put(bytes[bytes.size() - 2], bytes.back());
        }
        errors[w] = client->Write(batch, WriteOptions(), nullptr);
        if (errors[w].ok()) ++rounds[w];
        ++batches;
      }
    });
  }
  Await([&] { return batches > 50; }, "all are writing");
  const int64_t before = batches;
  start = absl::Now();
  const absl::Duration limit = kSanitized ? kClusterPatience : 2 * idle + absl::Seconds(10);
  added = Cluster("add", {two_->resp, absl::StrCat("--timeout=", absl::FormatDuration(limit))});
  const absl::Duration busy = absl::Now() - start;
  const int64_t meanwhile = batches - before;
  EXPECT_EQ(added.exit_code, 0) << added.err;
  stop = true;
  for (std::thread& thread : threads) thread.join();
  AwaitEven(2);
  RespClusterClient client(two_->resp, dir_);
  for (size_t w = 0; w < kWriters; ++w) {
    EXPECT_TRUE(errors[w].ok()) << errors[w];
    for (int i = 0; i < kBatch; ++i) {
      EXPECT_EQ(client.Ask({"GET", MovingKey(i * 81 + static_cast<int>(w), "busy")}),
                absl::StrCat(rounds[w]));
    }
  }
  ExpectBulk();
  Note("idle", Ms(idle));
  Note("under_writes", Ms(busy));
  Note("writes_a_second_meanwhile",
       absl::StrCat(static_cast<int64_t>(static_cast<double>(meanwhile * kBatch) /
                                         absl::ToDoubleSeconds(busy))));
}

// 8
TEST_F(ClusterReportsTest, SingleKeysAreMovedAndSeveralAreMovedOrCrossSlot) {
  Create();
  std::vector<std::unique_ptr<TestServer>> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back(Start("memory:"));
  AwaitEven(3);
  std::atomic<bool> stop{false};
  std::vector<std::map<std::string, int>> errors(5);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < errors.size(); ++t) {
    threads.emplace_back([&, t] {
      RespConnection connection(nodes[t % 3]->resp, dir_);
      const auto ask = [&](absl::string_view kind, const std::vector<std::string>& words) {
        const auto reply = connection.Ask(words);
        ASSERT_FALSE(reply.empty()) << words[0];
        if (reply[0].kind != ReplyItem::Kind::kError) return;
        ++errors[t][absl::StrCat(kind, " ", reply[0].text.substr(0, reply[0].text.find(' ')))];
      };
      for (unsigned i = 0; !stop && !HasFatalFailure(); ++i) {
        const int slot = static_cast<int>((i * 7919u + static_cast<unsigned>(t) * 1000u) % kSlots);
        const std::string key = KeyIn(slot);
        const std::string other = KeyIn((slot + 1) % kSlots);
        const std::string tag = absl::StrCat("{", key, "}");
        ask("single", {"SET", key, "1"});
        ask("single", {"GET", key});
        ask("single", {"INCR", key});
        ask("single", {"EXPIRE", key, "1000"});
        ask("single", {"DEL", key});
        ask("several", {"MGET", tag + "a", tag + "b"});
        ask("several", {"MSET", tag + "a", "1", tag + "b", "2"});
        ask("several", {"DEL", tag + "a", tag + "b"});
        ask("crossing", {"MGET", key, other});
        ask("crossing", {"MSET", key, "1", other, "2"});
      }
    });
  }
  nodes.push_back(Start("memory:"));
  AwaitEven(4);
  nodes.back()->process.Signal(SIGTERM);
  EXPECT_EQ(nodes.back()->process.Wait(), 0) << nodes.back()->process.Errors();
  AwaitEven(3);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  std::map<std::string, int> sum;
  for (const auto& of_thread : errors) {
    for (const auto& [error, times] : of_thread) sum[error] += times;
  }
  const std::set<std::string> known = {"single MOVED", "several MOVED", "crossing CROSSSLOT"};
  for (const auto& [error, times] : sum) {
    Note(error, absl::StrCat(times));
    EXPECT_EQ(known.count(error), 1u) << error << ", " << times << " times";
  }
  EXPECT_EQ(sum.size(), known.size());
}

// 9
TEST_F(ClusterReportsTest, WhoWasToldMovedFindsTheSameInSlotsShardsAndNodes) {
  Create();
  std::vector<std::unique_ptr<TestServer>> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back(Start("memory:"));
  AwaitEven(3);
  const std::string fourth = absl::StrCat("127.0.0.1:", FreePort());
  std::atomic<bool> stop{false};
  std::atomic<int> moved{0};
  std::atomic<int> wrong{0};
  std::atomic<int> down{0};
  std::string first_down;
  std::vector<std::thread> threads;
  for (size_t n = 0; n < 3; ++n) {
    threads.emplace_back([&, n] {
      RespConnection connection(nodes[n]->resp, dir_);
      for (int i = 0; !stop; ++i) {
        const int slot = static_cast<int>((static_cast<unsigned>(i) * 7919u) % kSlots);
        const auto reply = connection.Ask({"SET", KeyIn(slot), "x"});
        ASSERT_FALSE(reply.empty());
        if (reply[0].kind != ReplyItem::Kind::kError) continue;
        if (absl::StartsWith(reply[0].text, "CLUSTERDOWN")) {
          // On a machine that is starved of its time: a hold of half a second, or a node that was
          // silent for one.
          const std::string nodes_then = connection.AskText({"CLUSTER", "NODES"});
          if (down++ == 0) first_down = absl::StrCat("slot ", slot, "\n", nodes_then);
          continue;
        }
        const std::vector<std::string> words = absl::StrSplit(reply[0].text, ' ');
        ASSERT_EQ(words.size(), 3u) << reply[0].text;
        ASSERT_EQ(words[0], "MOVED") << reply[0].text;
        ASSERT_EQ(words[1], absl::StrCat(slot));
        ++moved;
        // What is asked later may be newer, and not older: a slot moves once, to the fourth node.
        const std::string owners[] = {OwnerInSlots(connection.Ask({"CLUSTER", "SLOTS"}), slot),
                                      OwnerInShards(connection.Ask({"CLUSTER", "SHARDS"}), slot),
                                      OwnerInNodes(connection.Ask({"CLUSTER", "NODES"}), slot)};
        for (const std::string& owner : owners) {
          if (owner != words[2] && owner != fourth && wrong++ < 5) {
            ADD_FAILURE() << reply[0].text << ", and then " << absl::StrJoin(owners, " ");
          }
        }
      }
    });
  }
  const auto started = Start("memory:", {absl::StrCat("--resp=", fourth)});
  AwaitEven(4);
  const int so_far = moved;
  Await([&] { return moved > so_far + (kSanitized ? 10 : 500); }, "the new table is looked at too");
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  Note("times_moved_was_compared", absl::StrCat(moved.load()));
  if (down > 0) Note("times_down", absl::StrCat(down.load(), ", first: ", first_down));
}

// 10
TEST_F(ClusterReportsTest, ClientsOfAnOwnerThatIsDownAreToldSoAndSucceedWhenItIsBack) {
  Create();
  one_ = Start(Sstable(1));
  AwaitEven(1);
  const std::vector<std::string> ports = FixedPorts();
  two_ = Start(Sstable(2), ports);
  ASSERT_NE(two_->ready, "") << two_->process.Errors();
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one_, kClusterPatience);
  ASSERT_NE(client, nullptr);
  const std::string key = KeyIn(kSlots - 1);
  ASSERT_TRUE(client->Put(key, "before").ok());
  RespConnection connection(one_->resp, dir_);
  const std::string to_two = absl::StrCat("MOVED ", kSlots - 1, " ", two_->resp);
  ASSERT_EQ(connection.AskText({"GET", key}), to_two);

  two_->process.Signal(SIGKILL);
  two_->process.Wait();
  const absl::Time killed = absl::Now();
  std::string reply;
  Await(
      [&] {
        reply = connection.AskText({"GET", key});
        EXPECT_THAT(reply, AnyOf(to_two, StartsWith("CLUSTERDOWN Hash slot not served")));
        return reply != to_two;
      },
      "the first node has noticed");
  Note("noticed_after", Ms(absl::Now() - killed));
  // Nobody is sent to and fro from now on.
  for (int i = 0; i < 1000; ++i) {
    EXPECT_THAT(connection.AskText({"GET", key}), StartsWith("CLUSTERDOWN"));
    EXPECT_THAT(connection.AskText({"SET", key, "x"}), StartsWith("CLUSTERDOWN"));
  }
  // Who waits has what it asked for.
  absl::Status put = absl::UnknownError("not done");
  std::optional<std::string> got;
  std::thread waiting([&] {
    const auto value = client->Get(key);
    if (value.ok()) got = *value;
    put = client->Put(key, "after");
  });
  two_ = Start(Sstable(2), ports);
  ASSERT_NE(two_->ready, "") << two_->process.Errors();
  waiting.join();
  EXPECT_EQ(got, "before");
  EXPECT_TRUE(put.ok()) << put;
  Await([&] { return connection.AskText({"GET", key}) == to_two; }, "the way is shown again");
  EXPECT_EQ(AskText(*two_, {"GET", key}), "after");
}

// 11
TEST_F(ClusterReportsTest, AnAddressThatIsAdvertisedIsTheOneThatIsShownEverywhere) {
  Create();
  std::vector<std::unique_ptr<Forwarder>> forwarders;
  std::vector<std::unique_ptr<TestServer>> nodes;
  std::vector<std::string> shown;
  for (int i = 0; i < 2; ++i) {
    const int port = FreePort();
    forwarders.push_back(std::make_unique<Forwarder>(port));
    shown.push_back(absl::StrCat("127.0.0.1:", forwarders.back()->port()));
    nodes.push_back(Start("memory:", {absl::StrCat("--resp=127.0.0.1:", port),
                                      absl::StrCat("--advertise=resp=", shown.back())}));
    ASSERT_NE(nodes.back()->ready, "") << nodes.back()->process.Errors();
  }
  const std::string json = AwaitEven(2);
  for (const std::string& address : shown) {
    EXPECT_EQ(Nodes(json)[address].slots, kSlots / 2) << json;
  }
  for (const int slot : {0, kSlots - 1}) {
    std::set<std::string> owners;
    for (const auto& node : nodes) {
      RespConnection connection(node->resp, dir_);
      owners.insert(OwnerInSlots(connection.Ask({"CLUSTER", "SLOTS"}), slot));
      owners.insert(OwnerInShards(connection.Ask({"CLUSTER", "SHARDS"}), slot));
      owners.insert(OwnerInNodes(connection.Ask({"CLUSTER", "NODES"}), slot));
      const std::string reply = connection.AskText({"SET", KeyIn(slot), "x"});
      if (reply != "OK") {
        EXPECT_THAT(reply, StartsWith("MOVED "));
        owners.insert(reply.substr(reply.rfind(' ') + 1));
      }
    }
    EXPECT_EQ(owners.size(), 1u) << absl::StrJoin(owners, " ");
    EXPECT_THAT(*owners.begin(), AnyOf(shown[0], shown[1]));
  }
  // Clients get along with nothing else.
  RespClusterClient client(shown[0], dir_);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(client.Ask({"SET", TestKey(i), TestValue(i)}), "OK");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(client.Ask({"GET", TestKey(i)}), TestValue(i));
  EXPECT_GT(client.moved(), 0);
}

// 12
TEST_F(ClusterReportsTest, WithOneOfThreeDownTwoThirdsOfTheKeysAreReadAndWritten) {
  Create();
  std::vector<std::unique_ptr<TestServer>> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back(Start("memory:"));
  const std::string json = AwaitEven(3);
  const int lost_slots = Nodes(json)[nodes[2]->resp].slots;
  {
    RespClusterClient client(nodes[0]->resp, dir_);
    for (int slot = 0; slot < kSlots; slot += 8) {
      ASSERT_EQ(client.Ask({"SET", KeyIn(slot), "before"}), "OK");
    }
  }
  nodes[2]->process.Signal(SIGKILL);
  nodes[2]->process.Wait();
  for (int i = 0; i < 2; ++i) {
    Await(
        [&] {
          return NumberInInfo(Ask(nodes[i]->resp, "CLUSTER INFO"), "cluster_slots_fail") ==
                 lost_slots;
        },
        "the others have noticed");
    EXPECT_THAT(Ask(nodes[i]->resp, "CLUSTER INFO"), HasSubstr("cluster_state:ok"));
  }
  RespClusterClient client(nodes[0]->resp, dir_);
  int served = 0;
  int down = 0;
  for (int slot = 0; slot < kSlots; slot += 8) {
    const std::string read = client.Ask({"GET", KeyIn(slot)});
    const std::string write = client.Ask({"SET", KeyIn(slot), "after"});
    if (read == "before" && write == "OK") ++served;
    if (absl::StartsWith(read, "CLUSTERDOWN") && absl::StartsWith(write, "CLUSTERDOWN")) ++down;
  }
  EXPECT_EQ(served + down, kSlots / 8);
  EXPECT_NEAR(down, lost_slots / 8.0, 1);
}

// 13
TEST_F(ClusterReportsTest, ANodeThatIsBackEmptyBeforeAnyoneNoticedIsCountedAsLost) {
  Create({"--on_loss=empty"});
  one_ = Start("memory:");
  AwaitEven(1);
  const std::vector<std::string> ports = FixedPorts();
  two_ = Start("memory:", ports);
  AwaitEven(2);
  const std::string key = KeyIn(kSlots - 1);
  ASSERT_EQ(AskText(*two_, {"SET", key, "value"}), "OK");
  const std::string resp = two_->resp;
  // Whoever sees nothing there also sees that it was lost.
  std::atomic<bool> stop{false};
  std::set<std::string> replies;
  std::thread asking([&] {
    while (!stop) {
      RespConnection connection(resp, dir_);
      if (!connection.connected()) continue;
      const std::string reply = connection.AskText({"GET", key});
      replies.insert(reply);
      if (reply != "(nil)") continue;
      EXPECT_EQ(NumberInInfo(connection.AskText({"INFO"}), "cluster_slots_lost"), kSlots / 2);
      return;
    }
  });
  two_->process.Signal(SIGKILL);
  two_->process.Wait();
  const absl::Time killed = absl::Now();
  two_ = Start("memory:", ports);
  Note("ready_again_after", Ms(absl::Now() - killed));
  EXPECT_NE(two_->ready, "") << two_->process.Errors();
  const std::string json = AwaitEven(2);
  Await([&] { return AskText(*two_, {"GET", key}) == "(nil)"; }, "it serves");
  stop = true;
  asking.join();
  EXPECT_EQ(NumberIn(json, "slots_lost"), kSlots / 2) << json;
  EXPECT_THAT(two_->process.Errors(), HasSubstr("8192 slots were lost with the process that was"));
  for (const TestServer* node : {one_.get(), two_.get()}) {
    Await([&] { return NumberInInfo(Ask(node->resp, "INFO"), "cluster_slots_lost") == kSlots / 2; },
          "each node says so");
    EXPECT_THAT(HttpGet(node->http, "/metrics", dir_),
                HasSubstr("kvarts_cluster_lost_slots_total 8192"));
  }
  for (const std::string& reply : replies) {
    EXPECT_EQ(reply.find(absl::StrCat("MOVED ", kSlots - 1, " ", resp)), std::string::npos)
        << "it sends clients to itself";
  }
}

// 13
TEST_F(ClusterReportsTest, ANodeThatIsBackEmptyBeforeAnyoneNoticedIsDownUntilTheLossIsAccepted) {
  Create();
  one_ = Start("memory:");
  AwaitEven(1);
  const std::vector<std::string> ports = FixedPorts();
  two_ = Start("memory:", ports);
  AwaitEven(2);
  const std::string key = KeyIn(kSlots - 1);
  ASSERT_EQ(AskText(*two_, {"SET", key, "value"}), "OK");
  ASSERT_EQ(AskText(*one_, {"SET", KeyIn(0), "value"}), "OK");
  two_->process.Signal(SIGKILL);
  two_->process.Wait();
  two_ = Start("memory:", ports);
  ASSERT_NE(two_->ready, "") << two_->process.Errors();
  // Its address is that of the one that is dead: nobody is sent there, and it sends nobody to
  // itself, over and over.
  const std::string itself = absl::StrCat("MOVED ", kSlots - 1, " ", two_->resp);
  RespConnection one(one_->resp, dir_);
  RespConnection two(two_->resp, dir_);
  int to_itself = 0;
  Await(
      [&] {
        const std::string by_one = one.AskText({"GET", key});
        const std::string by_two = two.AskText({"GET", key});
        EXPECT_THAT(by_one, AnyOf(itself, StartsWith("CLUSTERDOWN")));
        EXPECT_THAT(by_two, AnyOf(itself, StartsWith("CLUSTERDOWN")));
        if (by_two == itself) ++to_itself;
        return absl::StartsWith(by_one, "CLUSTERDOWN") && absl::StartsWith(by_two, "CLUSTERDOWN");
      },
      "both know");
  EXPECT_EQ(to_itself, 0) << "times it sent a client to itself";
  EXPECT_EQ(Cluster("recover").exit_code, 1);
  EXPECT_THAT(two.AskText({"GET", key}), StartsWith("CLUSTERDOWN"));
  EXPECT_EQ(one.AskText({"GET", KeyIn(0)}), "value");
  const ProcessResult recovered = Cluster("recover", {"--accept_loss"});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.err;
  const std::string json = AwaitEven(2);
  EXPECT_EQ(NumberIn(json, "slots_lost"), kSlots / 2) << json;
  RespClusterClient client(one_->resp, dir_);
  EXPECT_EQ(client.Ask({"GET", key}), "(nil)");
  EXPECT_EQ(client.Ask({"GET", KeyIn(0)}), "value");
}

// 14
TEST_F(ClusterReportsTest, ExecAfterAMoveIsMovedAndAWatchedKeyThatCameBackHasChanged) {
  StartTwo();
  const std::string key = KeyIn(kSlots - 1);
  const std::string other = absl::StrCat("{", key, "}other");
  RespConnection first(one_->resp, dir_);
  RespConnection second(one_->resp, dir_);
  ASSERT_EQ(first.AskText({"SET", key, "old"}), "OK");
  for (RespConnection* const connection : {&first, &second}) {
    ASSERT_EQ(connection->AskText({"WATCH", key}), "OK");
  }
  ASSERT_EQ(first.AskText({"MULTI"}), "OK");
  ASSERT_EQ(first.AskText({"SET", key, "new"}), "QUEUED");
  ASSERT_EQ(first.AskText({"SET", other, "new"}), "QUEUED");
  const ProcessResult added = Cluster("add", {two_->resp});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const std::string moved = absl::StrCat("MOVED ", kSlots - 1, " ", two_->resp);
  EXPECT_EQ(first.AskText({"EXEC"}), moved);
  EXPECT_EQ(AskText(*two_, {"GET", key}), "old");
  EXPECT_EQ(AskText(*two_, {"GET", other}), "(nil)");
  // It is no transaction any more.
  EXPECT_EQ(first.AskText({"GET", key}), moved);

  // Away, and back.
  const ProcessResult removed = Cluster("remove", {two_->resp});
  ASSERT_EQ(removed.exit_code, 0) << removed.err;
  ASSERT_EQ(second.AskText({"MULTI"}), "OK");
  ASSERT_EQ(second.AskText({"SET", key, "new"}), "QUEUED");
  EXPECT_EQ(second.AskText({"EXEC"}), "(nil)");
  EXPECT_EQ(second.AskText({"GET", key}), "old");
  // With a watch of now it is carried out.
  ASSERT_EQ(second.AskText({"WATCH", key}), "OK");
  ASSERT_EQ(second.AskText({"MULTI"}), "OK");
  ASSERT_EQ(second.AskText({"SET", key, "new"}), "QUEUED");
  EXPECT_EQ(second.AskText({"EXEC"}), "1");
  EXPECT_EQ(second.AskText({"GET", key}), "new");
}

// 15
TEST_F(ClusterReportsTest, AForeignClustersNodeAtAReusedAddressIsRefusedByBoth) {
  // Of each cluster a node that stays and one that dies. The second cluster's other node comes to
  // the address of the first one's.
  const std::vector<std::string> ports = FixedPorts();
  Create();
  one_ = Start("memory:");
  AwaitEven(1);
  two_ = Start("memory:", ports);
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one_, absl::Seconds(3));
  ASSERT_NE(client, nullptr);
  const std::string lower = KeyIn(0);
  const std::string upper = KeyIn(kSlots - 1);
  ASSERT_TRUE(client->Put(lower, "of the first").ok());
  ASSERT_TRUE(client->Put(upper, "of the first").ok());
  const std::string first_table = table_;
  const std::string first_resp = two_->resp;
  two_->process.Signal(SIGKILL);
  two_->process.Wait();

  table_ = absl::StrCat("file:", dir_, "/other");
  Create();
  const auto other_one = Start("memory:");
  AwaitEven(1);
  const auto other_two = Start("memory:", ports);
  ASSERT_NE(other_two->ready, "") << other_two->process.Errors();
  AwaitEven(2);
  RespClusterClient other(other_one->resp, dir_);
  ASSERT_EQ(other.Ask({"SET", lower, "of the second"}), "OK");
  ASSERT_EQ(other.Ask({"SET", upper, "of the second"}), "OK");

  // The first cluster does not take it for its own.
  RespConnection connection(one_->resp, dir_);
  Await(
      [&] {
        return absl::StartsWith(connection.AskText({"GET", upper}), "CLUSTERDOWN");
      },
      "the first cluster has noticed");
  EXPECT_EQ(connection.AskText({"GET", lower}), "of the first");
  const auto wrong = client->Get(upper);
  EXPECT_FALSE(wrong.ok()) << wrong->value_or("(absent)");
  EXPECT_FALSE(client->Put(upper, "of the first, again").ok());
  EXPECT_EQ(other.Ask({"GET", upper}), "of the second");
  // Nor the second one anything of the first.
  const std::string other_json = AwaitEven(2);
  EXPECT_EQ(Nodes(other_json).size(), 2u) << other_json;
  EXPECT_EQ(NumberIn(other_json, "slots_down"), 0);
  table_ = first_table;
  const std::string json = Cluster("status", {"--json"}).out;
  EXPECT_EQ(Nodes(json).size(), 2u) << json;
  EXPECT_FALSE(Nodes(json)[first_resp].is_alive) << json;
  EXPECT_EQ(NumberIn(json, "slots_down"), kSlots / 2) << json;
  // What is lost can be given up, though somebody answers at its address.
  const ProcessResult recovered = Cluster("recover", {"--accept_loss"});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.err;
  AwaitEven(1);
  EXPECT_EQ(connection.AskText({"GET", lower}), "of the first");
  EXPECT_EQ(connection.AskText({"GET", upper}), "(nil)");
  EXPECT_EQ(other.Ask({"GET", upper}), "of the second");
}

// 16
TEST_F(ClusterReportsTest, AMoveAsSoonAsANodeWasAddedWorks) {
  StartTwo();
  constexpr int kKeys = kSanitized ? 1000 : 5000;
  const std::unique_ptr<Store> client = Client(*one_);
  ASSERT_NE(client, nullptr);
  Fill(client.get(), kKeys);
  BeginMove();
  // At once: what is on its way, and all the rest.
  const ProcessResult removed = Cluster("remove", {one_->resp});
  EXPECT_EQ(removed.exit_code, 0) << removed.err;
  EXPECT_EQ(Nodes(AwaitEven(1))[two_->resp].slots, kSlots);
  EXPECT_EQ(DbSize(*two_), kKeys);
  ExpectAll(client.get(), kKeys);
}

}  // namespace
}  // namespace kvarts
