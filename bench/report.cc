#include "bench/report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/size.h"

namespace kvarts {
namespace {

// An object as it grows.
class JsonObject {
 public:
  JsonObject& Raw(absl::string_view name, absl::string_view json) {
    absl::StrAppend(&fields_, fields_.empty() ? "" : ",", JsonString(name), ":", json);
    return *this;
  }
  JsonObject& Text(absl::string_view name, absl::string_view value) {
    return Raw(name, JsonString(value));
  }
  JsonObject& Int(absl::string_view name, uint64_t value) { return Raw(name, absl::StrCat(value)); }
  // Infinite: null.
  JsonObject& Real(absl::string_view name, double value) {
    return Raw(name, std::isfinite(value) ? absl::StrFormat("%.9g", value) : "null");
  }
  std::string Build() const { return absl::StrCat("{", fields_, "}"); }

 private:
  std::string fields_;
};

double PerSecond(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string LatencyJson(const HistogramCounts& counts) {
  JsonObject out;
  out.Int("count", counts.count()).Real("mean", counts.Mean());
  out.Int("p50", counts.Quantile(0.5)).Int("p90", counts.Quantile(0.9));
  out.Int("p99", counts.Quantile(0.99)).Int("p999", counts.Quantile(0.999));
  out.Int("p9999", counts.Quantile(0.9999)).Int("max", counts.max());
  return out.Build();
}

void AddTally(const OperationTally& tally, double seconds, JsonObject* out) {
  out->Int("requests", tally.requests)
      .Real("requests_per_s", PerSecond(tally.requests, seconds))
      .Int("keys", tally.keys)
      .Real("keys_per_s", PerSecond(tally.keys, seconds))
      .Int("value_bytes", tally.value_bytes)
      .Int("hits", tally.hits)
      .Int("misses", tally.misses)
      .Int("unexpected_misses", tally.unexpected_misses)
      .Int("wrong_values", tally.wrong_values)
      .Int("errors", tally.errors)
      .Int("not_sent", tally.not_sent)
      .Raw("latency_ns", LatencyJson(tally.latency_ns));
}

// An element for each interval from the end of the warm-up on.
std::string TimelineJson(const BenchReport& report) {
  const HistogramCounts none;
  std::string out;
  double at = 0;
  for (const auto& counts : report.result.tally.timeline()) {
    JsonObject one;
    one.Real("at_s", at).Raw("latency_ns", LatencyJson(counts == nullptr ? none : *counts));
    absl::StrAppend(&out, out.empty() ? "" : ",", one.Build());
    at += absl::ToDoubleSeconds(report.run.interval);
  }
  return absl::StrCat("[", out, "]");
}

std::string WorkloadJson(const BenchReport& report) {
  const WorkloadOptions& w = report.workload;
  JsonObject out;
  out.Text("mix", report.mix).Text("keys", report.keys).Int("records", report.records);
  out.Text("distribution", ToText(w.distribution)).Real("theta", w.theta).Real("miss", w.miss);
  out.Int("batch", w.batch).Int("scan_entries", w.scan_entries);
  return out.Int("value_bytes", w.value_bytes).Int("seed", w.seed).Build();
}

std::string LoopJson(const BenchReport& report) {
  const RunOptions& r = report.run;
  JsonObject out;
  out.Text("kind", r.rate > 0 ? "open" : "closed");
  if (r.rate > 0) {
    out.Real("rate", r.rate).Text("arrivals", r.poisson ? "poisson" : "fixed");
  } else {
    out.Raw("rate", "null").Raw("arrivals", "null");
  }
  out.Int("threads", static_cast<uint64_t>(report.threads));
  out.Int("connections", static_cast<uint64_t>(report.connections));
  out.Int("pipeline", static_cast<uint64_t>(report.pipeline));
  return out.Real("warmup_s", absl::ToDoubleSeconds(r.warmup)).Build();
}

// 123 ns, 12.3 us, 1.23 ms.
std::string FormatNs(double ns) {
  constexpr absl::string_view kUnits[] = {"ns", "us", "ms", "s"};
  size_t unit = 0;
  while (ns >= 999.5 && unit < 3) {
    ns /= 1000;
    ++unit;
  }
  const int digits = unit == 0 ? 0 : ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f %s", digits, ns, kUnits[unit]);
}

std::string LatencyLine(absl::string_view name, const HistogramCounts& counts) {
  std::string line = absl::StrFormat("%-12s", name);
  absl::StrAppendFormat(&line, "%10s", FormatNs(counts.Mean()));
  for (const double quantile : {0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    absl::StrAppendFormat(&line, "%10s", FormatNs(static_cast<double>(counts.Quantile(quantile))));
  }
  return line + "\n";
}

// " 1 thread", " 3 threads".
std::string Counted(int n, absl::string_view what) {
  return absl::StrCat(n, " ", what, n == 1 ? "" : "s");
}

std::string LoopText(const BenchReport& report) {
  const RunOptions& r = report.run;
  std::string out = "closed loop";
  if (r.rate > 0) {
    out = absl::StrFormat("open loop of %.6g requests/s (%s)", r.rate,
                          r.poisson ? "Poisson" : "fixed");
  }
  absl::StrAppend(&out, ", ", Counted(report.threads, "thread"));
  if (report.connections > 0) {
    absl::StrAppend(&out, ", ", Counted(report.connections, "connection"), ", pipeline ",
                    report.pipeline);
  }
  return out;
}

}  // namespace

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      if (byte == '"' || byte == '\\') {
        absl::StrAppend(&out, "\\", text.substr(i, 1));
      } else if (byte < 0x20 || byte == 0x7F) {
        absl::StrAppendFormat(&out, "\\u%04x", byte);
      } else {
        out += text[i];
      }
      ++i;
      continue;
    }
    // A sequence of UTF-8: of its shortest form, no surrogate, up to U+10FFFF.
    const size_t size = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    bool good = byte >= 0xC2 && byte <= 0xF4 && i + size <= text.size();
    for (size_t j = 1; good && j < size; ++j) {
      good = (static_cast<unsigned char>(text[i + j]) & 0xC0) == 0x80;
    }
    if (good && size > 2) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      good = !(byte == 0xE0 && second < 0xA0) && !(byte == 0xED && second > 0x9F) &&
             !(byte == 0xF0 && second < 0x90) && !(byte == 0xF4 && second > 0x8F);
    }
    out += good ? std::string(text.substr(i, size)) : "\xEF\xBF\xBD";
    i += good ? size : 1;
  }
  return out + "\"";
}

