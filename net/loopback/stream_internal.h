#ifndef KVARTS_NET_LOOPBACK_STREAM_INTERNAL_H_
#define KVARTS_NET_LOOPBACK_STREAM_INTERNAL_H_

#include <memory>
#include <utility>

#include "net/transport.h"

namespace kvarts {
namespace net_internal {

// Thread-safe. The two ends of a new loopback connection, to be used on `a` and
// `b`; each must be destroyed on its loop, before it.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> NewLoopbackPair(EventLoop* a,
                                                                            EventLoop* b);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_LOOPBACK_STREAM_INTERNAL_H_
