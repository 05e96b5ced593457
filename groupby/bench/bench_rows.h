#ifndef KVARTS_GROUPBY_BENCH_BENCH_ROWS_H_
#define KVARTS_GROUPBY_BENCH_BENCH_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bench/distribution.h"
#include "bench/random.h"

namespace kvarts {

// Which keys the rows of a benchmark have.
enum class BenchShape : unsigned char {
  kUniform = 0,  // each of `keys` as often as any other
  kZipf,         // few of them most of the time, in proportion to 1 / rank^theta
  kFew,          // uniform, of 1,000 where `keys` is not given
  kDistinct,     // each row its own
  kEqual,        // one for all
  kHalf,         // one for half of the rows, uniform for the others
};
inline constexpr BenchShape kBenchShapes[] = {BenchShape::kUniform, BenchShape::kZipf,
                                              BenchShape::kFew,     BenchShape::kDistinct,
                                              BenchShape::kEqual,   BenchShape::kHalf};
// "uniform", "zipf", ...; kInvalidArgument names them.
absl::StatusOr<BenchShape> ParseBenchShape(absl::string_view name);
absl::string_view ToText(BenchShape shape);

struct BenchRowsOptions {
  BenchShape shape = BenchShape::kUniform;
  uint64_t rows = 1000000;
  uint64_t keys = 0;  // 0: a quarter of the rows
  double theta = 0.99;
  size_t key_bytes = 12;   // of hexadecimal digits: 1 to 16
  size_t row_bytes = 100;  // key, tab, value and newline
  // Pairs of decimal integers, of as many digits as they need, instead.
  bool integers = false;
  uint64_t seed = 1;
};

// Immutable, so thread-safe. The rows of a benchmark as lines `key<TAB>value\n`, made
// from (seed, number of the block), so that threads make different blocks and the text
// is always the same.
//
//   5d1c83a0f24b<TAB>0000000017KfBpOmcA...      key_bytes of key; 10 digits of the
//                                               row's number, then letters
//   2863311530<TAB>17                           integers
//
// Values are unique, hold no comma, and rise with the row, as (length, bytes): of a
// list of them it can be seen whether it is in the order of the input.
class BenchRows {
 public:
  static constexpr uint64_t kBlockRows = 8192;
  static constexpr size_t kRowDigits = 10;

  // kInvalidArgument for numbers that cannot be.
  static absl::StatusOr<BenchRows> New(const BenchRowsOptions& options);

  const BenchRowsOptions& options() const { return options_; }
  uint64_t blocks() const { return (options_.rows + kBlockRows - 1) / kBlockRows; }
  // Appends the lines of a block. REQUIRES: block < blocks().
  void AppendBlock(uint64_t block, std::string* out) const;

 private:
  explicit BenchRows(const BenchRowsOptions& options);

  uint64_t KeyNumber(uint64_t row, BenchRandom* random) const;
  uint64_t Scrambled(uint64_t number) const;
  void AppendText(uint64_t first, uint64_t last, BenchRandom* random, std::string* out) const;

  BenchRowsOptions options_;
  int key_bits_;
  uint64_t key_mask_;
  uint64_t key_salt_;
  ZipfRanks zipf_;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_BENCH_BENCH_ROWS_H_
