#include "groupby/sorted/run_threads.h"

#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"

namespace kvarts::groupby_internal {

absl::Status RunThreads(size_t n, const std::function<absl::Status(size_t i)>& work,
                        const std::function<void()>& stop) {
  Mutex mu;
  absl::Status first;
  const auto fail = [&](const absl::Status& status) {
    MutexLock lock(&mu);
    if (!first.ok()) return;
    first = status;
    stop();
  };
  const auto run = [&](size_t i) {
    const absl::Status status = work(i);
    if (!status.ok()) fail(status);
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < n; ++i) {
    absl::StatusOr<std::thread> thread = StartThread([&run, i] { run(i); });
    if (thread.ok()) {
      threads.push_back(*std::move(thread));
    } else {
      fail(thread.status());
      break;
    }
  }
  run(0);
  for (std::thread& thread : threads) thread.join();
  return first;
}

}  // namespace kvarts::groupby_internal
