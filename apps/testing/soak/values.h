#ifndef KVARTS_APPS_TESTING_SOAK_VALUES_H_
#define KVARTS_APPS_TESTING_SOAK_VALUES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace kvarts::soak {

// Values that say themselves whether they were written, whole, for their key. A value is
// parts, one behind the other, as APPEND makes them; "" is none:
//
//     bytes behind the head, 8 hexadecimal digits | version, 8 | checksum, 16 | letters
//
// All of it is printable, and stands in JSON as it is.
inline constexpr size_t kPartHead = 32;

// Of about `size` bytes: kPartHead at least, but for 0.
std::string ValueOf(absl::string_view key, uint32_t version, size_t size);

bool IsValueOf(absl::string_view key, absl::string_view value);

// Of the first part. REQUIRES: IsValueOf(), and not empty.
uint32_t VersionOf(absl::string_view value);

}  // namespace kvarts::soak

#endif  // KVARTS_APPS_TESTING_SOAK_VALUES_H_
