#ifndef KVARTS_NET_HTTP_MESSAGE_H_
#define KVARTS_NET_HTTP_MESSAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "storage/read_results.h"

namespace kvarts {

struct HttpRequest {
  std::string method;
  std::string target;  // as sent: "/v1/kv/a%20b?x=1"
  bool http_1_0 = false;
  bool keep_alive = false;  // the client's wish, the version's default considered
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  // The first field of that name, in any case; null where there is none.
  const std::string* Find(absl::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (absl::EqualsIgnoreCase(key, name)) return &value;
    }
    return nullptr;
  }
};

// A value type; movable only. The length, the date and what concerns the
// connection are added by the session.
struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  // Sent in place of `body` where `has_lent`; its bytes are held by `owner`.
  bool has_lent = false;
  absl::string_view lent;
  ReadResults owner;

  size_t body_size() const { return has_lent ? lent.size() : body.size(); }
};

// {"error": MESSAGE} and a newline.
HttpResponse HttpError(int status, absl::string_view message);

// `text` as a JSON string with its quotes. Bytes that are not ASCII are taken
// for Latin-1, so that any bytes give valid JSON.
std::string JsonQuote(absl::string_view text);

// The status line, the fields and the empty line in front of a body of
// `body_size` bytes. Bytes that a field must not hold (a newline in a stored
// content type) are never written: such a field is left out, such a content
// type becomes application/octet-stream. `date` as RFC 9110 has it.
std::string HttpHead(const HttpResponse& response, absl::string_view date, bool close,
                     bool http_1_0);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_MESSAGE_H_
