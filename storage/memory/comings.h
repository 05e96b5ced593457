#ifndef KVARTS_STORAGE_MEMORY_COMINGS_H_
#define KVARTS_STORAGE_MEMORY_COMINGS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/mutex.h"

namespace kvarts::memory_internal {

// Thread-safe, where calls for one hash hold the lock of its segment. How often keys came
// to be there, counted by some bits of their hashes: what the stamp of an absent key is
// made of. A key that was there meanwhile has come, so its count is another one; going,
// and a flush, need not be counted. Another key changes the count of one in 16,384.
//
// Nothing is counted, and no memory is taken (128 KiB, whatever the size of the table),
// before the first Get().
class Comings {
 public:
  Comings() = default;
  ~Comings() { delete[] counts_.load(std::memory_order_relaxed); }
  Comings(const Comings&) = delete;
  Comings& operator=(const Comings&) = delete;

  void Count(uint64_t hash) {
    Number* const counts = counts_.load(std::memory_order_acquire);
    if (counts != nullptr) counts[hash % kNumbers].fetch_add(1, std::memory_order_relaxed);
  }

  // Who writes the key later has the segment's lock after this call, and so sees that
  // there is something to count.
  uint64_t Get(uint64_t hash) {
    Number* counts = counts_.load(std::memory_order_acquire);
    if (counts == nullptr) counts = Begin();
    return counts[hash % kNumbers].load(std::memory_order_relaxed);
  }

 private:
  using Number = std::atomic<uint64_t>;

  static constexpr size_t kNumbers = size_t{16} << 10;

  Number* Begin() {
    MutexLock lock(&mu_);
    Number* counts = counts_.load(std::memory_order_acquire);
    if (counts != nullptr) return counts;
    counts = new Number[kNumbers]();
    counts_.store(counts, std::memory_order_release);
    return counts;
  }

  Mutex mu_;
  std::atomic<Number*> counts_{nullptr};  // set once
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_COMINGS_H_
