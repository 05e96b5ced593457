#include "base/thread.h"

#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kvarts {

absl::StatusOr<std::thread> StartThread(std::function<void()> main) {
  try {
    return std::thread(std::move(main));
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the system has no more threads to give, by a limit of processes or of "
                     "memory: ",
                     error.code().message()));
  }
}

void ForkJoin(int n, absl::FunctionRef<void(int i)> work) {
  std::vector<std::thread> threads;
  int next = 1;
  for (; next < n; ++next) {
    absl::StatusOr<std::thread> thread = StartThread([work, i = next] { work(i); });
    if (!thread.ok()) break;
    threads.push_back(*std::move(thread));
  }
  if (n > 0) work(0);
  for (; next < n; ++next) work(next);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace kvarts
