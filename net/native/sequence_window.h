#ifndef KVARTS_NET_NATIVE_SEQUENCE_WINDOW_H_
#define KVARTS_NET_NATIVE_SEQUENCE_WINDOW_H_

#include <cstdint>
#include <deque>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kvarts {
namespace native {

// Thread-safe. Numbers a client's writes from 1, and knows below which number
// none will be repeated.
class SequenceWindow {
 public:
  struct Numbers {
    uint64_t sequence;
    uint64_t first_unacknowledged;
  };

  Numbers Begin() {
    MutexLock lock(&mu_);
    ended_.push_back(false);
    return {base_ + ended_.size() - 1, base_};
  }

  // The write has its answer, or nobody waits for it any more.
  void End(uint64_t sequence) {
    MutexLock lock(&mu_);
    ended_[sequence - base_] = true;
    while (!ended_.empty() && ended_.front()) {
      ended_.pop_front();
      ++base_;
    }
  }

 private:
  Mutex mu_;
  uint64_t base_ ABSL_GUARDED_BY(mu_) = 1;
  std::deque<bool> ended_ ABSL_GUARDED_BY(mu_);  // from base_ on
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_SEQUENCE_WINDOW_H_
