#include "net/native/client.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/native/wire.h"
#include "storage/store.h"

namespace kvarts {
namespace native {
namespace {

// What one gather write takes at most, so that the first answers come while the
// rest is sent.
constexpr size_t kBytesPerWrite = 1 << 20;
constexpr size_t kCallsPerWrite = 256;

// Errors of a connection that trying again does not mend.
bool IsFinal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated ||
         status.code() == absl::StatusCode::kFailedPrecondition ||
         status.code() == absl::StatusCode::kInvalidArgument ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

}  // namespace

void ClientCall::SetRequest(const Request& request, absl::Span<const absl::string_view> payload) {
  id_ = request.id();
  sequence_ = request.has_write() ? request.write().sequence() : 0;
  is_once_ = request.operation() == MAINTAIN;
  size_t size = 0;
  for (const absl::string_view piece : payload) size += piece.size();
  frame_.reserve(kPrefixBytes + request.ByteSizeLong() + size);
  AppendFrameHead(request, size, &frame_);
  for (const absl::string_view piece : payload) frame_.append(piece.data(), piece.size());
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

void Client::Start(std::shared_ptr<ClientCall> call, absl::Duration timeout) {
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
  const std::shared_ptr<Client> self = shared_from_this();
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
  while (!calls_.empty()) {
    const CallPtr call = calls_.begin()->second;
    End(call, call->write_session_.empty() ? ClosedError() : MaybeApplied(ClosedError()));
  }
  in_flight_.clear();
  waiting_.clear();
  if (open_) Opened(ClosedError());
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
    call->deadline_ = now + timeout;
    calls_.emplace(std::make_pair(call->deadline_, call->id_), call);
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
  got_preamble_ = false;
  reader_ = FrameReader(kMaxAnswerHeaderBytes, kMaxAnswerBytes);
  ClientHello hello;
  hello.set_client_id(options_.client_id);
  hello.set_password(options_.password);
  hello.add_features(std::string(kMaintenanceFeature));
  for (const std::string& feature : options_.features) hello.add_features(feature);
  hello_bytes_.clear();
  AppendPreamble(&hello_bytes_);
  AppendFrameHead(hello, 0, &hello_bytes_);
  link_timer_->Start(options_.connect_timeout, [this] {
    Lose(absl::UnavailableError(absl::StrCat("the server did not answer the hello within ",
                                             absl::FormatDuration(options_.connect_timeout))));
  });
  writing_ = true;
  const absl::string_view piece = hello_bytes_;
  stream_->Write(absl::MakeConstSpan(&piece, 1), absl::InfiniteDuration(),
                 [this](absl::Status status) { DidWrite(status); });
  StartRead();
}

void Client::StartRead() {
  stream_->Read(reader_.Space(), absl::InfiniteDuration(),
                [this](absl::StatusOr<size_t> n) { DidRead(n); });
}

void Client::DidRead(const absl::StatusOr<size_t>& n) {
  // What ends below may shut this client down, or let go of it.
  const std::shared_ptr<Client> self = shared_from_this();
  if (!n.ok()) return Lose(n.status());
  if (*n == 0) return Lose(absl::UnavailableError("the server ended the connection"));
  ++reads_;
  reader_.Filled(*n);
  if (absl::Status status = TakeFrames(); !status.ok()) {
    // Said by the server, or found in what it said.
    const bool undone = status.code() == absl::StatusCode::kUnavailable;
    const bool final = !undone && IsFinal(status);
    if (final && state_ != State::kShut) FailWaiting(status);
    return Lose(status, undone);
  }
  if (state_ == State::kShut) return;
  Send();
  StartRead();
}

absl::Status Client::TakeFrames() {
  if (!got_preamble_) {
    Versions server;
    absl::StatusOr<bool> whole = reader_.NextPreamble(&server);
    if (!whole.ok() || !*whole) return whole.status();
    got_preamble_ = true;
    absl::StatusOr<uint16_t> version = Agree(Versions(), server);
    if (!version.ok()) return version.status();
  }
  Frame frame;
  while (state_ != State::kShut) {
    absl::StatusOr<bool> whole = reader_.Next(&frame);
    if (!whole.ok()) return absl::InternalError(whole.status().message());
    if (!*whole) return absl::OkStatus();
    if (absl::Status status = TakeAnswer(frame); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Client::TakeAnswer(const Frame& frame) {
  if (!response_.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) {
    return absl::InternalError("a frame of the server is no Response message");
  }
  if (response_.id() == 0) {
    absl::Status status = MakeStatus(response_.code(), response_.message());
    if (!status.ok()) return status;
    if (state_ == State::kHello && response_.has_hello()) return TakeHello(response_);
    return absl::InternalError("a second hello of the server");
  }
  if (state_ != State::kReady) return absl::InternalError("an answer before the server's hello");
  const auto found = in_flight_.find(response_.id());
  if (found == in_flight_.end()) return absl::OkStatus();  // its deadline has passed
  const CallPtr call = found->second;
  if (absl::Status status = call->OnAnswer(response_, frame.payload, &reader_); !status.ok()) {
    return absl::InternalError(status.message());
  }
  failures_ = 0;
  if (!response_.more() && !call->done_) {  // else it was shut down in there
    in_flight_.erase(response_.id());
    End(call, absl::OkStatus());
  }
  return absl::OkStatus();
}

absl::Status Client::TakeHello(const Response& response) {
  // Whether its calls block is the server's own affair.
  const auto has = [](const ServerHello& hello) {
    Capabilities capabilities = FromProto(hello.capabilities());
    capabilities.may_block = true;
    return capabilities;
  };
  if (was_open_ && has(response.hello()) != has(hello_)) {
    return absl::FailedPreconditionError(
        "the server now serves a store that can do other things: open it again");
  }
  const auto& features = response.hello().features();
  for (const std::string& feature : options_.features) {
    if (std::find(features.begin(), features.end(), feature) == features.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the server does not have the feature \"", feature, "\""));
    }
  }
  hello_ = response.hello();
  was_open_ = true;
  state_ = State::kReady;
  link_timer_->Cancel();
  const std::deque<CallPtr> waiting = waiting_;
  for (const CallPtr& call : waiting) {
    if (call->done_ || call->write_session_.empty()) continue;
    if (call->write_session_ == hello_.write_session()) continue;
    End(call, MaybeApplied(absl::UnavailableError("the server began anew")));
  }
  if (state_ != State::kShut) Opened(hello_);
  return absl::OkStatus();
}

void Client::Send() {
  if (state_ != State::kReady || writing_ || waiting_.empty()) return;
  std::vector<absl::string_view> pieces;
  size_t bytes = 0;
  const size_t most = std::max<uint64_t>(hello_.max_in_flight(), 1);
  while (!waiting_.empty() && in_flight_.size() < most && bytes < kBytesPerWrite &&
         pieces.size() < kCallsPerWrite) {
    const CallPtr call = std::move(waiting_.front());
    waiting_.pop_front();
    if (call->done_) continue;
    call->reads_before_ = reads_;
    call->first_sent_here_ = call->write_session_.empty();
    if (call->sequence_ != 0) call->write_session_ = hello_.write_session();
    in_flight_.emplace(call->id_, call);
    bytes += call->frame_.size();
    pieces.push_back(call->frame_);
    writing_calls_.push_back(call);
  }
  if (pieces.empty()) return;
  writing_ = true;
  stream_->Write(pieces, absl::InfiniteDuration(),
                 [this](absl::Status status) { DidWrite(status); });
}

void Client::DidWrite(const absl::Status& status) {
  writing_calls_.clear();
  // A server that refuses says why before it closes: what it said is read first,
  // and until then nothing more is sent.
  if (!status.ok()) return;
  writing_ = false;
  Send();
}

void Client::Lose(const absl::Status& why, bool undone) {
  if (state_ == State::kShut) return;
  const std::shared_ptr<Client> self = shared_from_this();
  last_error_ = absl::Status(why.code(), absl::StrCat(address_, ": ", why.message()));
  const bool was_ready = state_ == State::kReady;
  stream_.reset();
  link_timer_->Cancel();
  writing_ = false;
  writing_calls_.clear();
  state_ = State::kIdle;

  std::vector<CallPtr> again;
  for (const auto& [id, call] : in_flight_) again.push_back(call);
  in_flight_.clear();
  std::sort(again.begin(), again.end(),
            [](const CallPtr& a, const CallPtr& b) { return a->id_ > b->id_; });
  for (const CallPtr& call : again) {
    if (call->done_) continue;  // the one before it shut this down
    if (call->is_once_ && !undone) {
      End(call, absl::DeadlineExceededError(
                    absl::StrCat(last_error_.message(), ": it may have been done")));
      continue;
    }
    call->OnRetry();
    if (undone && call->first_sent_here_) call->write_session_.clear();
    waiting_.push_front(call);
  }
  if (state_ == State::kShut) return;
  if (!was_open_) {
    Opened(last_error_);
    if (options_.waits || state_ == State::kShut) return;
  }
  if (!was_ready && IsFinal(why)) FailWaiting(why);
  if (!was_ready) {
    const std::deque<CallPtr> waiting = waiting_;
    for (const CallPtr& call : waiting) {
      const bool ends = call->is_once_ || (!options_.waits && call->write_session_.empty());
      if (ends && !call->done_) End(call, last_error_);
    }
  }
  if (state_ == State::kShut) return;

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
  const absl::Status named =
      absl::Status(status.code(), absl::StrCat(address_, ": ", status.message()));
  std::vector<CallPtr> all;
  for (const auto& [key, call] : calls_) all.push_back(call);
  for (const CallPtr& call : all) {
    if (!call->done_) End(call, call->write_session_.empty() ? named : MaybeApplied(named));
  }
  in_flight_.clear();
  waiting_.clear();
}

void Client::Opened(absl::StatusOr<ServerHello> hello) {
  if (!open_) return;
  OpenCallback open = std::move(open_);
  open_ = nullptr;
  open(std::move(hello));
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
    const bool sent = in_flight_.erase(call->id_) > 0;
    silent = silent || (sent && call->reads_before_ == reads_);
    if (!call->write_session_.empty()) {
      End(call, MaybeApplied(absl::DeadlineExceededError("the deadline passed")));
    } else if (sent || state_ == State::kReady) {
      End(call,
          absl::DeadlineExceededError(absl::StrCat(address_, ": no answer before the deadline")));
    } else {
      End(call, absl::UnavailableError(last_error_.ok() ? absl::StrCat(address_, ": no connection")
                                                        : last_error_.message()));
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
  calls_.erase({keep->deadline_, keep->id_});
  keep->done_ = true;
  keep->OnDone(status);
}

absl::Status Client::MaybeApplied(const absl::Status& why) const {
  return absl::DeadlineExceededError(
      absl::StrCat(address_, ": the write may have been applied: ", why.message()));
}

}  // namespace native
}  // namespace kvarts
