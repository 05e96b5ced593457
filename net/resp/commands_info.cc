// INFO and CONFIG RESETSTAT. A field is true or absent: what is not known has no line, and those
// who read them find none, rather than a zero.

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/version.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// Each of them is compared with all there are.
constexpr size_t kMaxNames = 100;

// Of which server the commands and replies are; kvarts_version is the program's.
constexpr char kSpokenVersion[] = "7.0.15";

// The lines of a section.
class Lines {
 public:
  void Add(absl::string_view name, absl::string_view value) {
    absl::StrAppend(&text_, name, ":", value, "\r\n");
  }
  void Add(absl::string_view name, uint64_t value) { Add(name, absl::StrCat(value)); }
  void AddRate(absl::string_view name, double value) { Add(name, absl::StrFormat("%.2f", value)); }
  // Twice: in bytes, and as redis-server writes sizes for people, "1.50M".
  void AddBytes(absl::string_view name, uint64_t bytes) {
    Add(name, bytes);
    Add(absl::StrCat(name, "_human"), Human(bytes));
  }
  std::string Take() { return std::move(text_); }

 private:
  static std::string Human(uint64_t bytes) {
    if (bytes < 1024) return absl::StrCat(bytes, "B");
    auto size = static_cast<double>(bytes);
    const char* unit = "KMGTP";
    for (size /= 1024; size >= 1024 && unit[1] != '\0'; ++unit) size /= 1024;
    return absl::StrFormat("%.2f%c", size, *unit);
  }

  std::string text_;
};

// What the sections are made of.
struct Facts {
  const CommandCall& call;
  const ServerState& state;
  absl::Time now;
  const StoreStats* stats;  // null: the store does not tell now
  AtReset reset;

  // A count of the store's. One that takes no writes neither evicts nor expires.
  std::optional<uint64_t> Count(absl::string_view name) const {
    if (stats == nullptr) return std::nullopt;
    uint64_t count = 0;
    if (absl::SimpleAtoi(StoreDetail(*stats, name, ""), &count)) return count;
    const Capabilities& can = call.capabilities();
    if (!can.has(can.write)) return 0;
    return std::nullopt;
  }
};

std::string ServerLines(const Facts& facts) {
  const ServerState& state = facts.state;
  Lines lines;
  lines.Add("redis_version", kSpokenVersion);
  lines.Add("redis_mode", ModeText(state));
  lines.Add("kvarts_version", kVersion);
  utsname system;
  if (::uname(&system) == 0) {
    lines.Add("os", absl::StrCat(system.sysname, " ", system.release, " ", system.machine));
  }
  lines.Add("arch_bits", sizeof(void*) * CHAR_BIT);
  lines.Add("process_id", static_cast<uint64_t>(::getpid()));
  lines.Add("run_id", state.run_id);
  if (state.options.metrics != nullptr) {
    const std::string address = state.options.metrics->address();
    const size_t colon = address.rfind(':');
    if (absl::StartsWith(address, "tcp://")) lines.Add("tcp_port", address.substr(colon + 1));
  }
  lines.Add("server_time_usec", static_cast<uint64_t>(absl::ToUnixMicros(facts.now)));
  const int64_t uptime = absl::ToInt64Seconds(facts.now - state.started);
  lines.Add("uptime_in_seconds", static_cast<uint64_t>(uptime));
  lines.Add("uptime_in_days", static_cast<uint64_t>(uptime / 86400));
  return lines.Take();
}

std::string ClientLines(const Facts& facts) {
  const ServerState& state = facts.state;
  Lines lines;
  lines.Add("connected_clients", state.clients.size());
  lines.Add("cluster_connections", 0);
  if (state.options.metrics != nullptr) {
    lines.Add("maxclients", static_cast<uint64_t>(state.options.metrics->max_clients()));
  }
  lines.Add("blocked_clients", 0);
  lines.Add("tracking_clients", 0);
  return lines.Take();
}

