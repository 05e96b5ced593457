#ifndef KVARTS_GROUPBY_SPILL_MAPPED_REGION_H_
#define KVARTS_GROUPBY_SPILL_MAPPED_REGION_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Address space, of zeros, that takes memory only as it is touched and
// gives it back to the system, not to an allocator: what is resident is what was
// touched.
class MappedRegion {
 public:
  MappedRegion() = default;
  ~MappedRegion() { Free(); }
  MappedRegion(MappedRegion&& other) noexcept { *this = std::move(other); }
  MappedRegion& operator=(MappedRegion&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // kResourceExhausted where the system has no such address space. Once, or after
  // Free().
  absl::Status Map(size_t bytes);
  // Has at least `bytes` and keeps what was in it, though not where it was.
  absl::Status Grow(size_t bytes);
  // Takes the memory of the bytes from `from` on now, all at once: for what is touched all
  // over, and soon.
  void Touch(size_t from);
  void Free();
  // Gives the memory behind the first `keep` bytes back; they read as zeros.
  void Trim(size_t keep);

  char* data() const { return data_; }
  char* end() const { return data_ + size_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SPILL_MAPPED_REGION_H_
