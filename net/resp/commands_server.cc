#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/size.h"
#include "base/version.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// Each of them is compared with all there are.
constexpr size_t kMaxNames = 100;

// Of which server the commands and replies are; kvarts_version is the program's.
constexpr char kSpokenVersion[] = "7.0.15";

uint64_t ResidentBytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long size = 0;      // NOLINT(google-runtime-int): what %llu takes
  unsigned long long resident = 0;  // NOLINT(google-runtime-int)
  const int fields = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return fields == 2 ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// A section of INFO: its title, and its lines.
struct Section {
  const char* title;
  std::string lines;
};

void AddLine(std::string* lines, absl::string_view name, absl::string_view value) {
  absl::StrAppend(lines, name, ":", value, "\r\n");
}
void AddLine(std::string* lines, absl::string_view name, uint64_t value) {
  AddLine(lines, name, absl::StrCat(value));
}

std::vector<Section> Sections(const CommandCall& call) {
  const ServerState& state = *call.state;
  const absl::Time now = state.options.clock->Now();
  const Counters::Values counts = state.counters.SinceReset();
  const StoreStats stats = StatsOf(call).value_or(StoreStats());

  std::string server;
  AddLine(&server, "redis_version", kSpokenVersion);
  AddLine(&server, "redis_mode", ModeText(state));
  AddLine(&server, "kvarts_version", kVersion);
  AddLine(&server, "process_id", static_cast<uint64_t>(::getpid()));
  AddLine(&server, "run_id", state.run_id);
  AddLine(&server, "server_time_usec", static_cast<uint64_t>(absl::ToUnixMicros(now)));
  const int64_t uptime = absl::ToInt64Seconds(now - state.started);
  AddLine(&server, "uptime_in_seconds", static_cast<uint64_t>(uptime));
  AddLine(&server, "uptime_in_days", static_cast<uint64_t>(uptime / 86400));

  std::string clients;
  AddLine(&clients, "connected_clients", state.clients.size());
  AddLine(&clients, "cluster_connections", 0);
  AddLine(&clients, "blocked_clients", 0);

  std::string memory;
  AddLine(&memory, "used_memory", stats.memory_bytes);
  AddLine(&memory, "used_memory_human", FormatSize(stats.memory_bytes));
  const uint64_t resident = ResidentBytes();
  AddLine(&memory, "used_memory_rss", resident);
  AddLine(&memory, "used_memory_rss_human", FormatSize(resident));
  AddLine(&memory, "maxmemory", MaxMemory(stats));
  AddLine(&memory, "maxmemory_policy", MaxMemoryPolicy(stats));

  std::string persistence;
  AddLine(&persistence, "loading", call.serving == nullptr ? 1 : 0);
  AddLine(&persistence, "rdb_changes_since_last_save", 0);
  const bool is_saving = call.serving != nullptr && call.serving->runner->is_aside();
  AddLine(&persistence, "rdb_bgsave_in_progress", is_saving ? 1 : 0);
  AddLine(&persistence, "rdb_last_save_time", absl::StrCat(LastSaveSeconds(state, stats)));
  const bool failed = !stats.save_error.empty() || state.checkpoint.failed();
  AddLine(&persistence, "rdb_last_bgsave_status", failed ? "err" : "ok");
  AddLine(&persistence, "aof_enabled", 0);

  const AtReset reset = state.at_reset();
  std::string numbers;
  AddLine(&numbers, "total_connections_received", state.clients.accepted());
  AddLine(&numbers, "total_commands_processed", counts.commands);
  AddLine(&numbers, "rejected_connections",
          state.options.metrics == nullptr
              ? 0
              : static_cast<uint64_t>(state.options.metrics->refused() - reset.refused));
  AddLine(&numbers, "expired_keys", StoreCount(stats, "expired") - reset.expired);
  AddLine(&numbers, "evicted_keys", StoreCount(stats, "evicted") - reset.evicted);
  AddLine(&numbers, "keyspace_hits", counts.hits);
  AddLine(&numbers, "keyspace_misses", counts.misses);

  std::string replication;
  AddLine(&replication, "role", "master");
  AddLine(&replication, "connected_slaves", 0);

  std::string cluster;
  AddLine(&cluster, "cluster_enabled", state.options.cluster == nullptr ? 0 : 1);
  if (state.options.cluster != nullptr) {
    AddLine(&cluster, "cluster_slots_lost", state.options.cluster->map()->lost_slots);
  }

  std::string keyspace;
  if (stats.entries > 0) {
    AddLine(&keyspace, "db0",
            absl::StrCat("keys=", stats.entries, ",expires=", StoreDetail(stats, "expiring", "0"),
                         ",avg_ttl=0"));
  }
  return {{"Server", server},           {"Clients", clients},  {"Memory", memory},
          {"Persistence", persistence}, {"Stats", numbers},    {"Replication", replication},
          {"Cluster", cluster},         {"Keyspace", keyspace}};
}

}  // namespace

