#ifndef KVARTS_STORAGE_SSTABLE_SSTABLE_H_
#define KVARTS_STORAGE_SSTABLE_SSTABLE_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/sstable/options.h"
#include "storage/store.h"

namespace kvarts {

// Opens, or makes, the store in a directory: a log-structured merge tree of one machine. README.md
// says how it works and what it costs. Its Maintenance has everything.
//
// kNotFound, kAlreadyExists and kFailedPrecondition where the directory is not as `options.create`
// wants it, holds other things, or is open already, in another process too (its number is in the
// message); kDataLoss, with file and offset, where what was durable is damaged or gone: then no
// file is changed.
absl::StatusOr<std::unique_ptr<Store>> OpenSstable(const std::string& dir,
                                                   const SstableOptions& options = {});

// Appends to `out`, for people, what a file of such a store is and holds: a table, a log, a
// manifest or a snapshot of the index. kInvalidArgument for another file.
absl::Status InspectSstableFile(FileSystem* fs, absl::string_view path, std::string* out);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_SSTABLE_H_
