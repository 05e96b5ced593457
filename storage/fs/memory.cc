#include "storage/fs/memory.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/fs/errno_status.h"
#include "storage/fs/memory_core.h"
#include "storage/fs/memory_files.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

// The file at `path`, for reading.
absl::StatusOr<std::unique_ptr<MemoryHandle>> OpenFile(const std::shared_ptr<MemoryCore>& core,
                                                       absl::string_view path)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(core->mu) {
  MemoryNodePtr node;
  if (const int error = core->tree.Find(path, &node)) return ErrnoStatus(error, path, "open");
  if (node->is_directory) return ErrnoStatus(EISDIR, path, "open");
  return std::make_unique<MemoryHandle>(core, std::move(node));
}

// The same for writing: creates it where it is absent. 0 or an errno.
int FindOrCreate(MemoryCore* core, absl::string_view path, bool must_be_new, MemoryNodePtr* node)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(core->mu) {
  MemoryNodePtr dir;
  std::string name;
  int error = core->tree.FindParent(path, &dir, &name);
  if (error != 0) return error == EBUSY ? EISDIR : error;
  const auto found = dir->live.find(name);
  if (found == dir->live.end()) {
    if (path.back() == '/') return EISDIR;
    *node = core->tree.NewNode(/*is_directory=*/false);
    core->tree.Add(dir, name, *node);
    return 0;
  }
  if (must_be_new) return EEXIST;
  *node = found->second;
  return (*node)->is_directory ? EISDIR : 0;
}

}  // namespace

MemoryFileSystem::MemoryFileSystem() : core_(std::make_shared<MemoryCore>()) {}
MemoryFileSystem::~MemoryFileSystem() = default;

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::CloneAfterCrash(uint64_t seed,
                                                                    CrashPolicy policy) const {
  auto clone = std::make_unique<MemoryFileSystem>();
  MemoryCore& to = *clone->core_;
  CrashRandom random(seed);
  // Nobody else knows the clone yet: its lock waits for nothing.
  MutexLock to_lock(&to.mu);
  {
    MutexLock lock(&core_->mu);
    auto on_unlink = std::move(to.tree.on_unlink);
    to.tree = core_->tree.AfterCrash(policy, &random);
    to.tree.on_unlink = std::move(on_unlink);
    to.capacity = core_->capacity;
  }
  to.tree.ForEachFile([&to](const MemoryNodePtr& file)
                          ABSL_NO_THREAD_SAFETY_ANALYSIS { to.Recharge(file.get()); });
  return clone;
}

void MemoryFileSystem::SyncAll() {
  MutexLock lock(&core_->mu);
  core_->tree.SyncAll();
}

void MemoryFileSystem::LoseUnsynced(WritableFile* file, bool at_once) {
  MemoryHandle* const handle = static_cast<MemoryWritableFile*>(file)->handle();
  if (handle == nullptr) return;
  MutexLock lock(&core_->mu);
  handle->node->image.LoseUnsynced(at_once);
}

void MemoryFileSystem::SetHook(Hook hook) {
  auto shared = hook ? std::make_shared<const Hook>(std::move(hook)) : nullptr;
  MutexLock lock(&core_->mu);
  core_->hook = std::move(shared);
}

uint64_t MemoryFileSystem::operations() const {
  MutexLock lock(&core_->mu);
  return core_->operations;
}

void MemoryFileSystem::SetCapacity(uint64_t bytes) {
  MutexLock lock(&core_->mu);
  core_->capacity = bytes;
}

uint64_t MemoryFileSystem::used_bytes() const {
  MutexLock lock(&core_->mu);
  return core_->used;
}

absl::StatusOr<std::unique_ptr<WritableFile>> MemoryFileSystem::OpenForWrite(absl::string_view path,
                                                                             Create create) {
  const MemoryOperation operation(core_.get(), {Kind::kOpenForWrite, path, {}, 0});
  std::unique_ptr<MemoryHandle> handle;
  uint64_t size = 0;
  {
    MutexLock lock(&core_->mu);
    MemoryNodePtr node;
    if (const int error = FindOrCreate(core_.get(), path, create == Create::kNew, &node)) {
      return ErrnoStatus(error, path, "open");
    }
    if (create == Create::kTruncate) {
      node->image.Resize(0);
      node->reserved = 0;
      node->modified_ns = core_->tree.Tick();
      core_->Recharge(node.get());
    }
    size = node->image.live().size();
    handle = std::make_unique<MemoryHandle>(core_, std::move(node));
  }
  return std::make_unique<MemoryWritableFile>(std::move(handle), std::string(path), size);
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> MemoryFileSystem::OpenForRead(
    absl::string_view path) {
  MutexLock lock(&core_->mu);
  auto handle = OpenFile(core_, path);
  if (!handle.ok()) return handle.status();
  return std::make_unique<MemoryRandomAccessFile>(*std::move(handle));
}

absl::StatusOr<std::shared_ptr<MappedFile>> MemoryFileSystem::Map(absl::string_view path) {
  MutexLock lock(&core_->mu);
  auto handle = OpenFile(core_, path);
  if (!handle.ok()) return handle.status();
  auto bytes = (*handle)->node->image.Share();
  return std::make_shared<MemoryMappedFile>(*std::move(handle), std::move(bytes));
}

absl::StatusOr<FileInfo> MemoryFileSystem::Stat(absl::string_view path) {
  MutexLock lock(&core_->mu);
  MemoryNodePtr node;
  if (const int error = core_->tree.Find(path, &node)) return ErrnoStatus(error, path, "stat");
  FileInfo info;
  info.type = node->is_directory ? FileInfo::Type::kDirectory : FileInfo::Type::kFile;
  info.size = node->image.live().size();
  info.allocated = std::max(info.size, node->reserved);
  info.modified_ns = node->modified_ns;
  info.device = 1;
  info.inode = node->inode;
  return info;
}

absl::Status MemoryFileSystem::Rename(absl::string_view from, absl::string_view to) {
  const MemoryOperation operation(core_.get(), {Kind::kRename, from, to, 0});
  MutexLock lock(&core_->mu);
  const int error = core_->tree.Rename(from, to);
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, from, absl::StrCat("rename to ", to));
}

