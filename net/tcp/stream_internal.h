#ifndef KVARTS_NET_TCP_STREAM_INTERNAL_H_
#define KVARTS_NET_TCP_STREAM_INTERNAL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "net/event_loop_internal.h"
#include "net/tcp/socket_internal.h"
#include "net/transport.h"

namespace kvarts {
namespace net_internal {

// On the loop. A stream over a connected socket whose peer is `peer`.
absl::StatusOr<std::unique_ptr<Stream>> NewSocketStream(AsioLoop* loop, Fd fd,
                                                        const Endpoint& peer);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TCP_STREAM_INTERNAL_H_
