// Runs the real kv_server over a memory store, and writes to it over the native protocol
// and over HTTP.

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"
#include "net/remote/remote_store.h"
#include "net/tcp/tcp.h"
#include "storage/store.h"

namespace kvarts {
namespace {

class KvServerWriteTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(server_.native, "") << server_.process.Errors(); }

  std::unique_ptr<Store> Remote() {
    auto store = OpenRemoteStore(transport_.get(), server_.native);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string Client(std::vector<std::string> args) {
    args.insert(args.begin(), {"apps/kv_client", absl::StrCat("--store=", server_.native)});
    const ProcessResult result = RunProcess(args);
    return absl::StrCat(result.exit_code, " ", result.out, result.err);
  }
  // The response to one request on a connection of its own; of JSON where it has a body.
  std::string Http(absl::string_view method, absl::string_view target, absl::string_view body,
                   absl::string_view fields = "Content-Type: application/json\r\n") {
    TestSocket socket(server_.http, dir_);
    socket.Send(absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
                             fields, "Content-Length: ", body.size(), "\r\n\r\n", body));
    return socket.ReceiveAll();
  }
  static std::string Field(absl::string_view response, absl::string_view name) {
    const size_t at = response.find(absl::StrCat("\r\n", name, ": "));
    if (at == absl::string_view::npos) return "";
    const size_t begin = at + name.size() + 4;
    return std::string(response.substr(begin, response.find("\r\n", begin) - begin));
  }
  static std::string Body(absl::string_view response) {
    return std::string(response.substr(response.find("\r\n\r\n") + 4));
  }

  const std::string dir_ = TestDirectory();
  TestServer server_{{"apps/kv_server", "--store=memory:", "--listen=tcp://127.0.0.1:0",
                      "--resp=", "--http=127.0.0.1:0"},
                     dir_,
                     {}};
  const std::unique_ptr<Transport> transport_ = NewTcpTransport();
};

TEST_F(KvServerWriteTest, TheCommandLineClientPutsAndDeletes) {
  EXPECT_EQ(Client({"put", "a", "1"}), "0 ");
  EXPECT_EQ(Client({"put", "a", "2"}), "0 ");
  EXPECT_EQ(Client({"get", "a"}), "0 2\n");
  EXPECT_EQ(Client({"count"}), "0 1\n");
  EXPECT_EQ(Client({"delete", "a"}), "0 ");
  EXPECT_EQ(Client({"delete", "a"}), "1 kv_client: a: there is no such key\n");
}

