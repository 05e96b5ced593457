#ifndef KVARTS_STORAGE_FS_ERRNO_STATUS_H_
#define KVARTS_STORAGE_FS_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// "PATH: WHAT: the system's reason", with the code that FileSystem promises for
// `error`, an errno value. Shared by every file system, so that they fail alike.
absl::Status ErrnoStatus(int error, absl::string_view path, absl::string_view what);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_ERRNO_STATUS_H_