absl::StatusOr<StoreStats> StatsOf(const CommandCall& call) {
  if (call.serving == nullptr) return absl::UnavailableError("the store is being opened");
  return call.store()->Stats();
}

std::string StoreDetail(const StoreStats& stats, absl::string_view name,
                        absl::string_view fallback) {
  for (const auto& [known, value] : stats.details) {
    if (known == name) return value;
  }
  return std::string(fallback);
}

uint64_t StoreCount(const StoreStats& stats, absl::string_view name) {
  uint64_t count = 0;
  return absl::SimpleAtoi(StoreDetail(stats, name, "0"), &count) ? count : 0;
}

std::string MaxMemory(const StoreStats& stats) { return StoreDetail(stats, "max_memory", "0"); }

std::string MaxMemoryPolicy(const StoreStats& stats) {
  const std::string evict = StoreDetail(stats, "evict", "none");
  return evict == "none" ? "noeviction" : absl::StrCat("allkeys-", evict);
}

const char* ModeText(const ServerState& state) {
  return state.options.cluster == nullptr ? "standalone" : "cluster";
}

void Info(CommandCall* call) {
  if (call->args.size() > kMaxNames) return call->reply->Error(kTooManyNames);
  const auto wanted = call->args.subspan(1);
  const auto asked_for = [&](absl::string_view title) {
    if (wanted.empty()) return true;
    for (const absl::string_view name : wanted) {
      for (const absl::string_view all : {"all", "default", "everything"}) {
        if (absl::EqualsIgnoreCase(name, all)) return true;
      }
      if (absl::EqualsIgnoreCase(name, title)) return true;
    }
    return false;
  };
  std::string text;
  for (const Section& section : Sections(*call)) {
    if (!asked_for(section.title)) continue;
    absl::StrAppend(&text, text.empty() ? "" : "\r\n", "# ", section.title, "\r\n", section.lines);
  }
  call->reply->Verbatim(text);
}

void DbSize(CommandCall* call) {
  const absl::StatusOr<StoreStats> stats = call->store()->Stats();
  if (!stats.ok()) return call->reply->Error(ErrorText(stats.status()));
  call->reply->Integer(static_cast<int64_t>(stats->entries));
}

void Time(CommandCall* call) {
  const int64_t us = absl::ToUnixMicros(call->state->options.clock->Now());
  call->reply->Array(2);
  call->reply->Bulk(absl::StrCat(us / 1000000));
  call->reply->Bulk(absl::StrCat(us % 1000000));
}

// What is known of it: the store's memory, the process's, and of how many keys.
void MemoryStats(CommandCall* call) {
  const absl::StatusOr<StoreStats> stats = call->store()->Stats();
  if (!stats.ok()) return call->reply->Error(ErrorText(stats.status()));
  const std::pair<const char*, uint64_t> numbers[] = {
      {"total.allocated", stats->memory_bytes},
      {"clients.normal",
       static_cast<uint64_t>(std::max<int64_t>(call->state->held_bytes.load(), 0))},
      {"keys.count", stats->entries},
      {"keys.bytes-per-key", stats->entries == 0 ? 0 : stats->memory_bytes / stats->entries},
      {"dataset.bytes", stats->memory_bytes},
      {"process.resident", ResidentBytes()},
  };
  call->reply->Map(std::size(numbers));
  for (const auto& [name, number] : numbers) {
    call->reply->Bulk(name);
    call->reply->Integer(static_cast<int64_t>(number));
  }
}

void MemoryDoctor(CommandCall* call) { call->reply->Verbatim("There is nothing to report.\n"); }

void Yes(CommandCall* call) { call->reply->Ok(); }
void MinusOne(CommandCall* call) { call->reply->Integer(-1); }

// There is nobody to wait for.
void Wait(CommandCall* call) {
  int64_t number = 0;
  if (!ParseInteger(call->args[1], &number)) return call->reply->Error(kNotAnInteger);
  if (!ParseInteger(call->args[2], &number)) {
    return call->reply->Error("ERR timeout is not an integer or out of range");
  }
  if (number < 0) return call->reply->Error("ERR timeout is negative");
  call->reply->Integer(0);
}

}  // namespace resp
}  // namespace kvarts
