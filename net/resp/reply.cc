#include "net/resp/reply.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvarts {
namespace resp {
namespace {

// Of the first word of an error, as it is counted: a script may say anything.
constexpr size_t kMaxCodeBytes = 64;

// A type, a number and "\r\n", from the end of a small array backwards.
class HeadText {
 public:
  HeadText(char type, uint64_t value, bool negative = false) {
    *--at_ = '\n';
    *--at_ = '\r';
    do {
      *--at_ = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    if (negative) *--at_ = '-';
    *--at_ = type;
  }
  const char* data() const { return at_; }
  size_t size() const { return static_cast<size_t>(text_ + sizeof text_ - at_); }

 private:
  char text_[24];
  char* at_ = text_ + sizeof text_;
};

}  // namespace

void ReplyWriter::Head(char type, size_t size) {
  const HeadText head(type, size);
  Append({head.data(), head.size()});
}

void ReplyWriter::Simple(absl::string_view text) {
  output_->bytes().append(1, '+').append(text.data(), text.size()).append("\r\n", 2);
}

void ReplyWriter::Error(absl::string_view text) {
  ++errors_.count;
  const absl::string_view code = text.substr(0, text.find_first_of(" \r\n"));
  const auto known = std::find_if(errors_.codes.begin(), errors_.codes.end(),
                                  [&](const auto& entry) { return entry.first == code; });
  if (known != errors_.codes.end()) {
    ++known->second;
  } else {
    errors_.codes.emplace_back(code.substr(0, kMaxCodeBytes), 1);
  }
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  std::string& bytes = output_->bytes();
  bytes.append(1, '-');
  for (const char c : text) bytes.push_back(c == '\r' || c == '\n' ? ' ' : c);
  bytes.append("\r\n", 2);
}

void ReplyWriter::Integer(int64_t value) {
  const bool negative = value < 0;
  const auto bits = static_cast<uint64_t>(value);
  const HeadText head(':', negative ? 0 - bits : bits, negative);
  Append({head.data(), head.size()});
}

void ReplyWriter::Bulk(absl::string_view bytes) {
  const HeadText head('$', bytes.size());
  std::string& out = output_->bytes();
  const size_t old = out.size();
  // Grown once, not three times.
  out.resize(old + head.size() + bytes.size() + 2);
  char* to = &out[old];
  std::memcpy(to, head.data(), head.size());
  to += head.size();
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  std::memcpy(to + bytes.size(), "\r\n", 2);
}

bool ReplyWriter::Value(absl::string_view bytes) {
  if (bytes.size() < Output::kLendFrom) {
    Bulk(bytes);
    return false;
  }
  Head('$', bytes.size());
  output_->Lend(bytes);
  Append("\r\n");
  return true;
}

void ReplyWriter::Verbatim(absl::string_view text) {
  if (protocol_ == 2) return Bulk(text);
  Head('=', text.size() + 4);
  Append("txt:");
  Append(text);
  Append("\r\n");
}

void ReplyWriter::Double(double value) {
  std::string text;
  if (std::isinf(value)) {
    text = value > 0 ? "inf" : "-inf";
  } else if (std::isnan(value)) {
    text = "nan";
  } else {
    text = absl::StrFormat("%.17g", value);
  }
  if (protocol_ == 2) return Bulk(text);
  Append(absl::StrCat(",", text, "\r\n"));
}

}  // namespace resp
}  // namespace kvarts
