#ifndef KVARTS_NET_RESP_CLIENT_NAMES_H_
#define KVARTS_NET_RESP_CLIENT_NAMES_H_

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/resp/commands.h"

namespace kvarts {
namespace resp {

inline constexpr size_t kMaxClientNameBytes = 1 << 10;

// True where `name` may be one, or else the reply is written.
inline bool CheckClientName(CommandCall* call, absl::string_view what, absl::string_view name) {
  bool good = name.size() <= kMaxClientNameBytes;
  for (const char c : name) good = good && c >= '!' && c <= '~';
  if (good) return true;
  call->reply->Error(
      absl::StrCat("ERR ", what, " cannot contain spaces, newlines or special characters."));
  return false;
}

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_NAMES_H_
