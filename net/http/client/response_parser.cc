#include "net/http/client/response_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>

namespace kvarts {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using View = boost::beast::string_view;

// Of a head, a chunk's extension or trailers.
constexpr size_t kMaxHead = 64 << 10;

}  // namespace

// Beast's grammar; the body goes through.
class HttpResponseParser::Impl final : public http::basic_parser<false> {
 public:
  Impl() {
    header_limit(kMaxHead);
    body_limit(boost::none);
    eager(true);
  }

  Step Parse(absl::string_view bytes, const std::function<void(absl::string_view)>& body,
             size_t* used) {
    *used = 0;
    body_ = &body;
    while (message.empty()) {
      if (is_done()) return Step::kDone;
      const absl::string_view rest = bytes.substr(*used);
      // What is left of a chunked body is "0", CRLF, CRLF at least: Beast asserts that these are
      // given to it together.
      if (rest.size() < (is_header_done() && chunked() ? 5 : 1)) return Step::kNeedMore;
      error_code error;
      const size_t n = put(boost::asio::const_buffer(rest.data(), rest.size()), error);
      *used += n;
      if (!error) continue;
      if (error != http::error::need_more) {
        message = error.message();
      } else if (rest.size() - n > kMaxHead) {
        message = "a head, or a chunk's, is too long";
      } else {
        return Step::kNeedMore;
      }
    }
    return Step::kError;
  }

  bool ParseEnd() {
    if (!got_some()) return false;
    const std::function<void(absl::string_view)> nowhere = [](absl::string_view) {};
    body_ = &nowhere;
    error_code error;
    put_eof(error);
    return !error && is_done();
  }

  int status = 0;
  std::string message;

 private:
  void on_request_impl(http::verb, View, View, int, error_code&) override {}
  void on_response_impl(int code, View, int version, error_code& error) override {
    // 1xx, which no request of ours asks for, would stand before the response.
    if (version < 11 || code < 200) {
      error = http::make_error_code(http::error::bad_version);
      return;
    }
    status = code;
  }
  void on_field_impl(http::field, View, View, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(View bytes, error_code&) override { return Take(bytes); }
  void on_chunk_header_impl(std::uint64_t, View, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View bytes, error_code&) override {
    return Take(bytes);
  }
  void on_finish_impl(error_code&) override {}

  std::size_t Take(View bytes) {
    (*body_)(absl::string_view(bytes.data(), bytes.size()));
    return bytes.size();
  }

  const std::function<void(absl::string_view)>* body_ = nullptr;
};

HttpResponseParser::HttpResponseParser() : impl_(std::make_unique<Impl>()) {}
HttpResponseParser::~HttpResponseParser() = default;

HttpResponseParser::Step HttpResponseParser::Parse(
    absl::string_view bytes, const std::function<void(absl::string_view)>& body, size_t* used) {
  return impl_->Parse(bytes, body, used);
}

bool HttpResponseParser::ParseEnd() { return impl_->ParseEnd(); }
int HttpResponseParser::status() const { return impl_->status; }
bool HttpResponseParser::keep_alive() const { return impl_->keep_alive(); }
const std::string& HttpResponseParser::message() const { return impl_->message; }

}  // namespace kvarts
