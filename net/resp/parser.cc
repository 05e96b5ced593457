#include "net/resp/parser.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kIdleBytes = 4 << 10;
constexpr size_t kBusyBytes = 64 << 10;
// A read into less is not worth its system call.
constexpr size_t kLeastSpace = 1 << 10;
// After as many reads that a small buffer could have held, it is small again.
constexpr int kSmallReads = 64;
// Memory of a larger request is not kept for the next.
constexpr size_t kMaxKeptArguments = 1 << 10;

// How a client begins that speaks TLS (RFC 8446, section 5.1): as a line it would be waited for.
constexpr absl::string_view kTlsHandshake = "\x16\x03";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }
bool IsBlank(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }
// Vertical tabs and form feeds do not end a word, but stand in front of none.
bool EndsWord(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  return (c | 0x20) - 'a' + 10;
}

// Decimal, with an optional minus, no sign or zero in front of a digit.
bool ParseLength(absl::string_view text, int64_t* length) {
  const bool negative = !text.empty() && text[0] == '-';
  const absl::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 18) return false;
  if (digits[0] == '0' && (digits.size() > 1 || negative)) return false;
  int64_t value = 0;
  for (const char c : digits) {
    if (!IsDigit(c)) return false;
    value = value * 10 + (c - '0');
  }
  *length = negative ? -value : value;
  return true;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

}  // namespace

absl::Span<char> RequestParser::Space() {
  const size_t unread = end_ - begin_;
  size_t wanted = capacity_ == 0 ? kIdleBytes : capacity_;
  if (unread + kLeastSpace > wanted) {
    wanted = std::max(2 * unread, kBusyBytes);
  } else if (filled_) {
    wanted = std::max(wanted, kBusyBytes);
  } else if (wanted > kBusyBytes && unread <= kBusyBytes / 2) {
    wanted = kBusyBytes;
  } else if (wanted > kIdleBytes && unread <= kIdleBytes / 2 && small_reads_ > kSmallReads) {
    wanted = kIdleBytes;
  }
  if (wanted != capacity_) {
    MoveTo(wanted);
  } else if (unread == 0) {
    begin_ = at_ = scanned_ = end_ = 0;
  } else if (capacity_ - end_ < kLeastSpace) {
    MoveTo(capacity_);
  }
  return absl::MakeSpan(buffer_.get() + end_, capacity_ - end_);
}

void RequestParser::Filled(size_t n) {
  end_ += n;
  filled_ = end_ == capacity_;
  small_reads_ = n <= kIdleBytes / 2 ? small_reads_ + 1 : 0;
}

// What is unread goes to the front, and with it the arguments found so far.
void RequestParser::MoveTo(size_t capacity) {
  std::unique_ptr<char[]> bigger;
  if (capacity != capacity_) bigger = std::make_unique_for_overwrite<char[]>(capacity);
  char* const to = bigger == nullptr ? buffer_.get() : bigger.get();
  const char* const from = buffer_.get() + begin_;
  const bool partial = arguments_left_ > 0;
  for (absl::string_view& arg : args_) {
    if (partial) arg = {to + (arg.data() - from), arg.size()};
  }
  if (end_ != begin_) std::memmove(to, from, end_ - begin_);
  if (bigger != nullptr) buffer_ = std::move(bigger);
  capacity_ = capacity;
  at_ -= begin_;
  scanned_ -= std::min(scanned_, begin_);
  end_ -= begin_;
  begin_ = 0;
}

RequestParser::Result RequestParser::Next() {
  while (true) {
    if (arguments_left_ == 0) {
      args_.clear();
      if (ABSL_PREDICT_FALSE(args_.capacity() > kMaxKeptArguments)) args_ = {};
      begin_ = at_;
      if (at_ == end_) return Result::kNeedMore;
      if (ABSL_PREDICT_FALSE(buffer_[at_] != '*')) {
        if (absl::StartsWith({buffer_.get() + at_, end_ - at_}, kTlsHandshake)) {
          return Fail("Protocol error: TLS, which is not spoken at this port");
        }
        const Result result = Inline();
        if (result == Result::kRequest && args_.empty()) continue;
        return result;
      }
      int64_t count = 0;
      ++at_;
      const Line line = ReadLength(&count);
      if (line == Line::kPart) {
        at_ = begin_;
        if (end_ - at_ <= kMaxLineBytes) return Result::kNeedMore;
        return Fail("Protocol error: too big mbulk count string");
      }
      const auto most = static_cast<int64_t>(limits_.max_arguments);
      const bool too_many =
          count > (limits_.authenticated ? most : int64_t{std::numeric_limits<int32_t>::max()});
      if (line == Line::kBad || too_many) {
        return Fail("Protocol error: invalid multibulk length");
      }
      if (count > most) return Fail("Protocol error: unauthenticated multibulk length");
      if (count <= 0) continue;
      arguments_left_ = count;
    }
    return Multibulk();
  }
}

