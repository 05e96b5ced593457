#ifndef KVARTS_BENCH_DISTRIBUTION_H_
#define KVARTS_BENCH_DISTRIBUTION_H_

#include "base/language.h"

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bench/random.h"

namespace kvarts {

// Immutable, so thread-safe. Ranks from 0 to n - 1, of which k comes with a
// probability in proportion to (k + 1) to the power of -theta. No tables: by
// rejection-inversion (W. Hoermann, G. Derflinger, "Rejection-inversion to
// generate variates from monotone discrete distributions", 1996), about 40 ns and
// the same for any n.
class ZipfRanks {
 public:
  // REQUIRES: n > 0, theta >= 0 (0 is uniform).
  ZipfRanks(uint64_t n, double theta);
  uint64_t Choose(BenchRandom* random) const;

 private:
  double H(double x) const;         // x to the power of -theta
  double Integral(double x) const;  // of H
  double InverseIntegral(double y) const;

  uint64_t n_;
  double theta_;
  double integral_first_;
  double integral_last_;
  double shortcut_;
};

// Immutable, so thread-safe. A permutation of 0 to n - 1 that sets neighbours
// far apart: what is asked for most then does not lie together.
class Scatter {
 public:
  explicit Scatter(uint64_t n);  // REQUIRES: n > 0
  uint64_t operator()(uint64_t i) const {
    return static_cast<uint64_t>(BenchUint128{i} * factor_ % n_);
  }

 private:
  uint64_t n_;
  uint64_t factor_;  // without a divisor in common with n_
};

// Immutable, so thread-safe. Which records are asked for.
//   uniform  each as often as any other
//   zipf     few of them most of the time, all over the data set
//   latest   as zipf, the newest most often
class Distribution {
 public:
  enum class Kind : unsigned char { kUniform = 0, kZipf, kLatest };

  // REQUIRES: records > 0, theta >= 0.
  Distribution(Kind kind, double theta, uint64_t records)
      : kind_(kind), records_(records), ranks_(records, theta), scatter_(records) {}

  // A record's number, where `records` or more are there by now.
  uint64_t Choose(uint64_t records, BenchRandom* random) const {
    if (kind_ == Kind::kUniform) return random->Below(records_);
    const uint64_t rank = ranks_.Choose(random);
    return kind_ == Kind::kZipf ? scatter_(rank) : records - 1 - rank;
  }

 private:
  Kind kind_;
  uint64_t records_;
  ZipfRanks ranks_;
  Scatter scatter_;
};

// "uniform", "zipf", "latest"; kInvalidArgument names them.
absl::StatusOr<Distribution::Kind> ParseDistribution(absl::string_view name);
absl::string_view ToText(Distribution::Kind kind);

}  // namespace kvarts

#endif  // KVARTS_BENCH_DISTRIBUTION_H_
