#include "net/metrics.h"

#include <algorithm>
#include <utility>

namespace kvarts {
namespace {

void AddTo(std::atomic<uint64_t>* total, uint64_t* n, bool alone) {
  if (*n == 0) return;
  if (alone) {
    total->store(total->load(std::memory_order_relaxed) + *n, std::memory_order_relaxed);
  } else {
    total->fetch_add(*n, std::memory_order_relaxed);
  }
  *n = 0;
}

}  // namespace

struct alignas(64) ProtocolMetrics::Place {
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> errors{0};
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> misses{0};
  std::atomic<uint64_t> bytes_in{0};
  std::atomic<uint64_t> bytes_out{0};
  Histogram latency;
};

ProtocolMetrics::ProtocolMetrics(absl::string_view name) : name_(name) {}

ProtocolMetrics::~ProtocolMetrics() {
  for (const std::atomic<Place*>& place : places_) delete place.load(std::memory_order_acquire);
}

ProtocolMetrics::Place* ProtocolMetrics::MyPlace(bool* alone) {
  const size_t number = ThreadNumber();
  *alone = number < kPlaces - 1;
  std::atomic<Place*>& mine = places_[*alone ? number : kPlaces - 1];
  Place* place = mine.load(std::memory_order_acquire);
  if (place != nullptr) return place;
  auto made = std::make_unique<Place>();
  // Only the last place may be made by several at once.
  return mine.compare_exchange_strong(place, made.get()) ? made.release() : place;
}

void ProtocolMetrics::Add(RequestCounts* counts) {
  bool alone;
  Place* const place = MyPlace(&alone);
  AddTo(&place->requests, &counts->requests, alone);
  AddTo(&place->errors, &counts->errors, alone);
  AddTo(&place->hits, &counts->hits, alone);
  AddTo(&place->misses, &counts->misses, alone);
  AddTo(&place->bytes_in, &counts->bytes_in, alone);
  AddTo(&place->bytes_out, &counts->bytes_out, alone);
}

void ProtocolMetrics::RecordLatency(uint64_t nanoseconds, uint64_t requests) {
  bool alone;
  Place* const place = MyPlace(&alone);
  if (alone) {
    place->latency.RecordAlone(nanoseconds, requests);
  } else {
    place->latency.Record(nanoseconds, requests);
  }
}

void ProtocolMetrics::SetMore(More more) {
  MutexLock lock(&more_mu_);
  more_ = std::move(more);
}

void ProtocolMetrics::AppendMore(std::string* out) const {
  MutexLock lock(&more_mu_);
  if (more_ != nullptr) more_(out);
}

void ProtocolMetrics::Listening(absl::string_view address, int max_clients) {
  MutexLock lock(&mu_);
  address_ = std::string(address);
  max_clients_ = max_clients;
}

void ProtocolMetrics::Accepted() {
  accepted_.fetch_add(1, std::memory_order_relaxed);
  open_.fetch_add(1, std::memory_order_relaxed);
}
void ProtocolMetrics::Closed() { open_.fetch_sub(1, std::memory_order_relaxed); }
int ProtocolMetrics::max_clients() const {
  MutexLock lock(&mu_);
  return max_clients_;
}

std::string ProtocolMetrics::address() const {
  MutexLock lock(&mu_);
  return address_;
}

void ProtocolMetrics::Refused() { refused_.fetch_add(1, std::memory_order_relaxed); }

RequestCounts ProtocolMetrics::Counts() const {
  RequestCounts counts;
  for (const std::atomic<Place*>& slot : places_) {
    const Place* const place = slot.load(std::memory_order_acquire);
    if (place == nullptr) continue;
    counts.requests += place->requests.load(std::memory_order_relaxed);
    counts.errors += place->errors.load(std::memory_order_relaxed);
    counts.hits += place->hits.load(std::memory_order_relaxed);
    counts.misses += place->misses.load(std::memory_order_relaxed);
    counts.bytes_in += place->bytes_in.load(std::memory_order_relaxed);
    counts.bytes_out += place->bytes_out.load(std::memory_order_relaxed);
  }
  return counts;
}

uint64_t ProtocolMetrics::Served() const {
  const RequestCounts counts = Counts();
  return counts.requests -
         std::min(counts.errors, counts.requests);  // they are not counted at once
}

ProtocolStats ProtocolMetrics::Collect() const {
  ProtocolStats out;
  out.name = name_;
  out.counts = Counts();
  for (const std::atomic<Place*>& slot : places_) {
    const Place* const place = slot.load(std::memory_order_acquire);
    if (place != nullptr) out.latency.Merge(place->latency.Collect());
  }
  out.open = open_.load(std::memory_order_relaxed);
  out.accepted = accepted_.load(std::memory_order_relaxed);
  out.refused = refused_.load(std::memory_order_relaxed);
  MutexLock lock(&mu_);
  out.address = address_;
  out.max_clients = max_clients_;
  return out;
}

ProtocolMetrics* Metrics::protocol(absl::string_view name) {
  MutexLock lock(&mu_);
  for (const auto& [known, metrics] : protocols_) {
    if (known == name) return metrics.get();
  }
  protocols_.emplace_back(std::string(name), std::make_unique<ProtocolMetrics>(name));
  return protocols_.back().second.get();
}

uint64_t Metrics::Served() const {
  MutexLock lock(&mu_);
  uint64_t served = 0;
  for (const auto& [name, metrics] : protocols_) served += metrics->Served();
  return served;
}

std::vector<const ProtocolMetrics*> Metrics::protocols() const {
  std::vector<const ProtocolMetrics*> out;
  MutexLock lock(&mu_);
  for (const auto& [name, metrics] : protocols_) out.push_back(metrics.get());
  return out;
}

}  // namespace kvarts
