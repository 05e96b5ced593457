// Clients over RESP that go by the rules: pipelines, counters, scans.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/soak/soak.h"
#include "apps/testing/soak/values.h"
#include "gtest/gtest.h"

namespace kvarts::soak {
namespace {

// Replies must not fill what a server keeps for who does not read (8 MiB): this client reads
// when it has sent all.
constexpr uint64_t kMaxPipeline = 32;
constexpr uint64_t kMaxLarge = 6;
constexpr uint64_t kMaxAppended = 200'000;

struct Sent {
  const char* what;
  std::vector<std::string> keys;
};

// Of type '\0' where the connection ended, which is a failure.
Reply ReadReply(RespConnection* connection) {
  std::optional<Reply> reply = connection->Read();
  if (reply.has_value()) return *std::move(reply);
  ADD_FAILURE() << "a connection ended, or there was no reply";
  return {};
}

Reply Ask(std::initializer_list<absl::string_view> args, RespConnection* connection) {
  std::string request;
  AppendRequest(args, &request);
  connection->socket().Send(request);
  return ReadReply(connection);
}

Sent AddRequest(uint64_t number, Random* random, Soak* soak, std::string* pipeline) {
  const std::string key = KeyOf(number);
  const uint64_t any = (*random)();
  const std::string value = ValueOf(key, soak->NextVersion(), SizeFor(number, random));
  const std::string ms = absl::StrCat(1 + (any >> 8) % 500);
  switch (any % 32) {
    case 0:
      AppendRequest({"SET", key, value, "PX", ms}, pipeline);
      return {"SET PX", {key}};
    case 1:
      AppendRequest({"SET", key, value, "EX", "1"}, pipeline);
      return {"SET EX", {key}};
    case 2:
      AppendRequest({"DEL", key}, pipeline);
      return {"DEL", {key}};
    case 3:
    case 4:
      AppendRequest({"APPEND", key, value}, pipeline);
      return {"APPEND", {key}};
    case 5: {
      // Their values may be large, of some of them.
      const std::string more[] = {KeyOf(number + 1), KeyOf(number + 2), KeyOf(number + 3)};
      AppendRequest({"MGET", key, more[0], more[1], more[2]}, pipeline);
      return {"MGET", {key, more[0], more[1], more[2]}};
    }
    case 6:
      AppendRequest({"PEXPIRE", key, ms}, pipeline);
      return {"PEXPIRE", {key}};
    default:
      if (any % 32 < 16) {
        AppendRequest({"SET", key, value}, pipeline);
        return {"SET", {key}};
      }
      AppendRequest({"GET", key}, pipeline);
      return {"GET", {key}};
  }
}

// `too_long`: keys that were appended to often enough.
void CheckReply(const Sent& sent, const Reply& reply, Soak* soak,
                std::vector<std::string>* too_long) {
  const absl::string_view what = sent.what;
  if (absl::StartsWith(what, "SET")) return CheckWritten(reply, what, soak);
  soak->tally.Add(what);
  if (what == "GET" && (reply.is_null() || reply.type == '$')) {
    return CheckValue(what, sent.keys[0], !reply.is_null(), reply.text);
  }
  if (what == "MGET" && reply.items.size() == sent.keys.size()) {
    for (size_t i = 0; i < sent.keys.size(); ++i) {
      CheckValue(what, sent.keys[i], !reply.items[i].is_null(), reply.items[i].text);
    }
    return;
  }
  uint64_t number = 0;
  if (reply.type == ':' && absl::SimpleAtoi(reply.text, &number)) {
    if (what == "APPEND" && number > kMaxAppended) too_long->push_back(sent.keys[0]);
    return;
  }
  if (what == "APPEND" && absl::StrContains(reply.text, "OOM ")) {
    return soak->tally.Add("refused: no memory");
  }
  ADD_FAILURE() << what << ": " << reply.type << resp_differential::Escaped(reply.text);
}

void Pipeline(Random* random, Soak* soak, RespConnection* connection,
              std::vector<std::string>* too_long) {
  std::string requests;
  std::vector<Sent> sent;
  for (const std::string& key : *too_long) {
    AppendRequest({"DEL", key}, &requests);
    sent.push_back({"DEL", {key}});
  }
  too_long->clear();
  uint64_t large = 0;
  for (uint64_t n = 1 + (*random)() % kMaxPipeline; n > 0; --n) {
    const uint64_t number = AnyKey(random, *soak);
    if (IsLarge(number) && ++large > kMaxLarge) continue;
    sent.push_back(AddRequest(number, random, soak, &requests));
  }
  connection->socket().Send(requests);
  for (const Sent& each : sent) {
    const Reply reply = ReadReply(connection);
    if (reply.type == '\0') return;
    CheckReply(each, reply, soak, too_long);
  }
  ++soak->first_key;  // new keys come, and old ones are asked for no more
}

// The keys of a whole SCAN, each once or more. Nothing where it was cut short.
std::vector<std::string> ScanAll(Soak* soak, RespConnection* connection) {
  std::vector<std::string> keys;
  std::string cursor = "0";
  do {
    const Reply page = Ask({"SCAN", cursor, "COUNT", "200"}, connection);
    if (page.items.size() != 2) {
      ADD_FAILURE() << "SCAN " << cursor << ": " << page.text;
      return {};
    }
    soak->tally.Add("SCAN");
    cursor = page.items[0].text;
    for (const Reply& key : page.items[1].items) keys.push_back(key.text);
    if (!soak->goes_on()) return {};
  } while (cursor != "0");
  ++soak->full_scans;
  return keys;
}

void BackgroundSave(Soak* soak, RespConnection* connection) {
  const Reply reply = Ask({"BGSAVE"}, connection);
  if (reply.type == '+') {
    soak->tally.Add("BGSAVE");
  } else {
    EXPECT_EQ(reply.text, "ERR Background save already in progress");
  }
}

}  // namespace

void DrivePipelines(uint64_t seed, Soak* soak) {
  Random random(seed);
  std::vector<std::string> too_long;
  while (soak->goes_on()) {
    RespConnection connection(soak->cache.resp, soak->dir);
    if (!CheckConnected(connection.socket(), soak)) return;
    for (uint64_t n = random() % 64; n > 0 && soak->goes_on(); --n) {
      Pipeline(&random, soak, &connection, &too_long);
    }
    // And ends, in one way or other.
    switch (random() % 3) {
      case 0:
        EXPECT_EQ(Ask({"QUIT"}, &connection).text, "OK");
        EXPECT_EQ(connection.socket().ReceiveAll(), "");
        break;
      case 1:
        connection.socket().Reset();
        break;
    }
  }
}

void DriveCounters(uint64_t seed, Soak* soak) {
  Random random(seed);
  RespConnection ledger(soak->ledger.resp, soak->dir);
  RespConnection cache(soak->cache.resp, soak->dir);
  if (!CheckConnected(ledger.socket(), soak) || !CheckConnected(cache.socket(), soak)) return;
  while (soak->goes_on()) {
    std::string requests;
    std::string others;
    for (uint64_t i = 0; i < soak->ledger_counters.size(); ++i) {
      AppendRequest({"INCR", CounterKey(i)}, &requests);
      const std::string key = absl::StrCat("comes-", random() % 20'000);
      if (random() % 2 == 0) {
        AppendRequest({"SET", key, ValueOf(key, soak->NextVersion(), random() % 2000)}, &others);
      } else {
        AppendRequest({"DEL", key}, &others);
      }
    }
    cache.socket().Send(requests);
    ledger.socket().Send(absl::StrCat(requests, others));
    for (uint64_t& counter : soak->ledger_counters) {
      EXPECT_EQ(ReadReply(&ledger).text, absl::StrCat(++counter));
    }
    for (size_t i = 0; i < soak->ledger_counters.size(); ++i) {
      EXPECT_FALSE(ReadReply(&ledger).is_error());
    }
    for (uint64_t& counter : soak->cache_counters) {
      const Reply reply = ReadReply(&cache);
      if (reply.is_error() && absl::StrContains(reply.text, "OOM ")) {
        soak->tally.Add("refused: no memory");
        continue;
      }
      // One was added to it, or it was evicted or flushed and began anew.
      if (reply.text != "1") {
        EXPECT_EQ(reply.text, absl::StrCat(counter + 1));
      }
      uint64_t now = 0;
      EXPECT_TRUE(absl::SimpleAtoi(reply.text, &now)) << reply.text;
      if (now == 1 && counter != 0) soak->tally.Add("counters begun anew");
      counter = now;
    }
    soak->tally.Add("INCR", 2 * soak->ledger_counters.size());
  }
}

void DriveScans(uint64_t seed, Soak* soak) {
  Random random(seed);
  RespConnection ledger(soak->ledger.resp, soak->dir);
  RespConnection cache(soak->cache.resp, soak->dir);
  if (!CheckConnected(ledger.socket(), soak) || !CheckConnected(cache.socket(), soak)) return;
  for (uint64_t round = 0; soak->goes_on(); ++round) {
    const std::vector<std::string> keys = ScanAll(soak, &ledger);
    if (!keys.empty()) {
      const std::set<std::string> seen(keys.begin(), keys.end());
      for (uint64_t i = 0; i < kStays; ++i) {
        EXPECT_TRUE(seen.count(StayingKey(i)) == 1) << "a scan missed " << StayingKey(i);
      }
    }
    ScanAll(soak, &cache);
    if (round % 4 == 0) BackgroundSave(soak, round % 8 == 0 ? &cache : &ledger);
    if (random() % 100 == 0) {
      CheckWritten(Ask({"FLUSHALL"}, &cache), "FLUSHALL", soak);
    }
    for (RespConnection* const each : {&ledger, &cache}) {
      EXPECT_TRUE(absl::StrContains(Ask({"INFO"}, each).text, "rdb_last_bgsave_status:ok"));
      soak->tally.Add("INFO");
    }
  }
}

}  // namespace kvarts::soak
