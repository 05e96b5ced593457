#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/histogram.h"
#include "base/version.h"
#include "net/http/handlers.h"
#include "net/http/process_stats.h"

namespace kvarts {
namespace {

// Name and value pairs as [{"name": ..., "value": ...}, ...].
std::string JsonPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out = "[";
  for (const auto& [name, value] : pairs) {
    absl::StrAppend(&out, out.size() == 1 ? "" : ",", "{\"name\":", JsonQuote(name),
                    ",\"value\":", JsonQuote(value), "}");
  }
  return out + "]";
}

// The members of /v1/stats, without their braces.
std::string JsonStats(const Capabilities& capabilities, const StoreStats& stats) {
  std::string out = absl::StrCat(
      "\"entries\":", stats.entries, ",\"entries_exact\":", stats.entries_exact ? "true" : "false",
      ",\"memory_bytes\":", stats.memory_bytes, ",\"disk_bytes\":", stats.disk_bytes,
      ",\"details\":", JsonPairs(stats.details));
  if (stats.saved_at_ms.has_value()) {
    absl::StrAppend(&out, ",\"saved_at_ms\":", *stats.saved_at_ms,
                    ",\"save_error\":", JsonQuote(stats.save_error));
  }
  absl::StrAppend(&out, ",\"capabilities\":{");
  const Capabilities& c = capabilities;
  const std::pair<const char*, const char*> named[] = {
      {"write", ToText(c.write)},
      {"conditions", ToText(c.conditions)},
      {"batch_scope", ToText(c.batch_scope)},
      {"delete_range", ToText(c.delete_range)},
      {"scan", ToText(c.scan)},
      {"ordered_scan", ToText(c.ordered_scan)},
      {"backward_scan", ToText(c.backward_scan)},
      {"slot_scan", ToText(c.slot_scan)},
      {"snapshot", ToText(c.snapshot)},
      {"expiry", ToText(c.expiry)},
      {"content_type", ToText(c.content_type)},
      {"durable", c.durable ? "yes" : "no"},
      {"shared_by_processes", c.shared_by_processes ? "yes" : "no"},
      {"bounded_memory", c.bounded_memory ? "yes" : "no"},
      {"atomic_multi_get", c.atomic_multi_get ? "yes" : "no"},
  };
  for (const auto& [name, value] : named) {
    absl::StrAppend(&out, name == named[0].first ? "" : ",", JsonQuote(name), ":",
                    JsonQuote(value));
  }
  return out + "}";
}

std::string JsonProtocol(const ProtocolStats& p) {
  return absl::StrFormat(
      "{\"name\":%s,\"address\":%s,\"connections\":%d,\"max_connections\":%d,\"accepted\":%d,"
      "\"refused\":%d,\"requests\":%d,\"errors\":%d,\"hits\":%d,\"misses\":%d,\"bytes_in\":%d,"
      "\"bytes_out\":%d,\"latency_ns\":{\"p50\":%d,\"p99\":%d,\"p999\":%d,\"max\":%d}}",
      JsonQuote(p.name), JsonQuote(p.address), p.open, p.max_clients, p.accepted, p.refused,
      p.counts.requests, p.counts.errors, p.counts.hits, p.counts.misses, p.counts.bytes_in,
      p.counts.bytes_out, p.latency.Quantile(0.5), p.latency.Quantile(0.99),
      p.latency.Quantile(0.999), p.latency.max());
}

std::string JsonSample(const MetricsSample& sample) {
  std::string out = absl::StrFormat("{\"time_ms\":%d,\"seconds\":%.3f,\"protocols\":{",
                                    sample.time_ms, sample.seconds);
  for (const IntervalStats& p : sample.protocols) {
    absl::StrAppendFormat(
        &out,
        "%s%s:{\"requests\":%d,\"errors\":%d,\"hits\":%d,\"misses\":%d,\"bytes_in\":%d,"
        "\"bytes_out\":%d,\"connections\":%d,\"p50_ns\":%d,\"p99_ns\":%d,\"p999_ns\":%d}",
        &p == sample.protocols.data() ? "" : ",", JsonQuote(p.name), p.counts.requests,
        p.counts.errors, p.counts.hits, p.counts.misses, p.counts.bytes_in, p.counts.bytes_out,
        p.open, p.p50_ns, p.p99_ns, p.p999_ns);
  }
  return out + "}}";
}

// --- Prometheus' text format, 0.0.4 -------------------------------------------

// A text as the value of a label.
std::string LabelValue(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

void Family(absl::string_view name, absl::string_view type, absl::string_view help,
            std::string* out) {
  absl::StrAppend(out, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

// A family with one line and no labels.
void Single(absl::string_view name, absl::string_view type, absl::string_view help, double value,
            std::string* out) {
  Family(name, type, help, out);
  absl::StrAppend(out, name, " ", absl::StrFormat("%.15g", value), "\n");
}

// Those details that alerts are made of have names of their own too.
void AppendNamedDetails(const StoreStats& stats, std::string* out) {
  constexpr struct {
    const char* detail;
    const char* name;
    const char* type;
    const char* help;
  } kNamed[] = {
      {"evicted", "kvarts_store_evicted_total", "counter",
       "Entries evicted to make room, since the store was opened."},
      {"expired", "kvarts_store_expired_total", "counter",
       "Entries that expired and were removed, since the store was opened."},
      {"max_memory", "kvarts_store_max_memory_bytes", "gauge",
       "The most that the entries may take; 0: no limit."},
      {"peak_memory", "kvarts_store_peak_memory_bytes", "gauge",
       "The most that kvarts_store_memory_bytes was, since the store was opened."},
      {"swaps", "kvarts_store_swaps_total", "counter",
       "How often the served data were replaced by newer ones."},
  };
  for (const auto& named : kNamed) {
    for (const auto& [name, value] : stats.details) {
      double number = 0;
      if (name != named.detail || !absl::SimpleAtod(value, &number)) continue;
      Single(named.name, named.type, named.help, number, out);
      break;
    }
  }
}

// What the store tells of itself beyond what all do, where it is a number.
void AppendDetails(const StoreStats& stats, std::string* out) {
  std::set<absl::string_view> told;
  for (const auto& [name, value] : stats.details) {
    double number = 0;
    if (!absl::SimpleAtod(value, &number) || !std::isfinite(number)) continue;
    if (told.empty()) {
      Family("kvarts_store_detail", "gauge", "The store's own figures, by name.", out);
    }
    if (!told.insert(name).second) continue;
    absl::StrAppend(out, "kvarts_store_detail{name=\"", LabelValue(name), "\"} ",
                    absl::StrFormat("%.15g", number), "\n");
  }
}

// A family with a line for each protocol.
void EachProtocol(const std::vector<ProtocolStats>& protocols, absl::string_view name,
                  absl::string_view type, absl::string_view help,
                  uint64_t (*value)(const ProtocolStats&), std::string* out) {
  if (protocols.empty()) return;
  Family(name, type, help, out);
  for (const ProtocolStats& p : protocols) {
    absl::StrAppend(out, name, "{protocol=\"", LabelValue(p.name), "\"} ", value(p), "\n");
  }
}

void AppendProtocols(const std::vector<ProtocolStats>& all, std::string* out) {
  using P = const ProtocolStats&;
  EachProtocol(
      all, "kvarts_requests_total", "counter", "Requests answered.",
      [](P p) { return p.counts.requests; }, out);
  EachProtocol(
      all, "kvarts_request_errors_total", "counter",
      "Requests refused or failed; an absent key is none.", [](P p) { return p.counts.errors; },
      out);
  EachProtocol(
      all, "kvarts_key_hits_total", "counter", "Keys asked for and found.",
      [](P p) { return p.counts.hits; }, out);
  EachProtocol(
      all, "kvarts_key_misses_total", "counter", "Keys asked for and absent.",
      [](P p) { return p.counts.misses; }, out);
  EachProtocol(
      all, "kvarts_received_bytes_total", "counter", "Bytes received from clients.",
      [](P p) { return p.counts.bytes_in; }, out);
  EachProtocol(
      all, "kvarts_sent_bytes_total", "counter", "Bytes sent to clients.",
      [](P p) { return p.counts.bytes_out; }, out);
  EachProtocol(
      all, "kvarts_connections", "gauge", "Connections open now.",
      [](P p) { return static_cast<uint64_t>(std::max<int64_t>(p.open, 0)); }, out);
  EachProtocol(
      all, "kvarts_connections_max", "gauge", "Connections that may be open at once.",
      [](P p) { return static_cast<uint64_t>(p.max_clients); }, out);
  EachProtocol(
      all, "kvarts_connections_accepted_total", "counter", "Connections accepted.",
      [](P p) { return static_cast<uint64_t>(p.accepted); }, out);
  EachProtocol(
      all, "kvarts_connections_refused_total", "counter",
      "Connections closed at once because too many were open.",
      [](P p) { return static_cast<uint64_t>(p.refused); }, out);
  if (all.empty()) return;
  Family("kvarts_request_duration_seconds", "histogram",
         "From the arrival of a request's last byte until its answer was handed over.", out);
  for (const ProtocolStats& p : all) {
    AppendPrometheus("kvarts_request_duration_seconds",
                     absl::StrCat("protocol=\"", LabelValue(p.name), "\""), p.latency,
                     LatencyBoundsNs(), out);
  }
}

void AppendProcess(const HttpServerInfo& info, std::string* out) {
  const ProcessStats process = ReadProcessStats();
  Single("process_cpu_seconds_total", "counter", "User and system time.", process.cpu_seconds, out);
  Single("process_resident_memory_bytes", "gauge", "Memory, mapped files that are read included.",
         static_cast<double>(process.resident_bytes), out);
  Single("process_open_fds", "gauge", "Open file descriptors.",
         static_cast<double>(process.open_files), out);
  Single("process_max_fds", "gauge", "File descriptors that may be open.",
         static_cast<double>(process.max_files), out);
  Single("process_start_time_seconds", "gauge", "When the server began, in Unix time.",
         absl::ToDoubleSeconds(info.started - absl::UnixEpoch()), out);
}

std::vector<ProtocolStats> Collect(const HttpServerInfo& info) {
  std::vector<ProtocolStats> out;
  if (info.metrics == nullptr) return out;
  for (const ProtocolMetrics* protocol : info.metrics->protocols()) {
    out.push_back(protocol->Collect());
  }
  return out;
}

}  // namespace

void Livez(const HttpContext&, HttpCall* call) { call->response.body = "ok\n"; }

void Readyz(const HttpContext& context, HttpCall* call) {
  if (context.store == nullptr) {
    SetHttpError(503, "not ready: the store is being opened", &call->response, "not_ready");
  } else {
    call->response.body = "ok\n";
  }
}

void StoreStatistics(const HttpContext& context, HttpCall* call) {
  const absl::StatusOr<StoreStats> stats = context.store->Stats();
  if (!stats.ok()) {
    call->response = StoreError(stats.status());
    return;
  }
  call->response.content_type = "application/json";
  call->response.body = absl::StrCat("{", JsonStats(context.store->capabilities(), *stats), "}\n");
}

void PrometheusMetrics(const HttpContext& context, HttpCall* call) {
  std::string* const out = &call->response.body;
  call->response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  Family("kvarts_build_info", "gauge", "The version that runs.", out);
  absl::StrAppend(out, "kvarts_build_info{version=\"", LabelValue(kVersion), "\"} 1\n");
  Single("kvarts_ready", "gauge", "1 where the store answers.", context.store == nullptr ? 0 : 1,
         out);
  if (context.store != nullptr) {
    // A store that does not tell now has no lines, rather than wrong ones.
    if (const absl::StatusOr<StoreStats> stats = context.store->Stats(); stats.ok()) {
      Single("kvarts_store_entries", "gauge", "Entries; an estimate for some stores.",
             static_cast<double>(stats->entries), out);
      Single("kvarts_store_memory_bytes", "gauge", "Private memory held for the data.",
             static_cast<double>(stats->memory_bytes), out);
      Single("kvarts_store_disk_bytes", "gauge", "Bytes of all files.",
             static_cast<double>(stats->disk_bytes), out);
      if (stats->saved_at_ms.has_value()) {
        Single("kvarts_store_saved_timestamp_seconds", "gauge",
               "When all of the store was saved last, as a Unix time; 0: never.",
               static_cast<double>(*stats->saved_at_ms) / 1000, out);
        Single("kvarts_store_save_failed", "gauge", "1 where the last try to save it failed.",
               stats->save_error.empty() ? 0 : 1, out);
      }
      AppendNamedDetails(*stats, out);
      AppendDetails(*stats, out);
    }
  }
  if (const ClusterView* const cluster = context.info->cluster; cluster != nullptr) {
    Single(
        "kvarts_cluster_lost_slots_total", "counter",
        "Slots that were lost with a node and given out again empty, since the cluster was made.",
        static_cast<double>(cluster->map()->lost_slots), out);
  }
  AppendProtocols(Collect(*context.info), out);
  if (context.info->metrics != nullptr) {
    for (const ProtocolMetrics* const protocol : context.info->metrics->protocols()) {
      protocol->AppendMore(out);
    }
  }
  AppendProcess(*context.info, out);
}

void ServerStatus(const HttpContext& context, HttpCall* call) {
  const HttpServerInfo& info = *context.info;
  int64_t since = 0;
  if (const std::string* const text = call->Query("since"); text != nullptr) {
    if (!absl::SimpleAtoi(*text, &since)) {
      return SetHttpError(400, "since: expected a time in milliseconds", &call->response);
    }
  }
  const absl::Time now = info.clock->Now();
  const ProcessStats process = ReadProcessStats();
  std::string* const out = &call->response.body;
  call->response.content_type = "application/json";
  call->response.AddField("Cache-Control", "no-store");
  absl::StrAppend(out, "{\"version\":", JsonQuote(kVersion),
                  ",\"time_ms\":", absl::ToUnixMillis(now),
                  ",\"uptime_seconds\":", absl::ToInt64Seconds(now - info.started),
                  ",\"ready\":", context.store == nullptr ? "false" : "true",
                  ",\"served\":", JsonQuote(info.served), ",\"limits\":", JsonPairs(info.limits));
  absl::StrAppendFormat(out,
                        ",\"process\":{\"cpu_seconds\":%.2f,\"resident_bytes\":%d,"
                        "\"private_bytes\":%d,\"open_files\":%d,\"max_files\":%d}",
                        process.cpu_seconds, process.resident_bytes, process.private_bytes,
                        process.open_files, process.max_files);
  if (context.store != nullptr) {
    const absl::StatusOr<StoreStats> stats = context.store->Stats();
    absl::StrAppend(out, ",\"store\":{",
                    stats.ok() ? JsonStats(context.store->capabilities(), *stats)
                               : absl::StrCat("\"error\":", JsonQuote(stats.status().message())),
                    "}");
  }
  if (info.cluster != nullptr) {
    absl::StrAppend(out, ",\"cluster\":", ClusterJson(*info.cluster->map(), /*with_runs=*/false));
  }
  out->append(",\"protocols\":[");
  const std::vector<ProtocolStats> protocols = Collect(info);
  for (const ProtocolStats& protocol : protocols) {
    absl::StrAppend(out, &protocol == protocols.data() ? "" : ",", JsonProtocol(protocol));
  }
  out->append("],\"history\":[");
  if (info.history != nullptr) {
    const std::vector<MetricsSample> samples = info.history->Since(since);
    for (const MetricsSample& sample : samples) {
      absl::StrAppend(out, &sample == samples.data() ? "" : ",\n", JsonSample(sample));
    }
  }
  out->append("]}\n");
}

}  // namespace kvarts
