#include "storage/fs/posix_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/fs/errno_status.h"
#include "storage/fs/mapping_table.h"
#include "storage/fs/posix_descriptor.h"

namespace kvarts {
namespace {

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor fd, uint64_t size, bool regular)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size), regular_(regular) {}

  absl::Status Append(absl::string_view bytes) override { return Write(size_, bytes); }

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes) override {
    if (!regular_) return ErrnoStatus(ESPIPE, path_, "write at an offset");
    return Write(offset, bytes);
  }

  absl::Status Sync() override {
    if (Retry([&] { return fdatasync(fd_.get()); }) == 0) return absl::OkStatus();
    // A pipe or a terminal has nothing to sync.
    if (!regular_ && errno == EINVAL) return absl::OkStatus();
    return ErrnoStatus(errno, path_, "sync");
  }

  absl::Status Preallocate(uint64_t size) override {
    if (size == 0) return absl::OkStatus();
    const int result = Retry(
        [&] { return fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)); });
    // Where the file system cannot, the space is found when it is written.
    if (result == 0 || errno == EOPNOTSUPP || !regular_) return absl::OkStatus();
    return ErrnoStatus(errno, path_, "preallocate");
  }

  absl::Status Truncate(uint64_t size) override {
    if (Retry([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
      return ErrnoStatus(errno, path_, "truncate");
    }
    size_ = size;
    return absl::OkStatus();
  }

  absl::Status Close() override {
    const int error = fd_.Close();
    return error == 0 ? absl::OkStatus() : ErrnoStatus(error, path_, "close");
  }

 private:
  absl::Status Write(uint64_t offset, absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = Retry([&] {
        return regular_ ? pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset))
                        : write(fd_.get(), bytes.data(), bytes.size());
      });
      if (written < 0) return ErrnoStatus(errno, path_, "write");
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
      size_ = std::max(size_, offset);
    }
    return absl::OkStatus();
  }

  const std::string path_;
  Descriptor fd_;
  uint64_t size_;  // where Append() writes
  const bool regular_;
};

class PosixRandomAccessFile : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, Descriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, size_t size, char* scratch) const override {
    size_t done = 0;
    while (done < size) {
      const ssize_t got = Retry([&] {
        return pread(fd_.get(), scratch + done, size - done, static_cast<off_t>(offset + done));
      });
      if (got < 0) return ErrnoStatus(errno, path_, "read");
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  absl::StatusOr<uint64_t> Size() const override {
    KVARTS_ASSIGN_OR_RETURN(const struct stat info, StatDescriptor(fd_, path_));
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const Descriptor fd_;
};

class PosixMappedFile : public MappedFile {
 public:
  // `slot` in the MappingTable; -1 for an empty file, which maps nothing.
  PosixMappedFile(std::string path, Descriptor fd, void* data, size_t size, int slot)
      : path_(std::move(path)), fd_(std::move(fd)), data_(data), slot_(slot) {
    bytes_ = absl::string_view(static_cast<const char*>(data), size);
    if (slot_ >= 0) losses_ = &MappingTable::losses(slot_);
  }
  ~PosixMappedFile() override {
    if (slot_ < 0) return;
    MappingTable::Remove(slot_);
    munmap(data_, bytes_.size());
  }

  void Advise(Access access) override {
    if (slot_ < 0) return;
    madvise(data_, bytes_.size(),
            access == Access::kRandom       ? MADV_RANDOM
            : access == Access::kSequential ? MADV_SEQUENTIAL
                                            : MADV_NORMAL);
  }

  absl::StatusOr<uint64_t> CurrentSize() const override {
    KVARTS_ASSIGN_OR_RETURN(const struct stat info, StatDescriptor(fd_, path_));
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const Descriptor fd_;
  void* const data_;
  const int slot_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WritableFile>> OpenPosixForWrite(std::string path,
                                                                FileSystem::Create create) {
  const int how = create == FileSystem::Create::kNew        ? O_CREAT | O_EXCL
                  : create == FileSystem::Create::kTruncate ? O_CREAT | O_TRUNC
                                                            : O_CREAT;
  KVARTS_ASSIGN_OR_RETURN(Descriptor fd, OpenDescriptor(path, O_WRONLY | how));
  KVARTS_ASSIGN_OR_RETURN(const struct stat info, StatDescriptor(fd, path));
  // Not O_APPEND: with it pwrite() would append too.
  return std::make_unique<PosixWritableFile>(
      std::move(path), std::move(fd), static_cast<uint64_t>(info.st_size), S_ISREG(info.st_mode));
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenPosixForRead(std::string path) {
  KVARTS_ASSIGN_OR_RETURN(auto opened, OpenRegular(path));
  return std::make_unique<PosixRandomAccessFile>(std::move(path), std::move(opened.first));
}

absl::StatusOr<std::shared_ptr<MappedFile>> MapPosix(std::string path) {
  KVARTS_ASSIGN_OR_RETURN(auto opened, OpenRegular(path));
  auto [fd, size] = std::move(opened);
  void* data = nullptr;
  int slot = -1;
  if (size > 0) {
    data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (data == MAP_FAILED) return ErrnoStatus(errno, path, "map");
    slot = MappingTable::Add(data, size);
    if (slot < 0) {
      munmap(data, size);
      return absl::ResourceExhaustedError(absl::StrCat(path, ": map: all ", MappingTable::kCapacity,
                                                       " mappings of the process are in use"));
    }
  }
  return std::make_shared<PosixMappedFile>(std::move(path), std::move(fd), data, size, slot);
}

}  // namespace kvarts
