#ifndef KVARTS_NET_RESP_CLIENT_CLIENT_H_
#define KVARTS_NET_RESP_CLIENT_CLIENT_H_

#include "base/language.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/client/channel.h"
#include "net/resp/client/reply_parser.h"
#include "net/transport.h"

namespace kvarts {
namespace resp_client {

// Some commands that are sent one behind the other, and what becomes of them.
class Call : public client::Call {
 public:
  // Before Client::Start().
  void AddCommand(absl::Span<const absl::string_view> args);
  // To do it twice is not the same as once: what was sent is never sent again.
  void SetIsWrite() { resend_ = Resend::kNever; }
  size_t commands() const { return commands_; }

 protected:
  friend class Client;

  // A piece of the reply to command number `command`, from 0 on; views are good
  // during the call. An error: the server talks nonsense; the call ends with it and
  // the connection is given up. OnDone() is OK where all replies have come; errors
  // that the server answered with are items.
  virtual absl::Status OnItem(size_t command, const ReplyItem& item) = 0;

 private:
  size_t commands_ = 0;  // constant once started
  size_t answered_ = 0;  // commands; on the loop
};

struct ClientOptions : client::ChannelOptions {
  std::string password;  // empty: none
  // False: calls that were not sent end where an attempt to connect fails.
  bool waits = true;
};

// Thread-safe. The client's end of RESP2, which every server of the protocol
// speaks, over a Channel. Its hello is AUTH, where there is a password, and PING;
// calls are pipelined: replies come in the order of the commands. Open() says
// kUnauthenticated for a password. Beyond a channel's errors a call ends with
// kInternal where its reply is no RESP, or beyond ReplyLimits.
class Client final : public client::Channel {
 public:
  // `transport` and `loop` must outlive it.
  static std::shared_ptr<Client> New(Transport* transport, EventLoop* loop,
                                     absl::string_view address, const ClientOptions& options);
  ~Client() override { CloseStream(); }

  // REQUIRES: the call has commands.
  void Start(std::shared_ptr<Call> call, absl::Duration timeout) {
    call->waits_ = waits_;
    Channel::Start(std::move(call), timeout);
  }

 private:
  Client(Transport* transport, EventLoop* loop, absl::string_view address,
         const ClientOptions& options);

  std::string Hello() override;
  absl::Span<char> Space() override { return parser_->Space(); }
  absl::Status Take(size_t n) override;
  bool Admit(const CallPtr& call) override;
  absl::Status TakeItems();
  absl::Status TakeHello(const ReplyItem& item);
  absl::Status TakeAnswer(const ReplyItem& item);

  const std::string password_;
  const bool waits_;

  // On the loop, of the connection there is.
  std::unique_ptr<ReplyParser> parser_;
  int hello_left_ = 0;                           // replies
  std::deque<std::shared_ptr<Call>> in_flight_;  // the one answered next in front; some are done
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_CLIENT_H_
