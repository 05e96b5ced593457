#include "bench/tally.h"

namespace kvarts {
namespace {

// In memory of its own: tallies go from thread to thread, and references to a
// status are counted where ThreadSanitizer does not see it.
absl::Status Unshared(const absl::Status& status) {
  return absl::Status(status.code(), status.message());
}

}  // namespace

void OperationTally::Merge(const OperationTally& other) {
  requests += other.requests;
  keys += other.keys;
  value_bytes += other.value_bytes;
  hits += other.hits;
  misses += other.misses;
  unexpected_misses += other.unexpected_misses;
  wrong_values += other.wrong_values;
  errors += other.errors;
  not_sent += other.not_sent;
  latency_ns.Merge(other.latency_ns);
}

void Tally::AddError(const absl::Status& status) {
  ++errors_[absl::StatusCodeToString(status.code())];
  if (first_error_.ok()) first_error_ = Unshared(status);
}

void Tally::AddToTimeline(size_t interval, uint64_t latency_ns) { At(interval)->Add(latency_ns); }

HistogramCounts* Tally::At(size_t interval) {
  if (timeline_.size() <= interval) timeline_.resize(interval + 1);
  std::unique_ptr<HistogramCounts>& counts = timeline_[interval];
  if (counts == nullptr) counts = std::make_unique<HistogramCounts>();
  return counts.get();
}

void Tally::Merge(const Tally& other) {
  for (const Operation operation : kAllOperations) {
    if (other.find(operation) != nullptr) of(operation).Merge(*other.find(operation));
  }
  start_delay_ns_.Merge(other.start_delay_ns_);
  for (size_t i = 0; i < other.timeline_.size(); ++i) {
    if (other.timeline_[i] != nullptr) At(i)->Merge(*other.timeline_[i]);
  }
  for (const auto& [code, times] : other.errors_) errors_[code] += times;
  if (first_error_.ok()) first_error_ = Unshared(other.first_error_);
}

OperationTally Tally::Total() const {
  OperationTally total;
  for (const auto& tally : operations_) {
    if (tally != nullptr) total.Merge(*tally);
  }
  return total;
}

}  // namespace kvarts
