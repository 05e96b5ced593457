#include <memory>
#include <utility>

#include "net/accept_gate_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

// The gate whose callback this thread runs.
thread_local const AcceptGate* inside = nullptr;

}  // namespace

AcceptGate::AcceptGate(Transport::AcceptCallback accept) : accept_(std::move(accept)) {}

void AcceptGate::Accept(std::unique_ptr<Stream> stream) {
  {
    MutexLock lock(&mu_);
    if (closed_) return;
    ++running_;
  }
  const AcceptGate* const outer = std::exchange(inside, this);
  accept_(std::move(stream));
  inside = outer;
  Transport::AcceptCallback ended;
  MutexLock lock(&mu_);
  --running_;
  quiet_.SignalAll();
  // Closed inside a callback, which could not destroy itself. A Close() elsewhere
  // waits, and destroys it before it returns.
  if (closed_inside_ && running_ == 0) ended = std::move(accept_);
}

void AcceptGate::Close() {
  Transport::AcceptCallback ended;
  MutexLock lock(&mu_);
  closed_ = true;
  const int own = inside == this ? 1 : 0;
  closed_inside_ = own == 1;
  while (running_ > own) quiet_.Wait(&mu_);
  if (running_ == 0) ended = std::move(accept_);
}

}  // namespace net_internal
}  // namespace kvarts
