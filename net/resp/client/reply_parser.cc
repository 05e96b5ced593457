#include "net/resp/client/reply_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp_client {
namespace {

constexpr size_t kIdleBytes = 4 << 10;
constexpr size_t kBusyBytes = 64 << 10;
// A read into less is not worth its system call.
constexpr size_t kLeastSpace = 1 << 10;

// Decimal, with an optional minus; all of 64 bits.
bool ParseNumber(absl::string_view text, int64_t* number) {
  const bool negative = !text.empty() && text[0] == '-';
  const absl::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 19) return false;
  uint64_t sum = 0;  // of 19 digits: fits
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    sum = sum * 10 + static_cast<uint64_t>(c - '0');
  }
  const uint64_t most = uint64_t{1} << 63;
  if (sum > (negative ? most : most - 1)) return false;
  *number = static_cast<int64_t>(negative ? 0 - sum : sum);
  return true;
}

}  // namespace

absl::Span<char> ReplyParser::Space() {
  const size_t unread = end_ - at_;
  size_t wanted = capacity_ == 0 ? kIdleBytes : capacity_;
  if (unread + kLeastSpace > wanted) {
    wanted = std::max(2 * unread, kBusyBytes);
  } else if (filled_) {
    wanted = std::max(wanted, kBusyBytes);
  } else if (wanted > kBusyBytes && unread <= kBusyBytes / 2) {
    wanted = kBusyBytes;
  }
  const bool moves = wanted != capacity_ || capacity_ - end_ < kLeastSpace || unread == 0;
  if (moves) {
    const char* const from = buffer_.get() + at_;
    std::unique_ptr<char[]> other;
    if (wanted != capacity_) other = std::make_unique_for_overwrite<char[]>(wanted);
    if (unread > 0) std::memmove(other == nullptr ? buffer_.get() : other.get(), from, unread);
    if (other != nullptr) buffer_ = std::move(other);
    capacity_ = wanted;
    scanned_ -= std::min(scanned_, at_);
    at_ = 0;
    end_ = unread;
  }
  return absl::MakeSpan(buffer_.get() + end_, capacity_ - end_);
}

void ReplyParser::Filled(size_t n) {
  end_ += n;
  filled_ = end_ == capacity_;
}

ReplyParser::Result ReplyParser::Next() { return bulk_bytes_ < 0 ? Head() : Bulk(); }

// The line at at_, which goes behind it.
ReplyParser::Line ReplyParser::ReadLine(absl::string_view* line) {
  const char* const begin = buffer_.get() + at_;
  scanned_ = std::max(scanned_, at_);
  const auto* const end =
      static_cast<const char*>(std::memchr(buffer_.get() + scanned_, '\r', end_ - scanned_));
  const size_t size = end == nullptr ? end_ - at_ : static_cast<size_t>(end - begin);
  if (size > limits_.max_line_bytes) return Line::kBad;
  scanned_ = at_ + size;
  if (end == nullptr || scanned_ + 1 == end_) return Line::kPart;
  if (end[1] != '\n') return Line::kBad;
  *line = {begin, size};
  at_ = scanned_ = at_ + size + 2;
  return Line::kWhole;
}

ReplyParser::Result ReplyParser::Head() {
  if (at_ == end_) return Result::kNeedMore;
  item_.number = 0;
  const char type = buffer_[at_];
  if (absl::string_view("+-:$*").find(type) == absl::string_view::npos) {
    return Fail(absl::StrCat("expected one of +-:$*, got '",
                             absl::CHexEscape(absl::string_view(&type, 1)), "'"));
  }
  absl::string_view line;
  switch (ReadLine(&line)) {
    case Line::kPart:
      return Result::kNeedMore;
    case Line::kBad:
      return Fail(absl::StrCat("a line of more than ", limits_.max_line_bytes,
                               " bytes, or one that does not end in \\r\\n"));
    case Line::kWhole:
      line.remove_prefix(1);
  }
  if (type == '+') return Item(ReplyItem::Kind::kSimple, line);
  if (type == '-') return Item(ReplyItem::Kind::kError, line);
  int64_t number = 0;
  if (!ParseNumber(line, &number)) {
    return Fail(absl::StrCat("\"", absl::CHexEscape(line.substr(0, 32)), "\" is no number"));
  }
  item_.number = number;
  if (type == ':') return Item(ReplyItem::Kind::kInteger, {});
  if (number == -1) return Item(ReplyItem::Kind::kNull, {});
  const size_t most = type == '$' ? limits_.max_bulk_bytes : limits_.max_elements;
  if (number < 0 || static_cast<uint64_t>(number) > most) {
    return Fail(absl::StrCat(type == '$' ? "a string of " : "an array of ", number, "; at most ",
                             most, " are taken"));
  }
  if (type == '*') return Item(ReplyItem::Kind::kArray, {});
  bulk_bytes_ = number;
  return Bulk();
}

ReplyParser::Result ReplyParser::Bulk() {
  const auto size = static_cast<size_t>(bulk_bytes_);
  if (end_ - at_ < size + 2) return Result::kNeedMore;
  const char* const text = buffer_.get() + at_;
  if (text[size] != '\r' || text[size + 1] != '\n') {
    return Fail("a string that does not end in \\r\\n");
  }
  at_ += size + 2;
  bulk_bytes_ = -1;
  return Item(ReplyItem::Kind::kBulk, {text, size});
}

ReplyParser::Result ReplyParser::Item(ReplyItem::Kind kind, absl::string_view text) {
  item_.kind = kind;
  item_.text = text;
  item_.depth = left_.size();
  if (!left_.empty()) --left_.back();
  if (kind == ReplyItem::Kind::kArray && item_.number > 0) {
    if (left_.size() == limits_.max_depth) {
      return Fail(absl::StrCat("arrays within arrays, more than ", limits_.max_depth, " deep"));
    }
    left_.push_back(item_.number);
  }
  while (!left_.empty() && left_.back() == 0) left_.pop_back();
  item_.last = left_.empty();
  return Result::kItem;
}

ReplyParser::Result ReplyParser::Fail(std::string error) {
  error_ = std::move(error);
  return Result::kError;
}

}  // namespace resp_client
}  // namespace kvarts
