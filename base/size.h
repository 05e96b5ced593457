#ifndef KVARTS_BASE_SIZE_H_
#define KVARTS_BASE_SIZE_H_

#include "base/language.h"

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// A number of bytes as people write it: digits, and a unit of B, KB MB GB TB
// (powers of 1000) or KiB MiB GiB TiB (powers of 1024), in either case, a space
// between them or none. ParseSize("64MiB") == 67108864, ParseSize("64 mb") ==
// 64000000, ParseSize("512") == 512. kInvalidArgument for anything else, and for
// what exceeds 64 bits; the message quotes `text`.
absl::StatusOr<uint64_t> ParseSize(absl::string_view text);

// FormatSize(67108864) == "64.0 MiB", FormatSize(1000) == "1000 B".
std::string FormatSize(uint64_t bytes);

// FormatCount(999) == "999", FormatCount(1234567) == "1.23 M" (powers of 1000).
std::string FormatCount(double count);

}  // namespace kvarts

#endif  // KVARTS_BASE_SIZE_H_
