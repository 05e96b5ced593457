#include "cluster/node/probe.h"

#include <memory>

#include "absl/time/clock.h"
#include "cluster/node/peer_connection.h"
#include "net/waiting.h"

namespace kvarts {
namespace cluster {

absl::Status ProbeNode(Transport* transport, EventLoop* loop, absl::string_view address,
                       absl::string_view cluster_id, const Incarnation& node,
                       absl::Duration timeout) {
  StatusWaiter waiter;
  std::shared_ptr<PeerConnection> connection;
  loop->Post([&] {
    PeerHello hello;
    hello.set_cluster_id(std::string(cluster_id));
    hello.set_from(std::string(node.size(), '\0'));
    hello.set_to(node);
    hello.set_now_ms(absl::ToUnixMillis(absl::Now()));
    connection = PeerConnection::Open(
        transport, loop, address, hello, timeout,
        [&waiter](const absl::Status& opened) { waiter.Done(opened); }, [](const absl::Status&) {});
  });
  absl::Status status = waiter.Wait();
  RunOnLoop(loop, [&] {
    connection->Close();
    connection.reset();
  });
  return status;
}

}  // namespace cluster
}  // namespace kvarts
