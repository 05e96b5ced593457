#include "net/password_file.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/text_start.h"
#include "storage/fs/file_system.h"

namespace kvarts {

absl::StatusOr<std::string> ReadPasswordFile(const std::string& path) {
  KVARTS_ASSIGN_OR_RETURN(std::string contents, ReadFile(FileSystem::Posix(), path));
  KVARTS_RETURN_IF_ERROR(
      CheckTextStart(path, absl::string_view(contents).substr(0, kTextStartBytes)));
  contents.resize(std::min(contents.find_first_of("\r\n"), contents.size()));
  contents.erase(0, ByteOrderMarkBytes(contents));
  if (contents.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a password in the first line"));
  }
  return contents;
}

}  // namespace kvarts
