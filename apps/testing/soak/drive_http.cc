#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/soak/soak.h"
#include "apps/testing/soak/values.h"
#include "gtest/gtest.h"

namespace kvarts::soak {
namespace {

constexpr char kJson[] = "Content-Type: application/json\r\n";

// Counts it, and is a failure where none of `statuses` is its.
void CheckStatus(absl::string_view what, const HttpReply& reply,
                 std::initializer_list<int> statuses, Soak* soak) {
  if (reply.status == 507) return soak->tally.Add("refused: no memory");
  for (const int status : statuses) {
    if (reply.status == status) return soak->tally.Add(absl::StrCat(what, " ", status));
  }
  ADD_FAILURE() << what << ": " << reply.status << " " << reply.head << "\n"
                << reply.body.substr(0, 300);
}

void GetOrPut(Random* random, Soak* soak, HttpConnection* http) {
  const uint64_t number = AnyKey(random, *soak);
  const std::string key = KeyOf(number);
  const std::string target = absl::StrCat("/v1/kv/", key);
  const std::string value = ValueOf(key, soak->NextVersion(), SizeFor(number, random));
  switch ((*random)() % 8) {
    case 0:
    case 1:
      return CheckStatus("HTTP PUT",
                         http->Ask("PUT", target, "Content-Type: text/plain\r\n", value),
                         {201, 204}, soak);
    case 2:
      return CheckStatus(
          "HTTP PUT with TTL",
          http->Ask("PUT", absl::StrCat(target, "?ttl_ms=", 1 + (*random)() % 500), "", value),
          {201, 204}, soak);
    case 3:
      return CheckStatus("HTTP DELETE", http->Ask("DELETE", target), {204, 404}, soak);
    case 4:
      return CheckStatus("HTTP PUT If-None-Match",
                         http->Ask("PUT", target, "If-None-Match: *\r\n", value), {201, 412}, soak);
    default: {
      const HttpReply reply = http->Ask("GET", target);
      CheckStatus("HTTP GET", reply, {200, 404}, soak);
      CheckValue("HTTP GET", key, reply.status == 200, reply.body);
      if (reply.status != 200) return;
      const std::string etag = reply.Field("ETag");
      const HttpReply again =
          http->Ask("GET", target, absl::StrCat("If-None-Match: ", etag, "\r\n"));
      CheckStatus("HTTP GET If-None-Match", again, {200, 304, 404}, soak);
      CheckValue("HTTP GET", key, again.status == 200, again.body);
      CheckStatus("HTTP PUT If-Match",
                  http->Ask("PUT", target, absl::StrCat("If-Match: ", etag, "\r\n"), value),
                  {201, 204, 412}, soak);
    }
  }
}

// The value of the n-th result of a batch; false where there is none.
bool ValueIn(absl::string_view body, int n, std::string* value) {
  for (; n >= 0; --n) {
    const size_t at = body.find("\"found\":");
    if (at == absl::string_view::npos) return false;
    body.remove_prefix(at + 8);
  }
  if (!absl::StartsWith(body, "true")) return false;
  body = body.substr(body.find("\"value\":\"") + 9);
  *value = std::string(body.substr(0, body.find('"')));
  return true;
}

void Batch(Random* random, Soak* soak, HttpConnection* http) {
  const uint64_t pair = (*random)() % kPairs;
  const std::string a = PairKey(pair, 'a');
  const std::string b = PairKey(pair, 'b');
  if ((*random)() % 2 == 0) {
    const uint32_t version = soak->NextVersion();
    const size_t size = kPartHead + (*random)() % 5000;
    // The condition holds or not, as it comes.
    constexpr absl::string_view kConditions[] = {"", "", "present", "absent"};
    const absl::string_view condition = kConditions[(*random)() % std::size(kConditions)];
    return CheckStatus(
        "HTTP batch write",
        http->Ask("POST", "/v1/batch/write", kJson,
                  absl::StrCat("{\"mutations\":[{\"put\":\"", a, "\",\"value\":\"",
                               ValueOf(a, version, size), "\"},{\"put\":\"", b, "\",\"value\":\"",
                               ValueOf(b, version, size), "\"}],\"atomic\":true",
                               condition.empty()
                                   ? ""
                                   : absl::StrCat(",\"if\":[{\"", condition, "\":\"", a, "\"}]"),
                               "}")),
        {200, 412}, soak);
  }
  const HttpReply reply = http->Ask("POST", "/v1/batch/get", kJson,
                                    absl::StrCat("{\"keys\":[\"", a, "\",\"", b, "\"]}"));
  CheckStatus("HTTP batch get", reply, {200}, soak);
  std::string values[2];
  const bool found[] = {ValueIn(reply.body, 0, &values[0]), ValueIn(reply.body, 1, &values[1])};
  CheckPair("HTTP batch get", pair, found[0] ? &values[0] : nullptr,
            found[1] ? &values[1] : nullptr);
}

// Clients of other protocols do so too.
void AddOne(Soak* soak, HttpConnection* ledger) {
  const std::string target = absl::StrCat("/v1/kv/", kSharedCounter);
  const HttpReply read = ledger->Ask("GET", target);
  uint64_t was = 0;
  ASSERT_TRUE(absl::SimpleAtoi(read.body, &was)) << read.head << read.body;
  const HttpReply written = ledger->Ask(
      "PUT", target, absl::StrCat("If-Match: ", read.Field("ETag"), "\r\n"), absl::StrCat(was + 1));
  CheckStatus("HTTP PUT If-Match of the ledger", written, {204, 412}, soak);
  if (written.status == 204) ++soak->added;
}

}  // namespace

void DriveHttp(uint64_t seed, Soak* soak) {
  Random random(seed);
  constexpr absl::string_view kPages[] = {"/metrics", "/v1/stats", "/v1/status",       "/livez",
                                          "/readyz",  "/",         "/v1/scan?limit=50"};
  while (soak->goes_on()) {
    HttpConnection cache(soak->cache.http, soak->dir);
    HttpConnection ledger(soak->ledger.http, soak->dir);
    soak->tally.Add("connections", 2);
    for (int n = 0; n < 50 && soak->goes_on(); ++n) {
      GetOrPut(&random, soak, &cache);
      Batch(&random, soak, &cache);
      AddOne(soak, &ledger);
      if (n % 10 == 0) {
        CheckStatus("HTTP page", cache.Ask("GET", kPages[random() % std::size(kPages)]), {200},
                    soak);
      }
    }
  }
}

}  // namespace kvarts::soak
