#ifndef KVARTS_NET_HTTP_REQUEST_PARSER_H_
#define KVARTS_NET_HTTP_REQUEST_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "net/http/message.h"

namespace kvarts {

struct HttpLimits {
  size_t target = 200 << 10;  // a key of 64 KiB, each byte percent-encoded, fits
  size_t fields = 32 << 10;   // of all header fields
  int field_count = 100;
};

// Not thread-safe. Reads one HTTP/1.x request after the other out of a stream of
// bytes; the syntax is Boost.Beast's. Takes memory as bytes arrive, never from a
// declared length. Refused, because proxies and servers disagree about them and
// requests are smuggled so: a transfer coding other than "chunked" alone, one
// beside a Content-Length, one in HTTP/1.0; more than one Content-Length, equal ones
// too; more than one Host, or none in HTTP/1.1.
class HttpRequestParser {
 public:
  enum class Step : unsigned char {
    kNeedMore,  // call again with the bytes not used and more behind them
    kHead,      // once a request: request() lacks only its body, if it has one
    kDone,      // request() is whole
    kError,     // status() and message(); the stream is of no further use
  };

  explicit HttpRequestParser(const HttpLimits& limits = {});
  ~HttpRequestParser();

  // Begins the next request.
  void Reset();

  // Goes on with `bytes`; `*used` of them need not be given again.
  Step Parse(absl::string_view bytes, size_t* used);

  // After kHead: what the body may have; more is an error, 413. 0 before.
  void SetBodyLimit(uint64_t bytes);
  // After kHead: that a body follows, and that it is already known to be too
  // large for the limit set.
  bool has_body() const;
  bool body_too_large() const;

  // True where bytes of the request were used.
  bool begun() const;
  HttpRequest& request();

  // The response that kError asks for.
  int status() const;
  const std::string& message() const;

 private:
  class Impl;
  const HttpLimits limits_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_REQUEST_PARSER_H_
