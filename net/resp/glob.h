#ifndef KVARTS_NET_RESP_GLOB_H_
#define KVARTS_NET_RESP_GLOB_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace kvarts {
namespace resp {

// A pattern as KEYS and SCAN have it:
//   *  any bytes     ?  one byte     [a-c], [^ab]  one of them, or not
//   \  takes the next byte as it is
// Any bytes are a pattern: an unclosed class ends with it. Matching keeps one
// place to go back to: its cost is at most the product of both lengths, and is
// added to `steps`, in bytes of the pattern looked at; null: not counted.
bool GlobMatches(absl::string_view pattern, absl::string_view text, uint64_t* steps = nullptr);

// The bytes that every match begins with: GlobPrefix("user:\*1?*") == "user:*1".
std::string GlobPrefix(absl::string_view pattern);

// True where it matches everything: it is of stars only, and at least one.
bool GlobMatchesAll(absl::string_view pattern);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_GLOB_H_