TEST_F(KvServerWriteTest, ABatchOverTheNativeProtocolHoldsEachPrecondition) {
  const std::unique_ptr<Store> store = Remote();
  ASSERT_TRUE(store->Put("a", "1").ok());
  ReadOptions read;
  read.stamp = true;
  ReadResults results;
  store->Read("a", read, &results);
  const Stamp stamp = results[0].stamp;
  ASSERT_TRUE(store->Put("b", "old").ok());

  WriteOptions options;
  options.atomic = true;
  options.report_existed = true;
  WriteResults written;
  using Require = void (*)(WriteBatch*, const Stamp&);
  const auto write = [&](Require require) {
    WriteBatch batch;
    batch.RequirePresent("b");
    require(&batch, stamp);
    batch.Put("b", "new");
    batch.Put("c", "new");
    batch.Delete("a");
    return store->Write(batch, options, &written);
  };
  const Require failing[] = {
      [](WriteBatch* batch, const Stamp&) { batch->RequireAbsent("a"); },
      [](WriteBatch* batch, const Stamp&) { batch->RequirePresent("none"); },
      [](WriteBatch* batch, const Stamp& of_a) { batch->RequireUnchanged("b", of_a); },
  };
  for (const Require require : failing) {
    EXPECT_EQ(write(require).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(written.failed_precondition, 1);
    EXPECT_EQ(**store->Get("b"), "old");
    EXPECT_FALSE((*store->Get("c")).has_value());
  }
  const absl::Status status = write([](WriteBatch* batch, const Stamp& of_a) {
    batch->RequireUnchanged("a", of_a);
    batch->RequireAbsent("c");
    batch->RequirePresent("a");
  });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(written.results.size(), 3u);
  EXPECT_TRUE(written.results[0].existed);
  EXPECT_FALSE(written.results[1].existed);
  EXPECT_TRUE(written.results[2].existed);
  EXPECT_FALSE((*store->Get("a")).has_value());
  EXPECT_EQ(**store->Get("c"), "new");
  // The stamp is of a state that has gone.
  EXPECT_EQ(write([](WriteBatch* batch, const Stamp& of_a) {
              batch->RequireUnchanged("a", of_a);
            }).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(KvServerWriteTest, ABatchOverHttpHoldsEachCondition) {
  const std::string put = Http("PUT", "/v1/kv/a?ttl_ms=600000", "1", "Content-Type: x/y\r\n");
  EXPECT_TRUE(absl::StartsWith(put, "HTTP/1.1 201 ")) << put;
  const std::string got = Http("GET", "/v1/kv/a", "");
  EXPECT_EQ(Body(got), "1");
  EXPECT_EQ(Field(got, "Content-Type"), "x/y");
  EXPECT_EQ(Field(got, "X-Expires-At-Ms"), Field(put, "X-Expires-At-Ms"));
  std::string etag = Field(got, "ETag");
  etag = etag.substr(1, etag.size() - 2);
  const auto write = [&](absl::string_view condition) {
    const std::string response =
        Http("POST", "/v1/batch/write",
             absl::StrCat("{\"mutations\":[{\"put\":\"b\",\"value\":\"2\"},{\"delete\":\"a\"}],"
                          "\"if\":[{\"present\":\"a\"},",
                          condition, "]}"));
    return absl::StrCat(response.substr(9, 3), " ", Body(response));
  };
  EXPECT_EQ(write("{\"absent\":\"a\"}"),
            "412 {\"error\":\"if[1] does not hold: the key is "
            "there\",\"code\":\"precondition_failed\",\"failed\":1}\n");
  EXPECT_EQ(write("{\"present\":\"b\"}"),
            "412 {\"error\":\"if[1] does not hold: the key is "
            "absent\",\"code\":\"precondition_failed\",\"failed\":1}\n");
  EXPECT_EQ(write("{\"unchanged\":\"a\",\"etag\":\"other\"}"),
            "412 {\"error\":\"if[1] does not hold: the value has another ETag, or is gone\","
            "\"code\":\"precondition_failed\",\"failed\":1}\n");
  EXPECT_EQ(Client({"get", "a"}), "0 1\n");
  EXPECT_EQ(write(absl::StrCat("{\"absent\":\"b\"},{\"unchanged\":\"a\",\"etag\":\"", etag, "\"}"))
                .substr(0, 3),
            "200");
  EXPECT_EQ(Client({"get", "b"}), "0 2\n");
  EXPECT_EQ(Client({"count"}), "0 1\n");
}

// One writes under ETags, the others under stamps: they respect each other.
TEST_F(KvServerWriteTest, OfClientsOfBothProtocolsWhoAddOneNoneIsLost) {
  constexpr int kSteps = 50;
  ASSERT_TRUE(Remote()->Put("n", "0").ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int done = 0; done < kSteps;) {
        const std::string got = Http("GET", "/v1/kv/n", "");
        const std::string next = absl::StrCat(std::stoi(Body(got)) + 1);
        const std::string etag = Field(got, "ETag");
        const std::string put =
            done % 2 == 0 ? Http("PUT", "/v1/kv/n", next, absl::StrCat("If-Match: ", etag, "\r\n"))
                          : Http("POST", "/v1/batch/write",
                                 absl::StrCat("{\"mutations\":[{\"put\":\"n\",\"value\":\"", next,
                                              "\"}],\"if\":[{\"unchanged\":\"n\",\"etag\":",
                                              etag,  // in its quotes
                                              "}]}"));
        if (absl::StartsWith(put, "HTTP/1.1 20")) {
          ++done;
        } else {
          ASSERT_TRUE(absl::StartsWith(put, "HTTP/1.1 412 ")) << put;
        }
      }
    });
    threads.emplace_back([&] {
      const std::unique_ptr<Store> store = Remote();
      for (int done = 0; done < kSteps; ++done) {
        const absl::Status status =
            store->Modify("n", {}, [](const ReadResult& current) -> absl::StatusOr<Modification> {
              return Modification::Put(absl::StrCat(std::stoi(std::string(current.value)) + 1));
            });
        ASSERT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Client({"get", "n"}), absl::StrCat("0 ", 4 * kSteps, "\n"));
}

// What `kv_client get` prints is one state of the store, as an answer over HTTP is. With one
// loop a client's requests are counted before anybody else is answered.
TEST(KvClientReadTest, ManyKeysAreOneRequest) {
  const std::string dir = TestDirectory();
  const TestServer server{{"apps/kv_server", "--store=memory:", "--listen=tcp://127.0.0.1:0",
                           "--resp=", "--http=127.0.0.1:0", "--threads=1"},
                          dir,
                          {}};
  const auto get = [&](std::vector<std::string> keys) {
    keys.insert(keys.begin(), {"apps/kv_client", absl::StrCat("--store=", server.native), "get"});
    return RunProcess(keys).err;
  };
  const auto requests = [&] {
    std::string count;
    const std::string metrics = HttpGet(server.http, "/metrics", dir);
    for (const absl::string_view line : absl::StrSplit(metrics, '\n')) {
      absl::string_view rest = line;
      if (absl::ConsumePrefix(&rest, "kvarts_requests_total{protocol=\"native\"} ")) {
        count = std::string(rest);
      }
    }
    int number = -1;
    EXPECT_TRUE(absl::SimpleAtoi(count, &number)) << metrics;
    return number;
  };
  std::vector<std::string> keys;
  std::string absent;
  for (int i = 0; i < 200; ++i) {
    keys.push_back(absl::StrCat("key", i));
    absl::StrAppend(&absent, "kv_client: key", i, ": there is no such key\n");
  }
  EXPECT_EQ(get({"key0"}), "kv_client: key0: there is no such key\n");
  const int one = requests();
  EXPECT_GE(one, 1);
  EXPECT_EQ(get(keys), absent);
  EXPECT_EQ(requests(), 2 * one);
}

}  // namespace
}  // namespace kvarts
