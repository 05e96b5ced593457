#include "net/resp/client/client.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/resp/client/command.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_client {
namespace {

// What one gather write takes at most, so that the first answers come while the
// rest is sent.
constexpr size_t kBytesPerWrite = 1 << 20;
constexpr size_t kCallsPerWrite = 256;
// What a server is asked at a time, at most.
constexpr size_t kCallsInFlight = 4096;

// Errors of a connection that trying again does not mend.
bool IsFinal(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status) &&
         !absl::IsCancelled(status);
}

}  // namespace

void Call::AddCommand(absl::Span<const absl::string_view> args) {
  AppendCommand(args, &bytes_);
  ++commands_;
}

std::shared_ptr<Client> Client::New(Transport* transport, EventLoop* loop,
                                    absl::string_view address, const ClientOptions& options) {
  return std::shared_ptr<Client>(new Client(transport, loop, address, options));
}

Client::Client(Transport* transport, EventLoop* loop, absl::string_view address,
               const ClientOptions& options)
    : transport_(transport), loop_(loop), address_(address), options_(options) {}

void Client::Open(OpenCallback done) {
  loop_->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    if (self->state_ == State::kShut) return done(ClosedError());
    self->open_ = std::move(done);
    self->deadline_timer_ = self->loop_->NewTimer();
    self->link_timer_ = self->loop_->NewTimer();
    self->Connect();
  });
}

void Client::Start(std::shared_ptr<Call> call, absl::Duration timeout) {
  bool post = false;
  bool shut = false;
  {
    MutexLock lock(&mu_);
    shut = shut_;
    if (!shut) {
      incoming_.emplace_back(call, timeout);
      post = !posted_;
      posted_ = true;
    }
  }
  if (shut) call->OnDone(ClosedError());
  if (post) loop_->Post([self = shared_from_this()] { self->TakeIncoming(); });
}

void Client::Shutdown() {
  state_ = State::kShut;
  stream_.reset();
  writing_calls_.clear();
  link_timer_.reset();
  deadline_timer_.reset();
  std::vector<std::pair<CallPtr, absl::Duration>> incoming;
  {
    MutexLock lock(&mu_);
    shut_ = true;
    incoming.swap(incoming_);
  }
  for (const auto& [call, timeout] : incoming) call->OnDone(ClosedError());
  FailWaiting(ClosedError());
  Opened(ClosedError());
}

void Client::TakeIncoming() {
  std::vector<std::pair<CallPtr, absl::Duration>> incoming;
  {
    MutexLock lock(&mu_);
    posted_ = false;
    incoming.swap(incoming_);
  }
  if (state_ == State::kShut || incoming.empty()) return;
  const absl::Duration now = loop_->Now();
  for (auto& [call, timeout] : incoming) {
    call->number_ = next_number_++;
    call->deadline_ = now + timeout;
    calls_.emplace(std::make_pair(call->deadline_, call->number_), call);
    waiting_.push_back(std::move(call));
  }
  ArmDeadline();
  Advance();
}

void Client::Advance() {
  while (!waiting_.empty() && waiting_.front()->done_) waiting_.pop_front();
  if (state_ == State::kReady) return Send();
  if (state_ == State::kIdle && !waiting_.empty()) Connect();
}

void Client::Connect() {
  state_ = State::kConnecting;
  transport_->Connect(loop_, address_, options_.connect_timeout,
                      [weak = weak_from_this()](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                        if (auto self = weak.lock()) self->DidConnect(std::move(stream));
                      });
}

