#ifndef KVARTS_CLUSTER_NODE_PEER_CONNECTION_H_
#define KVARTS_CLUSTER_NODE_PEER_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/node/frame_pipe.h"
#include "cluster/node/peer.pb.h"
#include "net/transport.h"

namespace kvarts {
namespace cluster {

inline constexpr uint32_t kMinPeerVersion = 1;
inline constexpr uint32_t kMaxPeerVersion = 1;

// On its loop only. One connection to another node, from its hello to its loss; there is no second
// try. Requests are answered in the order they were sent.
class PeerConnection : public std::enable_shared_from_this<PeerConnection> {
 public:
  // Once: OK when the other node has taken the hello, else why it did not. kNotFound: another
  // node than was meant is there, or another cluster's, and it stays so.
  using OnOpen = absl::AnyInvocable<void(const absl::Status&)>;
  // Once, of a connection that was open.
  using OnLost = absl::AnyInvocable<void(const absl::Status&)>;
  using Done = absl::AnyInvocable<void(absl::StatusOr<PeerResponse>)>;

  // `silence`: how long a node that owes an answer may say nothing.
  static std::shared_ptr<PeerConnection> Open(Transport* transport, EventLoop* loop,
                                              absl::string_view address, PeerHello hello,
                                              absl::Duration silence, OnOpen on_open,
                                              OnLost on_lost);
  ~PeerConnection() { Close(); }

  // After on_open. `done` is called once, unless Close() comes first: kUnavailable where the
  // connection was lost before an answer came. An error of the other node comes as its status.
  void Send(PeerRequest request, std::string payload, Done done);

  bool is_open() const { return state_ == State::kOpen; }
  size_t unanswered() const { return waiting_.size(); }
  // When it was last heard of, on the loop's clock.
  absl::Duration heard() const { return heard_; }
  void Close();

 private:
  enum class State : unsigned char { kConnecting, kHello, kOpen, kClosed };

  PeerConnection(EventLoop* loop, absl::Duration silence, OnOpen on_open, OnLost on_lost);

  void Connected(absl::StatusOr<std::unique_ptr<Stream>> stream, const PeerHello& hello);
  void TakeFrame(const native::Frame& frame);
  void Lose(const absl::Status& why);
  void Watch();

  EventLoop* const loop_;
  const absl::Duration silence_;
  OnOpen on_open_;
  OnLost on_lost_;
  State state_ = State::kConnecting;
  std::shared_ptr<FramePipe> pipe_;
  std::unique_ptr<Timer> timer_;
  uint64_t next_id_ = 1;
  std::deque<std::pair<uint64_t, Done>> waiting_;
  absl::Duration heard_;
  absl::Duration asked_;  // when the oldest request began to wait for its answer
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_PEER_CONNECTION_H_
