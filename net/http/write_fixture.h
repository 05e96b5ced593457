#ifndef KVARTS_NET_HTTP_WRITE_FIXTURE_H_
#define KVARTS_NET_HTTP_WRITE_FIXTURE_H_

#include <boost/json.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/http/handlers.h"
#include "net/http/http_fixture.h"
#include "storage/memory/memory.h"
#include "testing/model/manual_clock.h"

namespace kvarts {

inline constexpr char kJson[] = "Content-Type: application/json\r\n";
inline constexpr int64_t kStartMs = ManualClock::kStartMs;

class WriteRoutesTest : public HttpTest {
 protected:
  ~WriteRoutesTest() override {
    Stop();
    store_.reset();  // before its clock
  }

  void SetUp() override {
    HttpOptions options;
    options.clock = &clock_;
    StartServer(options);
  }

  void SetModel(const Capabilities& capabilities = ModelCapabilities()) {
    ModelStoreOptions options;
    options.capabilities = capabilities;
    options.clock = &clock_;
    options.records = {{"a", "1"}};
    SetStore(NewModelStore(std::move(options)));
  }
  static TestResponse Write(TestConnection* client, absl::string_view body) {
    return client->WithBody("POST", "/v1/batch/write", body, kJson);
  }
  static std::string Unchanged(absl::string_view key, absl::string_view value) {
    return absl::StrCat("{\"unchanged\":\"", key, "\",\"etag\":", JsonQuote(ValueEtag(value)), "}");
  }
  static std::string Put(absl::string_view key, absl::string_view value) {
    return absl::StrCat("{\"put\":\"", key, "\",\"value\":\"", value, "\"}");
  }
  static std::string Batch(const std::vector<std::string>& mutations,
                           const std::vector<std::string>& conditions = {}) {
    return absl::StrCat("{\"mutations\":[", absl::StrJoin(mutations, ","), "],\"if\":[",
                        absl::StrJoin(conditions, ","), "]}");
  }
  // "201 204 404": the statuses of the results.
  static std::string Statuses(const TestResponse& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_TRUE(response.Has("Content-Type: application/json"));
    std::string out;
    const boost::json::value answer = boost::json::parse(response.body);
    for (const boost::json::value& result : answer.as_object().at("results").as_array()) {
      absl::StrAppend(&out, out.empty() ? "" : " ", result.as_object().at("status").as_int64());
    }
    return out;
  }
  std::string Value(absl::string_view key) { return store_->Get(key)->value_or("(absent)"); }

  ManualClock clock_;
};

// Over each store that takes everything.
class EachStoreTest : public WriteRoutesTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    WriteRoutesTest::SetUp();
    const absl::string_view name = GetParam();
    if (name == "memory") {
      MemoryOptions options;
      options.clock = &clock_;
      SetStore(NewMemoryStore(options));
      ASSERT_TRUE(store_->Put("a", "1").ok());
    } else {
      Capabilities capabilities = ModelCapabilities();
      capabilities.may_block = name == "waiting";  // its calls run in a pool
      SetModel(capabilities);
    }
  }
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_WRITE_FIXTURE_H_
