#ifndef KVARTS_APPS_COMMON_PROCESS_SETUP_H_
#define KVARTS_APPS_COMMON_PROCESS_SETUP_H_

#include <string>

#include "absl/status/status.h"

namespace kvarts {

// What a program does before anything else, in main() and on its only thread. What
// the system may take away is then an error of who asked for it, not the end of the
// process:
// - a write to a pipe without reader is EPIPE, one beyond the limit of a file's size
//   (ulimit -f) EFBIG: neither is a signal;
// - standard descriptors that are closed are taken, by one that can do nothing: else
//   the next file or socket had its number, and would be read and written as it.
//   Reading or writing them is EBADF.
// - memory that cannot be had, and other exceptions of the system that nobody caught,
//   are one line on stderr, "NAME: ...", and exit status 1, in place of a core.
void PrepareProcess(const std::string& name);

// Flushes stdout. An error where it, or an earlier write to stdout, failed; a reader
// that has gone away, as in `... | head`, is none.
absl::Status FlushStandardOutput();

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_PROCESS_SETUP_H_
