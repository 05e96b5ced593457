#ifndef KVARTS_STORAGE_SSTABLE_OPEN_FILES_H_
#define KVARTS_STORAGE_SSTABLE_OPEN_FILES_H_

#include <cstddef>
#include <memory>
#include <string>

#include "storage/fs/file_system.h"

namespace kvarts::sstable {

// Thread-safe. Files that are kept by their names, of which at most so many are open: a further one
// closes the one that was opened first, which is opened again when it is read. So a store of any
// size has the descriptors of a small one. To read one that is open costs a lock and a reference
// more.
class OpenFiles {
 public:
  // Half of the descriptors that the process may have (RLIMIT_NOFILE).
  static size_t HalfOfProcess();

  // `fs` must outlive this and all its files. `most` is at least 1.
  OpenFiles(FileSystem* fs, size_t most);
  ~OpenFiles();

  // `file` is open, and `path` names it for as long as the result is read; that may outlive this.
  std::unique_ptr<RandomAccessFile> Keep(std::string path, std::unique_ptr<RandomAccessFile> file);
  size_t open() const;

 private:
  class Shared;
  class File;

  const std::shared_ptr<Shared> shared_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_OPEN_FILES_H_
