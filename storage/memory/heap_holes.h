#ifndef KVARTS_STORAGE_MEMORY_HEAP_HOLES_H_
#define KVARTS_STORAGE_MEMORY_HEAP_HOLES_H_

#include <atomic>
#include <cstdint>

#include "absl/base/optimization.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace kvarts::memory_internal {

// Thread-safe. What large values leave on the heap when they go: free memory, which the heap
// gives back to the system by itself only from its end. Behind it there is nearly always
// something small that stays. So the holes are given back when half of the values, by bytes,
// are gone; and again when half of the rest is.
//
// Nothing is done where values come and go and are as many: the holes are used again.
class HeapHoles {
 public:
  // So many bytes came, or went.
  void Count(int64_t bytes) {
    const int64_t live = live_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    const int64_t most = most_.load(std::memory_order_relaxed);
    if (live > most) {
      // Two at once may leave the smaller one: it is about half.
      most_.store(live, std::memory_order_relaxed);
    } else if (live < most / 2 && most > kLeast) {
      wanted_.store(true, std::memory_order_relaxed);
    }
  }

  // To be called without locks, after Count() of what went. When it is time, it takes about
  // 0.1 ms a MiB, in which other threads may wait for the heap.
  void GiveBackInTime() {
    if (ABSL_PREDICT_FALSE(wanted_.load(std::memory_order_relaxed))) GiveBack();
  }

 private:
  static constexpr int64_t kLeast = 8 << 20;

  void GiveBack() {
    if (!wanted_.exchange(false)) return;
    most_.store(live_.load(std::memory_order_relaxed), std::memory_order_relaxed);
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
  }

  std::atomic<int64_t> live_{0};
  std::atomic<int64_t> most_{0};  // since the holes were given back
  std::atomic<bool> wanted_{false};
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_HEAP_HOLES_H_
