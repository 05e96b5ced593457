#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/soak/soak.h"
#include "apps/testing/soak/values.h"
#include "gtest/gtest.h"

namespace kvarts::soak {
namespace {

// Both halves at once.
void WritePair(Random* random, Soak* soak, RespConnection* connection) {
  const uint64_t pair = (*random)() % kPairs;
  const std::string a = PairKey(pair, 'a');
  const std::string b = PairKey(pair, 'b');
  const uint32_t version = soak->NextVersion();
  const size_t size = kPartHead + (*random)() % ((*random)() % 8 == 0 ? 20'000 : 300);
  std::string requests;
  AppendRequest({"MULTI"}, &requests);
  AppendRequest({"SET", a, ValueOf(a, version, size)}, &requests);
  AppendRequest({"SET", b, ValueOf(b, version, size)}, &requests);
  AppendRequest({"EXEC"}, &requests);
  connection->socket().Send(requests);
  EXPECT_EQ(connection->Read().value_or(Reply()).text, "OK");
  EXPECT_EQ(connection->Read().value_or(Reply()).text, "QUEUED");
  EXPECT_EQ(connection->Read().value_or(Reply()).text, "QUEUED");
  const Reply done = connection->Read().value_or(Reply());
  if (done.is_error()) {
    EXPECT_TRUE(absl::StrContains(done.text, "OOM ")) << done.text;
    return soak->tally.Add("refused: no memory");
  }
  ASSERT_EQ(done.items.size(), 2u) << done.type << done.text;
  EXPECT_EQ(done.items[1].text, "OK");
  soak->tally.Add("MULTI EXEC");
}

void ReadPair(Random* random, Soak* soak, RespConnection* connection) {
  const uint64_t pair = (*random)() % kPairs;
  const Reply both = connection->Ask({"MGET", PairKey(pair, 'a'), PairKey(pair, 'b')});
  ASSERT_EQ(both.items.size(), 2u) << both.type << both.text;
  CheckPair("MGET", pair, both.items[0].is_null() ? nullptr : &both.items[0].text,
            both.items[1].is_null() ? nullptr : &both.items[1].text);
  soak->tally.Add("MGET");
}

// Clients of other protocols do so too.
void AddOne(Soak* soak, RespConnection* connection) {
  EXPECT_EQ(connection->Ask({"WATCH", kSharedCounter}).text, "OK");
  uint64_t was = 0;
  const Reply read = connection->Ask({"GET", kSharedCounter});
  ASSERT_TRUE(absl::SimpleAtoi(read.text, &was)) << read.type << read.text;
  EXPECT_EQ(connection->Ask({"MULTI"}).text, "OK");
  EXPECT_EQ(connection->Ask({"SET", kSharedCounter, absl::StrCat(was + 1)}).text, "QUEUED");
  const Reply done = connection->Ask({"EXEC"});
  if (done.is_null()) return soak->tally.Add("WATCH EXEC, others were faster");
  ASSERT_EQ(done.items.size(), 1u) << done.type << done.text;
  ++soak->added;
  soak->tally.Add("WATCH EXEC");
}

}  // namespace

void DriveTransactions(uint64_t seed, Soak* soak) {
  Random random(seed);
  while (soak->goes_on()) {
    RespConnection cache(soak->cache.resp, soak->dir);
    RespConnection ledger(soak->ledger.resp, soak->dir);
    if (!CheckConnected(cache.socket(), soak) || !CheckConnected(ledger.socket(), soak)) return;
    for (int n = 0; n < 100 && soak->goes_on(); ++n) {
      WritePair(&random, soak, &cache);
      ReadPair(&random, soak, &cache);
      AddOne(soak, &ledger);
    }
    // It goes with a key watched and a transaction open.
    ledger.Ask({"WATCH", kSharedCounter});
    ledger.Ask({"MULTI"});
  }
}

}  // namespace kvarts::soak
