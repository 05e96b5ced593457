#ifndef KVARTS_STORAGE_BISECT_BISECT_H_
#define KVARTS_STORAGE_BISECT_BISECT_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"
#include "storage/store.h"

namespace kvarts {

// "DATA_FILE.bisect".
std::string DefaultIndexPath(absl::string_view data_path);

struct BisectOptions {
  std::string index_path;  // empty: DefaultIndexPath()
  FileSystem* fs = FileSystem::Posix();
};

// Opens a data file (storage/data_file/) with the index that BuildBisect() made
// of it: a read-only Store in key order, forwards and backwards, whose values
// point into the mapped file. In constant time; private memory is a bit for
// each 4 KiB of index. Many processes may share both files.
//
// kNotFound: no data file, or no index. kFailedPrecondition: the index is stale,
// or of a newer format. kDataLoss: it is damaged. A damaged page of it is found
// when a read first touches it, and is that read's kDataLoss. The data file has
// no checksums of its own: what is changed in it, in place, is served as it is.
//
// A data file that shrinks while it is open: reads of what is gone are
// kDataLoss, given that the program called InstallSigbusHandler(); values that
// were lent out before are undefined. Replace data files by rename.
absl::StatusOr<std::unique_ptr<Store>> OpenBisect(absl::string_view data_path,
                                                  const BisectOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_BISECT_H_
