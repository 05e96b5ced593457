#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/fs/file_system.h"

namespace kvarts {
namespace {

// Steps 1 to 3.
absl::Status WriteAndRename(FileSystem* fs, const std::string& temporary, absl::string_view path,
                            absl::string_view contents) {
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForWrite(temporary, FileSystem::Create::kTruncate));
  KVARTS_RETURN_IF_ERROR(file->Append(contents));
  KVARTS_RETURN_IF_ERROR(file->Sync());
  KVARTS_RETURN_IF_ERROR(file->Close());
  return fs->Rename(temporary, path);
}

absl::string_view StripTrailingSlashes(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

std::string DirName(absl::string_view path) {
  path = StripTrailingSlashes(path);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return std::string(StripTrailingSlashes(path.substr(0, slash + 1)));
}

std::string JoinPath(absl::string_view dir, absl::string_view name) {
  if (dir.empty()) return std::string(name);
  return absl::StrCat(dir, dir.back() == '/' ? "" : "/", name);
}

absl::Status WriteFileAtomically(FileSystem* fs, absl::string_view path,
                                 absl::string_view contents) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  const absl::Status status = WriteAndRename(fs, temporary, path, contents);
  if (!status.ok()) {
    // Also where it was not opened: it may have been created, or be left over. What
    // went wrong first is what the caller needs to hear.
    fs->Delete(temporary).IgnoreError();
    return status;
  }
  return fs->SyncDir(DirName(path));
}

absl::StatusOr<std::string> ReadFile(FileSystem* fs, absl::string_view path) {
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForRead(path));
  KVARTS_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string contents;
  for (;;) {
    // One byte more than the file should have finds its end in one call. A file
    // that grows, or does not tell its size, takes more rounds.
    const size_t have = contents.size();
    const size_t want = std::max<size_t>(size > have ? size - have + 1 : 0, 4096);
    contents.resize(have + want);
    KVARTS_ASSIGN_OR_RETURN(const size_t got, file->Read(have, want, &contents[have]));
    contents.resize(have + got);
    if (got < want) return contents;
  }
}

}  // namespace kvarts
