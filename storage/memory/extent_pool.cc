#include "storage/memory/extent_pool.h"

#include <sys/mman.h>

#include <cerrno>

#include "base/status_macros.h"

namespace kvarts::memory_internal {

ExtentPool::~ExtentPool() {
  MutexLock lock(&mu_);
  for (char* const region : regions_) munmap(region, kRegionExtents * kExtentBytes + behind_);
}

void ExtentPool::RaisePeak(int64_t used) {
  int64_t peak = peak_.load(std::memory_order_relaxed);
  while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
  }
}

bool ExtentPool::Reservation::Take(int64_t bytes, size_t limit) {
  if (bytes <= 0 || limit == 0) return true;
  int64_t used = pool_.used_.load(std::memory_order_relaxed);
  do {
    if (used + bytes > static_cast<int64_t>(limit)) return false;
  } while (!pool_.used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  pool_.RaisePeak(used + bytes);
  bytes_ += bytes;
  return true;
}

absl::Status ExtentPool::AddRegion() {
  const size_t bytes = kRegionExtents * kExtentBytes + behind_;
  void* const region = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    return absl::ResourceExhaustedError("no address space for another 64 MiB of the memory store");
  }
  // A huge page would take memory for what is not in use.
  madvise(region, bytes, MADV_NOHUGEPAGE);
  regions_.push_back(static_cast<char*>(region));
  // The first are to be taken first; behind all warm ones there are none now.
  for (size_t i = kRegionExtents; i-- > 0;) {
    free_.insert(free_.end() - static_cast<ptrdiff_t>(warm_),
                 Extent{static_cast<char*>(region) + i * kExtentBytes, 0});
  }
  return absl::OkStatus();
}

absl::Status ExtentPool::Prepare(size_t extents) {
  MutexLock lock(&mu_);
  while (free_.size() < extents) KVARTS_RETURN_IF_ERROR(AddRegion());
  return absl::OkStatus();
}

absl::Status ExtentPool::Take(Extent* extent) {
  MutexLock lock(&mu_);
  if (free_.empty()) KVARTS_RETURN_IF_ERROR(AddRegion());
  *extent = free_.back();
  free_.pop_back();
  if (warm_ > 0) --warm_;
  return absl::OkStatus();
}

void ExtentPool::Give(const Extent& extent) {
  Extent given = extent;
  {
    MutexLock lock(&mu_);
    if (warm_ < kWarm) {
      ++warm_;
      free_.push_back(given);
      return;
    }
  }
  Trim(&given, 0);
  MutexLock lock(&mu_);
  free_.insert(free_.end() - static_cast<ptrdiff_t>(warm_), given);
}

void ExtentPool::Trim(Extent* extent, size_t used) {
  used = PageBytes(used);
  if (extent->touched <= used) return;
  madvise(extent->base + used, PageBytes(extent->touched) - used, MADV_DONTNEED);
  extent->touched = used;
}

}  // namespace kvarts::memory_internal
