#ifndef KVARTS_NET_TCP_LISTENER_INTERNAL_H_
#define KVARTS_NET_TCP_LISTENER_INTERNAL_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "net/event_loop_internal.h"
#include "net/tcp/listening_socket_internal.h"
#include "net/transport.h"

namespace kvarts {
namespace net_internal {

// Thread-safe. Accepts on loops[0] and hands streams to the loops in turn.
std::unique_ptr<Listener> NewSocketListener(std::vector<AsioLoop*> loops,
                                            std::unique_ptr<ListeningSocket> socket,
                                            Transport::AcceptCallback accept);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TCP_LISTENER_INTERNAL_H_
