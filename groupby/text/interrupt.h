#ifndef KVARTS_GROUPBY_TEXT_INTERRUPT_H_
#define KVARTS_GROUPBY_TEXT_INTERRUPT_H_

#include <atomic>

#include "absl/status/status.h"

namespace kvarts::groupby_text {

// Thread-safe. Ends waiting for a pipe: Set() once, and every Wait() is over.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void Set();
  bool is_set() const { return set_.load(std::memory_order_acquire); }

  // Until `fd` has one of `events` (POLLIN, POLLOUT), its end or an error among them;
  // kCancelled where Set() comes first.
  absl::Status Wait(int fd, short events) const;
  // For so long; kCancelled where Set() comes first.
  absl::Status Sleep(int ms) const;

 private:
  const int fd_;
  std::atomic<bool> set_{false};
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_INTERRUPT_H_
