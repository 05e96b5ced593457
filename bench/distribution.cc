#include "bench/distribution.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// log(1 + x) / x and (exp(x) - 1) / x, which are 1 at 0: a theta of 1 then needs
// no formula of its own.
double Log1pOver(double x) {
  return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x * (0.5 - x / 3);
}
double Expm1Over(double x) {
  return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x * (0.5 + x / 6);
}

}  // namespace

// Names as in the paper's algorithm ZRI, with ranks from 1 on.
ZipfRanks::ZipfRanks(uint64_t n, double theta)
    : n_(n),
      theta_(theta),
      integral_first_(Integral(1.5) - 1),
      integral_last_(Integral(static_cast<double>(n) + 0.5)),
      shortcut_(2 - InverseIntegral(Integral(2.5) - H(2))) {}

double ZipfRanks::H(double x) const { return std::exp(-theta_ * std::log(x)); }

double ZipfRanks::Integral(double x) const {
  const double log = std::log(x);
  return Expm1Over((1 - theta_) * log) * log;
}

double ZipfRanks::InverseIntegral(double y) const {
  const double t = std::max(y * (1 - theta_), -1.0);  // below it only by rounding
  return std::exp(Log1pOver(t) * y);
}

uint64_t ZipfRanks::Choose(BenchRandom* random) const {
  while (true) {
    const double u = integral_last_ + random->Fraction() * (integral_first_ - integral_last_);
    const double x = InverseIntegral(u);
    const double k = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(n_));
    if (k - x <= shortcut_ || u >= Integral(k + 0.5) - H(k)) {
      return std::min(static_cast<uint64_t>(k), n_) - 1;
    }
  }
}

Scatter::Scatter(uint64_t n)
    : n_(n), factor_(static_cast<uint64_t>(static_cast<double>(n) * 0.6180339887498949)) {
  factor_ = std::max<uint64_t>(factor_, 1);
  while (std::gcd(factor_, n_) != 1) ++factor_;
}

absl::StatusOr<Distribution::Kind> ParseDistribution(absl::string_view name) {
  using Kind = Distribution::Kind;
  for (const Kind kind : {Kind::kUniform, Kind::kZipf, Kind::kLatest}) {
    if (name == ToText(kind)) return kind;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is no distribution; expected uniform, zipf or latest"));
}

absl::string_view ToText(Distribution::Kind kind) {
  switch (kind) {
    case Distribution::Kind::kUniform:
      return "uniform";
    case Distribution::Kind::kZipf:
      return "zipf";
    case Distribution::Kind::kLatest:
      return "latest";
  }
  return "";
}

}  // namespace kvarts
