#ifndef KVARTS_CLUSTER_NODE_OUTBOX_H_
#define KVARTS_CLUSTER_NODE_OUTBOX_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster {

// The state of one key at the moment it was read: what its copy is to become.
struct Effect {
  std::string key;
  bool found = false;  // false: the key is to be removed
  std::string value;
  std::string content_type;
  int64_t expires_at_ms = 0;

  size_t bytes() const { return key.size() + value.size() + content_type.size() + 64; }
};

// How much is copied at a time where slots move. Smaller makes more pages and messages of the same
// entries, for simulations with few of them.
struct CopyLimits {
  size_t page_keys = 512;     // of the pass over the store
  size_t message = 64 << 10;  // bytes of one message
  // Bytes on their way. Slots that switch wait behind those of all nodes that give some.
  size_t window = 256 << 10;
  // The pass does not run ahead of what is sent by more than this.
  size_t ahead = 1 << 20;
};

// Thread-safe. What is to be sent to the node that slots are moving to, in an order in which it may
// be applied.
//
// The order is right because keys are read and put in the queue under one lock, and each write is
// followed by such a reading of what it wrote: behind the last write of a key stands a state that
// was read after it, and no state that was read before stands behind that one. So writes need no
// lock of their own, and it does not matter in which order they reached the store.
class Outbox {
 public:
  explicit Outbox(Store* store) : store_(store) {}
  ~Outbox() { Close(); }

  // Reads the keys and queues what they are. An error of the store ends the outbox: status().
  void Add(absl::Span<const absl::string_view> keys);

  // Moves up to about `bytes` of what is queued behind what is in `effects`; returns how many.
  size_t Take(size_t bytes, std::vector<Effect>* effects);

  // Thread-safe, and loose by what is being added.
  size_t bytes() const;
  bool empty() const;
  absl::Status status() const;

  // Calls `go_on` once at most `kRoom` bytes are queued, at once where so: what slows writers down
  // to the speed of the copying. On the thread that takes; must not wait.
  void WhenRoom(absl::AnyInvocable<void()> go_on);
  // The same for a thread that may wait.
  void WaitForRoom();
  // Nobody takes any more: lets all go on, and queues nothing from now on.
  void Close();

  static constexpr size_t kRoom = 4 << 20;

 private:
  Store* const store_;
  mutable Mutex mu_;
  CondVar room_;
  ReadResults results_ ABSL_GUARDED_BY(mu_);
  std::vector<Effect> queue_ ABSL_GUARDED_BY(mu_);
  size_t first_ ABSL_GUARDED_BY(mu_) = 0;  // of queue_ that was not taken
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::vector<absl::AnyInvocable<void()>> waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_OUTBOX_H_
