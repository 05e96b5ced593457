#ifndef KVARTS_CLUSTER_NODE_FRAME_PIPE_H_
#define KVARTS_CLUSTER_NODE_FRAME_PIPE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "net/native/frame.h"
#include "net/transport.h"

namespace kvarts {
namespace cluster {

// On its stream's loop only. Frames over a stream, both ways: what is sent is written in the order
// of the calls, and what comes is given out frame by frame.
class FramePipe : public std::enable_shared_from_this<FramePipe> {
 public:
  // Views into the frame are good until the callback returns.
  using OnFrame = absl::AnyInvocable<void(const native::Frame&)>;
  // Once, unless Close() came first: why there will be nothing more.
  using OnEnd = absl::AnyInvocable<void(const absl::Status&)>;

  // The callbacks may call Close(), and let go of the last reference to the pipe.
  static std::shared_ptr<FramePipe> New(std::unique_ptr<Stream> stream, OnFrame on_frame,
                                        OnEnd on_end);

  // Begins to read. A peer that is silent for `idle_timeout` ends it.
  void Start(absl::Duration idle_timeout);
  void Send(const google::protobuf::MessageLite& header, std::string payload);
  // No further frame is given out until Resume().
  void Pause() { paused_ = true; }
  void Resume();
  void Close();

  // What is to be written yet.
  size_t unsent_bytes() const { return unsent_; }
  std::string peer() const { return stream_->peer(); }

 private:
  FramePipe(std::unique_ptr<Stream> stream, OnFrame on_frame, OnEnd on_end);

  void Read();
  void GiveOut();
  void Write();
  void End(const absl::Status& why);

  const std::unique_ptr<Stream> stream_;
  OnFrame on_frame_;
  OnEnd on_end_;
  absl::Duration idle_timeout_;
  native::FrameReader reader_{native::kMaxHeaderBytes, native::kMaxFrameBytes};
  bool closed_ = false;
  bool paused_ = false;
  bool reading_ = false;
  bool giving_out_ = false;
  std::vector<std::string> waiting_;
  std::vector<std::string> writing_;
  size_t unsent_ = 0;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_FRAME_PIPE_H_
