#include "groupby/text/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace kvarts::groupby_text {

Interrupt::Interrupt() : fd_(::eventfd(0, EFD_CLOEXEC)) {}

Interrupt::~Interrupt() {
  if (fd_ >= 0) ::close(fd_);
}

void Interrupt::Set() {
  set_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  // Cannot block; without a descriptor waits end when their pipe moves.
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
}

absl::Status Interrupt::Wait(int fd, short events) const {
  while (true) {
    pollfd fds[] = {{fd, events, 0}, {fd_, POLLIN, 0}};
    const int ready = ::poll(fds, 2, -1);
    if (is_set()) return absl::CancelledError("interrupted");
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready > 0 && fds[0].revents != 0) return absl::OkStatus();
  }
}

absl::Status Interrupt::Sleep(int ms) const {
  pollfd set = {fd_, POLLIN, 0};
  ::poll(&set, 1, ms);
  return is_set() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

}  // namespace kvarts::groupby_text