void Client::DidConnect(absl::StatusOr<std::unique_ptr<Stream>> stream) {
  if (state_ != State::kConnecting) return;
  if (absl::IsDeadlineExceeded(stream.status())) {
    return Lose(absl::UnavailableError(stream.status().message()));
  }
  if (!stream.ok()) return Lose(stream.status());
  stream_ = *std::move(stream);
  state_ = State::kHello;
  parser_ = std::make_unique<ReplyParser>(options_.limits);
  hello_bytes_.clear();
  hello_left_ = 1;
  if (!options_.password.empty()) {
    AppendCommand({"AUTH", options_.password}, &hello_bytes_);
    ++hello_left_;
  }
  AppendCommand({"PING"}, &hello_bytes_);
  link_timer_->Start(options_.connect_timeout, [this] {
    Lose(absl::UnavailableError(absl::StrCat("the server did not answer a PING within ",
                                             absl::FormatDuration(options_.connect_timeout))));
  });
  writing_ = true;
  const absl::string_view piece = hello_bytes_;
  stream_->Write(absl::MakeConstSpan(&piece, 1), absl::InfiniteDuration(),
                 [this](const absl::Status& status) { DidWrite(status); });
  StartRead();
}

void Client::StartRead() {
  stream_->Read(parser_->Space(), absl::InfiniteDuration(),
                [this](const absl::StatusOr<size_t>& n) { DidRead(n); });
}

void Client::DidRead(const absl::StatusOr<size_t>& n) {
  // The caller of what ends below may let go of this.
  const std::shared_ptr<Client> self = shared_from_this();
  if (!n.ok()) return Lose(n.status());
  if (*n == 0) return Lose(absl::UnavailableError("the server ended the connection"));
  ++reads_;
  parser_->Filled(*n);
  const absl::Status status = TakeItems();
  if (state_ != State::kHello && state_ != State::kReady) return;
  if (!status.ok()) return Lose(status);
  Send();
  StartRead();
}

