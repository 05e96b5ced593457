#include "groupby/sorted/run_threads.h"

#include <thread>
#include <vector>

#include "base/mutex.h"

namespace kvarts::groupby_internal {

absl::Status RunThreads(size_t n, const std::function<absl::Status(size_t i)>& work,
                        const std::function<void()>& stop) {
  Mutex mu;
  absl::Status first;
  const auto run = [&](size_t i) {
    const absl::Status status = work(i);
    if (status.ok()) return;
    MutexLock lock(&mu);
    if (!first.ok()) return;
    first = status;
    stop();
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < n; ++i) threads.emplace_back(run, i);
  run(0);
  for (std::thread& thread : threads) thread.join();
  return first;
}

}  // namespace kvarts::groupby_internal
