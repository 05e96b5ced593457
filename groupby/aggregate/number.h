#ifndef KVARTS_GROUPBY_AGGREGATE_NUMBER_H_
#define KVARTS_GROUPBY_AGGREGATE_NUMBER_H_

#include "base/language.h"

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// A decimal number of a text: an integer of up to 128 bits, exactly, else a double.
// Trivially copyable; all zeros is none.
class Number {
 public:
  enum class Kind : uint64_t { kNone = 0, kInteger, kReal };

  Number() = default;
  static Number Integer(absl::int128 v);
  static Number Real(double v);

  // [+-]digits, or [+-]digits[.digits][e[+-]digits] with a digit before or behind the
  // point. kInvalidArgument for anything else: spaces, "nan", "inf", "0x1", nothing, an
  // integer of more than 128 bits, a real beyond a double.
  static absl::StatusOr<Number> Parse(absl::string_view text);

  Kind kind() const { return kind_; }
  absl::int128 integer() const { return absl::MakeInt128(static_cast<int64_t>(high_), low_); }
  double real() const {
    double v;
    std::memcpy(&v, &low_, sizeof v);
    return v;
  }

  // < 0, 0, > 0; by value, exactly, whatever the kinds. REQUIRES: neither is none.
  static int Compare(const Number& a, const Number& b);

  // An integer in decimal; a real in the fewest digits that give the same double; none
  // is nothing.
  void AppendTo(std::string* out) const;

 private:
  uint64_t low_ = 0;
  uint64_t high_ = 0;
  Kind kind_ = Kind::kNone;
};

void AppendInteger(absl::int128 v, std::string* out);
void AppendReal(double v, std::string* out);

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_NUMBER_H_
