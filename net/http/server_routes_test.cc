// The routes that tell of the server itself.

#include <boost/json.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/version.h"
#include "gtest/gtest.h"
#include "net/http/asset.h"
#include "net/http/http_fixture.h"
#include "net/http/openapi.h"
#include "net/http/routes.h"
#include "storage/layers/forwarding_store.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

namespace json = boost::json;

std::string String(const json::value& value) { return std::string(value.as_string()); }

// --- /metrics -------------------------------------------------------------------

// Reads Prometheus' text format as strictly as promtool lints it; failures are
// the test's. The value of each series, by its text.
class Exposition {
 public:
  explicit Exposition(absl::string_view text) {
    EXPECT_TRUE(absl::EndsWith(text, "\n"));
    text.remove_suffix(1);
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      absl::StartsWith(line, "#") ? Comment(line) : Sample(line);
    }
    for (const auto& [name, type] : types_) {
      EXPECT_TRUE(seen_.count(name) > 0) << name << " has a TYPE and no samples";
      if (type == "histogram") CheckHistogram(name);
    }
  }

  double Value(const std::string& series) const {
    EXPECT_TRUE(values_.count(series) > 0) << series;
    return values_.count(series) > 0 ? values_.at(series) : -1;
  }
  bool Has(const std::string& series) const { return values_.count(series) > 0; }

 private:
  void Comment(absl::string_view line) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    ASSERT_EQ(words.size(), 4u) << line;
    if (words[1] == "HELP") {
      EXPECT_TRUE(helps_.insert(words[2]).second) << line;
      return;
    }
    ASSERT_EQ(words[1], "TYPE") << line;
    EXPECT_EQ(helps_.count(words[2]), 1u) << line;
    EXPECT_TRUE(types_.emplace(words[2], words[3]).second) << line;
    EXPECT_TRUE(words[3] == "counter" || words[3] == "gauge" || words[3] == "histogram") << line;
    EXPECT_EQ(words[3] == "counter", absl::EndsWith(words[2], "_total")) << line;
    family_ = words[2];
  }

  void Sample(absl::string_view line) {
    const size_t space = line.rfind(' ');
    ASSERT_NE(space, absl::string_view::npos) << line;
    const std::string series(line.substr(0, space));
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(line.substr(space + 1), &value)) << line;
    EXPECT_TRUE(values_.emplace(series, value).second) << "twice: " << line;
    std::string name = series.substr(0, series.find('{'));
    if (types_[family_] == "histogram") {
      for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        if (name == absl::StrCat(family_, suffix)) name = family_;
      }
    }
    EXPECT_EQ(name, family_) << "outside its family: " << line;
    seen_.insert(name);
    if (series.find('{') == std::string::npos) return;
    EXPECT_EQ(series.back(), '}') << line;
  }

  void CheckHistogram(const std::string& name) {
    const std::string prefix = absl::StrCat(name, "_bucket{protocol=\"http\",le=\"");
    std::map<double, double> buckets;
    for (const auto& [series, value] : values_) {
      if (!absl::StartsWith(series, prefix)) continue;
      double bound = 0;
      const std::string text = series.substr(prefix.size(), series.size() - prefix.size() - 2);
      ASSERT_TRUE(absl::SimpleAtod(text, &bound)) << series;
      buckets[bound] = value;
    }
    ASSERT_GT(buckets.size(), 10u);
    double before = 0;
    for (const auto& [bound, value] : buckets) {
      EXPECT_GE(value, before) << "buckets are cumulative: le " << bound;
      before = value;
    }
    EXPECT_TRUE(std::isinf(buckets.rbegin()->first));
    EXPECT_EQ(buckets.rbegin()->second, Value(absl::StrCat(name, "_count{protocol=\"http\"}")));
    EXPECT_GT(Value(absl::StrCat(name, "_sum{protocol=\"http\"}")), 0);
  }

  std::string family_;
  std::set<std::string> helps_;
  std::set<std::string> seen_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> values_;
};

