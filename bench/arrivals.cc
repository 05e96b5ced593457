#include "bench/arrivals.h"

#include <cmath>

namespace kvarts {

Arrivals::Arrivals(const Options& options) : options_(options), random_(options.seed, ~0u) {}

std::optional<int64_t> Arrivals::Next() {
  MutexLock lock(&mu_);
  if (counted_ >= options_.requests) return std::nullopt;
  if (options_.poisson) {
    due_ns_ -= std::log(1 - random_.Fraction()) * 1e9 / options_.rate;
  } else {  // not a sum: it would drift
    due_ns_ = static_cast<double>(given_) * 1e9 / options_.rate;
  }
  ++given_;
  const int64_t due = options_.start_ns + static_cast<int64_t>(due_ns_);
  if (due >= options_.end_ns) return std::nullopt;
  if (due >= options_.count_from_ns) ++counted_;
  return due;
}

}  // namespace kvarts
