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
uint64_t ResidentBytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long size = 0;      // NOLINT(google-runtime-int): what %llu takes
  unsigned long long resident = 0;  // NOLINT(google-runtime-int)
  const int fields = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return fields == 2 ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

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

void DbSize(CommandCall* call) {
  const absl::StatusOr<StoreStats> stats = call->store()->Stats();
  if (!stats.ok()) return call->reply->Error(ErrorText(stats.status()));
  call->reply->Integer(static_cast<int64_t>(stats->entries));
}

void AclWhoAmI(CommandCall* call) { call->reply->Bulk("default"); }

// A master's: how far its replicas may be behind, and none of them.
void Role(CommandCall* call) {
  call->reply->Array(3);
  call->reply->Bulk("master");
  call->reply->Integer(0);
  call->reply->Array(0);
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
