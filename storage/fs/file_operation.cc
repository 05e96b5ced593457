#include "storage/fs/file_operation.h"

namespace kvarts {

absl::string_view OperationName(FileOperation::Kind kind) {
  using Kind = FileOperation::Kind;
  switch (kind) {
    case Kind::kOpenForWrite:
      return "open for writing";
    case Kind::kAppend:
      return "append";
    case Kind::kWriteAt:
      return "write at an offset";
    case Kind::kSync:
      return "sync";
    case Kind::kPreallocate:
      return "preallocate";
    case Kind::kTruncate:
      return "truncate";
    case Kind::kRename:
      return "rename";
    case Kind::kLink:
      return "link";
    case Kind::kDelete:
      return "delete";
    case Kind::kCreateDir:
      return "create a directory";
    case Kind::kDeleteDir:
      return "delete a directory";
    case Kind::kSyncDir:
      return "sync the directory";
    case Kind::kLock:
      return "lock";
    case Kind::kClose:
      return "close";
    case Kind::kOpenForRead:
      return "open for reading";
    case Kind::kRead:
      return "read";
    case Kind::kSize:
      return "ask for the size";
    case Kind::kMap:
      return "map";
    case Kind::kStat:
      return "stat";
    case Kind::kList:
      return "list";
    case Kind::kFreeSpace:
      return "ask for free space";
  }
  return "unknown";
}

}  // namespace kvarts