TEST_F(HttpTest, MetricsAreInPrometheusFormatAndCountWhatHappened) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  for (const char* target : {"/v1/kv/a", "/v1/kv/a", "/v1/kv/none", "/v1/kv/%zz"})
    client->Get(target);
  client->WithBody("POST", "/v1/batch/get", "{\"keys\":[\"a\",\"none\",\"nothing\"]}");
  client->Send("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n");
  client->Receive();
  client->Receive();
  RunOn(loops_->loop(0), [] {});
  const TestResponse response = client->Get("/metrics");
  EXPECT_TRUE(response.Has("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  const Exposition metrics(response.body);
  EXPECT_EQ(metrics.Value("kvarts_requests_total{protocol=\"http\"}"), 7);
  EXPECT_EQ(metrics.Value("kvarts_request_errors_total{protocol=\"http\"}"), 1);
  EXPECT_EQ(metrics.Value("kvarts_key_hits_total{protocol=\"http\"}"), 5);
  EXPECT_EQ(metrics.Value("kvarts_key_misses_total{protocol=\"http\"}"), 3);
  EXPECT_EQ(metrics.Value("kvarts_request_duration_seconds_count{protocol=\"http\"}"), 7);
  EXPECT_EQ(metrics.Value("kvarts_connections{protocol=\"http\"}"), 1);
  EXPECT_EQ(metrics.Value("kvarts_connections_accepted_total{protocol=\"http\"}"), 1);
  EXPECT_EQ(metrics.Value("kvarts_store_entries"), 5);
  EXPECT_EQ(metrics.Value("kvarts_ready"), 1);
  EXPECT_EQ(metrics.Value(absl::StrCat("kvarts_build_info{version=\"", kVersion, "\"}")), 1);
  EXPECT_GT(metrics.Value("kvarts_sent_bytes_total{protocol=\"http\"}"), 500);
  EXPECT_GT(metrics.Value("process_resident_memory_bytes"), 1e6);
  EXPECT_GT(metrics.Value("process_open_fds"), 2);
}

// Tells of itself what not all stores do.
class TellingStore final : public ForwardingStore {
 public:
  TellingStore() : ForwardingStore(NewModelStore()) {}
  absl::StatusOr<StoreStats> Stats() override {
    StoreStats stats;
    stats.details = {{"level0_bytes", "4096"}, {"evict", "none"},   {"amplification", "1.5"},
                     {"level0_bytes", "1"},    {"of \"it\"", "-2"}, {"ratio", "nan"},
                     {"evicted", "7"},         {"swaps", "3"}};
    return stats;
  }
};

TEST_F(HttpTest, NumbersThatTheStoreTellsOfItselfAreMetrics) {
  StartServer();
  SetStore(std::make_unique<TellingStore>());
  const auto client = Connect();
  client->Get("/livez");
  RunOn(loops_->loop(0), [] {});
  const Exposition metrics(client->Get("/metrics").body);
  EXPECT_EQ(metrics.Value("kvarts_store_detail{name=\"level0_bytes\"}"), 4096);
  EXPECT_EQ(metrics.Value("kvarts_store_detail{name=\"amplification\"}"), 1.5);
  EXPECT_EQ(metrics.Value("kvarts_store_detail{name=\"of \\\"it\\\"\"}"), -2);
  EXPECT_EQ(metrics.Value("kvarts_store_evicted_total"), 7);
  EXPECT_EQ(metrics.Value("kvarts_store_swaps_total"), 3);
  EXPECT_FALSE(metrics.Has("kvarts_store_expired_total"));
  EXPECT_FALSE(metrics.Has("kvarts_store_detail{name=\"evict\"}"));
  EXPECT_FALSE(metrics.Has("kvarts_store_detail{name=\"ratio\"}"));
}

TEST_F(HttpTest, MetricsAreThereBeforeTheStore) {
  StartServer();
  auto client = Connect();
  client->Get("/livez");
  RunOn(loops_->loop(0), [] {});
  const Exposition metrics(client->Get("/metrics").body);
  EXPECT_EQ(metrics.Value("kvarts_ready"), 0);
  EXPECT_FALSE(metrics.Has("kvarts_store_entries"));
}

// --- /v1/status, /v1/stats --------------------------------------------------------

TEST_F(HttpTest, StatusTellsWhatThePageShows) {
  ManualClock clock;
  Metrics metrics;
  MetricsHistory history(&metrics, absl::Seconds(1), &clock);
  HttpOptions options;
  options.clock = &clock;
  options.metrics = &metrics;
  options.history = &history;
  options.served = "model:\"x\"";
  options.limits = {{"RESP clients", "9"}};
  StartServer(options);
  auto client = Connect();
  json::object status = json::parse(client->Get("/v1/status").body).as_object();
  EXPECT_FALSE(status.at("ready").as_bool());
  EXPECT_FALSE(status.contains("store"));
  SetModelStore();
  client->Get("/v1/kv/a");
  clock.Advance(absl::Seconds(1));
  RunOn(loops_->loop(0), [] {});
  history.Sample();
  clock.Advance(absl::Seconds(1));
  history.Sample();
  clock.Advance(absl::Seconds(60));
  const std::string text = client->Get("/v1/status").body;
  status = json::parse(text).as_object();
  EXPECT_TRUE(status.at("ready").as_bool());
  EXPECT_EQ(status.at("served").as_string(), "model:\"x\"");
  EXPECT_EQ(status.at("version").as_string(), kVersion);
  EXPECT_EQ(status.at("uptime_seconds").as_int64(), 62);
  EXPECT_EQ(status.at("store").as_object().at("entries").as_int64(), 5);
  EXPECT_EQ(status.at("limits").as_array().back(),
            json::parse("{\"name\":\"RESP clients\",\"value\":\"9\"}"));
  const json::object& http = status.at("protocols").as_array().at(0).as_object();
  EXPECT_EQ(http.at("name").as_string(), "http");
  EXPECT_EQ(http.at("address").as_string(), "loopback:http");
  EXPECT_EQ(http.at("connections").as_int64(), 1);
  EXPECT_EQ(http.at("hits").as_int64(), 1);
  const json::array& samples = status.at("history").as_array();
  ASSERT_EQ(samples.size(), 2u);
  const json::object& first =
      samples[0].as_object().at("protocols").as_object().at("http").as_object();
  EXPECT_EQ(first.at("requests").as_int64(), 2);
  const int64_t time = samples[0].as_object().at("time_ms").as_int64();
  EXPECT_EQ(json::parse(client->Get(absl::StrCat("/v1/status?since=", time)).body)
                .as_object()
                .at("history")
                .as_array()
                .size(),
            1u);
  EXPECT_EQ(client->Get("/v1/status?since=x").status, 400);
  client.reset();
  Stop();  // before what is on this stack
}

TEST_F(HttpTest, StatsAreTheStores) {
  StartServer();
  EXPECT_EQ(Connect()->Get("/v1/stats").status, 503);
  SetModelStore();
  const json::object stats = json::parse(Connect()->Get("/v1/stats").body).as_object();
  EXPECT_EQ(stats.at("entries").as_int64(), 5);
  EXPECT_EQ(stats.at("capabilities").as_object().at("write").as_string(), "native");
}

// --- /openapi.json -----------------------------------------------------------------

// Calls `visit` on each "$ref" below `value`.
template <typename Visit>
void EachReference(const json::value& value, Visit visit) {
  if (value.is_array()) {
    for (const json::value& item : value.as_array()) EachReference(item, visit);
  } else if (value.is_object()) {
    for (const auto& [key, item] : value.as_object()) {
      if (key == "$ref") visit(String(item));
      EachReference(item, visit);
    }
  }
}

TEST_F(HttpTest, TheDocumentHasEveryRouteAndEveryReferenceIsThere) {
  StartServer();
  const TestResponse response = Connect()->Get("/openapi.json");
  EXPECT_TRUE(response.Has("Content-Type: application/json"));
  const json::value document = json::parse(response.body);
  EXPECT_EQ(document.as_object().at("openapi").as_string(), "3.1.0");
  const json::object& paths = document.as_object().at("paths").as_object();
  size_t operations = 0;
  for (const auto& [path, methods] : paths) operations += methods.as_object().size();
  size_t expected = 0;
  for (const HttpRoute& route : HttpRoutes()) {
    const json::object& operation =
        paths.at(route.path).as_object().at(absl::AsciiStrToLower(route.method)).as_object();
    EXPECT_EQ(operation.at("operationId").as_string(), route.id);
    EXPECT_EQ(operation.at("responses").as_object().size(), route.answers.size() + 1);
    EXPECT_EQ(operation.contains("parameters") ? operation.at("parameters").as_array().size() : 0,
              route.parameters.size());
    EXPECT_EQ(operation.contains("security"), route.open);
    expected += route.batches ? 2 : 1;  // with HEAD
  }
  EXPECT_EQ(operations, expected);
  int references = 0;
  EachReference(document, [&](const std::string& reference) {
    ++references;
    ASSERT_TRUE(absl::StartsWith(reference, "#/"));
    const json::value* at = &document;
    for (const absl::string_view step : absl::StrSplit(reference.substr(2), '/')) {
      at = at->as_object().if_contains(json::string_view(step.data(), step.size()));
      ASSERT_NE(at, nullptr) << reference;
    }
  });
  EXPECT_GT(references, 10);
}

// The parser, too, knows the members that the document has, and no more.
TEST_F(HttpTest, ExamplesOfTheDocumentAreTakenAndMembersAreThoseOfTheParser) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const json::value document = json::parse(client->Get("/openapi.json").body);
  const json::object& schemas =
      document.as_object().at("components").as_object().at("schemas").as_object();
  const auto post = [&](const char* path, const json::value& body) {
    return client->WithBody("POST", path, json::serialize(body),
                            "Content-Type: application/json\r\n");
  };
  const auto examples = [&](const char* schema) {
    return schemas.at(schema).as_object().at("examples").as_array();
  };
  for (const json::value& example : examples("BatchKeys")) {
    EXPECT_EQ(post("/v1/batch/get", example).status, 200) << example;
  }
  ASSERT_GE(examples("BatchWrite").size(), 2u);
  for (const json::value& example : examples("BatchWrite")) {
    EXPECT_EQ(post("/v1/batch/write", example).status, 200) << example;
  }
  // Its own condition does not hold any more: the answer is that of the document.
  EXPECT_EQ(json::parse(post("/v1/batch/write", examples("BatchWrite")[1]).body),
            examples("ConditionFailed")[0]);
  const auto members = [&](const char* schema) {
    std::string names;
    for (const auto& [name, unused] : schemas.at(schema).as_object().at("properties").as_object()) {
      absl::StrAppend(&names, names.empty() ? "" : ", ",
                      absl::string_view(name.data(), name.size()));
    }
    return names;
  };
  const auto known = [&](const char* body) {
    const std::string error = String(
        json::parse(post("/v1/batch/write", json::parse(body)).body).as_object().at("error"));
    return error.substr(error.find("known are ") + 10);
  };
  const auto sorted = [](absl::string_view names) {
    return std::set<std::string>(absl::StrSplit(names, ", "));
  };
  EXPECT_EQ(sorted(known("{\"?\":1}")), sorted(members("BatchWrite")));
  EXPECT_EQ(sorted(known("{\"mutations\":[{\"?\":1}]}")), sorted(members("Mutation")));
  EXPECT_EQ(sorted(known("{\"if\":[{\"?\":1}]}")), sorted(members("Condition")));
}

