#include "apps/testing/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

std::string ReadFileOrEmpty(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

std::string TempName(absl::string_view what) {
  static std::atomic<int> next{0};
  return absl::StrCat(testing::TempDir(), "/process-", ::getpid(), "-", next++, ".", what);
}

std::string AbsolutePath(const std::string& path) {
  if (path.empty() || path[0] == '/') return path;
  char* const directory = ::getcwd(nullptr, 0);
  std::string absolute = absl::StrCat(directory, "/", path);
  std::free(directory);
  return absolute;
}

// Of a flag that is given twice the later one counts.
std::vector<std::string> WithFreePorts(std::vector<std::string> command) {
  if (command[0] == "apps/kv_server") {
    command.insert(command.begin() + 1,
                   {"--listen=tcp://127.0.0.1:0", "--resp=127.0.0.1:0", "--http=127.0.0.1:0"});
  }
  return command;
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const ProcessOptions& options)
    : error_path_(TempName("stderr")) {
  // All that allocates happens before fork().
  const std::vector<std::string> words = WithFreePorts(command);
  const std::string program = AbsolutePath(command[0]);
  const std::string input_path = TempName("stdin");
  std::ofstream(input_path, std::ios::binary) << options.input;
  std::vector<char*> argv;
  for (const std::string& arg : words) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (options.env.count(text.substr(0, text.find('='))) == 0) variables.push_back(text);
  }
  for (const auto& [name, value] : options.env) {
    variables.push_back(absl::StrCat(name, "=", value));
  }
  std::vector<char*> envp;
  for (const std::string& variable : variables) {
    envp.push_back(const_cast<char*>(variable.c_str()));
  }
  envp.push_back(nullptr);

  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0) std::abort();
  if (options.closed_output) ::close(out[0]);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int in = options.input_fd >= 0 ? options.input_fd : ::open(input_path.c_str(), O_RDONLY);
    const int err = ::open(error_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(in, STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(options.merge_errors ? STDOUT_FILENO : err, STDERR_FILENO);
    if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) ::_exit(127);
    // What root may do beyond permissions is a capability, which execve() would give it
    // again. Others cannot give it up, and do not have it.
    if (options.obeys_permissions) ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE);
    ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(out[1]);
  out_ = options.closed_output ? -1 : out[0];
}

Process::~Process() {
  if (exit_code_ < 0 && pid_ > 0) {
    ::kill(pid_, SIGKILL);
    Wait();
  }
  CloseOutput();
}

std::string Process::ReadLine() {
  while (true) {
    const size_t newline = buffer_.find('\n');
    if (newline != std::string::npos) {
      std::string line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return line;
    }
    char bytes[4096];
    const ssize_t n = ::read(out_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      std::string line;
      line.swap(buffer_);
      return line;
    }
    buffer_.append(bytes, static_cast<size_t>(n));
  }
}

std::string Process::ReadAll() {
  char bytes[1 << 16];
  while (true) {
    const ssize_t n = ::read(out_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    buffer_.append(bytes, static_cast<size_t>(n));
  }
  std::string all;
  all.swap(buffer_);
  return all;
}

void Process::CloseOutput() {
  if (out_ >= 0) ::close(out_);
  out_ = -1;
}

void Process::Signal(int signal) { ::kill(pid_, signal); }

int Process::Wait() {
  if (exit_code_ >= 0) return exit_code_;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

std::string Process::Errors() const { return ReadFileOrEmpty(error_path_); }

ProcessResult RunProcess(const std::vector<std::string>& command, const ProcessOptions& options) {
  Process process(command, options);
  ProcessResult result;
  result.out = process.ReadAll();
  result.exit_code = process.Wait();
  result.err = process.Errors();
  return result;
}

}  // namespace kvarts