absl::Status Client::TakeItems() {
  while (state_ == State::kHello || state_ == State::kReady) {
    switch (parser_->Next()) {
      case ReplyParser::Result::kNeedMore:
        return absl::OkStatus();
      case ReplyParser::Result::kError: {
        const absl::Status status =
            absl::InternalError(absl::StrCat("not RESP2: ", parser_->error()));
        // Asked again, it would be answered so again.
        if (!in_flight_.empty()) GiveUp(in_flight_.front(), status);
        return status;
      }
      case ReplyParser::Result::kItem:
        break;
    }
    const ReplyItem& item = parser_->item();
    absl::Status status = state_ == State::kHello ? TakeHello(item) : TakeAnswer(item);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Client::TakeHello(const ReplyItem& item) {
  if (item.kind == ReplyItem::Kind::kError) return ErrorStatus(item.text);
  if (item.kind != ReplyItem::Kind::kSimple) return NonsenseError();
  if (--hello_left_ > 0) return absl::OkStatus();
  state_ = State::kReady;
  link_timer_->Cancel();
  Opened(absl::OkStatus());
  return absl::OkStatus();
}

absl::Status Client::TakeAnswer(const ReplyItem& item) {
  if (in_flight_.empty()) return absl::InternalError("a reply to nothing");
  const CallPtr call = in_flight_.front();
  if (!call->done_) {  // else its deadline has passed
    if (absl::Status status = call->OnItem(call->answered_, item); !status.ok()) {
      GiveUp(call, status);
      return status;
    }
  }
  failures_ = 0;
  if (!item.last || ++call->answered_ < call->commands_) return absl::OkStatus();
  in_flight_.pop_front();
  if (!call->done_) End(call, absl::OkStatus());
  return absl::OkStatus();
}

void Client::Send() {
  if (state_ != State::kReady || writing_ || waiting_.empty()) return;
  std::vector<absl::string_view> pieces;
  size_t bytes = 0;
  while (!waiting_.empty() && in_flight_.size() < kCallsInFlight && bytes < kBytesPerWrite &&
         pieces.size() < kCallsPerWrite) {
    const CallPtr call = std::move(waiting_.front());
    waiting_.pop_front();
    if (call->done_) continue;
    call->reads_before_ = reads_;
    in_flight_.push_back(call);
    bytes += call->bytes_.size();
    pieces.push_back(call->bytes_);
    writing_calls_.push_back(call);
  }
  if (pieces.empty()) return;
  writing_ = true;
  stream_->Write(pieces, absl::InfiniteDuration(),
                 [this](const absl::Status& status) { DidWrite(status); });
}

void Client::DidWrite(const absl::Status& status) {
  writing_calls_.clear();
  // A server that refuses says why before it closes: what it said is read first,
  // and until then nothing more is sent.
  if (!status.ok()) return;
  writing_ = false;
  Send();
}

void Client::Lose(const absl::Status& why) {
  if (state_ == State::kShut) return;
  last_error_ = Named(why);
  const bool was_ready = state_ == State::kReady;
  stream_.reset();
  link_timer_->Cancel();
  writing_ = false;
  writing_calls_.clear();
  state_ = State::kIdle;

  std::deque<CallPtr> unanswered;
  unanswered.swap(in_flight_);
  while (!unanswered.empty()) {
    const CallPtr call = std::move(unanswered.back());
    unanswered.pop_back();
    if (call->done_) continue;
    if (call->is_write_) {
      GiveUp(call, why);
      continue;
    }
    call->answered_ = 0;
    call->OnRetry();
    waiting_.push_front(call);
  }
  if (!was_open_) return Opened(last_error_);
  if (!was_ready && IsFinal(why)) FailWaiting(last_error_);
  if (state_ == State::kShut) return;  // by one of those that ended

  // At once after a connection that worked, then slower and slower.
  const int failures = failures_++;
  if (failures == 0) return Advance();
  const absl::Duration backoff =
      std::min(options_.max_backoff, options_.min_backoff * std::pow(2, std::min(failures, 20)));
  state_ = State::kBackoff;
  link_timer_->Start(backoff, [this] {
    state_ = State::kIdle;
    Advance();
  });
}

void Client::FailWaiting(const absl::Status& status) {
  std::deque<CallPtr> sent;
  sent.swap(in_flight_);
  for (const CallPtr& call : sent) {
    if (!call->done_ && call->is_write_) GiveUp(call, status);
  }
  waiting_.clear();
  while (!calls_.empty()) End(calls_.begin()->second, status);
}

void Client::Opened(const absl::Status& status) {
  if (!open_) return;
  was_open_ = status.ok();
  OpenCallback open = std::move(open_);
  open_ = nullptr;
  open(status);
}

void Client::ArmDeadline() {
  if (calls_.empty() || calls_.begin()->first.first >= armed_for_) return;
  armed_for_ = calls_.begin()->first.first;
  deadline_timer_->Start(std::max(armed_for_ - loop_->Now(), absl::ZeroDuration()), [this] {
    armed_for_ = absl::InfiniteDuration();
    Expire();
  });
}

void Client::Expire() {
  const std::shared_ptr<Client> self = shared_from_this();
  const absl::Duration now = loop_->Now();
  bool silent = false;
  while (!calls_.empty() && calls_.begin()->first.first <= now) {
    const CallPtr call = calls_.begin()->second;
    const bool sent = std::find(in_flight_.begin(), in_flight_.end(), call) != in_flight_.end();
    silent = silent || (sent && call->reads_before_ == reads_);
    if (sent || state_ == State::kReady) {
      const absl::Status late = absl::DeadlineExceededError("no answer before the deadline");
      sent ? GiveUp(call, late) : End(call, Named(late));
    } else {
      End(call, last_error_.ok() ? Named(absl::UnavailableError("no connection"))
                                 : absl::UnavailableError(last_error_.message()));
    }
  }
  if (state_ == State::kShut) return;
  ArmDeadline();
  // Not one byte since the call was sent: the connection is as good as dead.
  if (silent && state_ == State::kReady) {
    Lose(absl::UnavailableError("the server stopped answering"));
  }
}

void Client::End(const CallPtr& call, const absl::Status& status) {
  // `call` may be a reference into what is erased here.
  const CallPtr keep = call;
  calls_.erase({keep->deadline_, keep->number_});
  keep->done_ = true;
  keep->OnDone(status);
}

absl::Status Client::Named(const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(address_, ": ", status.message()));
}

// Ends what was sent.
void Client::GiveUp(const CallPtr& call, const absl::Status& why) {
  if (call->done_) return;
  End(call, call->is_write_ ? absl::DeadlineExceededError(absl::StrCat(
                                  address_, ": the write may have been applied: ", why.message()))
                            : Named(why));
}

}  // namespace resp_client
}  // namespace kvarts
