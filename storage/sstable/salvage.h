#ifndef KVARTS_STORAGE_SSTABLE_SALVAGE_H_
#define KVARTS_STORAGE_SSTABLE_SALVAGE_H_

#include "base/language.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/fs/file_system.h"
#include "storage/store.h"

namespace kvarts {

struct SstableSalvage {
  uint64_t tables = 0;    // that were read, whole or in part
  uint64_t logs = 0;      // likewise
  uint64_t versions = 0;  // entries and deletions that were read
  uint64_t keys = 0;      // that live, and were put into the other store
  // What could not be read, a line each: the file, the offset, and which keys may be missing, or
  // have the value of an earlier time. Empty: the other store has everything.
  std::vector<std::string> losses;
};

// Puts into `to` what can be read of the store in `dir`, of which no file is changed, and makes it
// durable. It need not be a store that opens: what a checksum refuses is left out, block by block,
// and told. Without a manifest that can be read all tables and logs of the directory count, also
// those whose time was over, so that what was deleted may be there again.
//
// Needs the memory of the logs (three memtables, of a store that was closed or killed), and of the
// index of one table for each run. kNotFound where `dir` holds no file of a store;
// kFailedPrecondition where somebody has the store open; an error of `to`, which then may hold a
// part. `to` is not to be written to meanwhile by others.
absl::StatusOr<SstableSalvage> SalvageSstable(FileSystem* fs, const std::string& dir, Store* to);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_SALVAGE_H_
