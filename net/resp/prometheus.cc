#include "net/resp/prometheus.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "net/resp/commands.h"

namespace kvarts {
namespace resp {
namespace {

void Family(absl::string_view name, absl::string_view help, std::string* out) {
  absl::StrAppend(out, "# HELP ", name, " ", help, "\n# TYPE ", name, " counter\n");
}

// A script may make an error of any word.
std::string LabelValue(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

// A family of the commands that were asked for.
template <typename Value>
void EachCommand(const std::vector<CommandCounts>& all, absl::string_view name,
                 absl::string_view help, Value value, std::string* out) {
  Family(name, help, out);
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].calls == 0 && all[i].rejected == 0) continue;
    absl::StrAppend(out, name, "{command=\"", Commands()[i].name, "\"} ", value(all[i]), "\n");
  }
}

}  // namespace

void AppendPrometheus(const ServerState& state, std::string* out) {
  const std::vector<CommandCounts> all = state.command_stats.Collect();
  using C = const CommandCounts&;
  EachCommand(
      all, "kvarts_resp_commands_total", "Calls of a command.", [](C c) { return c.calls; }, out);
  EachCommand(
      all, "kvarts_resp_command_seconds_total", "Time that the calls took together.",
      [](C c) { return absl::StrFormat("%.9f", static_cast<double>(c.nanos) / 1e9); }, out);
  EachCommand(
      all, "kvarts_resp_commands_rejected_total",
      "Calls that were refused: wrong arguments, no permission, no store.",
      [](C c) { return c.rejected; }, out);
  EachCommand(
      all, "kvarts_resp_commands_failed_total", "Calls that were answered by an error.",
      [](C c) { return c.failed; }, out);
  Family("kvarts_resp_errors_total", "Error replies, by their first word.", out);
  for (const auto& [code, count] : state.error_stats.Collect()) {
    absl::StrAppend(out, "kvarts_resp_errors_total{code=\"", LabelValue(code), "\"} ", count, "\n");
  }
}

}  // namespace resp
}  // namespace kvarts