absl::Status MemoryFileSystem::Link(absl::string_view from, absl::string_view to) {
  const MemoryOperation operation(core_.get(), {Kind::kLink, from, to, 0});
  MutexLock lock(&core_->mu);
  MemoryNodePtr node, dir;
  std::string name;
  int error = core_->tree.Find(from, &node);
  if (error == 0) error = core_->tree.FindParent(to, &dir, &name);
  if (error == 0 && node->is_directory) error = EPERM;
  if (error == 0 && dir->live.count(name) > 0) error = EEXIST;
  if (error != 0) return ErrnoStatus(error, from, absl::StrCat("link to ", to));
  core_->tree.Add(dir, name, node);
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::Delete(absl::string_view path) {
  const MemoryOperation operation(core_.get(), {Kind::kDelete, path, {}, 0});
  MutexLock lock(&core_->mu);
  MemoryNodePtr node, dir;
  std::string name;
  int error = core_->tree.Find(path, &node);
  if (error == 0 && node->is_directory) error = EISDIR;
  if (error == 0) error = core_->tree.FindParent(path, &dir, &name);
  if (error != 0) return ErrnoStatus(error, path, "delete");
  core_->tree.Remove(dir, name);
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::CreateDir(absl::string_view path, bool) {
  const MemoryOperation operation(core_.get(), {Kind::kCreateDir, path, {}, 0});
  MutexLock lock(&core_->mu);
  MemoryNodePtr dir;
  std::string name;
  int error = core_->tree.FindParent(path, &dir, &name);
  if (error == EBUSY || (error == 0 && dir->live.count(name) > 0)) error = EEXIST;
  if (error != 0) return ErrnoStatus(error, path, "create a directory");
  core_->tree.Add(dir, name, core_->tree.NewNode(/*is_directory=*/true));
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::DeleteDir(absl::string_view path) {
  const MemoryOperation operation(core_.get(), {Kind::kDeleteDir, path, {}, 0});
  MutexLock lock(&core_->mu);
  MemoryNodePtr node, dir;
  std::string name;
  int error = core_->tree.Find(path, &node);
  if (error == 0 && !node->is_directory) error = ENOTDIR;
  if (error == 0 && !node->live.empty()) error = ENOTEMPTY;
  if (error == 0) error = core_->tree.FindParent(path, &dir, &name);
  if (error != 0) return ErrnoStatus(error, path, "delete a directory");
  core_->tree.Remove(dir, name);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryFileSystem::List(absl::string_view path) {
  MutexLock lock(&core_->mu);
  MemoryNodePtr node;
  int error = core_->tree.Find(path, &node);
  if (error == 0 && !node->is_directory) error = ENOTDIR;
  if (error != 0) return ErrnoStatus(error, path, "list");
  std::vector<std::string> names;
  for (const auto& [name, child] : node->live) names.push_back(name);
  return names;
}

absl::Status MemoryFileSystem::SyncDir(absl::string_view path) {
  const MemoryOperation operation(core_.get(), {Kind::kSyncDir, path, {}, 0});
  MutexLock lock(&core_->mu);
  MemoryNodePtr node;
  int error = core_->tree.Find(path, &node);
  if (error == 0 && !node->is_directory) error = ENOTDIR;
  if (error != 0) return ErrnoStatus(error, path, "open");
  core_->tree.SyncDir(node);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileLock>> MemoryFileSystem::Lock(absl::string_view path) {
  const MemoryOperation operation(core_.get(), {Kind::kLock, path, {}, 0});
  MutexLock lock(&core_->mu);
  MemoryNodePtr node;
  if (const int error = FindOrCreate(core_.get(), path, /*must_be_new=*/false, &node)) {
    return ErrnoStatus(error, path, "open");
  }
  if (node->locked) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": lock: is locked by this process"));
  }
  node->locked = true;
  return std::make_unique<MemoryFileLock>(std::make_unique<MemoryHandle>(core_, std::move(node)));
}

absl::StatusOr<uint64_t> MemoryFileSystem::FreeSpace(absl::string_view path) {
  MutexLock lock(&core_->mu);
  MemoryNodePtr node;
  if (const int error = core_->tree.Find(path, &node)) {
    return ErrnoStatus(error, path, "ask for free space");
  }
  return core_->capacity > core_->used ? core_->capacity - core_->used : 0;
}

absl::StatusOr<bool> MemoryFileSystem::IsRemote(absl::string_view path) {
  MutexLock lock(&core_->mu);
  MemoryNodePtr node;
  if (const int error = core_->tree.Find(path, &node)) {
    return ErrnoStatus(error, path, "ask for the file system's kind");
  }
  return false;
}

}  // namespace kvarts
