#include "net/metrics.h"

#include <utility>

namespace kvarts {
namespace {

void AddTo(std::atomic<uint64_t>* total, uint64_t* n) {
  if (*n == 0) return;
  total->fetch_add(*n, std::memory_order_relaxed);
  *n = 0;
}

}  // namespace

ProtocolMetrics::ProtocolMetrics(absl::string_view name) : name_(name) {}

void ProtocolMetrics::Add(RequestCounts* counts) {
  Shard& shard = shards_[ThreadNumber() % kShards];
  AddTo(&shard.requests, &counts->requests);
  AddTo(&shard.errors, &counts->errors);
  AddTo(&shard.hits, &counts->hits);
  AddTo(&shard.misses, &counts->misses);
  AddTo(&shard.bytes_in, &counts->bytes_in);
  AddTo(&shard.bytes_out, &counts->bytes_out);
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
void ProtocolMetrics::Refused() { refused_.fetch_add(1, std::memory_order_relaxed); }

ProtocolStats ProtocolMetrics::Collect() const {
  ProtocolStats out;
  out.name = name_;
  for (const Shard& shard : shards_) {
    out.counts.requests += shard.requests.load(std::memory_order_relaxed);
    out.counts.errors += shard.errors.load(std::memory_order_relaxed);
    out.counts.hits += shard.hits.load(std::memory_order_relaxed);
    out.counts.misses += shard.misses.load(std::memory_order_relaxed);
    out.counts.bytes_in += shard.bytes_in.load(std::memory_order_relaxed);
    out.counts.bytes_out += shard.bytes_out.load(std::memory_order_relaxed);
  }
  out.latency = latency_.Collect();
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

std::vector<const ProtocolMetrics*> Metrics::protocols() const {
  std::vector<const ProtocolMetrics*> out;
  MutexLock lock(&mu_);
  for (const auto& [name, metrics] : protocols_) out.push_back(metrics.get());
  return out;
}

}  // namespace kvarts
