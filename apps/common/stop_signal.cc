#include "apps/common/stop_signal.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

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

}  // namespace

StopSignal::StopSignal(std::function<void()> on_hangup)
    : on_hangup_(std::move(on_hangup)),
      stop_signals_(StopSignals(on_hangup_ == nullptr)),
      signal_fd_(BlockAndOpen(stop_signals_, on_hangup_ != nullptr)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)) {
  PCHECK(signal_fd_ >= 0 && wake_fd_ >= 0);
}

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
      if (info.ssi_signo == SIGHUP && on_hangup_ != nullptr) {
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