RequestParser::Result RequestParser::Multibulk() {
  while (arguments_left_ > 0) {
    if (bulk_bytes_ < 0) {
      if (at_ == end_) return Result::kNeedMore;
      const size_t line_begin = at_;
      const char type = buffer_[at_];
      if (ABSL_PREDICT_TRUE(type == '$')) ++at_;
      int64_t length = 0;
      const Line line = ReadLength(&length);
      if (line == Line::kPart) {
        at_ = line_begin;
        if (end_ - at_ <= kMaxLineBytes) return Result::kNeedMore;
        return Fail("Protocol error: too big bulk count string");
      }
      if (ABSL_PREDICT_FALSE(type != '$')) {
        return Fail(
            absl::StrCat("Protocol error: expected '$', got '", absl::string_view(&type, 1), "'"));
      }
      const auto most = static_cast<int64_t>(limits_.max_bulk_bytes);
      if (ABSL_PREDICT_FALSE(line == Line::kBad || length < 0 || length > most)) {
        return Fail(line == Line::kWhole && length > most && !limits_.authenticated &&
                            length <= static_cast<int64_t>(RequestLimits().max_bulk_bytes)
                        ? "Protocol error: unauthenticated bulk length"
                        : "Protocol error: invalid bulk length");
      }
      if (at_ - begin_ + static_cast<size_t>(length) > limits_.max_request_bytes) {
        return Fail(absl::StrCat("Protocol error: a request of more than ",
                                 limits_.max_request_bytes, " bytes"));
      }
      bulk_bytes_ = length;
    }
    const auto length = static_cast<size_t>(bulk_bytes_);
    if (end_ - at_ < length + 2) return Result::kNeedMore;
    args_.emplace_back(buffer_.get() + at_, length);
    at_ += length + 2;
    bulk_bytes_ = -1;
    --arguments_left_;
  }
  return Result::kRequest;
}

// A number and "\r\n", at at_, which goes behind it. As in other servers any byte
// may stand for the newline, and what is wrong with a line is said once it is whole.
RequestParser::Line RequestParser::ReadLength(int64_t* length) {
  const char* const line = buffer_.get() + at_;
  const char* const end = buffer_.get() + end_;
  const char* p = line;
  int64_t value = 0;
  while (p != end && IsDigit(*p) && p - line < 10) value = value * 10 + (*p++ - '0');
  if (ABSL_PREDICT_FALSE(p == end || *p != '\r' || p == line || (*line == '0' && p - line > 1))) {
    p = static_cast<const char*>(std::memchr(p, '\r', static_cast<size_t>(end - p)));
    if (p == nullptr || end - p < 2) return Line::kPart;
    if (!ParseLength({line, static_cast<size_t>(p - line)}, &value)) return Line::kBad;
  }
  if (end - p < 2) return Line::kPart;
  *length = value;
  at_ = static_cast<size_t>(p + 2 - buffer_.get());
  return Line::kWhole;
}

RequestParser::Result RequestParser::Inline() {
  scanned_ = std::max(scanned_, at_);
  char* const line = buffer_.get() + at_;
  char* newline = static_cast<char*>(std::memchr(buffer_.get() + scanned_, '\n', end_ - scanned_));
  const size_t size = newline == nullptr ? end_ - at_ : static_cast<size_t>(newline - line);
  if (size > kMaxLineBytes) return Fail("Protocol error: too big inline request");
  scanned_ = end_;
  if (newline == nullptr) return Result::kNeedMore;
  at_ += size + 1;
  scanned_ = at_;
  if (newline != line && newline[-1] == '\r') --newline;
  if (!SplitLine(line, newline)) return Fail("Protocol error: unbalanced quotes in request");
  return Result::kRequest;
}

bool RequestParser::SplitLine(char* line, char* end) {
  const char* p = line;
  while (true) {
    while (p != end && IsBlank(*p)) ++p;
    if (p == end) return true;
    char* out = line;
    char* const word = out;
    char quote = 0;
    while (true) {
      if (p == end) {
        if (quote != 0) return false;
        break;
      }
      const char c = *p++;
      if (quote == 0) {
        if (EndsWord(c)) break;
        if (c == '"' || c == '\'') {
          quote = c;
        } else {
          *out++ = c;
        }
      } else if (c == quote) {
        if (p != end && !IsBlank(*p)) return false;
        break;
      } else if (quote == '"' && c == '\\' && end - p >= 3 && p[0] == 'x' && IsHex(p[1]) &&
                 IsHex(p[2])) {
        *out++ = static_cast<char>(HexValue(p[1]) * 16 + HexValue(p[2]));
        p += 3;
      } else if (quote == '"' && c == '\\' && p != end) {
        *out++ = Unescape(*p++);
      } else if (quote == '\'' && c == '\\' && p != end && *p == '\'') {
        *out++ = *p++;
      } else {
        *out++ = c;
      }
    }
    args_.emplace_back(word, static_cast<size_t>(out - word));
    line = out;
  }
}

RequestParser::Result RequestParser::Fail(std::string error) {
  error_ = std::move(error);
  return Result::kError;
}

}  // namespace resp
}  // namespace kvarts
