#include "net/http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kvarts {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using View = boost::beast::string_view;

constexpr char kLongParts[] = "the header, a chunk's or a trailer is too long";
constexpr char kOneCoding[] = "the only transfer coding is \"chunked\"";

error_code Stop() { return http::make_error_code(http::error::bad_value); }

// What a host and a port may have beside letters and digits (RFC 3986, 3.2).
constexpr absl::string_view kOfHosts = "-._~!$&'()*+,;=%:[]";

// "" is none.
bool IsHost(absl::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(kOfHosts, c);
  });
}

}  // namespace

// Beast's grammar, with the message kept our way: one allocation less a field
// than its own containers, and no memory reserved from a Content-Length.
class HttpRequestParser::Impl final : public http::basic_parser<true> {
 public:
  explicit Impl(const HttpLimits& limits) : limits_(limits) {
    // The limits below are ours: Beast's do not tell a long target from long
    // fields, and are the same for every request.
    header_limit(std::numeric_limits<std::uint32_t>::max());
    body_limit(boost::none);
    eager(false);
  }

  Step Parse(absl::string_view bytes, size_t* used) {
    *used = 0;
    if (status != 0) return Step::kError;
    while (true) {
      if (head_done_ && !head_given_) {
        head_given_ = true;
        return CheckHead() ? Step::kHead : Step::kError;
      }
      if (is_done()) return Step::kDone;
      const absl::string_view rest = bytes.substr(*used);
      // An empty line or two in front of a request is the end of the one before.
      if (!begun && !rest.empty() && (rest[0] == '\r' || rest[0] == '\n')) {
        if (++empty_lines_ > 4) return Fail(400, "expected a request line");
        ++*used;
        continue;
      }
      // What is left of a chunked body is "0", CRLF, CRLF at least: Beast asserts
      // that these are given to it together.
      if (rest.size() < (head_done_ && chunked() ? 5 : 1)) return Step::kNeedMore;
      error_code error;
      const size_t n = put(boost::asio::const_buffer(rest.data(), rest.size()), error);
      *used += n;
      begun = true;
      if (!error) continue;
      if (error == http::error::need_more) {
        // Beast counts what is in one call only, and looks at a request line that
        // was cut no more until the head's end is there.
        const absl::string_view left = rest.substr(n);
        if (!head_done_ && request.target.empty() && left.size() > MaxLine() + 1 &&
            left.substr(0, MaxLine() + 2).find('\n') == absl::string_view::npos) {
          return Fail(414, "the request line is too long");
        }
        if (left.size() > (head_done_ ? limits_.fields : MaxLine() + limits_.fields)) {
          return Fail(431, kLongParts);
        }
        return Step::kNeedMore;
      }
      if (status != 0) return Step::kError;
      // Beast from 2025 on bounds extensions by itself.
      if (error == http::error::bad_chunk_extension && rest.size() > limits_.fields) {
        return Fail(431, kLongParts);
      }
      // Beast takes such a line's end for a part of the version.
      if (error == http::error::bad_version && EndsInBareNewline(rest)) {
        return Fail(400, "expected a carriage return before the newline of each line");
      }
      return Fail(error);
    }
  }

  bool body_expected() const { return content_length_remaining().value_or(0) > 0 || chunked(); }

  HttpRequest request;
  bool begun = false;
  uint64_t max_body = 0;
  int status = 0;
  std::string message;

 private:
  static bool EndsInBareNewline(absl::string_view line) {
    const size_t newline = line.find('\n');
    return newline != absl::string_view::npos && (newline == 0 || line[newline - 1] != '\r');
  }

  // Of the request line, without its end.
  size_t MaxLine() const { return limits_.target + 32; }

  Step Fail(int code, absl::string_view text) {
    status = code;
    message = std::string(text);
    return Step::kError;
  }

  Step Fail(const error_code& error) {
    if (error == http::error::bad_version) {
      return Fail(505, "expected HTTP/1.1 or HTTP/1.0");
    }
    // From Beast of 2025 on for every coding but one; from older ones only beside
    // a length, and CheckHead() looks at the rest.
    if (error == http::error::bad_transfer_encoding && version_ >= 11 && !has_length()) {
      return Fail(501, kOneCoding);
    }
    return Fail(400, absl::StrCat("not an HTTP/1.1 request: ", error.message()));
  }

  bool has_length() const {
    return std::any_of(request.fields.begin(), request.fields.end(), [](const auto& field) {
      return absl::EqualsIgnoreCase(field.first, "Content-Length");
    });
  }

