#include "net/http/message.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvarts {
namespace {

// Those that this server sends (RFC 9110, section 15).
absl::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
  }
  return "Status";
}

bool IsFieldValue(absl::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

}  // namespace

HttpResponse HttpError(int status, absl::string_view message) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = absl::StrCat("{\"error\":", JsonQuote(message), "}\n");
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

std::string HttpHead(const HttpResponse& response, absl::string_view date, bool close,
                     bool http_1_0) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", Reason(response.status),
                                  "\r\nDate: ", date, "\r\nContent-Type: ");
  const bool type_is_good = !response.content_type.empty() && IsFieldValue(response.content_type);
  absl::StrAppend(&head, type_is_good ? response.content_type : "application/octet-stream",
                  "\r\nContent-Length: ", response.body_size(), "\r\n");
  for (const auto& [name, value] : response.fields) {
    if (IsFieldValue(value)) absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  if (close) {
    head += "Connection: close\r\n";
  } else if (http_1_0) {
    head += "Connection: keep-alive\r\n";
  }
  return head += "\r\n";
}

}  // namespace kvarts
