// SLOWLOG and LATENCY.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {

void SlowLogGet(CommandCall* call) {
  int64_t count = 10;
  if (call->args.size() > 3) {
    return call->reply->Error(
        absl::StrCat("ERR unknown subcommand or wrong number of arguments for '", call->args[1],
                     "'. Try SLOWLOG HELP."));
  }
  if (call->args.size() == 3 && (!ParseInteger(call->args[2], &count) || count < -1)) {
    return call->reply->Error("ERR count should be greater than or equal to -1");
  }
  if (count == -1) count = std::numeric_limits<int64_t>::max();
  const std::vector<SlowCommand> entries = call->state->slow_log.Newest(static_cast<size_t>(count));
  call->work += entries.size();
  ReplyWriter* const reply = call->reply;
  reply->Array(entries.size());
  for (const SlowCommand& entry : entries) {
    reply->Array(6);
    reply->Integer(static_cast<int64_t>(entry.id));
    reply->Integer(absl::ToUnixSeconds(entry.at));
    reply->Integer(entry.micros);
    reply->Array(entry.args.size());
    for (const std::string& arg : entry.args) reply->Bulk(arg);
    reply->Bulk(entry.address);
    reply->Bulk(entry.name);
  }
}

void SlowLogLen(CommandCall* call) {
  call->reply->Integer(static_cast<int64_t>(call->state->slow_log.size()));
}

void SlowLogReset(CommandCall* call) {
  call->state->slow_log.Clear();
  call->reply->Ok();
}

void LatencyDoctor(CommandCall* call) {
  const LatencyLog& log = call->state->latency_log;
  if (log.threshold() == 0) {
    return call->reply->Verbatim(
        "No spikes are noted: CONFIG SET latency-monitor-threshold MILLISECONDS begins with it.\n");
  }
  const std::vector<LatencyEvent> events = log.Events();
  std::string text;
  for (const LatencyEvent& event : events) {
    int64_t sum = 0;
    for (const LatencySample& sample : event.samples) sum += sample.millis;
    absl::StrAppend(&text, event.name, ": ", event.samples.size(), " spikes of ",
                    sum / static_cast<int64_t>(event.samples.size()), " ms on average, ",
                    event.most_millis, " ms at most. SLOWLOG GET tells which commands.\n");
  }
  if (text.empty()) {
    text = absl::StrCat("No command took ", log.threshold(), " ms or longer.\n");
  }
  call->reply->Verbatim(text);
}

// Of all commands that were called, or of those named and all subcommands of a container. The
// bounds are those of redis-server's histogram: microseconds, rounded as its two digits are.
void LatencyHistogram(CommandCall* call) {
  const absl::Span<const Command> commands = Commands();
  const std::vector<CommandCounts> all = call->state->command_stats.Collect();
  std::vector<size_t> shown;
  const auto show = [&](const Command& command) {
    const auto i = static_cast<size_t>(&command - commands.data());
    if (all[i].calls > 0) shown.push_back(i);
  };
  if (call->args.size() == 2) {
    for (const Command& command : commands) show(command);
  }
  for (const absl::string_view name : call->args.subspan(2)) {
    for (const Command& command : commands) {
      const absl::string_view its = command.name;
      if (absl::EqualsIgnoreCase(its, name) ||
          (absl::StartsWithIgnoreCase(its, name) && its[name.size()] == '|')) {
        show(command);
      }
    }
  }
  ReplyWriter* const reply = call->reply;
  reply->Map(shown.size());
  for (const size_t i : shown) {
    reply->Bulk(commands[i].name);
    reply->Map(2);
    reply->Bulk("calls");
    reply->Integer(static_cast<int64_t>(all[i].calls));
    reply->Bulk("histogram_usec");
    const auto& times = all[i].times;
    reply->Map(static_cast<size_t>(
        std::count_if(times.begin(), times.end(), [](uint64_t n) { return n > 0; })));
    uint64_t sum = 0;
    for (size_t b = 0; b < times.size(); ++b) {
      if (times[b] == 0) continue;
      sum += times[b];
      const uint64_t bound = uint64_t{1024} << b;
      reply->Integer(static_cast<int64_t>((bound + bound / 128 - 1) / 1000));
      reply->Integer(static_cast<int64_t>(sum));
    }
  }
}

void LatencyHistory(CommandCall* call) {
  std::vector<LatencySample> samples;
  for (const LatencyEvent& event : call->state->latency_log.Events()) {
    if (!absl::EqualsIgnoreCase(event.name, call->args[2])) continue;
    samples.assign(event.samples.begin(), event.samples.end());
  }
  call->reply->Array(samples.size());
  for (const LatencySample& sample : samples) {
    call->reply->Array(2);
    call->reply->Integer(sample.unix_seconds);
    call->reply->Integer(sample.millis);
  }
}

void LatencyLatest(CommandCall* call) {
  const std::vector<LatencyEvent> events = call->state->latency_log.Events();
  call->reply->Array(events.size());
  for (const LatencyEvent& event : events) {
    call->reply->Array(4);
    call->reply->Bulk(event.name);
    call->reply->Integer(event.samples.back().unix_seconds);
    call->reply->Integer(event.samples.back().millis);
    call->reply->Integer(event.most_millis);
  }
}

void LatencyReset(CommandCall* call) {
  LatencyLog& log = call->state->latency_log;
  int64_t cleared = 0;
  if (call->args.size() == 2) {
    for (const LatencyEvent& event : log.Events()) cleared += log.Clear(event.name) ? 1 : 0;
  }
  for (const absl::string_view name : call->args.subspan(2)) cleared += log.Clear(name) ? 1 : 0;
  call->reply->Integer(cleared);
}

}  // namespace resp
}  // namespace kvarts
