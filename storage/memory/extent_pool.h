#ifndef KVARTS_STORAGE_MEMORY_EXTENT_POOL_H_
#define KVARTS_STORAGE_MEMORY_EXTENT_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace kvarts::memory_internal {

// Thread-safe. Extents of 256 KiB of address space. Pages of one take memory where they
// were touched, and are given back to the system with the extent; the addresses stay, so
// that a reader who comes late reads what is wrong, and never faults.
//
// What is held is counted: whoever owns an extent says how much of it is in use.
class ExtentPool {
 public:
  static constexpr size_t kExtentBytes = 256 << 10;

  struct Extent {
    char* base = nullptr;
    size_t touched = 0;  // bytes from the beginning that may have memory, and be not zero
  };

  // What lies behind the last extent of a region, for readers: see RecordLayout.
  explicit ExtentPool(size_t behind) : behind_(behind) {}
  ~ExtentPool();
  ExtentPool(const ExtentPool&) = delete;
  ExtentPool& operator=(const ExtentPool&) = delete;

  // Has so many extents ready that Take() cannot fail: kResourceExhausted where there
  // is no address space.
  absl::Status Prepare(size_t extents);
  absl::Status Take(Extent* extent);
  void Give(const Extent& extent);
  // Gives back the memory of the pages from `used` on.
  static void Trim(Extent* extent, size_t used);

  // Bytes in use beside extents too: blobs, the directory.
  void Charge(int64_t bytes) {
    const int64_t used = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (used > peak_.load(std::memory_order_relaxed)) RaisePeak(used);
  }
  size_t used() const {
    const int64_t used = used_.load(std::memory_order_relaxed);
    return used > 0 ? static_cast<size_t>(used) : 0;
  }
  // The most that used() ever was.
  size_t peak() const { return static_cast<size_t>(peak_.load(std::memory_order_relaxed)); }
  // Bytes that are charged already while they are being made: no two writers at once
  // take what is left. Not thread-safe.
  class Reservation {
   public:
    explicit Reservation(ExtentPool* pool) : pool_(*pool) {}
    ~Reservation() { pool_.Charge(-bytes_); }
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    // False where there would be more than `limit` in use; 0 is no limit.
    bool Take(int64_t bytes, size_t limit);

   private:
    ExtentPool& pool_;
    int64_t bytes_ = 0;
  };
  // Of whole pages.
  static constexpr size_t kPage = 4096;
  static size_t PageBytes(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

 private:
  static constexpr size_t kRegionExtents = 256;
  // Kept with their memory, for the next ones to be taken.
  static constexpr size_t kWarm = 8;

  void RaisePeak(int64_t used);
  absl::Status AddRegion() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t behind_;
  std::atomic<int64_t> used_{0};
  std::atomic<int64_t> peak_{0};

  Mutex mu_;
  std::vector<char*> regions_ ABSL_GUARDED_BY(mu_);
  std::vector<Extent> free_ ABSL_GUARDED_BY(mu_);  // the warm ones last
  size_t warm_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_EXTENT_POOL_H_
