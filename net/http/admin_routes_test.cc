// POST /v1/admin/...: the care of a served store's files.

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/http/http_fixture.h"
#include "testing/model/fake_maintenance.h"

namespace kvarts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kJson[] = "Content-Type: application/json\r\n";

class HttpAdminTest : public HttpTest {
 protected:
  void Serve(const HttpOptions& options = {}) {
    StartServer(options);
    auto store = std::make_unique<MaintainedStore>(NewModelStore());
    fake_ = store->maintenance();
    SetStore(std::move(store));
  }
  TestResponse Post(absl::string_view target, absl::string_view fields = kJson) {
    return Connect()->WithBody("POST", absl::StrCat("/v1/admin/", target), "{}", fields);
  }

  FakeMaintenance* fake_ = nullptr;
};

TEST_F(HttpAdminTest, EachRouteSaysWhatWasDone) {
  Serve();
  EXPECT_EQ(Post("flush").body, "{\"flushed\":true}\n");
  EXPECT_EQ(Post("compact").body, "{\"compacted\":true}\n");
  EXPECT_EQ(Post("compact?start=a%2Fb&end=c").status, 200);
  EXPECT_EQ(Post("verify").body, "{\"files\":3,\"bytes\":4096,\"entries\":17}\n");
  EXPECT_EQ(Post("checkpoint?name=today").body, "{\"path\":\"/checkpoints/today\"}\n");
  EXPECT_EQ(Post("checkpoint").body, "{\"path\":\"/checkpoints/of-now\"}\n");
  EXPECT_THAT(fake_->Calls(), ElementsAre("flush", "compact  to ", "compact a/b to c", "verify",
                                          "checkpoint today", "checkpoint "));
}

TEST_F(HttpAdminTest, ErrorsAreTheStores) {
  Serve();
  fake_->LetGo(absl::DataLossError("000012.table, offset 4096: a bad checksum"));
  const TestResponse damaged = Post("verify");
  EXPECT_EQ(damaged.status, 503);
  EXPECT_THAT(damaged.body, HasSubstr("000012.table, offset 4096"));
  fake_->LetGo(absl::AlreadyExistsError("/checkpoints/today is there"));
  EXPECT_EQ(Post("checkpoint?name=today").status, 409);
}

TEST_F(HttpAdminTest, ACheckpointIsNamedWithinTheDirectoryForThem) {
  Serve();
  for (const char* name : {"..", ".", "%2Fetc", "a%2Fb", "..%2Fx", "a%00"}) {
    EXPECT_EQ(Post(absl::StrCat("checkpoint?name=", name)).status, 400) << name;
  }
  EXPECT_TRUE(fake_->Calls().empty());
}

TEST_F(HttpAdminTest, WhatPagesOfOtherSitesMaySendIsRefused) {
  Serve();
  EXPECT_EQ(Post("flush", "").status, 415);
  EXPECT_EQ(Post("flush", "Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(Connect()->Get("/v1/admin/flush").status, 405);
  EXPECT_TRUE(fake_->Calls().empty());
}

TEST_F(HttpAdminTest, ThePasswordIsNeeded) {
  HttpOptions options;
  options.password = "secret";
  Serve(options);
  EXPECT_EQ(Post("flush").status, 401);
  EXPECT_EQ(Post("flush", absl::StrCat(kJson, "Authorization: Bearer secret\r\n")).status, 200);
  EXPECT_THAT(fake_->Calls(), ElementsAre("flush"));
}

TEST_F(HttpAdminTest, OneIsUnderWayAtATimeAndHoldsNoOtherRequestUp) {
  Serve();
  fake_->Hold();
  const auto client = Connect();
  client->Send(absl::StrCat("POST /v1/admin/compact HTTP/1.1\r\nHost: x\r\n", kJson,
                            "Content-Length: 0\r\n\r\n"));
  fake_->AwaitCalls(1);
  EXPECT_EQ(Post("verify").status, 409);
  EXPECT_EQ(Connect()->Get("/v1/kv/none").status, 404);
  fake_->LetGo();
  EXPECT_EQ(client->Receive().status, 200);
  EXPECT_EQ(Post("verify").status, 200) << "the next may begin";
}

TEST_F(HttpAdminTest, AClientMayLeaveAndTheServerWaitsForTheWork) {
  Serve();
  fake_->Hold();
  auto client = Connect();
  client->Send(absl::StrCat("POST /v1/admin/flush HTTP/1.1\r\nHost: x\r\n", kJson,
                            "Content-Length: 0\r\n\r\n"));
  fake_->AwaitCalls(1);
  client.reset();
  std::thread lets_go([this] { fake_->LetGo(); });
  Stop();
  lets_go.join();
}

TEST_F(HttpAdminTest, AStoreWithoutFilesIs501) {
  StartServer();
  EXPECT_EQ(Post("flush").status, 503) << "it is being opened";
  SetModelStore();
  for (const char* route : {"flush", "compact", "verify", "checkpoint"}) {
    EXPECT_EQ(Post(route).status, 501) << route;
  }
}

}  // namespace
}  // namespace kvarts
