#include "net/metrics_history.h"

#include <utility>

namespace kvarts {
namespace {

RequestCounts Minus(const RequestCounts& a, const RequestCounts& b) {
  RequestCounts out;
  out.requests = a.requests - b.requests;
  out.errors = a.errors - b.errors;
  out.hits = a.hits - b.hits;
  out.misses = a.misses - b.misses;
  out.bytes_in = a.bytes_in - b.bytes_in;
  out.bytes_out = a.bytes_out - b.bytes_out;
  return out;
}

std::vector<ProtocolStats> CollectAll(const Metrics& metrics) {
  std::vector<ProtocolStats> out;
  for (const ProtocolMetrics* protocol : metrics.protocols()) out.push_back(protocol->Collect());
  return out;
}

}  // namespace

MetricsHistory::MetricsHistory(const Metrics* metrics, absl::Duration interval, const Clock* clock)
    : metrics_(metrics),
      interval_(interval),
      clock_(clock),
      before_(CollectAll(*metrics)),
      before_time_(clock->Now()) {}

void MetricsHistory::Start(EventLoop* loop) {
  loop->Post([this, loop] {
    timer_ = loop->NewTimer();
    Again();
  });
}

void MetricsHistory::Again() {
  timer_->Start(interval_, [this] {
    Sample();
    Again();
  });
}

void MetricsHistory::Sample() {
  std::vector<ProtocolStats> now = CollectAll(*metrics_);
  MetricsSample sample;
  const absl::Time time = clock_->Now();
  sample.time_ms = absl::ToUnixMillis(time);
  MutexLock lock(&mu_);
  sample.seconds = absl::ToDoubleSeconds(time - before_time_);
  if (sample.seconds <= 0) return;  // the clock stepped back, or stands
  for (size_t i = 0; i < now.size(); ++i) {
    // Protocols are only ever added, behind the others.
    const ProtocolStats nothing;
    const ProtocolStats& before = i < before_.size() ? before_[i] : nothing;
    const HistogramCounts latency = now[i].latency.Since(before.latency);
    IntervalStats stats;
    stats.name = now[i].name;
    stats.counts = Minus(now[i].counts, before.counts);
    stats.open = now[i].open;
    stats.p50_ns = latency.Quantile(0.5);
    stats.p99_ns = latency.Quantile(0.99);
    stats.p999_ns = latency.Quantile(0.999);
    stats.max_ns = latency.max();
    sample.protocols.push_back(std::move(stats));
  }
  before_ = std::move(now);
  before_time_ = time;
  samples_.push_back(std::move(sample));
  if (samples_.size() > kSamples) samples_.pop_front();
}

std::vector<MetricsSample> MetricsHistory::Since(int64_t time_ms) const {
  std::vector<MetricsSample> out;
  MutexLock lock(&mu_);
  for (const MetricsSample& sample : samples_) {
    if (sample.time_ms > time_ms) out.push_back(sample);
  }
  return out;
}

}  // namespace kvarts
