#ifndef KVARTS_TESTING_MODEL_SHRINK_H_
#define KVARTS_TESTING_MODEL_SHRINK_H_

#include "absl/functional/function_ref.h"
#include "testing/model/history.h"

namespace kvarts::model {

// A part of `history` that still fails, and of which no operation, mutation,
// precondition, key or record can be left out alone. `fails` is called some
// hundred times, at most `max_runs`; `history` itself must fail.
History Shrink(History history, absl::FunctionRef<bool(const History&)> fails, int max_runs = 3000);

}  // namespace kvarts::model

#endif  // KVARTS_TESTING_MODEL_SHRINK_H_
