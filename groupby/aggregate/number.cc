#include "groupby/aggregate/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/charconv.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

absl::Status NoNumber(absl::string_view text, absl::string_view why) {
  const absl::string_view start = text.substr(0, 40);
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", absl::CHexEscape(start), start.size() < text.size() ? "...\" " : "\" ", why));
}

// An integer and a double that is one of neither infinity: exactly.
int CompareMixed(absl::int128 a, double b) {
  constexpr double kBound = 170141183460469231731687303715884105728.0;  // 2^127
  if (b >= kBound) return -1;
  if (b < -kBound) return 1;
  const double whole = std::trunc(b);
  const auto b_whole = static_cast<absl::int128>(whole);
  if (a != b_whole) return a < b_whole ? -1 : 1;
  return b == whole ? 0 : (b > whole ? -1 : 1);
}

}  // namespace

Number Number::Integer(absl::int128 v) {
  Number n;
  n.low_ = absl::Int128Low64(v);
  n.high_ = static_cast<uint64_t>(absl::Int128High64(v));
  n.kind_ = Kind::kInteger;
  return n;
}

Number Number::Real(double v) {
  Number n;
  std::memcpy(&n.low_, &v, sizeof v);
  n.kind_ = Kind::kReal;
  return n;
}

absl::StatusOr<Number> Number::Parse(absl::string_view text) {
  absl::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  size_t digits = 0;
  uint64_t small = 0;  // the first 18 digits
  while (digits < rest.size() && IsDigit(rest[digits])) {
    if (digits < 18) small = small * 10 + static_cast<uint64_t>(rest[digits] - '0');
    ++digits;
  }
  if (digits == rest.size() && digits > 0) {
    if (digits <= 18) {
      const auto v = static_cast<int64_t>(small);
      return Integer(negative ? -v : v);
    }
    const absl::uint128 limit = (absl::uint128(1) << 127) - (negative ? 0 : 1);
    absl::uint128 v = small;
    for (const char c : rest.substr(18)) {
      const int digit = c - '0';
      if (v > (limit - digit) / 10) return NoNumber(text, "has more than 128 bits");
      v = v * 10 + digit;
    }
    return Integer(static_cast<absl::int128>(negative ? absl::uint128(0) - v : v));
  }
  const bool starts = digits > 0 || (rest.size() > 1 && rest[0] == '.' && IsDigit(rest[1]));
  double v = 0;
  if (!starts) return NoNumber(text, "is no number");
  const char* const end = rest.data() + rest.size();
  const std::from_chars_result parsed = std::from_chars(rest.data(), end, v);
  if (parsed.ptr != end) return NoNumber(text, "is no number");
  if (parsed.ec == std::errc::result_out_of_range) {
    // Says whether it is too large or just nearly nothing.
    absl::from_chars(rest.data(), end, v);
    if (v > 1) return NoNumber(text, "is beyond what a double holds");
  }
  return Real(negative ? -v : v);
}

int Number::Compare(const Number& a, const Number& b) {
  if (a.kind_ == Kind::kInteger && b.kind_ == Kind::kInteger) {
    const absl::int128 x = a.integer();
    const absl::int128 y = b.integer();
    return x < y ? -1 : (x == y ? 0 : 1);
  }
  if (a.kind_ == Kind::kReal && b.kind_ == Kind::kReal) {
    return a.real() < b.real() ? -1 : (a.real() == b.real() ? 0 : 1);
  }
  return a.kind_ == Kind::kInteger ? CompareMixed(a.integer(), b.real())
                                   : -CompareMixed(b.integer(), a.real());
}

void Number::AppendTo(std::string* out) const {
  if (kind_ == Kind::kInteger) AppendInteger(integer(), out);
  if (kind_ == Kind::kReal) AppendReal(real(), out);
}

void AppendInteger(absl::int128 v, std::string* out) {
  if (v >= std::numeric_limits<int64_t>::min() && v <= std::numeric_limits<int64_t>::max()) {
    absl::StrAppend(out, static_cast<int64_t>(v));
    return;
  }
  const bool negative = v < 0;
  auto rest = static_cast<absl::uint128>(v);
  if (negative) rest = absl::uint128(0) - rest;
  char digits[40];
  char* p = digits + sizeof digits;
  for (; rest != 0; rest /= 10) *--p = static_cast<char>('0' + static_cast<int>(rest % 10));
  if (negative) *--p = '-';
  out->append(p, static_cast<size_t>(digits + sizeof digits - p));
}

void AppendReal(double v, std::string* out) {
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof text, v);
  out->append(text, static_cast<size_t>(end.ptr - text));
}

}  // namespace kvarts