  // What Beast leaves to its user.
  bool CheckHead() {
    request.http_1_0 = version_ < 11;
    request.keep_alive = keep_alive();
    int hosts = 0;
    int lengths = 0;
    for (const auto& [name, value] : request.fields) {
      if (absl::EqualsIgnoreCase(name, "Host")) {
        ++hosts;
        if (!IsHost(value)) Fail(400, "expected a name or address, and a port, in Host");
      }
      // Beast takes "5, 5" and two fields that are equal.
      if (absl::EqualsIgnoreCase(name, "Content-Length")) {
        lengths += absl::StrContains(value, ',') ? 2 : 1;
      }
      // In HTTP/1.0 Beast lets "keep-alive" win over "close".
      if (request.http_1_0 && request.keep_alive && absl::EqualsIgnoreCase(name, "Connection")) {
        for (const absl::string_view option : absl::StrSplit(value, ',')) {
          if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(option), "close")) {
            request.keep_alive = false;
          }
        }
      }
      if (!absl::EqualsIgnoreCase(name, "Transfer-Encoding")) continue;
      if (request.http_1_0) Fail(400, "HTTP/1.0 has no transfer coding");
      if (!absl::EqualsIgnoreCase(value, "chunked")) {
        Fail(501, kOneCoding);
      }
    }
    if (lengths > 1) Fail(400, "expected one Content-Length");
    if (hosts > 1 || (hosts == 0 && !request.http_1_0)) Fail(400, "expected one Host field");
    return status == 0;
  }

  void TooLarge(error_code& error) {
    Fail(413, absl::StrCat("the body is larger than ", max_body, " bytes"));
    error = Stop();
  }

  void AppendBody(View bytes, error_code& error) {
    if (bytes.size() > max_body - request.body.size()) return TooLarge(error);
    request.body.append(bytes.data(), bytes.size());
  }

  void on_request_impl(http::verb, View method, View target, int version,
                       error_code& error) override {
    if (method.size() + target.size() + sizeof("  HTTP/1.1") - 1 > MaxLine()) {
      Fail(414, "the request line is too long");
      error = Stop();
    }
    request.method.assign(method.data(), method.size());
    request.target.assign(target.data(), target.size());
    version_ = version;
  }
  void on_response_impl(int, View, int, error_code&) override {}
  // Beast from 2025 on gives trailers here (there it overrides), older ones as fields.
  void on_trailer_field_impl(http::field name_id, View name, View value, error_code& error) {
    on_field_impl(name_id, name, value, error);
  }
  void on_field_impl(http::field, View name, View value, error_code& error) override {
    // Trailers count, and are left out: they would be taken for the head's.
    field_bytes_ += name.size() + value.size() + 4;
    if (field_bytes_ > limits_.fields || ++field_count_ > limits_.field_count) {
      Fail(431, "too many header fields, or too long ones");
      error = Stop();
      return;
    }
    if (head_done_) return;
    request.fields.emplace_back(std::string(name.data(), name.size()),
                                std::string(value.data(), value.size()));
  }
  void on_header_impl(error_code&) override { head_done_ = true; }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  std::size_t on_body_impl(View body, error_code& error) override {
    AppendBody(body, error);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t size, View, error_code& error) override {
    if (size > max_body - request.body.size()) TooLarge(error);
  }
  std::size_t on_chunk_body_impl(std::uint64_t, View body, error_code& error) override {
    AppendBody(body, error);
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  const HttpLimits& limits_;
  int version_ = 11;
  int empty_lines_ = 0;
  int field_count_ = 0;
  size_t field_bytes_ = 0;
  bool head_done_ = false;
  bool head_given_ = false;
};

HttpRequestParser::HttpRequestParser(const HttpLimits& limits) : limits_(limits) { Reset(); }

HttpRequestParser::~HttpRequestParser() = default;

void HttpRequestParser::Reset() {
  if (impl_ == nullptr) {
    impl_ = std::make_unique<Impl>(limits_);
    return;
  }
  // In its place, with the memory of the request before: Beast's parser cannot
  // begin anew.
  HttpRequest request = std::move(impl_->request);
  request.fields.clear();
  request.body.clear();
  std::destroy_at(impl_.get());
  std::construct_at(impl_.get(), limits_);
  impl_->request = std::move(request);
}

HttpRequestParser::Step HttpRequestParser::Parse(absl::string_view bytes, size_t* used) {
  return impl_->Parse(bytes, used);
}

void HttpRequestParser::SetBodyLimit(uint64_t bytes) { impl_->max_body = bytes; }
bool HttpRequestParser::has_body() const { return impl_->body_expected(); }
bool HttpRequestParser::body_too_large() const {
  return impl_->content_length_remaining().value_or(0) > impl_->max_body;
}
bool HttpRequestParser::begun() const { return impl_->begun; }
HttpRequest& HttpRequestParser::request() { return impl_->request; }
int HttpRequestParser::status() const { return impl_->status; }
const std::string& HttpRequestParser::message() const { return impl_->message; }

}  // namespace kvarts
