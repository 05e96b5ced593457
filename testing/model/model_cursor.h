#ifndef KVARTS_TESTING_MODEL_MODEL_CURSOR_H_
#define KVARTS_TESTING_MODEL_MODEL_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "storage/cursor.h"
#include "testing/model/model_data.h"

namespace kvarts::model {

// A cursor over the entries of `data`, which lie by key or by its hash. The
// options are checked, and their snapshot is one of this data.
absl::StatusOr<std::unique_ptr<Cursor>> NewModelCursor(std::shared_ptr<ModelData> data,
                                                       const Clock* clock, bool by_key,
                                                       const ScanOptions& options);

}  // namespace kvarts::model

#endif  // KVARTS_TESTING_MODEL_MODEL_CURSOR_H_
