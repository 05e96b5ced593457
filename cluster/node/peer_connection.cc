#include "cluster/node/peer_connection.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace cluster {

std::shared_ptr<PeerConnection> PeerConnection::Open(Transport* transport, EventLoop* loop,
                                                     absl::string_view address, PeerHello hello,
                                                     absl::Duration silence, OnOpen on_open,
                                                     OnLost on_lost) {
  std::shared_ptr<PeerConnection> connection(
      new PeerConnection(loop, silence, std::move(on_open), std::move(on_lost)));
  hello.set_min_version(kMinPeerVersion);
  hello.set_max_version(kMaxPeerVersion);
  transport->Connect(
      loop, address, silence,
      [weak = connection->weak_from_this(), hello](absl::StatusOr<std::unique_ptr<Stream>> stream) {
        const std::shared_ptr<PeerConnection> self = weak.lock();
        if (self == nullptr || self->state_ == State::kClosed) return;
        self->Connected(std::move(stream), hello);
      });
  return connection;
}

PeerConnection::PeerConnection(EventLoop* loop, absl::Duration silence, OnOpen on_open,
                               OnLost on_lost)
    : loop_(loop),
      silence_(silence),
      on_open_(std::move(on_open)),
      on_lost_(std::move(on_lost)),
      timer_(loop->NewTimer()) {}

void PeerConnection::Connected(absl::StatusOr<std::unique_ptr<Stream>> stream,
                               const PeerHello& hello) {
  if (!stream.ok()) return Lose(stream.status());
  state_ = State::kHello;
  heard_ = loop_->Now();
  const std::weak_ptr<PeerConnection> weak = weak_from_this();
  pipe_ = FramePipe::New(
      *std::move(stream),
      [weak](const native::Frame& frame) {
        if (const std::shared_ptr<PeerConnection> self = weak.lock()) self->TakeFrame(frame);
      },
      [weak](const absl::Status& why) {
        if (const std::shared_ptr<PeerConnection> self = weak.lock()) self->Lose(why);
      });
  pipe_->Start(absl::InfiniteDuration());
  PeerRequest request;
  *request.mutable_hello() = hello;
  Send(std::move(request), {}, [weak](const absl::StatusOr<PeerResponse>& answer) {
    const std::shared_ptr<PeerConnection> self = weak.lock();
    if (self == nullptr || self->state_ != State::kHello) return;
    if (!answer.ok()) return self->Lose(answer.status());
    self->state_ = State::kOpen;
    OnOpen on_open = std::move(self->on_open_);
    self->on_open_ = nullptr;
    on_open(absl::OkStatus());
  });
}

void PeerConnection::Send(PeerRequest request, std::string payload, Done done) {
  if (state_ == State::kClosed) return;
  request.set_id(next_id_++);
  if (waiting_.empty()) asked_ = loop_->Now();
  waiting_.emplace_back(request.id(), std::move(done));
  pipe_->Send(request, std::move(payload));
  if (waiting_.size() == 1) Watch();
}

void PeerConnection::Watch() {
  const absl::Duration silent_since = std::max(asked_, heard_);
  const absl::Duration left = silent_since + silence_ - loop_->Now();
  timer_->Start(std::max(left, absl::Milliseconds(1)), [this] {
    if (waiting_.empty()) return;
    if (loop_->Now() >= std::max(asked_, heard_) + silence_) {
      return Lose(absl::UnavailableError("the node does not answer"));
    }
    Watch();
  });
}

void PeerConnection::TakeFrame(const native::Frame& frame) {
  heard_ = asked_ = loop_->Now();
  PeerResponse response;
  if (!response.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size())) ||
      waiting_.empty() || waiting_.front().first != response.id()) {
    return Lose(absl::InternalError("the node's answer is not one to what it was asked"));
  }
  Done done = std::move(waiting_.front().second);
  waiting_.pop_front();
  if (response.code() == 0) return done(std::move(response));
  const auto code = response.code() <= static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)
                        ? static_cast<absl::StatusCode>(response.code())
                        : absl::StatusCode::kUnknown;
  done(absl::Status(code, response.message()));
}

void PeerConnection::Lose(const absl::Status& why) {
  if (state_ == State::kClosed) return;
  const std::shared_ptr<PeerConnection> self = shared_from_this();
  const bool was_open = state_ == State::kOpen;
  std::deque<std::pair<uint64_t, Done>> waiting;
  waiting.swap(waiting_);
  OnOpen on_open = std::move(on_open_);
  OnLost on_lost = std::move(on_lost_);
  Close();
  if (!was_open) return on_open(why);
  for (auto& [id, done] : waiting) {
    done(absl::UnavailableError(absl::StrCat("the connection was lost: ", why.message())));
  }
  on_lost(why);
}

void PeerConnection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  timer_->Cancel();
  if (pipe_ != nullptr) pipe_->Close();
  waiting_.clear();
}

}  // namespace cluster
}  // namespace kvarts
