#include "cluster/node/peer_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/node/peer_connection.h"

namespace kvarts {
namespace cluster {
namespace {

// A node asks several times a second.
constexpr absl::Duration kIdle = absl::Seconds(15);

}  // namespace

std::shared_ptr<PeerSession> PeerSession::Start(std::unique_ptr<Stream> stream, const Host* host,
                                                absl::AnyInvocable<void()> on_end) {
  std::shared_ptr<PeerSession> session(new PeerSession(host, std::move(on_end)));
  const std::weak_ptr<PeerSession> weak = session;
  session->pipe_ = FramePipe::New(
      std::move(stream),
      [weak](const native::Frame& frame) {
        if (const std::shared_ptr<PeerSession> self = weak.lock()) self->Take(frame);
      },
      [weak](const absl::Status&) {
        if (const std::shared_ptr<PeerSession> self = weak.lock()) self->End();
      });
  session->pipe_->Start(kIdle);
  return session;
}

void PeerSession::Close() {
  on_end_ = nullptr;
  pipe_->Close();
}

void PeerSession::End() {
  pipe_->Close();
  if (absl::AnyInvocable<void()> on_end = std::move(on_end_)) {
    on_end_ = nullptr;
    on_end();
  }
}

void PeerSession::Answer(uint64_t id, const absl::Status& status) {
  PeerResponse response;
  response.set_id(id);
  response.set_revision(host_->revision());
  response.set_code(static_cast<uint32_t>(status.raw_code()));
  response.set_message(std::string(status.message()));
  pipe_->Send(response, {});
}

void PeerSession::Take(const native::Frame& frame) {
  PeerRequest request;
  if (!request.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) {
    return End();
  }
  const uint64_t id = request.id();
  if (sender_ == nullptr) {
    if (!request.has_hello()) return End();
    const PeerHello& hello = request.hello();
    absl::Status status = host_->check(hello);
    if (status.ok() &&
        (hello.max_version() < kMinPeerVersion || hello.min_version() > kMaxPeerVersion)) {
      status = absl::FailedPreconditionError(absl::StrCat(
          "the other node speaks versions ", hello.min_version(), " to ", hello.max_version(),
          " of the nodes' protocol, this one ", kMinPeerVersion, " to ", kMaxPeerVersion));
    }
    if (status.ok()) {
      sender_ = std::make_shared<Staging::Sender>();
      sender_->from = hello.from();
    }
    return Answer(id, status);
  }
  host_->heard(request.revision());
  // Answers come in the order of the requests, and a request is not begun before the last has
  // ended: copies of one key must not overtake each other.
  pipe_->Pause();
  auto done = [weak = weak_from_this(), id](const absl::Status& status) {
    const std::shared_ptr<PeerSession> self = weak.lock();
    if (self == nullptr) return;
    self->Answer(id, status);
    self->pipe_->Resume();
  };
  if (request.has_begin()) {
    host_->staging->Begin(sender_, request.begin(), std::move(done));
  } else if (request.has_stage()) {
    host_->staging->Stage(sender_, request.stage(), frame.payload, std::move(done));
  } else if (request.has_release()) {
    host_->staging->Release(sender_->from, request.release(), std::move(done));
  } else {
    done(absl::OkStatus());
  }
}

}  // namespace cluster
}  // namespace kvarts
