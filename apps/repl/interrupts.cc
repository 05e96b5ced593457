#include "apps/repl/interrupts.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace kvarts {
namespace {

// What the handlers use, and they are the process's.
std::atomic<bool> interactive{false};
std::atomic<bool> interrupted{false};
std::atomic<int> ending{0};
std::atomic<int> waiting{0};
std::atomic<const char*> wait_hint{nullptr};
std::atomic<int> wake{-1};
// The terminal as it was is kept here; constant once there are handlers.
bool has_terminal = false;
termios terminal;

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// Async-signal-safe. Delivered when the handler has returned.
void EndNow(int signal) {
  if (has_terminal) ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void OnSignal(int signal) {
  const int saved_errno = errno;
  const bool second = interrupted.exchange(true);
  if (signal == SIGINT && interactive) {
    const char* const hint = wait_hint;
    if (waiting > 0 && second) {
      EndNow(signal);
    } else if (waiting > 0 && hint != nullptr) {
      [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, hint, std::strlen(hint));
    }
  } else {
    const bool was_asked = ending.exchange(signal) != 0;
    if (waiting > 0 || was_asked) EndNow(signal);
  }
  Interrupts::Wake();
  errno = saved_errno;
}

bool IsIgnored(int signal) {
  struct sigaction action = {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interrupts::Interrupts(Kind kind) {
  interactive = kind == Kind::kInteractive;
  has_terminal = ::tcgetattr(STDIN_FILENO, &terminal) == 0;
  // Without one, poll() is still ended by a signal that comes during it.
  wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int signal : kSignals) {
    if (signal != SIGTERM && !interactive && IsIgnored(signal)) continue;
    if (signal == SIGHUP && IsIgnored(signal)) continue;
    ::sigaction(signal, &action, nullptr);
  }
}

Interrupts::~Interrupts() {
  // A signal that comes now ends the process.
  for (const int signal : kSignals) {
    if (!IsIgnored(signal)) ::signal(signal, SIG_DFL);
  }
  ::close(wake.exchange(-1));
}

bool Interrupts::cancelled() { return interrupted || ending != 0; }

void Interrupts::Clear() { interrupted = false; }

int Interrupts::end_signal() { return ending; }

int Interrupts::wake_fd() { return wake; }

void Interrupts::Drain() {
  uint64_t count;
  [[maybe_unused]] const ssize_t n = ::read(wake, &count, sizeof count);
}

void Interrupts::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake, &one, sizeof one);
}

void Interrupts::EndBySignal() {
  EndNow(ending);
  ::_exit(128 + ending);
}

Interrupts::Waiting::Waiting(const char* hint) {
  wait_hint = hint;
  ++waiting;
}

Interrupts::Waiting::~Waiting() {
  --waiting;
  wait_hint = nullptr;
}

}  // namespace kvarts
