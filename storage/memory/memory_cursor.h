#ifndef KVARTS_STORAGE_MEMORY_MEMORY_CURSOR_H_
#define KVARTS_STORAGE_MEMORY_MEMORY_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {

// kInvalidArgument for a position that is not of this table.
absl::StatusOr<std::unique_ptr<Cursor>> NewMemoryCursor(std::shared_ptr<Table> table,
                                                        const Clock* clock,
                                                        const ScanOptions& options);

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_MEMORY_CURSOR_H_