// --- Pages ---------------------------------------------------------------------------

TEST_F(HttpTest, PagesNeedNothingFromElsewhere) {
  StartServer();
  auto client = Connect();
  for (const char* target : {"/", "/docs", "/pages/docs_plain.html"}) {
    const TestResponse page = client->Get(target);
    EXPECT_EQ(page.status, 200) << target;
    EXPECT_TRUE(page.Has("Content-Type: text/html; charset=utf-8"));
    EXPECT_TRUE(absl::StrContains(page.Field("Content-Security-Policy"), "default-src 'none'"));
    EXPECT_FALSE(absl::StrContains(page.body, "://")) << target << " names another address";
    // Each file that it names is there.
    for (const char* attribute : {"src=\"", "href=\""}) {
      for (size_t at = page.body.find(attribute); at != std::string::npos;
           at = page.body.find(attribute, at + 1)) {
        const size_t begin = at + absl::string_view(attribute).size();
        const std::string file = page.body.substr(begin, page.body.find('"', begin) - begin);
        if (file == ".") continue;
        EXPECT_EQ(client->Get(absl::StrCat("/", file)).status, 200) << file;
      }
    }
  }
  EXPECT_EQ(client->Get("/pages/nothing").status, 404);
  EXPECT_EQ(client->Get("/docs/nothing").status, 404);
}

