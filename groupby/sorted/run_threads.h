#ifndef KVARTS_GROUPBY_SORTED_RUN_THREADS_H_
#define KVARTS_GROUPBY_SORTED_RUN_THREADS_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"

namespace kvarts::groupby_internal {

// Calls work(0) to work(n - 1), each on a thread of its own, the first on the calling one,
// and waits for all. The first error calls `stop`, once, which has the others end soon, and is
// returned; a thread that cannot be had is one, since calls may wait for each other.
absl::Status RunThreads(size_t n, const std::function<absl::Status(size_t i)>& work,
                        const std::function<void()>& stop);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_RUN_THREADS_H_
