#ifndef KVARTS_NET_PASSWORD_FILE_H_
#define KVARTS_NET_PASSWORD_FILE_H_

#include "base/language.h"

#include <string>

#include "absl/status/statusor.h"

namespace kvarts {

// The first line of a file, for passwords, without a byte order mark. Errors name the
// file; a compressed one, or one in UTF-16, is one.
absl::StatusOr<std::string> ReadPasswordFile(const std::string& path);

}  // namespace kvarts

#endif  // KVARTS_NET_PASSWORD_FILE_H_
