#ifndef KVARTS_APPS_COMMON_STOP_SIGNAL_H_
#define KVARTS_APPS_COMMON_STOP_SIGNAL_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

namespace kvarts {

// The signals that ask a program to end, as something to wait for: SIGTERM, SIGINT,
// SIGQUIT, SIGXCPU (processor time used up), and SIGHUP where it has no meaning of
// its own. SIGHUP and SIGQUIT that the program was started to ignore, as by nohup,
// stay ignored. Create it in main(), before any thread: those inherit that the
// signals are blocked. The first signal is waited for; a second one ends the
// process at once, as the system does it, but for SIGXCPU, which comes again every
// second.
class StopSignal {
 public:
  // `on_hangup`, where given, is called inside Wait() for each SIGHUP, but for one that comes
  // because the terminal which the process was started on is gone: it ends as by another signal,
  // as who closed its window expects. kResourceExhausted
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
  StopSignal(std::function<void()> on_hangup, std::vector<int> stop_signals, int signal_fd,
             int wake_fd);
  void LetSecondEnd() const;
  bool TerminalIsGone() const;

  const std::function<void()> on_hangup_;
  const std::vector<int> stop_signals_;
  const int signal_fd_;
  const int wake_fd_;
  const bool had_terminal_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_STOP_SIGNAL_H_
