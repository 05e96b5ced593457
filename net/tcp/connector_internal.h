#ifndef KVARTS_NET_TCP_CONNECTOR_INTERNAL_H_
#define KVARTS_NET_TCP_CONNECTOR_INTERNAL_H_

#include <string>

#include "net/event_loop_internal.h"
#include "net/transport.h"

namespace kvarts {
namespace net_internal {

// On the loop. Connects; the callback runs on the loop, possibly inside this call.
void ConnectSocket(AsioLoop* loop, std::string address, absl::Duration timeout,
                   Transport::ConnectCallback callback);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TCP_CONNECTOR_INTERNAL_H_
