#ifndef KVARTS_APPS_TESTING_PROCESS_H_
#define KVARTS_APPS_TESTING_PROCESS_H_

#include "base/language.h"

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kvarts {

struct ProcessOptions {
  std::map<std::string, std::string> env;  // beside the test's own
  std::string directory;                   // "": the test's
  std::string input;                       // standard input
  int input_fd = -1;                       // instead of it; stays the caller's
  bool merge_errors = false;               // standard error goes to standard output
  bool closed_output = false;              // nobody reads its output: EPIPE
  // A folder that may not be written is not written by root either.
  bool obeys_permissions = false;
};

// Not thread-safe. A program under test. Paths of programs are relative to the
// workspace, as runfiles are: "apps/kv_server". Killed when it is destroyed.
//
// kv_server listens on ports that the kernel picks where its flags do not say
// otherwise: its usual ones may be those of a server that runs on this machine.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command, const ProcessOptions& options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The next line of standard output, without its newline; "" at the end.
  std::string ReadLine();
  // What is left of standard output.
  std::string ReadAll();
  // Closes this end of standard output, as a reader that goes away.
  void CloseOutput();
  void Signal(int signal);
  // The exit code, or 128 and the number of the signal that ended it.
  int Wait();
  // All of standard error so far.
  std::string Errors() const;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int exit_code_ = -1;
  std::string buffer_;
  std::string error_path_;
};

struct ProcessResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Runs a program to its end.
ProcessResult RunProcess(const std::vector<std::string>& command,
                         const ProcessOptions& options = {});

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_PROCESS_H_
