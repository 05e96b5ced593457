#ifndef KVARTS_NET_HTTP_CLIENT_RESPONSE_PARSER_H_
#define KVARTS_NET_HTTP_CLIENT_RESPONSE_PARSER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace kvarts {

// Not thread-safe. Takes one response of HTTP/1.1 out of a connection's bytes.
class HttpResponseParser {
 public:
  HttpResponseParser();
  ~HttpResponseParser();

  enum class Step : unsigned char { kNeedMore = 0, kDone, kError };
  // Takes from the start of `bytes`, and says how many: what was not taken is given again, with
  // more behind it. The body's bytes go to `body` as they come.
  Step Parse(absl::string_view bytes, const std::function<void(absl::string_view)>& body,
             size_t* used);
  // The connection ended: is that the response's end, too?
  bool ParseEnd();

  // Once the head is there; 0 before.
  int status() const;
  // Once it is done.
  bool keep_alive() const;
  // After kError.
  const std::string& message() const;

 private:
  class Impl;

  const std::unique_ptr<Impl> impl_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_CLIENT_RESPONSE_PARSER_H_
