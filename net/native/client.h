#ifndef KVARTS_NET_NATIVE_CLIENT_H_
#define KVARTS_NET_NATIVE_CLIENT_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "net/native/frame.h"
#include "net/native/native.pb.h"
#include "net/native/sequence_window.h"
#include "net/transport.h"

namespace kvarts {
namespace native {

// One request and what becomes of it. The callbacks come on the client's loop,
// one at a time; they may shut the client down, and let go of it.
class ClientCall {
 public:
  virtual ~ClientCall() = default;

  // Before Client::Start(). The bytes of the frame: they are kept until the end,
  // so that it can be sent again.
  void SetRequest(const Request& request, absl::Span<const absl::string_view> payload);

 protected:
  friend class Client;

  // A frame of the answer, also one that carries an error. `reader` can pin the
  // payload. An error: the server talks nonsense; the connection is given up.
  virtual absl::Status OnAnswer(const Response& response, absl::string_view payload,
                                FrameReader* reader) = 0;
  // It is asked again: forget the frames so far.
  virtual void OnRetry() {}
  // Once, as the last. OK where the whole answer has come.
  virtual void OnDone(const absl::Status& status) = 0;

 private:
  // Constant once started.
  std::string frame_;
  uint64_t id_ = 0;
  uint64_t sequence_ = 0;
  bool is_once_ = false;  // it takes as long as it takes, and is not asked again

  // On the loop.
  absl::Duration deadline_;
  bool done_ = false;
  uint64_t reads_before_ = 0;     // Client::reads_ when it was sent
  bool first_sent_here_ = false;  // on the connection there is
  // A write that may have been applied, under this name; else empty.
  std::string write_session_;
};

struct ClientOptions {
  std::string client_id;
  std::string password;
  absl::Duration connect_timeout = absl::Seconds(5);  // hello included
  absl::Duration min_backoff = absl::Milliseconds(10);
  absl::Duration max_backoff = absl::Seconds(1);
  // Of the server: without one of these it is not the right one, kFailedPrecondition.
  std::vector<std::string> features;
  // False: a call that was never sent ends when an attempt to connect fails, and does not wait for
  // the next one. Open() is then such a call: after its failure others may be started all the same.
  bool waits = true;
};

// Thread-safe. The client's end of the native protocol: a state machine on one
// loop, over one connection at a time.
//
//   kIdle ─a call waits─▶ kConnecting ─▶ kHello ─▶ kReady ─loss─▶ kIdle, kBackoff
//
// A call has until its deadline. What a connection left unanswered when it was
// lost is sent again on the next, in the same order: reads as they are; writes
// where the server still knows what it did of them (ServerHello.write_session),
// else they end with kDeadlineExceeded, as writes that may have been applied. MAINTAIN is not
// sent again, nor does it wait for a server that cannot be reached: kDeadlineExceeded where it
// may have been done, else kUnavailable.
class Client : public std::enable_shared_from_this<Client> {
 public:
  static std::shared_ptr<Client> New(Transport* transport, EventLoop* loop,
                                     absl::string_view address, const ClientOptions& options);

  // Connects, once; `done` runs on the loop, with the server's hello.
  using OpenCallback = absl::AnyInvocable<void(absl::StatusOr<ServerHello>)>;
  void Open(OpenCallback done);

  // After Open(). The call ends within `timeout`:
  //   kUnavailable       never sent: there was no connection
  //   kDeadlineExceeded  sent, and not answered
  //   kFailedPrecondition after Shutdown()
  void Start(std::shared_ptr<ClientCall> call, absl::Duration timeout);

  // On the loop, or when it has stopped: ends all calls and the connection. No
  // timer and no stream is left.
  void Shutdown();

  uint64_t NewId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  SequenceWindow& writes() { return writes_; }
  EventLoop* loop() const { return loop_; }
  const std::string& address() const { return address_; }

 private:
  enum class State : unsigned char { kIdle, kConnecting, kHello, kReady, kBackoff, kShut };
  using CallPtr = std::shared_ptr<ClientCall>;

  Client(Transport* transport, EventLoop* loop, absl::string_view address,
         const ClientOptions& options);

  // All on the loop.
  void TakeIncoming();
  void Advance();
  void Connect();
  void DidConnect(absl::StatusOr<std::unique_ptr<Stream>> stream);
  void StartRead();
  void DidRead(const absl::StatusOr<size_t>& n);
  absl::Status TakeFrames();
  absl::Status TakeHello(const Response& response);
  absl::Status TakeAnswer(const Frame& frame);
  void Send();
  void DidWrite(const absl::Status& status);
  // The connection is over; `undone` where the server said that it did nothing
  // of what it has not answered.
  void Lose(const absl::Status& why, bool undone = false);
  void FailWaiting(const absl::Status& status);
  void Opened(absl::StatusOr<ServerHello> hello);
  void ArmDeadline();
  void Expire();
  void End(const CallPtr& call, const absl::Status& status);
  absl::Status MaybeApplied(const absl::Status& why) const;

  Transport* const transport_;
  EventLoop* const loop_;
  const std::string address_;
  const ClientOptions options_;
  std::atomic<uint64_t> next_id_{1};
  SequenceWindow writes_;

  Mutex mu_;
  std::vector<std::pair<CallPtr, absl::Duration>> incoming_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;
  bool shut_ ABSL_GUARDED_BY(mu_) = false;

  // On the loop.
  State state_ = State::kIdle;
  OpenCallback open_;
  ServerHello hello_;  // the last one
  bool was_open_ = false;
  bool got_preamble_ = false;
  int failures_ = 0;  // since an answer came
  absl::Status last_error_;
  uint64_t reads_ = 0;
  Response response_;

  std::map<std::pair<absl::Duration, uint64_t>, CallPtr> calls_;  // by deadline and id
  std::deque<CallPtr> waiting_;                                   // to be sent
  std::unordered_map<uint64_t, CallPtr> in_flight_;
  std::vector<CallPtr> writing_calls_;  // whose bytes a write uses
  std::string hello_bytes_;
  bool writing_ = false;
  absl::Duration armed_for_ = absl::InfiniteDuration();
  FrameReader reader_{kMaxAnswerHeaderBytes, kMaxAnswerBytes};
  std::unique_ptr<Timer> deadline_timer_;
  std::unique_ptr<Timer> link_timer_;  // of the handshake, and of the backoff
  std::unique_ptr<Stream> stream_;
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_CLIENT_H_
