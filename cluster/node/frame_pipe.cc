#include "cluster/node/frame_pipe.h"

#include <utility>

#include "absl/status/statusor.h"

namespace kvarts {
namespace cluster {
namespace {

// A peer that takes nothing for so long is taken for dead.
constexpr absl::Duration kWriteTimeout = absl::Seconds(10);

}  // namespace

std::shared_ptr<FramePipe> FramePipe::New(std::unique_ptr<Stream> stream, OnFrame on_frame,
                                          OnEnd on_end) {
  return std::shared_ptr<FramePipe>(
      new FramePipe(std::move(stream), std::move(on_frame), std::move(on_end)));
}

FramePipe::FramePipe(std::unique_ptr<Stream> stream, OnFrame on_frame, OnEnd on_end)
    : stream_(std::move(stream)), on_frame_(std::move(on_frame)), on_end_(std::move(on_end)) {}

void FramePipe::Start(absl::Duration idle_timeout) {
  idle_timeout_ = idle_timeout;
  Read();
}

// Callbacks of the stream hold the pipe weakly: a stream that is destroyed destroys them unrun.
void FramePipe::Read() {
  if (reading_ || closed_ || paused_) return;
  reading_ = true;
  stream_->Read(reader_.Space(), idle_timeout_,
                [weak = weak_from_this()](absl::StatusOr<size_t> n) {
                  const std::shared_ptr<FramePipe> self = weak.lock();
                  if (self == nullptr || self->closed_) return;
                  self->reading_ = false;
                  if (!n.ok()) return self->End(n.status());
                  if (*n == 0) return self->End(absl::UnavailableError("the peer has gone"));
                  self->reader_.Filled(*n);
                  self->GiveOut();
                });
}

void FramePipe::GiveOut() {
  const std::shared_ptr<FramePipe> self = shared_from_this();
  if (giving_out_) return;
  giving_out_ = true;
  while (!closed_ && !paused_) {
    native::Frame frame;
    const absl::StatusOr<bool> is_whole = reader_.Next(&frame);
    if (!is_whole.ok()) {
      giving_out_ = false;
      return End(is_whole.status());
    }
    if (!*is_whole) break;
    on_frame_(frame);
  }
  giving_out_ = false;
  Read();
}

void FramePipe::Resume() {
  if (!paused_) return;
  paused_ = false;
  if (!giving_out_ && !reading_) GiveOut();
}

void FramePipe::Send(const google::protobuf::MessageLite& header, std::string payload) {
  if (closed_) return;
  std::string head;
  native::AppendFrameHead(header, payload.size(), &head);
  unsent_ += head.size() + payload.size();
  waiting_.push_back(std::move(head));
  if (!payload.empty()) waiting_.push_back(std::move(payload));
  if (writing_.empty()) Write();
}

void FramePipe::Write() {
  writing_.swap(waiting_);
  std::vector<absl::string_view> pieces;
  for (const std::string& piece : writing_) pieces.push_back(piece);
  stream_->Write(pieces, kWriteTimeout, [weak = weak_from_this()](const absl::Status& status) {
    const std::shared_ptr<FramePipe> self = weak.lock();
    if (self == nullptr || self->closed_) return;
    for (const std::string& piece : self->writing_) self->unsent_ -= piece.size();
    self->writing_.clear();
    if (!status.ok()) return self->End(status);
    if (!self->waiting_.empty()) self->Write();
  });
}

void FramePipe::End(const absl::Status& why) {
  if (closed_) return;
  const std::shared_ptr<FramePipe> self = shared_from_this();
  OnEnd on_end = std::move(on_end_);
  Close();
  on_end(why);
}

void FramePipe::Close() {
  if (closed_) return;
  closed_ = true;
  stream_->Close();
}

}  // namespace cluster
}  // namespace kvarts
