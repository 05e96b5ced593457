#include "base/swappable.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace kvarts::swappable_internal {
namespace {

// Slots are never freed: those of ended threads are taken again.
std::atomic<Slot*> slots{nullptr};

// Gives the thread's slot back when the thread ends.
struct Return {
  ~Return() {
    if (this_thread == nullptr) return;
    this_thread->taken.store(false, std::memory_order_release);
    this_thread = nullptr;
  }
};

bool Membarrier(int command) { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

thread_local constinit Slot* this_thread = nullptr;
const bool needs_fence = !Membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

Slot* RegisterThread() {
  thread_local Return at_end;
  for (Slot* slot = slots.load(std::memory_order_acquire); slot != nullptr; slot = slot->next) {
    bool taken = false;
    if (slot->taken.compare_exchange_strong(taken, true, std::memory_order_acq_rel)) {
      return this_thread = slot;
    }
  }
  auto* const slot = new Slot;
  slot->next = slots.load(std::memory_order_relaxed);
  while (!slots.compare_exchange_weak(slot->next, slot, std::memory_order_seq_cst,
                                      std::memory_order_relaxed)) {
  }
  return this_thread = slot;
}

void WaitUntilReleased(const void* pointer) {
  // (1) The pointer is replaced, for threads that look from now on. (2) Behind the
  // barrier every thread has either made known that it holds the old one, or will
  // look again and see the new one. (3) Those that hold it end some time.
  // It fails only for want of memory, for a while.
  while (!needs_fence && !Membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  absl::Duration pause = absl::Microseconds(20);
  for (const Slot* slot = slots.load(std::memory_order_seq_cst); slot != nullptr;
       slot = slot->next) {
    for (const std::atomic<const void*>& held : slot->held) {
      while (held.load(std::memory_order_seq_cst) == pointer) {
        absl::SleepFor(pause);
        pause = std::min(pause * 2, absl::Milliseconds(5));
      }
    }
  }
}

}  // namespace kvarts::swappable_internal
