#ifndef KVARTS_STORAGE_DICT_DICT_CURSOR_H_
#define KVARTS_STORAGE_DICT_DICT_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "storage/cursor.h"
#include "storage/dict/dataset.h"

namespace kvarts {

// The options have passed CheckScan(). In the order of the data file. Positions
// hold a place in it and what the file is: they stay good as long as it does, and
// those of another file are kInvalidArgument.
absl::StatusOr<std::unique_ptr<Cursor>> NewDictCursor(std::shared_ptr<const DictDataset> dataset,
                                                      const ScanOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_DICT_CURSOR_H_
