#ifndef KVARTS_STORAGE_FS_MEMORY_FILES_H_
#define KVARTS_STORAGE_FS_MEMORY_FILES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "storage/fs/file_system.h"
#include "storage/fs/memory_core.h"

namespace kvarts {

// Not thread-safe, as WritableFile says; against other files it is.
class MemoryWritableFile : public WritableFile {
 public:
  MemoryWritableFile(std::unique_ptr<MemoryHandle> handle, std::string path, uint64_t size)
      : path_(std::move(path)), handle_(std::move(handle)), size_(size) {}

  absl::Status Append(absl::string_view bytes) override;
  absl::Status WriteAt(uint64_t offset, absl::string_view bytes) override;
  absl::Status Sync() override;
  absl::Status Preallocate(uint64_t size) override;
  absl::Status Truncate(uint64_t size) override;
  absl::Status Close() override;

  // Null once closed.
  MemoryHandle* handle() const { return handle_.get(); }

 private:
  absl::Status Write(FileOperation::Kind kind, uint64_t offset, absl::string_view bytes);

  const std::string path_;
  std::unique_ptr<MemoryHandle> handle_;
  uint64_t size_;  // where Append() writes
};

class MemoryRandomAccessFile : public RandomAccessFile {
 public:
  explicit MemoryRandomAccessFile(std::unique_ptr<MemoryHandle> handle)
      : handle_(std::move(handle)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, size_t size, char* scratch) const override;
  absl::StatusOr<uint64_t> Size() const override;

 private:
  const std::unique_ptr<MemoryHandle> handle_;
};

class MemoryMappedFile : public MappedFile {
 public:
  MemoryMappedFile(std::unique_ptr<MemoryHandle> handle, std::shared_ptr<const std::string> bytes)
      : handle_(std::move(handle)), snapshot_(std::move(bytes)) {
    bytes_ = *snapshot_;
  }

  void Advise(Access) override {}
  absl::StatusOr<uint64_t> CurrentSize() const override;

 private:
  const std::unique_ptr<MemoryHandle> handle_;
  const std::shared_ptr<const std::string> snapshot_;
};

class MemoryFileLock : public FileLock {
 public:
  explicit MemoryFileLock(std::unique_ptr<MemoryHandle> handle) : handle_(std::move(handle)) {}
  ~MemoryFileLock() override;

 private:
  const std::unique_ptr<MemoryHandle> handle_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_MEMORY_FILES_H_
