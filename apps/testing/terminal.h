#ifndef KVARTS_APPS_TESTING_TERMINAL_H_
#define KVARTS_APPS_TESTING_TERMINAL_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace kvarts {

// Not thread-safe. A program under test on a terminal of its own, of 50 lines and 200 columns,
// that shows what an xterm does. Killed when it is destroyed.
class Terminal {
 public:
  // `env`: beside the test's own.
  explicit Terminal(const std::vector<std::string>& command,
                    const std::map<std::string, std::string>& env = {});
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void Type(const std::string& text);
  // What is shown up to `end`, which comes within some seconds.
  std::string ReadTo(const std::string& end);
  // What is shown up to the end of the program.
  std::string ReadToEnd();
  // Takes the terminal away, as who closes its window.
  void HangUp();
  // To the program alone.
  void Signal(int signal);
  // The exit code, or 128 and the number of the signal that ended it.
  int Wait();
  // Returns when the program has been stopped, as by Ctrl-Z.
  void WaitUntilStopped();
  // True where lines are edited by the terminal itself, and echoed: as it is found, and left.
  bool IsPlain() const;

 private:
  // False at the end.
  bool ReadSome();

  int fd_ = -1;
  pid_t pid_ = -1;
  int exit_code_ = -1;
  std::string shown_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_TERMINAL_H_
