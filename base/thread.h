#ifndef KVARTS_BASE_THREAD_H_
#define KVARTS_BASE_THREAD_H_

#include <functional>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace kvarts {

// Thread-safe. Starts a thread that runs `main`. kResourceExhausted where the
// system has none to give: a limit of processes (`ulimit -u`, a container's
// pids), or no memory for its stack. std::thread's constructor throws there, and
// who does not catch that takes the whole process down: product code starts
// threads by this or by ForkJoin().
absl::StatusOr<std::thread> StartThread(std::function<void()> main);

// Thread-safe. Calls work(0) to work(n - 1), each at most once and on a thread of
// its own, the first on the calling one, and returns when all have returned. Where
// the system has fewer threads, the calling one makes the calls that are left,
// after its own: none of them may wait for what a later one would do.
void ForkJoin(int n, absl::FunctionRef<void(int i)> work);

}  // namespace kvarts

#endif  // KVARTS_BASE_THREAD_H_
