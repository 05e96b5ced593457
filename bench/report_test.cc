#include "bench/report.h"

#include <map>
#include <optional>
#include <string>

#include "bench/flat_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::Not;

BenchReport SomeReport() {
  BenchReport report;
  report.version = "1.2";
  report.store = "bisect:my\"\\\n\xC3\xA4\xFF";
  report.mix = "get:1,put:1";
  report.keys = "generated";
  report.records = 1000;
  report.threads = 2;
  report.run.rate = 5000;
  report.run.warmup = absl::Milliseconds(1500);
  report.ran = true;
  report.result.elapsed = absl::Seconds(4);
  report.result.cpu_seconds = 0.25;
  OperationTally& gets = report.result.tally.of(Operation::kGet);
  gets.requests = gets.keys = 1000;
  gets.hits = 900;
  gets.misses = 90;
  gets.errors = 10;
  for (uint64_t i = 1; i <= 1000; ++i) gets.latency_ns.Add(i * 1000);
  OperationTally& puts = report.result.tally.of(Operation::kPut);
  puts.requests = puts.keys = 10;
  puts.latency_ns.Add(5'000'000, 10);
  for (int i = 0; i < 10; ++i) report.result.tally.AddError(absl::InternalError("no"));
  report.result.tally.start_delay_ns().Add(7);
  return report;
}

TEST(ReportTest, JsonHasAllOfItAndAddsUp) {
  const std::string json = ToJson(SomeReport());
  EXPECT_EQ(json.find('\n'), json.size() - 1);
  const auto parsed = ParseFlatJson(json);
  ASSERT_TRUE(parsed.has_value()) << json;
  const std::map<std::string, std::string>& fields = *parsed;
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"version", "1.2"},
           {"store", "bisect:my\\\"\\\\\\u000a\xC3\xA4\xEF\xBF\xBD"},
           {"workload.mix", "get:1,put:1"},
           {"workload.keys", "generated"},
           {"workload.records", "1000"},
           {"workload.distribution", "uniform"},
           {"loop.kind", "open"},
           {"loop.rate", "5000"},
           {"loop.arrivals", "poisson"},
           {"loop.threads", "2"},
           {"loop.warmup_s", "1.5"},
           {"load", "null"},
           {"elapsed_s", "4"},
           {"cpu_s", "0.25"},
           {"requests", "1010"},
           {"requests_per_s", "252.5"},
           {"keys", "1010"},
           {"hits", "900"},
           {"misses", "90"},
           {"errors", "10"},
           {"error_codes.INTERNAL", "10"},
           {"latency_ns.count", "1010"},
           {"latency_ns.max", "5000000"},
           {"start_delay_ns.p50", "7"},
           {"operations.get.requests", "1000"},
           {"operations.get.latency_ns.max", "1000000"},
           {"operations.put.latency_ns.p50", "5000000"},
       }) {
    ASSERT_EQ(fields.count(name), 1u) << name << " in " << json;
    EXPECT_EQ(fields.at(name), value) << name;
  }
  EXPECT_NEAR(std::stod(fields.at("operations.get.latency_ns.p90")), 900'000, 900'000 / 60.0);
  EXPECT_EQ(fields.count("operations.scan.requests"), 0u);
}

TEST(ReportTest, AClosedLoopAndALoadAreTold) {
  BenchReport report = SomeReport();
  report.run.rate = 0;
  report.loaded = true;
  report.load_time = absl::Seconds(2);
  const auto fields = ParseFlatJson(ToJson(report));
  ASSERT_TRUE(fields.has_value());
  EXPECT_EQ(fields->at("loop.kind"), "closed");
  EXPECT_EQ(fields->at("loop.rate"), "null");
  EXPECT_EQ(fields->at("start_delay_ns"), "null");
  EXPECT_EQ(fields->at("load.records_per_s"), "500");
  report.ran = false;
  EXPECT_TRUE(ParseFlatJson(ToJson(BenchReport())).has_value());
  EXPECT_THAT(ToText(report), HasSubstr("load      1000 records in 2.00 s, 500/s\n"));
}

TEST(ReportTest, TextHasALineForEachOperation) {
  const std::string text = ToText(SomeReport());
  EXPECT_THAT(text, HasSubstr("open loop of 5000 requests/s (Poisson), 2 threads"));
  EXPECT_THAT(text, HasSubstr("requests  1010, 252/s\n"));
  EXPECT_THAT(text, HasSubstr("errors    10 requests, 0 wrong values, 0 not sent\n"));
  EXPECT_THAT(text, HasSubstr("\nget             500 us    504 us    901 us"));
  EXPECT_THAT(text, HasSubstr("\nput            5.00 ms   5.00 ms"));
  EXPECT_THAT(text, HasSubstr("\nsent late         7 ns"));
}

TEST(ReportTest, ATimelineIsShownWhereItWasAskedFor) {
  BenchReport report = SomeReport();
  EXPECT_THAT(ToJson(report), Not(HasSubstr("timeline")));
  report.run.interval = absl::Milliseconds(500);
  report.result.tally.AddToTimeline(0, 7);
  report.result.tally.AddToTimeline(2, 9);
  EXPECT_THAT(ToJson(report), HasSubstr("\"timeline\":[{\"at_s\":0,\"latency_ns\":{\"count\":1,"));
  EXPECT_THAT(ToJson(report), HasSubstr("{\"at_s\":0.5,\"latency_ns\":{\"count\":0,"));
  EXPECT_THAT(ToJson(report), HasSubstr("{\"at_s\":1,\"latency_ns\":{\"count\":1,"));
  EXPECT_THAT(ToText(report), HasSubstr("\nfrom 0 s          7 ns"));
  EXPECT_THAT(ToText(report), HasSubstr("\nfrom 0.5 s  no requests\n"));
}

TEST(ReportTest, StringsAreEscapedAndStayUtf8) {
  EXPECT_EQ(JsonString("a\"\\/\b\x7F"), "\"a\\\"\\\\/\\u0008\\u007f\"");
  EXPECT_EQ(JsonString("\xE2\x82\xAC\xF0\x9F\x98\x80"), "\"\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  // Cut short, overlong, a surrogate, beyond the last code point.
  for (const char* bad : {"\xE2\x82", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\x80", "\xFF"}) {
    const std::string out = JsonString(bad);
    EXPECT_EQ(out.size(), 2 + 3 * std::string(bad).size()) << out;
  }
}

}  // namespace
}  // namespace kvarts