std::string ToJson(const BenchReport& report) {
  JsonObject out;
  out.Text("version", report.version).Text("store", report.store);
  out.Raw("workload", WorkloadJson(report)).Raw("loop", LoopJson(report));
  if (report.loaded) {
    const double seconds = absl::ToDoubleSeconds(report.load_time);
    JsonObject load;
    load.Int("records", report.records).Real("elapsed_s", seconds);
    out.Raw("load", load.Real("records_per_s", PerSecond(report.records, seconds)).Build());
  } else {
    out.Raw("load", "null");
  }
  const Tally& tally = report.result.tally;
  const double seconds = absl::ToDoubleSeconds(report.result.elapsed);
  out.Real("elapsed_s", seconds).Real("cpu_s", report.result.cpu_seconds);
  AddTally(tally.Total(), seconds, &out);
  out.Raw("start_delay_ns", report.run.rate > 0 ? LatencyJson(tally.start_delay_ns()) : "null");
  JsonObject errors;
  for (const auto& [code, times] : tally.errors()) errors.Int(code, times);
  out.Raw("error_codes", errors.Build());
  JsonObject operations;
  for (const Operation operation : kAllOperations) {
    if (tally.find(operation) == nullptr) continue;
    JsonObject one;
    AddTally(*tally.find(operation), seconds, &one);
    operations.Raw(ToText(operation), one.Build());
  }
  out.Raw("operations", operations.Build());
  if (report.run.interval > absl::ZeroDuration()) out.Raw("timeline", TimelineJson(report));
  return out.Build() + "\n";
}

std::string ToText(const BenchReport& report) {
  const WorkloadOptions& w = report.workload;
  std::string out = absl::StrCat("store     ", report.store, "\n");
  absl::StrAppend(&out, "workload  ", report.mix, " on ", report.records, " keys (", report.keys,
                  "), ", ToText(w.distribution));
  if (w.distribution != Distribution::Kind::kUniform) absl::StrAppend(&out, " ", w.theta);
  if (w.miss > 0) absl::StrAppend(&out, ", ", w.miss * 100, " % misses");
  absl::StrAppend(&out, ", seed ", w.seed, "\n");
  if (report.loaded) {
    const double seconds = absl::ToDoubleSeconds(report.load_time);
    absl::StrAppendFormat(&out, "load      %d records in %.2f s, %s/s\n", report.records, seconds,
                          FormatCount(PerSecond(report.records, seconds)));
  }
  if (!report.ran) return out;
  const Tally& tally = report.result.tally;
  const OperationTally total = tally.Total();
  const double seconds = absl::ToDoubleSeconds(report.result.elapsed);
  absl::StrAppendFormat(&out, "run       %s; %.2f s after %.6g s of warm-up, %.2f s of processor\n",
                        LoopText(report), seconds, absl::ToDoubleSeconds(report.run.warmup),
                        report.result.cpu_seconds);
  absl::StrAppend(&out, "requests  ", total.requests, ", ",
                  FormatCount(PerSecond(total.requests, seconds)), "/s\n");
  absl::StrAppend(&out, "keys      ", total.keys, ", ", FormatCount(PerSecond(total.keys, seconds)),
                  "/s; ", total.hits, " hits, ", total.misses, " misses, ",
                  FormatSize(static_cast<uint64_t>(PerSecond(total.value_bytes, seconds))),
                  "/s of values\n");
  absl::StrAppend(&out, "errors    ", total.errors, " requests, ", total.wrong_values,
                  " wrong values, ", total.not_sent, " not sent\n");
  absl::StrAppendFormat(&out, "%-12s%10s%10s%10s%10s%10s%10s%10s\n", "latency", "mean", "p50",
                        "p90", "p99", "p99.9", "p99.99", "max");
  for (const Operation operation : kAllOperations) {
    const OperationTally* const one = tally.find(operation);
    if (one != nullptr) out += LatencyLine(ToText(operation), one->latency_ns);
  }
  if (report.run.rate > 0) out += LatencyLine("sent late", tally.start_delay_ns());
  double at = 0;
  for (const auto& counts : tally.timeline()) {
    const std::string name = absl::StrFormat("from %.6g s", at);
    out += counts == nullptr ? absl::StrCat(name, "  no requests\n") : LatencyLine(name, *counts);
    at += absl::ToDoubleSeconds(report.run.interval);
  }
  return out;
}

}  // namespace kvarts
