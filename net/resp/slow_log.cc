#include "net/resp/slow_log.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMostArgs = 32;
constexpr size_t kMostBytes = 128;

int64_t Micros(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

}  // namespace

int64_t CoarseMicros() {
#ifdef CLOCK_MONOTONIC_COARSE
  return Micros(CLOCK_MONOTONIC_COARSE);
#else
  return PreciseMicros();
#endif
}
int64_t PreciseMicros() { return Micros(CLOCK_MONOTONIC); }

int64_t SlowLog::max_entries() const {
  MutexLock lock(&mu_);
  return max_entries_;
}

void SlowLog::set_max_entries(int64_t entries) {
  MutexLock lock(&mu_);
  max_entries_ = entries;
  Cut();
}

void SlowLog::Cut() {
  const auto most = static_cast<size_t>(std::clamp<int64_t>(max_entries_, 0, kMostEntries));
  if (entries_.size() > most) entries_.resize(most);
}

void SlowLog::Add(absl::Time at, int64_t micros, absl::Span<const absl::string_view> args,
                  size_t more, std::string address, std::string name) {
  SlowCommand entry;
  entry.at = at;
  entry.micros = micros;
  entry.address = std::move(address);
  entry.name = std::move(name);
  const size_t kept = args.size() > kMostArgs ? kMostArgs - 1 : args.size();
  for (const absl::string_view arg : args.first(kept)) {
    entry.args.emplace_back(arg.substr(0, kMostBytes));
    if (arg.size() > kMostBytes) {
      absl::StrAppend(&entry.args.back(), "... (", arg.size() - kMostBytes, " more bytes)");
    }
  }
  if (kept < args.size()) {
    entry.args.push_back(absl::StrCat("... (", args.size() - kept, " more arguments)"));
  }
  if (more > 0) entry.args.push_back(absl::StrCat("... (", more, " more commands)"));
  MutexLock lock(&mu_);
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  Cut();
}

std::vector<SlowCommand> SlowLog::Newest(size_t most) const {
  MutexLock lock(&mu_);
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(std::min(most, entries_.size()));
  return {entries_.begin(), end};
}

size_t SlowLog::size() const {
  MutexLock lock(&mu_);
  return entries_.size();
}

void SlowLog::Clear() {
  MutexLock lock(&mu_);
  entries_.clear();
}

}  // namespace resp
}  // namespace kvarts
