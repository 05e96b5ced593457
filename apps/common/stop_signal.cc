#include "apps/common/stop_signal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "glog/logging.h"

namespace kvarts {
namespace {

bool IsIgnored(int signal) {
  struct sigaction action = {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// A blocked signal is kept for the descriptor even where it is ignored.
std::vector<int> StopSignals(bool hangup) {
  std::vector<int> signals = {SIGTERM, SIGINT, SIGXCPU};
  if (!IsIgnored(SIGQUIT)) signals.push_back(SIGQUIT);
  if (hangup && !IsIgnored(SIGHUP)) signals.push_back(SIGHUP);
  return signals;
}

int BlockAndOpen(const std::vector<int>& stop_signals, bool hangup) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : stop_signals) sigaddset(&set, signal);
  if (hangup) sigaddset(&set, SIGHUP);
  PCHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  return ::signalfd(-1, &set, SFD_CLOEXEC);
}

// Whether the process has a terminal that controls it, which it may not read from.
bool HasTerminal() {
  const int fd = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StopSignal>> StopSignal::New(std::function<void()> on_hangup) {
  std::vector<int> signals = StopSignals(on_hangup == nullptr);
  const int signal_fd = BlockAndOpen(signals, on_hangup != nullptr);
  const int wake_fd = signal_fd < 0 ? -1 : ::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
  if (wake_fd < 0) {
    const absl::Status status = absl::ErrnoToStatus(errno, "cannot wait for signals");
    if (signal_fd >= 0) ::close(signal_fd);
    return status;
  }
  return std::unique_ptr<StopSignal>(
      new StopSignal(std::move(on_hangup), std::move(signals), signal_fd, wake_fd));
}

StopSignal::StopSignal(std::function<void()> on_hangup, std::vector<int> stop_signals,
                       int signal_fd, int wake_fd)
    : on_hangup_(std::move(on_hangup)),
      stop_signals_(std::move(stop_signals)),
      signal_fd_(signal_fd),
      wake_fd_(wake_fd),
      had_terminal_(HasTerminal()) {}

StopSignal::~StopSignal() {
  ::close(signal_fd_);
  ::close(wake_fd_);
}

bool StopSignal::Wait() {
  while (true) {
    pollfd fds[] = {{signal_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) {
      PCHECK(errno == EINTR);
      continue;
    }
    if (fds[0].revents != 0) {
      signalfd_siginfo info;
      if (::read(signal_fd_, &info, sizeof info) != sizeof info) continue;
      if (info.ssi_signo == SIGHUP && on_hangup_ != nullptr && !TerminalIsGone()) {
        on_hangup_();
        continue;
      }
      LetSecondEnd();
      return true;
    }
    uint64_t count;
    if (fds[1].revents != 0 && ::read(wake_fd_, &count, sizeof count) == sizeof count) return false;
  }
}

bool StopSignal::TerminalIsGone() const { return had_terminal_ && !HasTerminal(); }

void StopSignal::LetSecondEnd() const {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : stop_signals_) {
    if (signal == SIGXCPU) continue;
    ::signal(signal, SIG_DFL);
    sigaddset(&set, signal);
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void StopSignal::Wake() {
  const uint64_t one = 1;
  PCHECK(::write(wake_fd_, &one, sizeof one) == sizeof one);
}

}  // namespace kvarts
