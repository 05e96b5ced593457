#ifndef KVARTS_NET_CLIENT_CHANNEL_H_
#define KVARTS_NET_CLIENT_CHANNEL_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "net/transport.h"

namespace kvarts {
namespace client {

// A request and what becomes of it. The callbacks come on the channel's loop, one at a time; they
// may shut the channel down, and let go of it. Protocols add how a call is made and answered.
class Call {
 public:
  virtual ~Call() = default;

 protected:
  // What becomes of a call whose connection is lost before it is answered.
  enum class Resend : unsigned char {
    kAlways,       // sent on the next one: done twice, it is as if done once
    kSameSession,  // ... where the server still knows what it did of it: Channel::Ready()
    kNever,        // it ends, as it may have been done
  };

  // It is asked again: forget what was answered so far.
  virtual void OnRetry() {}
  // Once, as the last. OK where the whole answer has come.
  virtual void OnDone(const absl::Status& status) = 0;

  // After OnDone(), or in it.
  bool is_done() const { return done_; }

  // Constant once started. The bytes are kept until the end, so that they can be sent again.
  std::string bytes_;
  Resend resend_ = Resend::kAlways;
  bool waits_ = true;  // false: unsent, it ends where an attempt to connect fails

 private:
  friend class Channel;

  // On the loop.
  uint64_t number_ = 0;  // in the order of Start()
  absl::Duration deadline_;
  bool done_ = false;
  bool sent_ = false;             // on the connection there is, and not answered
  bool in_doubt_ = false;         // it was sent, is not for Resend::kAlways, and may have been done
  bool first_sent_here_ = false;  // it was not in doubt before it was sent
  std::string session_;           // that of in_doubt_
  uint64_t reads_before_ = 0;     // Channel::reads_ when it was sent
};

struct ChannelOptions {
  absl::Duration connect_timeout = absl::Seconds(5);  // the server's hello included
  absl::Duration min_backoff = absl::Milliseconds(10);
  absl::Duration max_backoff = absl::Seconds(1);
};

// Thread-safe. The way to a server: calls go over one connection at a time, which is made when a
// call waits and made again after a loss. A state machine on one loop:
//
//   kIdle ─a call waits─▶ kConnecting ─▶ kHello ─▶ kReady ─loss─▶ kIdle, kBackoff
//
// A call has until its deadline, which counts from Start(). All that wait are sent in one write,
// in the order started. What a connection left unanswered is sent again on the next, in the same
// order and in front of what came since, as Call::Resend allows. A connection on which a call ran
// out of time without one byte coming back is given up. The next attempt to connect is made at
// once after a connection that was of use, then after 2 * min_backoff, 4 * min_backoff, ... up to
// max_backoff.
//
// A call ends with
//   kUnavailable         there was no connection: but for Resend::kAlways it was never sent
//   kDeadlineExceeded    it was sent and not answered; other than Resend::kAlways, it "may have
//                        been applied", whatever the reason
//   kFailedPrecondition  after Shutdown()
//   another code         what ended the connection, where to try again is of no use
// and a message that begins with the address.
//
// A subclass is a protocol. Its destructor calls CloseStream(): a stream reads into its memory.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  virtual ~Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Connects, once. `done` runs on the loop, with the outcome of the first attempt.
  using OpenCallback = absl::AnyInvocable<void(const absl::Status&)>;
  void Open(OpenCallback done);

  // On the loop, or when it has stopped: ends all calls and the connection. No timer and no stream
  // is left.
  void Shutdown();

  EventLoop* loop() const { return loop_; }
  const std::string& address() const { return address_; }

 protected:
  using CallPtr = std::shared_ptr<Call>;

  // `transport` and `loop` must outlive it.
  Channel(Transport* transport, EventLoop* loop, absl::string_view address,
          const ChannelOptions& options);

  // After Open(). The call ends within `timeout`.
  void Start(CallPtr call, absl::Duration timeout);
  void CloseStream() { stream_.reset(); }

  // The protocol, on the loop.
  //
  // A connection has been made: forgets the one before it. Returns what is sent first.
  virtual std::string Hello() = 0;
  // Where the next bytes go: never empty.
  virtual absl::Span<char> Space() = 0;
  // So many have come there. Ready() once, then Complete() what they answer, until is_open() is
  // false. An error ends the connection. kUnavailable: the server said that it goes, and that it
  // did nothing of what it has not answered. kInternal: it talks nonsense. Of all others but
  // kDeadlineExceeded and kCancelled no new connection is the cure, so that all calls end.
  virtual absl::Status Take(size_t n) = 0;
  // A call that is to be sent next, after Ready(). False: not before some answer has come.
  virtual bool Admit(const CallPtr& call) = 0;
  // Its answer, if one comes, is nobody's any more.
  virtual void DidEnd(const Call& /*call*/) {}

  // For Take(), on the loop. All but is_open() may call back, and so shut this down.
  //
  // The server takes calls. `session` names its memory of Resend::kSameSession calls: those of
  // another one that may have been done are not sent again.
  void Ready(absl::string_view session);
  bool is_open() const { return state_ == State::kHello || state_ == State::kReady; }
  // Ends a call, unless it has: OK, or for the reason.
  void Complete(CallPtr call);
  void Fail(CallPtr call, const absl::Status& why);
  void FailAll(const absl::Status& why);

 private:
  enum class State : unsigned char { kIdle, kConnecting, kHello, kReady, kBackoff, kShut };

  // All on the loop.
  void TakeIncoming();
  void Advance();
  void Connect();
  void DidConnect(absl::StatusOr<std::unique_ptr<Stream>> stream);
  void StartRead();
  void DidRead(const absl::StatusOr<size_t>& n);
  void Send();
  void StartWrite(absl::Span<const absl::string_view> pieces);
  // The connection is over, or was not made; `undone` where nothing was done of what is
  // unanswered.
  void Lose(const absl::Status& why, bool undone = false);
  void Opened(const absl::Status& status);
  void ArmDeadline();
  void Expire();
  void End(CallPtr call, const absl::Status& status);
  absl::Status Named(const absl::Status& status) const;

  Transport* const transport_;
  EventLoop* const loop_;
  const std::string address_;
  const ChannelOptions options_;

  Mutex mu_;
  std::vector<std::pair<CallPtr, absl::Duration>> incoming_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;
  bool shut_ ABSL_GUARDED_BY(mu_) = false;

  // On the loop.
  State state_ = State::kIdle;
  OpenCallback open_;
  std::string session_;
  int failures_ = 0;  // losses since an answer came
  absl::Status last_error_;
  uint64_t reads_ = 0;
  uint64_t next_number_ = 0;

  std::map<std::pair<absl::Duration, uint64_t>, CallPtr> calls_;  // by deadline and number
  std::deque<CallPtr> waiting_;                                   // to be sent; some may be done
  std::vector<CallPtr> writing_calls_;                            // whose bytes a write uses
  std::string hello_bytes_;
  bool writing_ = false;
  absl::Duration armed_for_ = absl::InfiniteDuration();
  std::unique_ptr<Timer> deadline_timer_;
  std::unique_ptr<Timer> link_timer_;  // of the handshake, and of the backoff
  std::unique_ptr<Stream> stream_;
};

}  // namespace client
}  // namespace kvarts

#endif  // KVARTS_NET_CLIENT_CHANNEL_H_
