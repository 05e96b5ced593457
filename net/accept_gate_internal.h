#ifndef KVARTS_NET_ACCEPT_GATE_INTERNAL_H_
#define KVARTS_NET_ACCEPT_GATE_INTERNAL_H_

#include <memory>

#include "base/cond_var.h"
#include "base/mutex.h"
#include "net/transport.h"

namespace kvarts {
namespace net_internal {

// Thread-safe. Stands between a listener and its accept callback, which may run
// on several loops at once and never after the listener's end.
class AcceptGate {
 public:
  explicit AcceptGate(Transport::AcceptCallback accept);

  // On stream->loop(). Destroys the stream where the gate is closed.
  void Accept(std::unique_ptr<Stream> stream);

  // Waits for the callbacks that run on other loops, and destroys the callback.
  // May be called inside one.
  void Close();

 private:
  Mutex mu_;
  CondVar quiet_;
  Transport::AcceptCallback accept_;  // constant until the gate is closed and quiet
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_inside_ ABSL_GUARDED_BY(mu_) = false;  // a callback of this
};

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_ACCEPT_GATE_INTERNAL_H_
