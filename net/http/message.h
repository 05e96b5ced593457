#ifndef KVARTS_NET_HTTP_MESSAGE_H_
#define KVARTS_NET_HTTP_MESSAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
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
  // All fields of that name as one list, in their order (RFC 9110, section 5.3): of
  // "a" and "b, c" it is "a, b, c". nullopt where there is none. For fields that are
  // lists; of others two are refused.
  absl::optional<std::string> List(absl::string_view name) const;
};

// A body made while it is sent: an answer of any size in bounded memory. Not
// thread-safe; owns all it touches, since its connection may end meanwhile.
class HttpBodySource {
 public:
  virtual ~HttpBodySource() = default;
  // Appends the next part to `out`, some 64 KiB; where the store's calls run.
  // `*more` becomes false with the last one. An error ends the connection: a
  // response that has begun cannot be taken back.
  virtual absl::Status Next(std::string* out, bool* more) = 0;

  uint64_t hits = 0;  // keys found so far, of those asked for
  uint64_t misses = 0;
};

// A value type; movable only. The length, the date and what concerns the
// connection are added by the session.
struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string fields;  // further ones, as they are sent: see AddField()
  std::string body;
  // Sent in place of `body` where `has_lent`; its bytes are held by `owner`,
  // or are constant.
  bool has_lent = false;
  absl::string_view lent;
  ReadResults owner;
  // Where there is one, `body` is only the beginning.
  std::unique_ptr<HttpBodySource> source;

  size_t body_size() const { return has_lent ? lent.size() : body.size(); }
  // As new, with the memory of before.
  void Clear();
  // Left out where `value` holds bytes that a field must not hold.
  void AddField(absl::string_view name, absl::string_view value);
};

// {"error": MESSAGE, "code": CODE} and a newline. `code` is what programs tell errors apart by, as
// the words of `message` may change: HttpErrorCode(status) where it is not given.
HttpResponse HttpError(int status, absl::string_view message, absl::string_view code = {});
// As HttpError(status, message, code).
void SetHttpError(int status, absl::string_view message, HttpResponse* response,
                  absl::string_view code = {});
// What errors of a status are called where there is no closer word: "bad_request".
absl::string_view HttpErrorCode(int status);

// `text` as a JSON string with its quotes. Bytes that are not ASCII are taken
// for Latin-1, so that any bytes give valid JSON.
std::string JsonQuote(absl::string_view text);

struct HttpConnectionInfo {
  absl::string_view date;  // as RFC 9110 has it
  bool close = false;
  bool http_1_0 = false;
};

// Appends the status line, the fields and the empty line in front of the body;
// of a body with a source the coding is chunked, in HTTP/1.0 its end that of the
// connection. A content type that holds bytes a field must not hold becomes
// application/octet-stream.
void AppendHttpHead(const HttpResponse& response, const HttpConnectionInfo& connection,
                    std::string* out);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_MESSAGE_H_
