#ifndef KVARTS_STORAGE_FS_POSIX_FILES_H_
#define KVARTS_STORAGE_FS_POSIX_FILES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// The files of FileSystem::Posix().
absl::StatusOr<std::unique_ptr<WritableFile>> OpenPosixForWrite(std::string path,
                                                                FileSystem::Create create);
absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenPosixForRead(std::string path);
absl::StatusOr<std::shared_ptr<MappedFile>> MapPosix(std::string path);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_POSIX_FILES_H_
