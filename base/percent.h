#ifndef KVARTS_BASE_PERCENT_H_
#define KVARTS_BASE_PERCENT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// Percent-encoding (RFC 3986, section 2.1). "+" stands for itself.
// PercentDecode("a%20b") == "a b". kInvalidArgument for a '%' without two
// hexadecimal digits behind it; the message tells where.
absl::StatusOr<std::string> PercentDecode(absl::string_view text);

// All but letters, digits and "-._~" is encoded; also but `keep`.
// PercentEncode("a/b", "/") == "a/b".
std::string PercentEncode(absl::string_view bytes, absl::string_view keep = "");

}  // namespace kvarts

#endif  // KVARTS_BASE_PERCENT_H_