std::string MemoryLines(const Facts& facts) {
  Lines lines;
  const uint64_t resident = ResidentBytes();
  if (facts.stats != nullptr) lines.AddBytes("used_memory", facts.stats->memory_bytes);
  if (resident > 0) lines.AddBytes("used_memory_rss", resident);
  if (facts.stats != nullptr) {
    const uint64_t used = facts.stats->memory_bytes;
    const uint64_t peak = StoreCount(*facts.stats, "peak_memory");
    if (peak > 0) {
      lines.AddBytes("used_memory_peak", peak);
      lines.Add(
          "used_memory_peak_perc",
          absl::StrFormat("%.2f%%", 100.0 * static_cast<double>(used) / static_cast<double>(peak)));
    }
    if (used > 0 && resident > 0) {
      lines.AddRate("mem_fragmentation_ratio",
                    static_cast<double>(resident) / static_cast<double>(used));
      lines.Add("mem_fragmentation_bytes",
                absl::StrCat(static_cast<int64_t>(resident) - static_cast<int64_t>(used)));
    }
    uint64_t most = 0;
    if (absl::SimpleAtoi(MaxMemory(*facts.stats), &most)) lines.AddBytes("maxmemory", most);
    lines.Add("maxmemory_policy", MaxMemoryPolicy(*facts.stats));
  }
  lines.AddBytes("total_system_memory", static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                                            static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  lines.Add("number_of_cached_scripts", facts.state.scripts.size());
  lines.Add("mem_clients_slaves", 0);
  lines.Add("mem_clients_normal", facts.state.clients.memory_bytes());
  return lines.Take();
}

std::string PersistenceLines(const Facts& facts) {
  const Serving* const serving = facts.call.serving;
  Lines lines;
  lines.Add("loading", serving == nullptr ? 1 : 0);
  lines.Add("async_loading", 0);
  lines.Add("rdb_bgsave_in_progress", serving != nullptr && serving->runner->is_aside() ? 1 : 0);
  if (facts.stats != nullptr) {
    lines.Add("rdb_last_save_time", absl::StrCat(LastSaveSeconds(facts.state, *facts.stats)));
    const bool failed = !facts.stats->save_error.empty() || facts.state.checkpoint.failed();
    lines.Add("rdb_last_bgsave_status", failed ? "err" : "ok");
  }
  lines.Add("aof_enabled", 0);
  lines.Add("aof_rewrite_in_progress", 0);
  lines.Add("aof_rewrite_scheduled", 0);
  return lines.Take();
}

std::string StatsLines(const Facts& facts) {
  const ServerState& state = facts.state;
  const ProtocolMetrics* const metrics = state.options.metrics;
  const RequestTotals totals = state.command_stats.TotalsSinceReset();
  const Rates::Counts counted = state.Counted();
  const Rates::PerSecond rates = state.rates.Now(PreciseNanos(), counted);
  Lines lines;
  lines.Add("total_connections_received", state.clients.accepted());
  lines.Add("total_commands_processed", totals.commands);
  lines.Add("instantaneous_ops_per_sec", static_cast<uint64_t>(rates.commands));
  if (metrics != nullptr) {
    lines.Add("total_net_input_bytes", counted.bytes_in - facts.reset.bytes_in);
    lines.Add("total_net_output_bytes", counted.bytes_out - facts.reset.bytes_out);
    lines.AddRate("instantaneous_input_kbps", rates.bytes_in / 1024);
    lines.AddRate("instantaneous_output_kbps", rates.bytes_out / 1024);
    lines.Add("rejected_connections",
              static_cast<uint64_t>(metrics->refused() - facts.reset.refused));
  }
  for (const char* none : {"sync_full", "sync_partial_ok", "sync_partial_err"}) lines.Add(none, 0);
  if (const auto expired = facts.Count("expired")) {
    lines.Add("expired_keys", *expired - facts.reset.expired);
  }
  if (const auto evicted = facts.Count("evicted")) {
    lines.Add("evicted_keys", *evicted - facts.reset.evicted);
  }
  lines.Add("keyspace_hits", totals.hits);
  lines.Add("keyspace_misses", totals.misses);
  lines.Add("pubsub_channels", 0);
  lines.Add("pubsub_patterns", 0);
  uint64_t errors = 0;
  for (const auto& [code, count] : state.error_stats.Collect()) errors += count;
  lines.Add("total_error_replies", errors);
  return lines.Take();
}

std::string ReplicationLines(const Facts&) {
  Lines lines;
  lines.Add("role", "master");
  lines.Add("connected_slaves", 0);
  lines.Add("master_failover_state", "no-failover");
  lines.Add("master_repl_offset", 0);
  lines.Add("second_repl_offset", "-1");
  lines.Add("repl_backlog_active", 0);
  return lines.Take();
}

std::string CpuLines(const Facts&) {
  Lines lines;
  const auto add = [&](absl::string_view name, const timeval& time) {
    lines.Add(name, absl::StrFormat("%d.%06d", time.tv_sec, time.tv_usec));
  };
  rusage own{};
  rusage children{};
  ::getrusage(RUSAGE_SELF, &own);
  ::getrusage(RUSAGE_CHILDREN, &children);
  add("used_cpu_sys", own.ru_stime);
  add("used_cpu_user", own.ru_utime);
  add("used_cpu_sys_children", children.ru_stime);
  add("used_cpu_user_children", children.ru_utime);
  return lines.Take();
}

std::string CommandLines(const Facts& facts) {
  Lines lines;
  const std::vector<CommandCounts> all = facts.state.command_stats.Collect();
  for (size_t i = 0; i < all.size(); ++i) {
    const CommandCounts& counts = all[i];
    if (counts.calls == 0 && counts.rejected == 0) continue;
    const uint64_t micros = counts.nanos / 1000;
    const double each = counts.calls == 0 ? 0
                                          : static_cast<double>(counts.nanos) / 1000 /
                                                static_cast<double>(counts.calls);
    lines.Add(absl::StrCat("cmdstat_", Commands()[i].name),
              absl::StrFormat("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,"
                              "failed_calls=%d",
                              counts.calls, micros, each, counts.rejected, counts.failed));
  }
  return lines.Take();
}

std::string ErrorLines(const Facts& facts) {
  Lines lines;
  for (const auto& [code, count] : facts.state.error_stats.Collect()) {
    lines.Add(absl::StrCat("errorstat_", code), absl::StrCat("count=", count));
  }
  return lines.Take();
}

std::string ClusterLines(const Facts& facts) {
  const ClusterView* const cluster = facts.state.options.cluster;
  Lines lines;
  lines.Add("cluster_enabled", cluster == nullptr ? 0 : 1);
  if (cluster != nullptr) lines.Add("cluster_slots_lost", cluster->map()->lost_slots);
  return lines.Take();
}

// How long keys have on average is known where none expires.
std::string KeyspaceLines(const Facts& facts) {
  Lines lines;
  if (facts.stats == nullptr || facts.stats->entries == 0) return "";
  std::string text = absl::StrCat("keys=", facts.stats->entries);
  const Capabilities& can = facts.call.capabilities();
  const std::optional<uint64_t> expires = can.has(can.expiry) ? facts.Count("expiring") : 0;
  if (expires.has_value()) {
    absl::StrAppend(&text, ",expires=", *expires, *expires == 0 ? ",avg_ttl=0" : "");
  }
  lines.Add("db0", text);
  return lines.Take();
}

struct Section {
  const char* title;
  std::string (*lines)(const Facts& facts);
  bool by_default = true;  // of INFO without names
};

// In redis-server's order.
constexpr Section kSections[] = {
    {"Server", ServerLines},     {"Clients", ClientLines},
    {"Memory", MemoryLines},     {"Persistence", PersistenceLines},
    {"Stats", StatsLines},       {"Replication", ReplicationLines},
    {"CPU", CpuLines},           {"Commandstats", CommandLines, /*by_default=*/false},
    {"Errorstats", ErrorLines},  {"Cluster", ClusterLines},
    {"Keyspace", KeyspaceLines},
};

bool IsAskedFor(const Section& section, absl::Span<const absl::string_view> wanted) {
  if (wanted.empty()) return section.by_default;
  for (const absl::string_view name : wanted) {
    if (absl::EqualsIgnoreCase(name, section.title)) return true;
    if (absl::EqualsIgnoreCase(name, "default") && section.by_default) return true;
    if (absl::EqualsIgnoreCase(name, "all") || absl::EqualsIgnoreCase(name, "everything")) {
      return true;
    }
  }
  return false;
}

}  // namespace

