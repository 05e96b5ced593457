#ifndef KVARTS_STORAGE_MEMORY_SEQ_LOCK_H_
#define KVARTS_STORAGE_MEMORY_SEQ_LOCK_H_

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace kvarts::memory_internal {

// How long one waits for a lock that is held for a microsecond, unless its holder was
// suspended.
class Backoff {
 public:
  void Wait() {
    if (++waits_ % 64 == 0) {
      sched_yield();
      return;
    }
#if defined(__SSE2__)
    _mm_pause();
#endif
  }

 private:
  uint32_t waits_ = 0;
};

// A sequence lock. Writers exclude each other; readers write nothing: they read what
// they like by atomic words (shared_words.h), and then ask whether a writer was there.
class ABSL_LOCKABLE SeqLock {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    Backoff backoff;
    while (!TryLock()) backoff.Wait();
  }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    uint64_t version = version_.load(std::memory_order_relaxed);
    return version % 2 == 0 &&
           version_.compare_exchange_strong(version, version + 1, std::memory_order_acquire);
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { version_.store(Version() + 1, std::memory_order_release); }
  // Where nothing was changed that readers look at.
  void UnlockUnchanged() ABSL_UNLOCK_FUNCTION() {
    version_.store(Version() - 1, std::memory_order_release);
  }

  // Waits until no writer is there.
  uint64_t BeginRead() const {
    Backoff backoff;
    for (;;) {
      const uint64_t version = version_.load(std::memory_order_acquire);
      if (version % 2 == 0) return version;
      backoff.Wait();
    }
  }
  // False where one is.
  bool TryBeginRead(uint64_t* version) const {
    *version = version_.load(std::memory_order_acquire);
    return *version % 2 == 0;
  }
  // True where all that was loaded (acquire) since is of one moment.
  bool EndRead(uint64_t version) const {
    return version_.load(std::memory_order_relaxed) == version;
  }
  // For who has just ended a read: locks if nobody has written since.
  bool TryLockAt(uint64_t version) ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    return version_.compare_exchange_strong(version, version + 1, std::memory_order_acquire);
  }

 private:
  uint64_t Version() const { return version_.load(std::memory_order_relaxed); }

  std::atomic<uint64_t> version_{0};  // odd: locked
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SEQ_LOCK_H_
