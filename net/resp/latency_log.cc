#include "net/resp/latency_log.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMostSamples = 160;

}  // namespace

void LatencyLog::Add(bool fast_command, int64_t unix_seconds, int64_t millis) {
  MutexLock lock(&mu_);
  LatencyEvent& event = events_[fast_command ? 1 : 0];
  event.most_millis = std::max(event.most_millis, millis);
  if (!event.samples.empty() && event.samples.back().unix_seconds == unix_seconds) {
    event.samples.back().millis = std::max(event.samples.back().millis, millis);
    return;
  }
  if (event.samples.size() == kMostSamples) event.samples.pop_front();
  event.samples.push_back({unix_seconds, millis});
}

std::vector<LatencyEvent> LatencyLog::Events() const {
  std::vector<LatencyEvent> events;
  MutexLock lock(&mu_);
  for (const LatencyEvent& event : events_) {
    if (!event.samples.empty()) events.push_back(event);
  }
  return events;
}

bool LatencyLog::Clear(absl::string_view name) {
  MutexLock lock(&mu_);
  for (LatencyEvent& event : events_) {
    if (!absl::EqualsIgnoreCase(event.name, name) || event.samples.empty()) continue;
    event = {event.name, {}, 0};
    return true;
  }
  return false;
}

}  // namespace resp
}  // namespace kvarts
