#include "apps/repl/history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "storage/fs/file_system.h"

namespace kvarts {
namespace {

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// An absolute path, as the XDG base directories ask for, or "".
std::string Directory(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && value[0] == '/' ? value : "";
}

absl::Status MakeDirectories(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  if (errno != ENOENT) return Failed("make", path);
  KVARTS_RETURN_IF_ERROR(MakeDirectories(DirName(path)));
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return Failed("make", path);
}

// Writes in one call, so that the lines of several shells do not mix.
absl::Status WriteOnce(const std::string& path, int flags, absl::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
  if (fd < 0) return Failed("open", path);
  // One that was made by other means may be open to all.
  absl::Status status;
  if (::fchmod(fd, 0600) != 0) status = Failed("change the mode of", path);
  if (status.ok() &&
      ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    status = Failed("write", path);
  }
  ::close(fd);
  return status;
}

}  // namespace

std::string HistoryFile::DefaultPath() {
  std::string state = Directory("XDG_STATE_HOME");
  if (state.empty()) {
    const std::string home = Directory("HOME");
    if (home.empty()) return "";
    state = absl::StrCat(home, "/.local/state");
  }
  return absl::StrCat(state, "/kvarts/repl_history");
}

absl::StatusOr<std::vector<std::string>> HistoryFile::Load() {
  if (path_.empty()) return std::vector<std::string>();
  const absl::StatusOr<std::string> contents = ReadFile(FileSystem::Posix(), path_);
  if (absl::IsNotFound(contents.status())) return std::vector<std::string>();
  KVARTS_RETURN_IF_ERROR(contents.status());
  std::vector<std::string> lines = absl::StrSplit(*contents, '\n', absl::SkipEmpty());
  if (lines.size() > kMaxLines) {
    lines.erase(lines.begin(), lines.end() - kMaxLines);
    KVARTS_RETURN_IF_ERROR(Replace(absl::StrCat(absl::StrJoin(lines, "\n"), "\n")));
  }
  return lines;
}

absl::Status HistoryFile::Add(absl::string_view line) {
  if (path_.empty()) return absl::OkStatus();
  KVARTS_RETURN_IF_ERROR(MakeDirectories(DirName(path_)));
  return WriteOnce(path_, O_APPEND, absl::StrCat(line, "\n"));
}

absl::Status HistoryFile::Replace(absl::string_view contents) const {
  const std::string temporary = absl::StrCat(path_, ".", ::getpid(), ".tmp");
  absl::Status status = WriteOnce(temporary, O_TRUNC, contents);
  if (status.ok() && ::rename(temporary.c_str(), path_.c_str()) != 0) {
    status = Failed("replace", path_);
  }
  if (!status.ok()) ::unlink(temporary.c_str());
  return status;
}

}  // namespace kvarts
