// Clients that do not go by the rules.

#include <deque>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/soak/soak.h"
#include "apps/testing/soak/values.h"
#include "gtest/gtest.h"

namespace kvarts::soak {
namespace {

// Of a value that is asked for and not read: more of it than sockets hold.
constexpr size_t kUnreadBytes = 100 << 10;
constexpr int kUnreadRequests = 200;
constexpr size_t kUnreadClients = 2;

// Says all and ends its half; what it asked for comes all the same, and then the end.
void HalfClose(Random* random, Soak* soak) {
  const std::string key = KeyOf(AnyKey(random, *soak));
  RespConnection resp(soak->cache.resp, soak->dir);
  TestSocket http(soak->cache.http, soak->dir);
  if (!CheckConnected(resp.socket(), soak) || !CheckConnected(http, soak)) return;
  http.SetTimeout(kHangingSeconds);
  std::string request;
  AppendRequest({"GET", key}, &request);
  resp.socket().Send(request);
  resp.socket().CloseWrite();
  http.Send(absl::StrCat("GET /v1/kv/", key, " HTTP/1.1\r\nHost: x\r\n\r\n"));
  http.CloseWrite();
  const Reply reply = resp.Read().value_or(Reply());
  EXPECT_TRUE(reply.is_null() || reply.type == '$') << reply.type << reply.text;
  CheckValue("half-closed", key, !reply.is_null(), reply.text);
  EXPECT_FALSE(resp.Read().has_value());
  EXPECT_TRUE(absl::StartsWith(http.ReceiveAll(), "HTTP/1.1 "));
  soak->tally.Add("half-closed connections", 2);
}

// Goes in the middle of a write, which must not be carried out by half: whoever reads the key
// finds it out.
void CutOff(Random* random, Soak* soak) {
  const uint64_t number = AnyKey(random, *soak);
  const std::string key = KeyOf(number);
  const std::string value = ValueOf(key, soak->NextVersion(), kUnreadBytes);
  std::string request;
  AppendRequest({"SET", key, value}, &request);
  std::string http =
      absl::StrCat("PUT /v1/kv/", key, " HTTP/1.1\r\nHost: x\r\nContent-Length: ", value.size(),
                   "\r\n\r\n", value);
  const struct {
    const std::string& address;
    absl::string_view bytes;
  } cases[] = {{soak->cache.resp, request},
               {soak->cache.http, http},
               {soak->cache.native, "KVNATIVE and then nothing that is meant to be"}};
  for (const auto& c : cases) {
    TestSocket socket(c.address, soak->dir);
    if (!CheckConnected(socket, soak)) return;
    socket.SetTimeout(kHangingSeconds);
    socket.Send(c.bytes.substr(0, (*random)() % c.bytes.size()));
    if ((*random)() % 2 == 0) socket.Reset();
    soak->tally.Add("connections cut off in a request");
  }
}

// Is killed by another one while it asks. What comes is whole replies, then one that may be
// cut, then the end.
void Kill(Random* random, Soak* soak) {
  RespConnection victim(soak->cache.resp, soak->dir);
  RespConnection killer(soak->cache.resp, soak->dir);
  if (!CheckConnected(victim.socket(), soak) || !CheckConnected(killer.socket(), soak)) return;
  const std::string id = victim.Ask({"CLIENT", "ID"}).text;
  const std::string key = KeyOf(AnyKey(random, *soak) / 61 * 61);
  std::string requests;
  for (int i = 0; i < 20; ++i) AppendRequest({"GET", key}, &requests);
  victim.socket().Send(requests);
  EXPECT_EQ(killer.Ask({"CLIENT", "KILL", "ID", id}).text, "1");
  while (const std::optional<Reply> reply = victim.Read()) {
    CheckValue("killed", key, !reply->is_null(), reply->text);
  }
  EXPECT_EQ(killer.Ask({"PING"}).text, "PONG");
  soak->tally.Add("CLIENT KILL");
}

// Asks for much and reads nothing.
std::unique_ptr<TestSocket> Unread(bool over_http, Soak* soak) {
  const std::string key = "unread";
  auto socket =
      std::make_unique<TestSocket>(over_http ? soak->cache.http : soak->cache.resp, soak->dir);
  if (!CheckConnected(*socket, soak)) return nullptr;
  socket->SetTimeout(kHangingSeconds);
  std::string requests;
  if (!over_http) {
    AppendRequest({"SET", key, ValueOf(key, soak->NextVersion(), kUnreadBytes)}, &requests);
  }
  for (int i = 0; i < kUnreadRequests; ++i) {
    if (over_http) {
      absl::StrAppend(&requests, "GET /v1/kv/", key, " HTTP/1.1\r\nHost: x\r\n\r\n");
    } else {
      AppendRequest({"GET", key}, &requests);
    }
  }
  socket->Send(requests);
  soak->tally.Add("connections that were not read from");
  return socket;
}

void ComeAndGo(Random* random, Soak* soak) {
  for (int i = 0; i < 9; ++i) {
    TestSocket socket(i % 3 == 0   ? soak->cache.resp
                      : i % 3 == 1 ? soak->cache.http
                                   : soak->cache.native,
                      soak->dir);
    if (!CheckConnected(socket, soak)) return;
    if ((*random)() % 2 == 0) socket.Reset();
  }
}

void TalkNonsense(Soak* soak) {
  RespConnection resp(soak->cache.resp, soak->dir);
  HttpConnection http(soak->cache.http, soak->dir);
  if (!CheckConnected(resp.socket(), soak)) return;
  EXPECT_TRUE(resp.Ask({"NONSENSE", "a"}).is_error());
  EXPECT_TRUE(resp.Ask({"GET"}).is_error());
  EXPECT_EQ(http.Ask("NONSENSE", "/v1/kv/a").status / 100, 4);
  resp.socket().Send("*1\r\n$-7\r\n");
  EXPECT_TRUE(resp.Read().value_or(Reply()).is_error());
  EXPECT_FALSE(resp.Read().has_value()) << "what is no RESP ends the connection";
  soak->tally.Add("nonsense", 4);
}

}  // namespace

void Disturb(uint64_t seed, Soak* soak) {
  Random random(seed);
  std::deque<std::unique_ptr<TestSocket>> unread;
  while (soak->goes_on()) {
    HalfClose(&random, soak);
    CutOff(&random, soak);
    Kill(&random, soak);
    ComeAndGo(&random, soak);
    TalkNonsense(soak);
    unread.push_back(Unread(random() % 2 == 0, soak));
    if (unread.back() == nullptr) return;
    if (unread.size() > kUnreadClients) {
      if (random() % 2 == 0) unread.front()->Reset();
      unread.pop_front();
    }
  }
}

}  // namespace kvarts::soak