TEST_F(HttpTest, FilesArePackedForWhoTakesItAndKeptByTheirEtag) {
  StartServer();
  auto client = Connect();
  const TestResponse plain = client->Get("/pages/status.js");
  EXPECT_EQ(plain.Field("Content-Encoding"), "");
  const TestResponse packed =
      client->Get("/pages/status.js", "Accept-Encoding: br, gzip;q=0.5\r\n");
  EXPECT_EQ(packed.Field("Content-Encoding"), "gzip");
  EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b");
  EXPECT_LT(packed.body.size(), plain.body.size() / 2);
  EXPECT_EQ(client->Get("/pages/status.js", "Accept-Encoding: gzip;q=0, br\r\n").body, plain.body);
  const std::string field = absl::StrCat("If-None-Match: ", plain.Field("ETag"), "\r\n");
  EXPECT_EQ(client->Get("/pages/status.js", field).status, 304);
}

TEST_F(HttpTest, SwaggerUiIsThereOrAPlainPageInItsPlace) {
  StartServer();
  auto client = Connect();
  const TestResponse docs = client->Get("/docs");
  if (SwaggerAssets().empty()) {
    EXPECT_TRUE(absl::StrContains(docs.body, "docs_plain.js"));
    return;
  }
  EXPECT_TRUE(absl::StrContains(docs.body, "docs/swagger-ui-bundle.js"));
  const TestResponse bundle = client->Get("/docs/swagger-ui-bundle.js");
  EXPECT_EQ(bundle.Field("Content-Encoding"), "gzip");
  EXPECT_GT(bundle.body.size(), 100'000u);
  EXPECT_EQ(client->Get("/docs/swagger-ui-bundle.js", "Accept-Encoding: br\r\n").status, 406);
}

}  // namespace
}  // namespace kvarts
