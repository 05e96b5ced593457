#ifndef KVARTS_BASE_MUTEX_H_
#define KVARTS_BASE_MUTEX_H_

#include "base/language.h"

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace kvarts {

// std::mutex with Abseil's thread annotations. absl::Mutex of a prebuilt Abseil
// is opaque to ThreadSanitizer, which then reports false races; pthread mutexes
// are intercepted.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mu_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};

}  // namespace kvarts

#endif  // KVARTS_BASE_MUTEX_H_
