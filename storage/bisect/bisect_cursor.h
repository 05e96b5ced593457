#ifndef KVARTS_STORAGE_BISECT_BISECT_CURSOR_H_
#define KVARTS_STORAGE_BISECT_BISECT_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "storage/bisect/dataset.h"
#include "storage/cursor.h"

namespace kvarts {

// The options have passed CheckScan(). Positions hold the last key, so that they
// stay good when the index is built anew.
absl::StatusOr<std::unique_ptr<Cursor>> NewBisectCursor(std::shared_ptr<const Dataset> dataset,
                                                        const ScanOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_BISECT_CURSOR_H_
