#ifndef KVARTS_STORAGE_SSTABLE_SSTABLE_CURSOR_H_
#define KVARTS_STORAGE_SSTABLE_SSTABLE_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "storage/cursor.h"
#include "storage/sstable/engine.h"

namespace kvarts::sstable {

// A cursor holds no tables between its pages: it stands on a key. `options` were checked.
absl::StatusOr<std::unique_ptr<Cursor>> NewSstableCursor(std::shared_ptr<ReadCore> core,
                                                         const ScanOptions& options);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_SSTABLE_CURSOR_H_
