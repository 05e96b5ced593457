#ifndef KVARTS_NET_RESP_CLIENT_CLIENT_H_
#define KVARTS_NET_RESP_CLIENT_CLIENT_H_

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
#include "net/resp/client/reply_parser.h"
#include "net/transport.h"

namespace kvarts {
namespace resp_client {

// Some commands that are sent one behind the other, and what becomes of them. The
// callbacks come on the client's loop, one at a time.
class Call {
 public:
  virtual ~Call() = default;

  // Before Client::Start(). The bytes are kept until the end, so that they can be
  // sent again.
  void AddCommand(absl::Span<const absl::string_view> args);
  // To do it twice is not the same as once: what was sent is never sent again.
  void SetIsWrite() { is_write_ = true; }
  size_t commands() const { return commands_; }
  size_t bytes() const { return bytes_.size(); }

 protected:
  friend class Client;

  // A piece of the reply to command number `command`, from 0 on; views are good
  // during the call. An error: the server talks nonsense; the call ends with it and
  // the connection is given up.
  virtual absl::Status OnItem(size_t command, const ReplyItem& item) = 0;
  // It is asked again: forget the items so far.
  virtual void OnRetry() {}
  // Once, as the last. OK where all replies have come; errors that the server
  // answered with are items.
  virtual void OnDone(const absl::Status& status) = 0;

 private:
  // Constant once started.
  std::string bytes_;
  size_t commands_ = 0;
  bool is_write_ = false;

  // On the loop.
  uint64_t number_ = 0;
  absl::Duration deadline_;
  bool done_ = false;
  size_t answered_ = 0;        // commands
  uint64_t reads_before_ = 0;  // Client::reads_ when it was sent
};

struct ClientOptions {
  std::string password;                               // empty: none
  absl::Duration connect_timeout = absl::Seconds(5);  // the server's first answers included
  absl::Duration min_backoff = absl::Milliseconds(10);
  absl::Duration max_backoff = absl::Seconds(1);
  ReplyLimits limits;
};

// Thread-safe. The client's end of RESP2, which every server of the protocol
// speaks: a state machine on one loop, over one connection at a time.
//
//   kIdle ─a call waits─▶ kConnecting ─▶ kHello ─▶ kReady ─loss─▶ kIdle, kBackoff
//
// kHello is AUTH, where there is a password, and PING. Calls are pipelined:
// replies come in the order of the commands. A call has until its deadline. When
// the connection is lost, reads that were not answered are sent again on the next
// one, in the same order; writes of which a byte may have been sent end with
// kDeadlineExceeded, as they may have been applied.
class Client : public std::enable_shared_from_this<Client> {
 public:
  // `transport` and `loop` must outlive it.
  static std::shared_ptr<Client> New(Transport* transport, EventLoop* loop,
                                     absl::string_view address, const ClientOptions& options);

  // Connects, once; `done` runs on the loop, with what the server said:
  // kUnauthenticated for a password, kUnavailable where nobody answers.
  using OpenCallback = absl::AnyInvocable<void(const absl::Status&)>;
  void Open(OpenCallback done);

  // After Open(). The call ends within `timeout`:
  //   kUnavailable         never sent: there was no connection
  //   kDeadlineExceeded    sent, and not answered; a write may have been applied
  //   kInternal            the reply is no RESP, or beyond ClientOptions::limits
  //   kFailedPrecondition  after Shutdown()
  // REQUIRES: the call has commands.
  void Start(std::shared_ptr<Call> call, absl::Duration timeout);

  // On the loop, or when it has stopped: ends all calls and the connection. No
  // timer and no stream is left.
  void Shutdown();

  EventLoop* loop() const { return loop_; }
  const std::string& address() const { return address_; }

 private:
  enum class State : unsigned char { kIdle, kConnecting, kHello, kReady, kBackoff, kShut };
  using CallPtr = std::shared_ptr<Call>;

  Client(Transport* transport, EventLoop* loop, absl::string_view address,
         const ClientOptions& options);

  // All on the loop.
  void TakeIncoming();
  void Advance();
  void Connect();
  void DidConnect(absl::StatusOr<std::unique_ptr<Stream>> stream);
  void StartRead();
  void DidRead(const absl::StatusOr<size_t>& n);
  absl::Status TakeItems();
  absl::Status TakeHello(const ReplyItem& item);
  absl::Status TakeAnswer(const ReplyItem& item);
  void Send();
  void DidWrite(const absl::Status& status);
  void Lose(const absl::Status& why);
  void FailWaiting(const absl::Status& status);
  void Opened(const absl::Status& status);
  void ArmDeadline();
  void Expire();
  void End(const CallPtr& call, const absl::Status& status);
  void GiveUp(const CallPtr& call, const absl::Status& why);
  absl::Status Named(const absl::Status& status) const;

  Transport* const transport_;
  EventLoop* const loop_;
  const std::string address_;
  const ClientOptions options_;

  Mutex mu_;
  std::vector<std::pair<CallPtr, absl::Duration>> incoming_ ABSL_GUARDED_BY(mu_);
  bool posted_ ABSL_GUARDED_BY(mu_) = false;
  bool shut_ ABSL_GUARDED_BY(mu_) = false;

  // On the loop.
  State state_ = State::kIdle;
  OpenCallback open_;
  bool was_open_ = false;
  int hello_left_ = 0;  // replies
  int failures_ = 0;    // since an answer came
  absl::Status last_error_;
  uint64_t reads_ = 0;
  uint64_t next_number_ = 0;

  std::map<std::pair<absl::Duration, uint64_t>, CallPtr> calls_;  // by deadline and number
  std::deque<CallPtr> waiting_;                                   // to be sent
  std::deque<CallPtr> in_flight_;                                 // the one answered next in front
  std::vector<CallPtr> writing_calls_;                            // whose bytes a write uses
  std::string hello_bytes_;
  bool writing_ = false;
  absl::Duration armed_for_ = absl::InfiniteDuration();
  std::unique_ptr<ReplyParser> parser_;  // of the connection there is
  std::unique_ptr<Timer> deadline_timer_;
  std::unique_ptr<Timer> link_timer_;  // of the handshake, and of the backoff
  std::unique_ptr<Stream> stream_;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_CLIENT_H_
