#ifndef KVARTS_CLUSTER_NODE_PEER_SESSION_H_
#define KVARTS_CLUSTER_NODE_PEER_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "cluster/node/frame_pipe.h"
#include "cluster/node/peer.pb.h"
#include "cluster/node/staging.h"
#include "net/transport.h"

namespace kvarts {
namespace cluster {

// On the node's loop. Another node's connection: its requests are carried out one after the other,
// in their order.
class PeerSession : public std::enable_shared_from_this<PeerSession> {
 public:
  struct Host {
    Staging* staging;
    // Whether the hello is of a node that this one talks to.
    std::function<absl::Status(const PeerHello& hello)> check;
    // A peer knows the table of this revision.
    std::function<void(int64_t revision)> heard;
    std::function<int64_t()> revision;
  };

  // `on_end` is called once, unless Close() comes first.
  static std::shared_ptr<PeerSession> Start(std::unique_ptr<Stream> stream, const Host* host,
                                            absl::AnyInvocable<void()> on_end);
  void Close();

 private:
  PeerSession(const Host* host, absl::AnyInvocable<void()> on_end)
      : host_(host), on_end_(std::move(on_end)) {}

  void Take(const native::Frame& frame);
  void Answer(uint64_t id, const absl::Status& status);
  void End();

  const Host* const host_;
  absl::AnyInvocable<void()> on_end_;
  std::shared_ptr<FramePipe> pipe_;
  std::shared_ptr<Staging::Sender> sender_;  // null before the hello
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_PEER_SESSION_H_
