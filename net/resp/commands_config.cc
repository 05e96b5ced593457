// CONFIG: the settings clients ask for, and those that may change while the server runs.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "net/resp/glob.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// Each of them is compared with all there are.
constexpr size_t kMaxNames = 100;
constexpr size_t kMaxSettingBytes = 256;

struct Setting {
  const char* name;
  std::string (*get)(const ServerState& state, const StoreStats& stats);
  // Null: it is a flag of the server, or has one value only.
  void (*set)(ServerState* state, int64_t value);
  int64_t least = 0;
  bool of_store = false;  // `get` looks at the stats
  bool is_fixed = false;  // may not even be set to what it is
};

constexpr Setting kSettings[] = {
    {"appendonly", [](const ServerState&, const StoreStats&) -> std::string { return "no"; },
     nullptr},
    {"daemonize", [](const ServerState&, const StoreStats&) -> std::string { return "no"; },
     nullptr, 0, /*of_store=*/false, /*is_fixed=*/true},
    {"databases", [](const ServerState&, const StoreStats&) -> std::string { return "1"; },
     nullptr},
    {"latency-monitor-threshold",
     [](const ServerState& state, const StoreStats&) {
       return absl::StrCat(state.latency_log.threshold());
     },
     [](ServerState* state, int64_t value) { state->latency_log.set_threshold(value); }},
    {"maxclients",
     [](const ServerState& state, const StoreStats&) -> std::string {
       return state.options.metrics == nullptr ? "0"
                                               : absl::StrCat(state.options.metrics->max_clients());
     },
     nullptr},
    {"maxmemory", [](const ServerState&, const StoreStats& stats) { return MaxMemory(stats); },
     nullptr, 0, /*of_store=*/true},
    {"maxmemory-policy",
     [](const ServerState&, const StoreStats& stats) { return MaxMemoryPolicy(stats); }, nullptr, 0,
     /*of_store=*/true},
    {"proto-max-bulk-len",
     [](const ServerState& state, const StoreStats&) {
       return absl::StrCat(state.options.max_value_bytes);
     },
     nullptr},
    {"save", [](const ServerState&, const StoreStats&) -> std::string { return ""; }, nullptr},
    {"slowlog-log-slower-than",
     [](const ServerState& state, const StoreStats&) {
       return absl::StrCat(state.slow_log.threshold());
     },
     [](ServerState* state, int64_t value) { state->slow_log.set_threshold(value); }, -1},
    {"slowlog-max-len",
     [](const ServerState& state, const StoreStats&) {
       return absl::StrCat(state.slow_log.max_entries());
     },
     [](ServerState* state, int64_t value) { state->slow_log.set_max_entries(value); }},
    {"timeout",
     [](const ServerState& state, const StoreStats&) -> std::string {
       const absl::Duration timeout = state.options.idle_timeout;
       if (timeout == absl::InfiniteDuration()) return "0";
       return absl::StrCat(absl::ToInt64Seconds(timeout));
     },
     nullptr},
};

const Setting* FindSetting(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name.substr(0, kMaxSettingBytes));
  for (const Setting& setting : kSettings) {
    if (lower == setting.name) return &setting;
  }
  return nullptr;
}

// Empty where `text` is a value that may be set, which is then `*value`; else why not.
std::string WhyNot(const Setting& setting, absl::string_view text, int64_t* value) {
  if (setting.set == nullptr) return "";
  if (!ParseInteger(text, value)) return "argument couldn't be parsed into an integer";
  if (*value >= setting.least) return "";
  return absl::StrCat("argument must be between ", setting.least, " and ",
                      std::numeric_limits<int64_t>::max(), " inclusive");
}

void Refuse(CommandCall* call, absl::string_view name, absl::string_view why_not) {
  call->reply->Error(absl::StrCat("ERR CONFIG SET failed (possibly related to argument '",
                                  Shown(name), "') - ", why_not));
}

}  // namespace

void ConfigGet(CommandCall* call) {
  if (call->args.size() > kMaxNames) return call->reply->Error(kTooManyNames);
  std::vector<const Setting*> found;
  for (const Setting& setting : kSettings) {
    for (const absl::string_view pattern : call->args.subspan(2)) {
      if (pattern.size() > kMaxSettingBytes ||
          !GlobMatches(absl::AsciiStrToLower(pattern), setting.name)) {
        continue;
      }
      found.push_back(&setting);
      break;
    }
  }
  // A guess would be taken for the truth: no answer where the store gives none.
  StoreStats stats;
  if (std::any_of(found.begin(), found.end(), [](const Setting* s) { return s->of_store; })) {
    absl::StatusOr<StoreStats> told = StatsOf(*call);
    if (!told.ok()) return call->reply->Error(ErrorText(told.status()));
    stats = *std::move(told);
  }
  call->reply->Map(found.size());
  for (const Setting* setting : found) {
    call->reply->Bulk(setting->name);
    call->reply->Bulk(setting->get(*call->state, stats));
  }
}

// All of them, or none. The names are looked at before the values.
void ConfigSet(CommandCall* call) {
  const auto args = call->args.subspan(2);
  if (args.size() > kMaxNames) return call->reply->Error(kTooManyNames);
  if (args.size() % 2 != 0) return call->reply->Error(kSyntaxError);
  const absl::StatusOr<StoreStats> stats = StatsOf(*call);
  std::vector<std::pair<const Setting*, int64_t>> wanted;
  for (size_t i = 0; i < args.size(); i += 2) {
    const Setting* const setting = FindSetting(args[i]);
    if (setting == nullptr) {
      return call->reply->Error(absl::StrCat(
          "ERR Unknown option or number of arguments for CONFIG SET - '", Shown(args[i]), "'"));
    }
    for (const auto& [other, value] : wanted) {
      if (other == setting) return Refuse(call, args[i], "duplicate parameter");
    }
    // Programs set what is so already, to be sure of it.
    if (setting->of_store && !stats.ok()) return call->reply->Error(ErrorText(stats.status()));
    if (setting->is_fixed ||
        (setting->set == nullptr &&
         args[i + 1] != setting->get(*call->state, stats.value_or(StoreStats())))) {
      return Refuse(call, args[i], "can't set immutable config");
    }
    wanted.emplace_back(setting, 0);
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    auto& [setting, value] = wanted[i];
    const std::string why_not = WhyNot(*setting, args[2 * i + 1], &value);
    if (!why_not.empty()) return Refuse(call, setting->name, why_not);
  }
  for (const auto& [setting, value] : wanted) {
    if (setting->set != nullptr) setting->set(call->state, value);
  }
  call->reply->Ok();
}

void ConfigRewrite(CommandCall* call) {
  call->reply->Error("ERR The server is running without a config file");
}

}  // namespace resp
}  // namespace kvarts
