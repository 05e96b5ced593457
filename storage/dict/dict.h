#ifndef KVARTS_STORAGE_DICT_DICT_H_
#define KVARTS_STORAGE_DICT_DICT_H_

#include "base/language.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/progress.h"
#include "storage/fs/file_system.h"
#include "storage/store.h"

namespace kvarts {

struct DictOptions {
  bool skip_malformed = false;       // lines; else the first one is an error
  int threads = 2;                   // that read the file, at least 1
  ProgressSink* progress = nullptr;  // borrowed; may be null
  // Of the hash; 0: random, so that nobody can choose keys that collide.
  uint64_t seed = 0;
  FileSystem* fs = FileSystem::Posix();
};

struct DictReport {
  uint64_t lines = 0;      // of the data file
  uint64_t entries = 0;    // distinct keys
  uint64_t repeated = 0;   // lines whose key came again later
  uint64_t malformed = 0;  // lines skipped
  uint64_t data_bytes = 0;
  uint64_t table_bytes = 0;
  absl::Duration time;
  // What a user may want to know, a sentence each: as BuildReport has them.
  std::vector<std::string> warnings;
};

// Opens a data file (storage/data_file/) with a hash table of its records in
// private memory, which one scan of the file makes: a read-only Store whose
// values point into the mapped file. Scans are in the order of the file. At most
// 12 bytes of memory an entry, whatever the values' sizes. `report` may be null.
//
// kNotFound: no data file. kInvalidArgument: a malformed line, by file, line and
// offset. kUnavailable: the file changed meanwhile. kResourceExhausted: no
// memory. The data file has no checksums: what is changed in it, in place, is
// served as it is.
//
// A data file that shrinks while it is open: reads of what is gone are
// kDataLoss, given that the program called InstallSigbusHandler(); values that
// were lent out before are undefined. Replace data files by rename.
absl::StatusOr<std::unique_ptr<Store>> OpenDict(absl::string_view data_path,
                                                const DictOptions& options,
                                                DictReport* report = nullptr);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_DICT_H_
