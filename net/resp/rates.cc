#include "net/resp/rates.h"

#include <algorithm>
#include <cstddef>

namespace kvarts {
namespace resp {
namespace {

constexpr int64_t kApart = 100000000;
constexpr int64_t kWindow = 16 * kApart;
constexpr size_t kSamples = 18;  // one of them is before the window

}  // namespace

void Rates::Sample(int64_t now, const Counts& counts) {
  MutexLock lock(&mu_);
  if (now < samples_.back().at + kApart) return;  // another thread did
  samples_.push_back({now, counts});
  if (samples_.size() > kSamples) samples_.pop_front();
  due_.store(now + kApart, std::memory_order_relaxed);
}

Rates::PerSecond Rates::Now(int64_t now, const Counts& counts) const {
  MutexLock lock(&mu_);
  const Taken* from = &samples_.front();
  for (const Taken& sample : samples_) {
    if (sample.at <= now - kWindow) from = &sample;
  }
  if (now <= from->at) return {};
  // Where samples were taken all the time, it is older than the window by less than kApart.
  const double seconds = static_cast<double>(std::min(now - from->at, kWindow + kApart)) / 1e9;
  // Threads count one after the other: a sample may be ahead of what is read now.
  const auto rate = [&](uint64_t then, uint64_t n) {
    return n > then ? static_cast<double>(n - then) / seconds : 0;
  };
  return {rate(from->counts.commands, counts.commands),
          rate(from->counts.bytes_in, counts.bytes_in),
          rate(from->counts.bytes_out, counts.bytes_out)};
}

}  // namespace resp
}  // namespace kvarts
