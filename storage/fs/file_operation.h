#ifndef KVARTS_STORAGE_FS_FILE_OPERATION_H_
#define KVARTS_STORAGE_FS_FILE_OPERATION_H_

#include "base/language.h"

#include <cstdint>

#include "absl/strings/string_view.h"

namespace kvarts {

// A call on a FileSystem or one of its files, as hooks and fault rules see it.
// Views are good during the hook.
struct FileOperation {
  enum class Kind : unsigned char {
    // These change what a power cut leaves.
    kOpenForWrite = 0,
    kAppend,
    kWriteAt,
    kSync,
    kPreallocate,
    kTruncate,
    kRename,
    kLink,
    kDelete,
    kCreateDir,
    kDeleteDir,
    kSyncDir,
    kLock,
    // These do not.
    kClose,
    kOpenForRead,
    kRead,
    kSize,
    kMap,
    kStat,
    kList,
    kFreeSpace,
  };

  Kind kind;
  absl::string_view path;  // of a file: as it was opened
  absl::string_view to;    // kRename, kLink
  uint64_t size = 0;       // bytes to write, to reserve, to truncate to

  bool is_mutating() const { return kind <= Kind::kLock; }
  bool is_write() const { return kind == Kind::kAppend || kind == Kind::kWriteAt; }
};

// "append", "sync the directory", ...
absl::string_view OperationName(FileOperation::Kind kind);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_FILE_OPERATION_H_
