#ifndef KVARTS_BASE_SWAPPABLE_H_
#define KVARTS_BASE_SWAPPABLE_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kvarts {
namespace swappable_internal {

// What one thread holds at the moment: hazard pointers (Michael 2004).
struct alignas(64) Slot {
  static constexpr size_t kDepth = 7;

  std::atomic<const void*> held[kDepth] = {};
  size_t depth = 0;  // of its thread alone
  std::atomic<bool> taken{true};
  Slot* next = nullptr;  // constant once it is in the list
};

extern thread_local constinit Slot* this_thread;
Slot* RegisterThread();
inline Slot* ThisThread() {
  Slot* const slot = this_thread;
  return ABSL_PREDICT_TRUE(slot != nullptr) ? slot : RegisterThread();
}
// Whether a thread must order its store and load itself: where the system
// cannot do it for all threads at once (membarrier(2)).
extern const bool needs_fence;
// Waits until no thread holds `pointer`, which none can come by any more.
void WaitUntilReleased(const void* pointer);

}  // namespace swappable_internal

// Thread-safe. A shared object that many threads use all the time and that is
// replaced now and then. Using it takes no lock and writes nothing that another
// thread reads: about 2 ns, whatever the number of threads.
template <typename T>
class Swappable {
 public:
  // Keeps the object it was made of until its end. On one thread, guards end in
  // the opposite order of their beginnings, as locals do.
  class Guard {
   public:
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ABSL_ATTRIBUTE_ALWAYS_INLINE ~Guard() {
      if (ABSL_PREDICT_FALSE(slot_ == nullptr)) return;
      slot_->held[--slot_->depth].store(nullptr, std::memory_order_release);
    }
    T& operator*() const { return *pointer_; }
    T* operator->() const { return pointer_; }
    T* get() const { return pointer_; }

   private:
    friend class Swappable;
    ABSL_ATTRIBUTE_ALWAYS_INLINE explicit Guard(const Swappable& from)
        : slot_(swappable_internal::ThisThread()) {
      using swappable_internal::Slot;
      if (ABSL_PREDICT_FALSE(slot_->depth == Slot::kDepth)) {
        slot_ = nullptr;
        shared_ = from.Share();
        pointer_ = shared_.get();
        return;
      }
      std::atomic<const void*>& held = slot_->held[slot_->depth++];
      pointer_ = from.pointer_.load(std::memory_order_acquire);
      while (true) {
        if (ABSL_PREDICT_FALSE(swappable_internal::needs_fence)) {
          held.store(pointer_, std::memory_order_seq_cst);
        } else {
          held.store(pointer_, std::memory_order_relaxed);
          std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        T* const now = from.pointer_.load(std::memory_order_seq_cst);
        if (ABSL_PREDICT_TRUE(now == pointer_)) return;
        pointer_ = now;  // replaced before it was known that it is held
      }
    }

    swappable_internal::Slot* slot_;
    T* pointer_;
    std::shared_ptr<T> shared_;  // for guards nested more deeply than a slot holds
  };

  explicit Swappable(std::shared_ptr<T> first) : pointer_(first.get()), owner_(std::move(first)) {}
  Swappable(const Swappable&) = delete;
  Swappable& operator=(const Swappable&) = delete;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Guard Hold() const { return Guard(*this); }

  // A reference for longer than a call. Takes a lock.
  std::shared_ptr<T> Share() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    return owner_;
  }

  // Replaces the object and returns the old one, once no guard holds it: so not
  // from under a guard of this. References to it may live on.
  std::shared_ptr<T> Exchange(std::shared_ptr<T> next) ABSL_LOCKS_EXCLUDED(mu_) {
    std::shared_ptr<T> old;
    {
      MutexLock lock(&mu_);
      old = std::exchange(owner_, std::move(next));
      pointer_.store(owner_.get(), std::memory_order_seq_cst);
    }
    swappable_internal::WaitUntilReleased(old.get());
    return old;
  }

 private:
  std::atomic<T*> pointer_;
  mutable Mutex mu_;
  std::shared_ptr<T> owner_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_BASE_SWAPPABLE_H_
