#ifndef KVARTS_STORAGE_FS_POSIX_DESCRIPTOR_H_
#define KVARTS_STORAGE_FS_POSIX_DESCRIPTOR_H_

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace kvarts {

// The call again for as long as a signal interrupts it.
template <typename Call>
auto Retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

// Not thread-safe. Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  // 0, or an errno. An interrupted close() has closed: it is not repeated.
  int Close() {
    if (fd_ < 0) return 0;
    const bool ok = close(std::exchange(fd_, -1)) == 0 || errno == EINTR;
    return ok ? 0 : errno;
  }

 private:
  int fd_;
};

// open(2), closed at exec. kInvalidArgument for a path with a NUL in it.
absl::StatusOr<Descriptor> OpenDescriptor(const std::string& path, int flags);

absl::StatusOr<struct stat> StatDescriptor(const Descriptor& fd, const std::string& path);

// A regular file for reading, and its size; anything else is kFailedPrecondition.
absl::StatusOr<std::pair<Descriptor, uint64_t>> OpenRegular(const std::string& path);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_POSIX_DESCRIPTOR_H_
