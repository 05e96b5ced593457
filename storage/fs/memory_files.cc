#include "storage/fs/memory_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "storage/fs/errno_status.h"

namespace kvarts {

using Kind = FileOperation::Kind;

absl::Status MemoryWritableFile::Append(absl::string_view bytes) {
  return Write(Kind::kAppend, size_, bytes);
}

absl::Status MemoryWritableFile::WriteAt(uint64_t offset, absl::string_view bytes) {
  return Write(Kind::kWriteAt, offset, bytes);
}

absl::Status MemoryWritableFile::Write(Kind kind, uint64_t offset, absl::string_view bytes) {
  if (handle_ == nullptr) return ErrnoStatus(EBADF, path_, "write");
  MemoryCore& core = *handle_->core;
  const MemoryOperation operation(&core, {kind, path_, {}, bytes.size()});
  MutexLock lock(&core.mu);
  MemoryNode* const node = handle_->node.get();
  const uint64_t end = bytes.empty() ? offset : core.Room(*node, offset + bytes.size());
  const uint64_t fits = end > offset ? std::min<uint64_t>(end - offset, bytes.size()) : 0;
  node->image.Write(offset, bytes.substr(0, fits));
  node->modified_ns = core.tree.Tick();
  core.Recharge(node);
  if (fits > 0) size_ = std::max(size_, offset + fits);
  return fits == bytes.size() ? absl::OkStatus() : ErrnoStatus(ENOSPC, path_, "write");
}

absl::Status MemoryWritableFile::Sync() {
  if (handle_ == nullptr) return ErrnoStatus(EBADF, path_, "sync");
  const MemoryOperation operation(handle_->core.get(), {Kind::kSync, path_, {}, 0});
  MutexLock lock(&handle_->core->mu);
  handle_->node->image.Sync();
  return absl::OkStatus();
}

absl::Status MemoryWritableFile::Preallocate(uint64_t size) {
  if (handle_ == nullptr) return ErrnoStatus(EBADF, path_, "preallocate");
  MemoryCore& core = *handle_->core;
  const MemoryOperation operation(&core, {Kind::kPreallocate, path_, {}, size});
  MutexLock lock(&core.mu);
  MemoryNode* const node = handle_->node.get();
  if (core.Room(*node, size) < size) return ErrnoStatus(ENOSPC, path_, "preallocate");
  node->reserved = std::max(node->reserved, size);
  core.Recharge(node);
  return absl::OkStatus();
}

absl::Status MemoryWritableFile::Truncate(uint64_t size) {
  if (handle_ == nullptr) return ErrnoStatus(EBADF, path_, "truncate");
  MemoryCore& core = *handle_->core;
  const MemoryOperation operation(&core, {Kind::kTruncate, path_, {}, size});
  MutexLock lock(&core.mu);
  MemoryNode* const node = handle_->node.get();
  if (core.Room(*node, size) < size) return ErrnoStatus(ENOSPC, path_, "truncate");
  node->image.Resize(size);
  node->reserved = 0;
  node->modified_ns = core.tree.Tick();
  core.Recharge(node);
  size_ = size;
  return absl::OkStatus();
}

absl::Status MemoryWritableFile::Close() {
  handle_ = nullptr;
  return absl::OkStatus();
}

absl::StatusOr<size_t> MemoryRandomAccessFile::Read(uint64_t offset, size_t size,
                                                    char* scratch) const {
  MutexLock lock(&handle_->core->mu);
  const std::string& bytes = handle_->node->image.live();
  if (offset >= bytes.size()) return 0;
  const size_t got = std::min<uint64_t>(size, bytes.size() - offset);
  if (got > 0) std::memcpy(scratch, bytes.data() + offset, got);
  return got;
}

absl::StatusOr<uint64_t> MemoryRandomAccessFile::Size() const {
  MutexLock lock(&handle_->core->mu);
  return handle_->node->image.live().size();
}

absl::StatusOr<uint64_t> MemoryMappedFile::CurrentSize() const {
  MutexLock lock(&handle_->core->mu);
  return handle_->node->image.live().size();
}

MemoryFileLock::~MemoryFileLock() {
  MutexLock lock(&handle_->core->mu);
  handle_->node->locked = false;
}

}  // namespace kvarts
