#include "net/resp/command_stats.h"

#include <time.h>

#include <algorithm>

#include "absl/numeric/bits.h"
#include "base/histogram.h"

namespace kvarts {
namespace resp {
namespace {

size_t BucketOf(uint64_t nanos) {
  if (nanos <= 1024) return 0;
  const auto bits = static_cast<size_t>(absl::bit_width((nanos - 1) >> 10));
  return std::min(bits, CommandCounts::kBuckets - 1);
}

}  // namespace

int64_t PreciseNanos() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

CommandStats::Place::Place(size_t commands, bool alone)
    : counts_(std::make_unique<Counts[]>(commands)), alone_(alone) {}

void CommandStats::Place::AddTo(std::atomic<uint64_t>* count, uint64_t n) const {
  if (alone_) {
    count->store(count->load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  } else {
    count->fetch_add(n, std::memory_order_relaxed);
  }
}

void CommandStats::Place::Add(size_t command, uint64_t calls, uint64_t failed, int64_t nanos) {
  const auto time = static_cast<uint64_t>(std::max<int64_t>(nanos, 0));
  Counts* const counts = &counts_[command];
  AddTo(&counts->calls, calls);
  AddTo(&counts->nanos, time);
  if (failed > 0) AddTo(&counts->failed, failed);
  AddTo(&counts->times[BucketOf(calls == 1 ? time : time / calls)], calls);
}

void CommandStats::Place::Reject(size_t command) { AddTo(&counts_[command].rejected, 1); }

void CommandStats::Place::AddTotals(const RequestTotals& totals) {
  AddTo(&commands_, totals.commands);
  if (totals.hits > 0) AddTo(&hits_, totals.hits);
  if (totals.misses > 0) AddTo(&misses_, totals.misses);
}

CommandStats::CommandStats(size_t commands) : commands_(commands) {}

CommandStats::~CommandStats() {
  for (const std::atomic<Place*>& place : places_) delete place.load(std::memory_order_acquire);
}

CommandStats::Place* CommandStats::MyPlace() {
  const size_t number = ThreadNumber();
  const bool alone = number < kPlaces - 1;
  std::atomic<Place*>& mine = places_[alone ? number : kPlaces - 1];
  Place* place = mine.load(std::memory_order_acquire);
  if (place != nullptr) return place;
  auto made = std::make_unique<Place>(commands_, alone);
  // Only the last place may be made by several at once.
  return mine.compare_exchange_strong(place, made.get()) ? made.release() : place;
}

std::vector<CommandCounts> CommandStats::Sum() const {
  const auto order = std::memory_order_relaxed;
  std::vector<CommandCounts> sums(commands_);
  for (const std::atomic<Place*>& slot : places_) {
    const Place* const place = slot.load(std::memory_order_acquire);
    for (size_t i = 0; place != nullptr && i < commands_; ++i) {
      const Place::Counts& from = place->counts_[i];
      CommandCounts& sum = sums[i];
      sum.calls += from.calls.load(order);
      sum.nanos += from.nanos.load(order);
      sum.rejected += from.rejected.load(order);
      sum.failed += from.failed.load(order);
      for (size_t b = 0; b < sum.times.size(); ++b) sum.times[b] += from.times[b].load(order);
    }
  }
  return sums;
}

std::vector<CommandCounts> CommandStats::Collect() const {
  MutexLock lock(&mu_);
  std::vector<CommandCounts> sums = Sum();
  for (size_t i = 0; i < reset_.size(); ++i) {
    sums[i].calls -= reset_[i].calls;
    sums[i].nanos -= reset_[i].nanos;
    sums[i].rejected -= reset_[i].rejected;
    sums[i].failed -= reset_[i].failed;
    for (size_t b = 0; b < sums[i].times.size(); ++b) sums[i].times[b] -= reset_[i].times[b];
  }
  return sums;
}

RequestTotals CommandStats::totals() const {
  RequestTotals totals;
  for (const std::atomic<Place*>& slot : places_) {
    const Place* const place = slot.load(std::memory_order_acquire);
    if (place == nullptr) continue;
    totals.commands += place->commands_.load(std::memory_order_relaxed);
    totals.hits += place->hits_.load(std::memory_order_relaxed);
    totals.misses += place->misses_.load(std::memory_order_relaxed);
  }
  return totals;
}

RequestTotals CommandStats::TotalsSinceReset() const {
  MutexLock lock(&mu_);
  RequestTotals since = totals();
  since.commands -= totals_at_reset_.commands;
  since.hits -= totals_at_reset_.hits;
  since.misses -= totals_at_reset_.misses;
  return since;
}

void CommandStats::Reset() {
  MutexLock lock(&mu_);
  totals_at_reset_ = totals();
  reset_ = Sum();
}

void ErrorStats::Add(const ErrorCodes& codes) {
  MutexLock lock(&mu_);
  for (const auto& [code, n] : codes.codes) {
    const auto known = codes_.find(code);
    if (known != codes_.end()) {
      known->second += n;
    } else {
      codes_[codes_.size() < kMostCodes ? code : "OTHER"] += n;
    }
  }
}

std::vector<std::pair<std::string, uint64_t>> ErrorStats::Collect() const {
  MutexLock lock(&mu_);
  return {codes_.begin(), codes_.end()};
}

void ErrorStats::Reset() {
  MutexLock lock(&mu_);
  codes_.clear();
}

}  // namespace resp
}  // namespace kvarts
