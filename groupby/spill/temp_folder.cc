#include "groupby/spill/temp_folder.h"

#include <cstdlib>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts::groupby_internal {
namespace {

constexpr absl::string_view kLockName = "lock";

std::string ParentOf(absl::string_view parent) {
  if (!parent.empty()) return std::string(parent);
  const char* const from_environment = std::getenv("TMPDIR");
  return from_environment == nullptr || *from_environment == '\0' ? "/tmp" : from_environment;
}

std::string RandomName() {
  std::random_device random;
  const uint64_t number = uint64_t{random()} << 32 | random();
  return absl::StrCat(TempFolder::kPrefix, absl::Hex(number, absl::kZeroPad16));
}

// Names that are made here. Others are left alone, in case a folder is not what its
// name says.
bool IsOwnName(absl::string_view name) {
  const size_t dot = name.find('.');
  if (dot == absl::string_view::npos || dot == 0) return false;
  for (const char c : name.substr(0, dot)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// The caller has the lock of the folder. The lock file goes last: once it is gone
// somebody else may lock the name anew, and so own the folder. False: something is left.
bool DeleteFolder(FileSystem* fs, const std::string& path) {
  // Once more where a delete fails for once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto names = fs->List(path);
    if (!names.ok()) {
      if (absl::IsNotFound(names.status())) return true;
      continue;
    }
    for (const std::string& name : *names) {
      if (IsOwnName(name)) fs->Delete(JoinPath(path, name)).IgnoreError();
    }
    fs->Delete(JoinPath(path, kLockName)).IgnoreError();
    if (fs->DeleteDir(path).ok()) return true;
  }
  return false;
}

}  // namespace

// What fails is somebody else's folder, or is being deleted by somebody else.
//
// A folder is made in two steps, so that it is empty for a moment. An empty one is
// deleted too: its maker finds that its lock has no folder, and takes another name.
void TempFolder::DeleteStale(FileSystem* fs, absl::string_view parent_or_none) {
  const std::string parent = ParentOf(parent_or_none);
  const auto names = fs->List(parent);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!absl::StartsWith(name, TempFolder::kPrefix)) continue;
    const std::string path = JoinPath(parent, name);
    const auto files = fs->List(path);
    if (!files.ok()) continue;
    if (files->empty()) {
      fs->DeleteDir(path).IgnoreError();
      continue;
    }
    bool has_lock = false;
    for (const std::string& file : *files) has_lock |= file == kLockName;
    if (!has_lock) continue;
    const auto lock = fs->Lock(JoinPath(path, kLockName));
    if (lock.ok()) DeleteFolder(fs, path);
  }
}

TempFolder::TempFolder(FileSystem* fs, absl::string_view parent)
    : fs_(fs), parent_(ParentOf(parent)) {}

TempFolder::~TempFolder() { Remove(); }

absl::Status TempFolder::Make() {
  DeleteStale(fs_, parent_);
  const auto failed = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat("a temporary folder cannot be made: ", status.message()));
  };
  // Another maker's DeleteStale() may take the folder before its lock is there.
  for (int attempt = 0;; ++attempt) {
    const std::string path = JoinPath(parent_, RandomName());
    absl::Status status = fs_->CreateDir(path, /*is_private=*/true);
    const bool is_ours = !absl::IsAlreadyExists(status);
    if (status.ok()) {
      auto lock = fs_->Lock(JoinPath(path, kLockName));
      if (lock.ok()) {
        path_ = path;
        lock_ = *std::move(lock);
        return absl::OkStatus();
      }
      status = lock.status();
    } else if (is_ours && absl::IsNotFound(status)) {
      return failed(status);  // there is no parent
    }
    if (is_ours) DeleteFolder(fs_, path);
    const bool was_taken =
        !is_ours || absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
    if (!was_taken || attempt == 16) return failed(status);
  }
}

absl::StatusOr<std::string> TempFolder::NewPath(absl::string_view name) {
  MutexLock lock(&mu_);
  if (error_.ok() && path_.empty()) error_ = Make();
  if (!error_.ok()) return error_;
  return JoinPath(path_, absl::StrCat(next_++, ".", name));
}

void TempFolder::Remove() {
  MutexLock lock(&mu_);
  if (error_.ok()) error_ = absl::FailedPreconditionError("the temporary folder was removed");
  if (path_.empty() || !DeleteFolder(fs_, path_)) return;
  path_.clear();
  lock_.reset();
}

bool TempFolder::exists() const {
  MutexLock lock(&mu_);
  return !path_.empty();
}

}  // namespace kvarts::groupby_internal
