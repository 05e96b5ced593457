#include "net/client/channel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/store.h"

namespace kvarts {
namespace client {
namespace {

// What one gather write takes at most, so that the first answers come while the rest is sent.
constexpr size_t kBytesPerWrite = 1 << 20;
constexpr size_t kCallsPerWrite = 256;

// Errors of a connection that trying again does not mend.
bool IsFinal(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status) &&
         !absl::IsCancelled(status) && !absl::IsInternal(status);
}

}  // namespace

Channel::Channel(Transport* transport, EventLoop* loop, absl::string_view address,
                 const ChannelOptions& options)
    : transport_(transport), loop_(loop), address_(address), options_(options) {}

void Channel::Open(OpenCallback done) {
  loop_->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    if (self->state_ == State::kShut) return done(ClosedError());
    self->open_ = std::move(done);
    self->deadline_timer_ = self->loop_->NewTimer();
    self->link_timer_ = self->loop_->NewTimer();
    self->Connect();
  });
}

void Channel::Start(CallPtr call, absl::Duration timeout) {
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

void Channel::Shutdown() {
  const std::shared_ptr<Channel> self = shared_from_this();
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
  FailAll(ClosedError());
  Opened(ClosedError());
}

void Channel::TakeIncoming() {
  std::vector<std::pair<CallPtr, absl::Duration>> incoming;
  {
    MutexLock lock(&mu_);
    posted_ = false;
    incoming.swap(incoming_);
  }
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

void Channel::Advance() {
  const std::shared_ptr<Channel> self = shared_from_this();
  while (!waiting_.empty() && waiting_.front()->done_) waiting_.pop_front();
  if (state_ == State::kReady) return Send();
  if (state_ == State::kIdle && !waiting_.empty()) Connect();
}

void Channel::Connect() {
  state_ = State::kConnecting;
  transport_->Connect(loop_, address_, options_.connect_timeout,
                      [weak = weak_from_this()](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                        if (auto self = weak.lock()) self->DidConnect(std::move(stream));
                      });
}

void Channel::DidConnect(absl::StatusOr<std::unique_ptr<Stream>> stream) {
  if (state_ != State::kConnecting) return;
  if (absl::IsDeadlineExceeded(stream.status())) {
    return Lose(absl::UnavailableError(stream.status().message()));
  }
  if (!stream.ok()) return Lose(stream.status());
  stream_ = *std::move(stream);
  state_ = State::kHello;
  hello_bytes_ = Hello();
  link_timer_->Start(options_.connect_timeout, [this] {
    Lose(absl::UnavailableError(absl::StrCat("the server did not answer the hello within ",
                                             absl::FormatDuration(options_.connect_timeout))));
  });
  StartWrite({hello_bytes_});
  StartRead();
}

void Channel::StartRead() {
  stream_->Read(Space(), absl::InfiniteDuration(),
                [this](const absl::StatusOr<size_t>& n) { DidRead(n); });
}

void Channel::DidRead(const absl::StatusOr<size_t>& n) {
  // What ends below may let go of this, here as in all that a loop calls.
  const std::shared_ptr<Channel> self = shared_from_this();
  if (!n.ok()) return Lose(n.status());
  if (*n == 0) return Lose(absl::UnavailableError("the server ended the connection"));
  ++reads_;
  if (absl::Status status = Take(*n); !status.ok()) {
    if (IsFinal(status)) FailAll(status);
    return Lose(status, /*undone=*/absl::IsUnavailable(status));
  }
  if (state_ == State::kShut) return;
  Send();
  StartRead();
}

void Channel::Ready(absl::string_view session) {
  state_ = State::kReady;
  session_ = std::string(session);
  link_timer_->Cancel();
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const CallPtr call = waiting_[i];
    if (!call->in_doubt_ || call->session_ == session_) continue;
    Fail(call, absl::UnavailableError("the server began anew"));
  }
  Opened(absl::OkStatus());
}

void Channel::Send() {
  if (state_ != State::kReady || writing_) return;
  std::vector<absl::string_view> pieces;
  size_t bytes = 0;
  while (!waiting_.empty() && bytes < kBytesPerWrite && pieces.size() < kCallsPerWrite) {
    CallPtr& call = waiting_.front();
    if (!call->done_) {
      if (!Admit(call)) break;
      call->sent_ = true;
      call->reads_before_ = reads_;
      call->first_sent_here_ = !call->in_doubt_;
      if (call->resend_ != Call::Resend::kAlways) {
        call->in_doubt_ = true;
        call->session_ = session_;
      }
      bytes += call->bytes_.size();
      pieces.push_back(call->bytes_);
      writing_calls_.push_back(std::move(call));
    }
    waiting_.pop_front();
  }
  if (!pieces.empty()) StartWrite(pieces);
}

void Channel::StartWrite(absl::Span<const absl::string_view> pieces) {
  writing_ = true;
  stream_->Write(pieces, absl::InfiniteDuration(), [this](const absl::Status& status) {
    const std::shared_ptr<Channel> self = shared_from_this();
    writing_calls_.clear();
    // A server that refuses says why before it closes: what it said is read first, and until then
    // nothing more is sent.
    if (!status.ok()) return;
    writing_ = false;
    Send();
  });
}

void Channel::Lose(const absl::Status& why, bool undone) {
  if (state_ == State::kShut) return;
  const std::shared_ptr<Channel> self = shared_from_this();
  last_error_ = why;
  const bool was_ready = state_ == State::kReady;
  state_ = State::kIdle;
  stream_.reset();
  link_timer_->Cancel();
  writing_calls_.clear();

  std::vector<CallPtr> unanswered;
  for (const auto& [key, call] : calls_) {
    if (call->sent_) unanswered.push_back(call);
  }
  std::sort(unanswered.begin(), unanswered.end(),
            [](const CallPtr& a, const CallPtr& b) { return a->number_ > b->number_; });
  for (const CallPtr& call : unanswered) {
    if (call->done_) continue;  // the one before it shut this down
    call->sent_ = false;
    if (undone && call->first_sent_here_) call->in_doubt_ = false;
    if (call->in_doubt_ && call->resend_ == Call::Resend::kNever) {
      Fail(call, why);
    } else {
      waiting_.push_front(call);
      call->OnRetry();
    }
  }
  Opened(Named(why));
  if (!was_ready && IsFinal(why)) FailAll(why);
  for (size_t i = 0; !was_ready && i < waiting_.size(); ++i) {
    const CallPtr call = waiting_[i];
    if (!call->waits_ && !call->in_doubt_) Fail(call, why);
  }
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

void Channel::Opened(const absl::Status& status) {
  if (!open_) return;
  OpenCallback open = std::move(open_);
  open_ = nullptr;
  open(status);
}

void Channel::ArmDeadline() {
  if (calls_.empty() || calls_.begin()->first.first >= armed_for_) return;
  armed_for_ = calls_.begin()->first.first;
  deadline_timer_->Start(std::max(armed_for_ - loop_->Now(), absl::ZeroDuration()), [this] {
    armed_for_ = absl::InfiniteDuration();
    Expire();
  });
}

void Channel::Expire() {
  const std::shared_ptr<Channel> self = shared_from_this();
  const absl::Duration now = loop_->Now();
  bool silent = false;
  while (!calls_.empty() && calls_.begin()->first.first <= now) {
    const CallPtr call = calls_.begin()->second;
    silent = silent || (call->sent_ && call->reads_before_ == reads_);
    if (state_ == State::kReady) {
      Fail(call, absl::DeadlineExceededError("no answer before the deadline"));
    } else {
      Fail(call, absl::UnavailableError(last_error_.ok() ? absl::string_view("no connection")
                                                         : last_error_.message()));
    }
  }
  ArmDeadline();
  // Not one byte since the call was sent: the connection is as good as dead.
  if (silent) Lose(absl::UnavailableError("the server stopped answering"));
}

void Channel::Complete(CallPtr call) {
  failures_ = 0;
  if (!call->done_) End(std::move(call), absl::OkStatus());
}

void Channel::Fail(CallPtr call, const absl::Status& why) {
  if (call->done_) return;
  if (!call->in_doubt_) return End(std::move(call), Named(why));
  End(std::move(call), absl::DeadlineExceededError(
                           absl::StrCat(address_, ": it may have been applied: ", why.message())));
}

void Channel::FailAll(const absl::Status& why) {
  waiting_.clear();
  while (!calls_.empty()) Fail(calls_.begin()->second, why);
}

void Channel::End(CallPtr call, const absl::Status& status) {
  calls_.erase({call->deadline_, call->number_});
  call->done_ = true;
  DidEnd(*call);
  call->OnDone(status);
}

absl::Status Channel::Named(const absl::Status& status) const {
  return absl::Status(status.code(), absl::StrCat(address_, ": ", status.message()));
}

}  // namespace client
}  // namespace kvarts
