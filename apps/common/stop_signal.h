#ifndef KVARTS_APPS_COMMON_STOP_SIGNAL_H_
#define KVARTS_APPS_COMMON_STOP_SIGNAL_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"

namespace kvarts {

// SIGTERM and SIGINT as something to wait for. Create it in main(), before any
// thread: those inherit that the signals are blocked. The first signal is
// waited for; a second one ends the process at once, as the system does it.
class StopSignal {
 public:
  // `on_hangup`, where given, is called inside Wait() for each SIGHUP. kResourceExhausted
  // where there are no descriptors for it.
  static absl::StatusOr<std::unique_ptr<StopSignal>> New(std::function<void()> on_hangup = {});
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // On main()'s thread. True: a signal came. False: Wake() was called, once for
  // each call of it.
  bool Wait();
  // Thread-safe.
  void Wake();

 private:
  StopSignal(std::function<void()> on_hangup, int signal_fd, int wake_fd);

  const std::function<void()> on_hangup_;
  const int signal_fd_;
  const int wake_fd_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_STOP_SIGNAL_H_
