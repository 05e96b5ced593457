#include "net/http/message.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvarts {
namespace {

// Those that this server sends (RFC 9110, section 15).
absl::string_view StatusLine(int status) {
  switch (status) {
    case 200:
      return "HTTP/1.1 200 OK\r\n";
    case 201:
      return "HTTP/1.1 201 Created\r\n";
    case 204:
      return "HTTP/1.1 204 No Content\r\n";
    case 304:
      return "HTTP/1.1 304 Not Modified\r\n";
    case 307:
      return "HTTP/1.1 307 Temporary Redirect\r\n";
    case 400:
      return "HTTP/1.1 400 Bad Request\r\n";
    case 401:
      return "HTTP/1.1 401 Unauthorized\r\n";
    case 404:
      return "HTTP/1.1 404 Not Found\r\n";
    case 405:
      return "HTTP/1.1 405 Method Not Allowed\r\n";
    case 406:
      return "HTTP/1.1 406 Not Acceptable\r\n";
    case 408:
      return "HTTP/1.1 408 Request Timeout\r\n";
    case 409:
      return "HTTP/1.1 409 Conflict\r\n";
    case 410:
      return "HTTP/1.1 410 Gone\r\n";
    case 412:
      return "HTTP/1.1 412 Precondition Failed\r\n";
    case 413:
      return "HTTP/1.1 413 Content Too Large\r\n";
    case 414:
      return "HTTP/1.1 414 URI Too Long\r\n";
    case 415:
      return "HTTP/1.1 415 Unsupported Media Type\r\n";
    case 417:
      return "HTTP/1.1 417 Expectation Failed\r\n";
    case 431:
      return "HTTP/1.1 431 Request Header Fields Too Large\r\n";
    case 421:
      return "HTTP/1.1 421 Misdirected Request\r\n";
    case 501:
      return "HTTP/1.1 501 Not Implemented\r\n";
    case 503:
      return "HTTP/1.1 503 Service Unavailable\r\n";
    case 504:
      return "HTTP/1.1 504 Gateway Timeout\r\n";
    case 505:
      return "HTTP/1.1 505 HTTP Version Not Supported\r\n";
    case 507:
      return "HTTP/1.1 507 Insufficient Storage\r\n";
  }
  return "HTTP/1.1 500 Internal Server Error\r\n";
}

bool IsFieldValue(absl::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

}  // namespace

absl::optional<std::string> HttpRequest::List(absl::string_view name) const {
  absl::optional<std::string> list;
  for (const auto& [key, value] : fields) {
    if (!absl::EqualsIgnoreCase(key, name)) continue;
    if (list.has_value()) {
      absl::StrAppend(&*list, ", ", value);
    } else {
      list = value;
    }
  }
  return list;
}

void HttpResponse::Clear() {
  status = 200;
  content_type = "text/plain; charset=utf-8";
  fields.clear();
  body.clear();
  has_lent = false;
  lent = {};
  source.reset();
}

void HttpResponse::AddField(absl::string_view name, absl::string_view value) {
  if (IsFieldValue(value)) absl::StrAppend(&fields, name, ": ", value, "\r\n");
}

absl::string_view HttpErrorCode(int status) {
  constexpr struct {
    int status;
    const char* code;
  } kCodes[] = {
      {307, "moved"},
      {400, "bad_request"},
      {401, "unauthorized"},
      {404, "no_such_path"},
      {405, "method_not_allowed"},
      {406, "not_acceptable"},
      {408, "request_timeout"},
      {409, "conflict"},
      {410, "snapshot_gone"},
      {411, "length_required"},
      {412, "precondition_failed"},
      {413, "body_too_large"},
      {414, "target_too_long"},
      {415, "unsupported_media_type"},
      {417, "expectation_failed"},
      {421, "misdirected"},
      {431, "fields_too_large"},
      {501, "not_supported"},
      {503, "unavailable"},
      {504, "deadline_exceeded"},
      {505, "version_not_supported"},
      {507, "no_space"},
  };
  for (const auto& known : kCodes) {
    if (known.status == status) return known.code;
  }
  return status < 500 ? "bad_request" : "internal";
}

void SetHttpError(int status, absl::string_view message, HttpResponse* response,
                  absl::string_view code) {
  response->Clear();
  response->status = status;
  response->content_type = "application/json";
  absl::StrAppend(&response->body, "{\"error\":", JsonQuote(message), ",\"code\":\"",
                  code.empty() ? HttpErrorCode(status) : code, "\"}\n");
}

HttpResponse HttpError(int status, absl::string_view message, absl::string_view code) {
  HttpResponse response;
  SetHttpError(status, message, &response, code);
  return response;
}

std::string JsonQuote(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte >= 0x7F) {
      absl::StrAppend(&out, absl::StrFormat("\\u%04x", byte));
    } else {
      out += c;
    }
  }
  return out + '"';
}

void AppendHttpHead(const HttpResponse& response, const HttpConnectionInfo& connection,
                    std::string* out) {
  absl::StrAppend(out, StatusLine(response.status), "Date: ", connection.date, "\r\n");
  // A 304 has the fields of a 200 without those of its body (RFC 9110, 15.4.5).
  if (response.status != 304 && response.status != 204) {
    const bool type_is_good = !response.content_type.empty() && IsFieldValue(response.content_type);
    absl::StrAppend(out, "Content-Type: ",
                    type_is_good ? absl::string_view(response.content_type)
                                 : absl::string_view("application/octet-stream"),
                    "\r\n");
    if (response.source == nullptr) {
      absl::StrAppend(out, "Content-Length: ", response.body_size(), "\r\n");
    } else if (!connection.http_1_0) {
      out->append("Transfer-Encoding: chunked\r\n");
    }
  }
  out->append(response.fields);
  if (connection.close) {
    out->append("Connection: close\r\n");
  } else if (connection.http_1_0) {
    out->append("Connection: keep-alive\r\n");
  }
  out->append("\r\n");
}

}  // namespace kvarts
