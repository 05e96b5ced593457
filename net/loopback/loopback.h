#ifndef KVARTS_NET_LOOPBACK_LOOPBACK_H_
#define KVARTS_NET_LOOPBACK_LOOPBACK_H_

#include "base/language.h"

#include <cstddef>
#include <memory>

#include "net/transport.h"

namespace kvarts {

// Bytes that a loopback stream holds in each direction before its writer waits.
inline constexpr size_t kLoopbackWindow = 64 << 10;

// "loopback:NAME" inside this process: what listens in this transport object is
// reached through this object only. Runs on any EventLoop, a simulated one too:
// it uses Post() and NewTimer() and nothing of the system.
//
// A stream behaves as a TCP connection does: a peer's Close() lets what it wrote
// be read, then ends the stream, with kUnavailable where the peer left bytes
// unread. Writing to a peer that is gone fails at once.
std::unique_ptr<Transport> NewLoopbackTransport();

}  // namespace kvarts

#endif  // KVARTS_NET_LOOPBACK_LOOPBACK_H_
