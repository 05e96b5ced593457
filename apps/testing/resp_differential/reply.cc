#include "apps/testing/resp_differential/reply.h"

#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp_differential {

std::optional<Reply> TakeReply(absl::string_view* bytes) {
  const size_t end = bytes->find("\r\n");
  if (end == absl::string_view::npos || end == 0) return std::nullopt;
  Reply reply;
  reply.type = (*bytes)[0];
  const absl::string_view line = bytes->substr(1, end - 1);
  absl::string_view rest = bytes->substr(end + 2);
  int64_t size = 0;
  if (absl::StrContains("$=*~%", absl::string_view(&reply.type, 1))) {
    if (!absl::SimpleAtoi(line, &size)) return std::nullopt;
    if (size < 0) {
      reply.type = '_';
      *bytes = rest;
      return reply;
    }
  }
  switch (reply.type) {
    case '$':
    case '=':
      if (rest.size() < static_cast<size_t>(size) + 2) return std::nullopt;
      reply.text = std::string(rest.substr(0, static_cast<size_t>(size)));
      rest.remove_prefix(static_cast<size_t>(size) + 2);
      break;
    case '%':
      size *= 2;
      [[fallthrough]];
    case '*':
    case '~':
      for (int64_t i = 0; i < size; ++i) {
        std::optional<Reply> item = TakeReply(&rest);
        if (!item) return std::nullopt;
        reply.items.push_back(*std::move(item));
      }
      break;
    default:
      reply.text = std::string(line);
  }
  *bytes = rest;
  return reply;
}

std::string Escaped(absl::string_view bytes) {
  constexpr size_t kMost = 400;
  std::string text = absl::CHexEscape(bytes.substr(0, kMost));
  if (bytes.size() > kMost) absl::StrAppend(&text, "... (", bytes.size(), " bytes)");
  return text;
}

}  // namespace resp_differential
}  // namespace kvarts
