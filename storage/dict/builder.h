#ifndef KVARTS_STORAGE_DICT_BUILDER_H_
#define KVARTS_STORAGE_DICT_BUILDER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/dict/dataset.h"
#include "storage/dict/dict.h"

namespace kvarts {

// (1) Threads scan a part of the file each, and append an entry of 10 bytes for
// each record to one of up to 1024 logs, by the first bits of its key's hash.
// (2) Each log, small enough for a cache, is sorted by hash, and of a repeated
// key only the last record is kept: now the number of keys is known.
// (3) The logs, in their order, are written into the table front to back, and
// given back as they are.
//
// Memory: 10 bytes a line after (1); in (3) the table takes the place of the
// logs, so that the peak is the table's size and a few megabytes. See README.md.
absl::StatusOr<std::shared_ptr<const DictDataset>> BuildDict(absl::string_view data_path,
                                                             const DictOptions& options,
                                                             DictReport* report);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_BUILDER_H_
