#include "apps/testing/terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace kvarts {

Terminal::Terminal(const std::vector<std::string>& command,
                   const std::map<std::string, std::string>& env) {
  winsize size = {};
  size.ws_row = 50;
  size.ws_col = 200;
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_ = ::forkpty(&fd_, nullptr, nullptr, &size);
  if (pid_ == 0) {
    ::setenv("TERM", "xterm", 1);
    for (const auto& [name, value] : env) ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

Terminal::~Terminal() {
  if (exit_code_ < 0) {
    ::kill(pid_, SIGKILL);
    Wait();
  }
  if (fd_ >= 0) ::close(fd_);
}

void Terminal::Type(const std::string& text) {
  EXPECT_EQ(::write(fd_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

std::string Terminal::ReadTo(const std::string& end) {
  while (!absl::StrContains(shown_, end)) {
    if (ReadSome()) continue;
    ADD_FAILURE() << "no " << end << " in: " << shown_;
    break;
  }
  const size_t at = std::min(shown_.find(end), shown_.size());
  std::string text = shown_.substr(0, at);
  shown_.erase(0, at + end.size());
  return text;
}

std::string Terminal::ReadToEnd() {
  while (ReadSome()) {
  }
  std::string text;
  text.swap(shown_);
  return text;
}

void Terminal::HangUp() { ::close(std::exchange(fd_, -1)); }

void Terminal::Signal(int signal) { ::kill(pid_, signal); }

int Terminal::Wait() {
  if (exit_code_ >= 0) return exit_code_;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

void Terminal::WaitUntilStopped() {
  int status = 0;
  EXPECT_EQ(::waitpid(pid_, &status, WUNTRACED), pid_);
  EXPECT_TRUE(WIFSTOPPED(status));
}

bool Terminal::IsPlain() const {
  termios modes = {};
  EXPECT_EQ(::tcgetattr(fd_, &modes), 0);
  return (modes.c_lflag & ICANON) != 0 && (modes.c_lflag & ECHO) != 0;
}

bool Terminal::ReadSome() {
  pollfd events = {fd_, POLLIN, 0};
  char buffer[4096];
  const ssize_t n = ::poll(&events, 1, 20000) == 1 ? ::read(fd_, buffer, sizeof buffer) : -1;
  if (n <= 0) return false;
  shown_.append(buffer, static_cast<size_t>(n));
  return true;
}

}  // namespace kvarts
