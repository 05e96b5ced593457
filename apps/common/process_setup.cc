#include "apps/common/process_setup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// Set before there is a second thread. Never destroyed: the handler needs it to the end.
const std::string* process_name = nullptr;

[[noreturn]] void EndWithLine(const char* what) {
  // By write(): there may be no memory for more, and a lock of stdio may be held.
  const char* const parts[] = {process_name->c_str(), ": ", what, "\n"};
  for (const char* const part : parts) {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, part, std::strlen(part));
  }
  std::_Exit(1);
}

[[noreturn]] void OnTerminate() {
  const std::exception_ptr current = std::current_exception();
  if (current == nullptr) std::abort();
  try {
    std::rethrow_exception(current);
  } catch (const std::bad_alloc&) {
    EndWithLine("out of memory");
  } catch (const std::system_error& error) {
    EndWithLine(error.what());
  } catch (...) {
    // A mistake of the program's: its core is of use.
    std::abort();
  }
}

// Each in the direction that is of no use there, so that its use fails.
void TakeClosedDescriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest number that is free is this one: those below are taken.
    ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

void PrepareProcess(const std::string& name) {
  TakeClosedDescriptors();
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  process_name = new std::string(name);
  std::set_terminate(OnTerminate);
}

absl::Status FlushStandardOutput() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  int error = errno;  // 0: an earlier write failed
  if (error == 0 && ::write(STDOUT_FILENO, "", 0) < 0) error = errno;
  pollfd output = {STDOUT_FILENO, POLLOUT, 0};
  const bool no_reader = ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
  if (error == EPIPE || no_reader) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cannot write to the standard output",
                                          error == 0 ? ""
                                          : error == EBADF
                                              ? ": it is closed"
                                              : absl::StrCat(": ", std::strerror(error))));
}

}  // namespace kvarts