void Info(CommandCall* call) {
  if (call->args.size() > kMaxNames) return call->reply->Error(kTooManyNames);
  const absl::StatusOr<StoreStats> stats = StatsOf(*call);
  const ServerState& state = *call->state;
  const Facts facts = {*call, state, state.options.clock->Now(), stats.ok() ? &*stats : nullptr,
                       state.at_reset()};
  std::string text;
  for (const Section& section : kSections) {
    if (!IsAskedFor(section, call->args.subspan(1))) continue;
    absl::StrAppend(&text, text.empty() ? "" : "\r\n", "# ", section.title, "\r\n",
                    section.lines(facts));
  }
  call->reply->Verbatim(text);
}

void ConfigResetStat(CommandCall* call) {
  ServerState* const state = call->state;
  const StoreStats stats = StatsOf(*call).value_or(StoreStats());
  state->command_stats.Reset();
  state->error_stats.Reset();
  const Rates::Counts counted = state->Counted();
  {
    MutexLock lock(&state->reset_mu);
    state->reset.refused =
        state->options.metrics == nullptr ? 0 : state->options.metrics->refused();
    state->reset.bytes_in = counted.bytes_in;
    state->reset.bytes_out = counted.bytes_out;
    state->reset.expired = StoreCount(stats, "expired");
    state->reset.evicted = StoreCount(stats, "evicted");
  }
  call->reply->Ok();
}

}  // namespace resp
}  // namespace kvarts
