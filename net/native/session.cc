#include "net/native/session.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/secret.h"
#include "net/native/frame.h"
#include "net/native/native.pb.h"
#include "net/native/retry_table.h"
#include "net/native/server_call.h"
#include "net/native/wire.h"
#include "net/output.h"

namespace kvarts {
namespace {

using native::Frame;
using native::RetryClient;
using native::ServerCall;
using native::ServerState;

// How long a connection that has ended waits for its peer to end too. Closed
// with bytes unread, a TCP connection would be reset, and with it the last
// answers.
constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr size_t kMaxClientIdBytes = 64;

// kPreamble ─▶ kHello ─▶ kServing ─▶ kLinger
// Anything that ends a connection sets `last_word_` or `peer_ended_`; what was
// read is then answered, the last word said, and the peer waited for.
class NativeSession final : public Session {
 public:
  NativeSession(std::unique_ptr<Stream> stream, std::shared_ptr<ServerState> state)
      : state_(std::move(state)),
        inline_(!state_->capabilities.may_block),
        loop_(stream->loop()),
        reader_(native::kMaxHelloBytes, native::kMaxHelloBytes),
        call_(state_.get()),
        timer_(loop_->NewTimer()),
        stream_(std::move(stream)) {}

  ~NativeSession() override {
    *self_ = nullptr;
    unrecorded_ = 0;
    Record();
  }

  void Start(Task done) override {
    done_ = std::move(done);
    StartTimer(state_->options.hello_timeout);
    StartRead();
  }

  void Drain() override {
    if (Ending()) return;
    last_word_ = absl::UnavailableError(
        "the server is shutting down; what it has not answered it has not done");
    Pump();
  }

 private:
  enum class Phase : unsigned char { kPreamble, kHello, kServing, kLinger };

  bool Ending() const { return peer_ended_ || !last_word_.ok(); }
  bool MayTake() const {
    return in_flight_ < state_->options.max_in_flight &&
           out_.size() + writing_out_.size() < state_->options.max_output_bytes;
  }

  // Does what can be done. May destroy this object, as its last act.
  void Pump() {
    bool starved = true;  // there is no whole frame left to answer
    if (phase_ != Phase::kLinger && !broken_) starved = TakeFrames();
    StartWrite();
    if (Ending() && starved && in_flight_ == 0 && !writing_ && out_.empty()) return Conclude();
    if (!Ending() && starved && MayTake()) StartRead();
  }

  // False where the limits stopped it.
  bool TakeFrames() {
    absl::StatusOr<bool> taken = true;
    while (MayTake()) {
      taken = TakeOne();
      if (!taken.ok()) {
        ++counts_.errors;
        broken_ = true;
        last_word_ = taken.status();
        return true;
      }
      if (!*taken) return true;
    }
    return false;
  }

  absl::StatusOr<bool> TakeOne() {
    if (reader_.unread() == 0) return false;
    if (phase_ == Phase::kPreamble) {
      native::Versions client;
      absl::StatusOr<bool> whole = reader_.NextPreamble(&client);
      if (!whole.ok() || !*whole) return whole;
      SayPreamble();
      phase_ = Phase::kHello;
      absl::StatusOr<uint16_t> version = native::Agree(client, native::Versions());
      if (!version.ok()) return version.status();
      return true;
    }
    Frame frame;
    absl::StatusOr<bool> whole = reader_.Next(&frame);
    if (!whole.ok() || !*whole) return whole;
    absl::Status status = phase_ == Phase::kHello ? TakeHello(frame) : TakeRequest(frame);
    if (!status.ok()) return status;
    return true;
  }

  void SayPreamble() {
    if (!said_preamble_) native::AppendPreamble(&out_.bytes());
    said_preamble_ = true;
  }

  absl::Status TakeHello(const Frame& frame) {
    native::ClientHello hello;
    if (!hello.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) {
      return absl::InvalidArgumentError("the first frame is no ClientHello message");
    }
    const std::string& password = state_->options.password;
    if (!password.empty() && !SameSecret(hello.password(), password)) {
      return absl::UnauthenticatedError(hello.password().empty() ? "the server asks for a password"
                                                                 : "the password is wrong");
    }
    if (hello.client_id().empty() || hello.client_id().size() > kMaxClientIdBytes) {
      return absl::InvalidArgumentError(absl::StrCat("a client id of ", hello.client_id().size(),
                                                     " bytes; expected 1 to ", kMaxClientIdBytes));
    }
    client_ = state_->retries.Attach(hello.client_id());
    const NativeServerOptions& limits = state_->options;
    native::Response response;
    native::ServerHello& answer = *response.mutable_hello();
    *answer.mutable_capabilities() = native::ToProto(state_->capabilities);
    answer.set_max_frame_bytes(limits.max_frame_bytes);
    answer.set_max_header_bytes(native::kMaxHeaderBytes);
    answer.set_max_items(native::kMaxItems);
    answer.set_max_in_flight(limits.max_in_flight);
    answer.set_write_session(client_->session());
    for (const std::string& feature : hello.features()) {
      if (feature == native::kMaintenanceFeature && state_->store->maintenance() != nullptr) {
        answer.add_features(feature);
      }
      if (feature == native::kClusterFeature && limits.cluster != nullptr) {
        speaks_cluster_ = true;
        answer.add_features(feature);
        answer.set_cluster_id(limits.cluster->map()->cluster_id);
      }
    }
    native::AppendFrameHead(response, 0, &out_.bytes());
    reader_.SetLimits(native::kMaxHeaderBytes, limits.max_frame_bytes);
    phase_ = Phase::kServing;
    StartTimer(limits.idle_timeout);
    return absl::OkStatus();
  }

  absl::Status TakeRequest(const Frame& frame) {
    std::shared_ptr<ServerCall> own;
    if (!inline_) own = std::make_shared<ServerCall>(state_.get());
    ServerCall* const call = inline_ ? &call_ : own.get();
    absl::Status status = call->Parse(frame, speaks_cluster_);
    if (!status.ok()) return status;
    ++counts_.requests;
    if (call->runs() && state_->runner->full()) {
      call->Refuse(absl::UnavailableError("the server is overloaded"));
    }
    if (!call->runs() || (call->sequence() != 0 && !BeginWrite(call))) {
      if (!call->runs()) Encode(call);
      return absl::OkStatus();
    }
    if (call->runs_aside()) {
      if (own == nullptr) {
        own = std::make_shared<ServerCall>(state_.get());
        // What is in the frame was good a moment ago.
        if (status = own->Parse(frame, speaks_cluster_); !status.ok()) return status;
      }
      RunAside(std::move(own));
      return absl::OkStatus();
    }
    ++in_flight_;
    if (inline_) {
      state_->runner->Run(
          loop_, [this, call] { call->Execute(client_.get()); },
          [this, call] {
            --in_flight_;
            Encode(call);
          });
    } else {
      call->Hold(reader_.pin());
      Dispatch(own);
    }
    return absl::OkStatus();
  }

  // On a thread of its own; what it is given may outlive the session.
  void RunAside(std::shared_ptr<ServerCall> call) {
    call->Hold(reader_.pin());
    const absl::StatusOr<bool> begun =
        state_->runner->RunAside([call, state = state_] { call->Execute(nullptr); },
                                 [call, self = self_, loop = loop_, arrived = arrived_] {
                                   loop->Post([call, self, arrived] {
                                     if (*self != nullptr) (*self)->AnswerLate(call.get(), arrived);
                                   });
                                 });
    if (begun.ok() && *begun) {
      ++in_flight_;
      return;
    }
    call->Refuse(begun.ok() ? absl::UnavailableError("other work on the store's files is under "
                                                     "way: try again when it is done")
                            : begun.status());
    Encode(call.get());
  }

  // For a store that may block. What it is given may outlive the session.
  void Dispatch(const std::shared_ptr<ServerCall>& call) {
    using Next = ServerCall::Next;
    auto done = [call, self = self_, begun = arrived_] {
      if (*self != nullptr) (*self)->AnswerLate(call.get(), begun);
    };
    switch (state_->runner->no_wait() ? call->TryToExecute(client_.get()) : Next::kExecute) {
      case Next::kEncode:
        --in_flight_;
        return Encode(call.get());
      case Next::kSubmit:
        // Told to the client's memory also where the session is gone: it may ask again.
        return state_->runner->Submit(
            loop_, call->write(),
            [call, client = client_, state = state_, done](const absl::Status& status) mutable {
              call->EndWrite(status, client.get());
              done();
            });
      case Next::kExecute:
        return state_->runner->Run(
            loop_, [call, client = client_, state = state_] { call->Execute(client.get()); },
            std::move(done));
    }
  }

  // True where the write is to be applied. Else it is answered, or will be.
  bool BeginWrite(ServerCall* call) {
    std::string answer;
    const uint64_t id = call->id();
    auto waiter = [loop = loop_, self = self_, id](const std::string& result) {
      loop->Post([self, id, result] {
        if (*self == nullptr) return;
        (*self)->Answer([&](Output* out) { native::AppendWriteAnswer(id, result, out); });
      });
    };
    switch (client_->Begin(call->sequence(), call->first_unacknowledged(), std::move(waiter),
                           &answer)) {
      case RetryClient::Verdict::kApply:
        return true;
      case RetryClient::Verdict::kAnswered:
        native::AppendWriteAnswer(id, answer, &out_);
        return false;
      case RetryClient::Verdict::kUnderWay:
        ++in_flight_;
        return false;
      case RetryClient::Verdict::kForgotten:
        break;
    }
    call->Refuse(absl::DeadlineExceededError(
        absl::StrCat("write ", call->sequence(),
                     " may have been applied: the server no longer knows its outcome")));
    return false;
  }

  void Encode(ServerCall* call) {
    call->Encode(&out_, &counts_);
    ++unrecorded_;
  }

  // Of a request that was with a pool thread. May destroy this object.
  void AnswerLate(ServerCall* call, absl::Duration begun) {
    call->Encode(&out_, &counts_);
    if (state_->options.metrics != nullptr) {
      state_->options.metrics->RecordLatency(NanosecondsSince(begun));
    }
    --in_flight_;
    Pump();
  }

  uint64_t NanosecondsSince(absl::Duration begun) const {
    return static_cast<uint64_t>(
        std::max<int64_t>(absl::ToInt64Nanoseconds(loop_->Now() - begun), 0));
  }

  // Tells the metrics, once for all that was answered since the last time.
  void Record() {
    ProtocolMetrics* const metrics = state_->options.metrics;
    if (metrics == nullptr) return;
    if (unrecorded_ > 0) metrics->RecordLatency(NanosecondsSince(arrived_), unrecorded_);
    unrecorded_ = 0;
    metrics->Add(&counts_);
  }

  // Of a request that was in flight, later. May destroy this object.
  template <typename Encode>
  void Answer(Encode encode) {
    --in_flight_;
    encode(&out_);
    Pump();
  }

  void StartRead() {
    if (reading_) return;
    reading_ = true;
    // What comes after the end of the requests is read, not kept.
    stream_->Read(reader_.Space(), absl::InfiniteDuration(),
                  [this](absl::StatusOr<size_t> n) { DidRead(n); });
  }

  void DidRead(const absl::StatusOr<size_t>& n) {
    reading_ = false;
    active_ = true;
    if (!n.ok()) return Finish();
    counts_.bytes_in += *n;
    if (state_->options.metrics != nullptr) arrived_ = loop_->Now();
    if (phase_ == Phase::kLinger) {
      if (*n == 0) return Finish();
      return StartRead();
    }
    if (*n == 0) {
      peer_ended_ = true;
      // Every whole frame was taken before the read began.
      if (last_word_.ok() && (reader_.unread() > 0 || phase_ != Phase::kServing)) {
        last_word_ = absl::InvalidArgumentError("the connection ended inside a frame");
        broken_ = true;
      }
    } else if (!Ending()) {
      reader_.Filled(*n);
    }
    Pump();
  }

  void StartWrite() {
    if (writing_ || out_.empty()) return;
    writing_ = true;
    std::swap(out_, writing_out_);
    // A file shrank under a value: the client asks again, and reads an error.
    if (!writing_out_.intact()) stream_->Close();
    counts_.bytes_out += writing_out_.size();
    stream_->Write(writing_out_.Pieces(), absl::InfiniteDuration(), [this](absl::Status status) {
      writing_ = false;
      active_ = true;
      writing_out_.Clear();
      if (!status.ok()) return Finish();
      Pump();
    });
    Record();
  }

  void Conclude() {
    if (phase_ == Phase::kLinger) return;
    if (!last_word_.ok() && !said_last_word_) {
      said_last_word_ = true;
      SayPreamble();
      native::AppendStatus(0, last_word_, &out_);
      return StartWrite();
    }
    if (peer_ended_) return Finish();
    phase_ = Phase::kLinger;
    stream_->CloseWrite();
    StartTimer(kLinger);
    StartRead();
  }

  // Looks now and then if something happened, instead of being set anew at each
  // request.
  void StartTimer(absl::Duration delay) {
    active_ = false;
    if (delay == absl::InfiniteDuration()) return timer_->Cancel();
    timer_->Start(delay, [this] { TimeOut(); });
  }

  void TimeOut() {
    if (phase_ == Phase::kLinger) return Finish();
    if (phase_ == Phase::kServing && (active_ || in_flight_ > 0)) {
      return StartTimer(state_->options.idle_timeout);
    }
    // Nothing moves. A peer that does not read cannot be told either.
    if (writing_ || Ending()) return Finish();
    last_word_ = absl::UnavailableError(
        phase_ == Phase::kServing
            ? absl::StrCat("nothing was asked for ",
                           absl::FormatDuration(state_->options.idle_timeout))
            : absl::StrCat("no hello came within ",
                           absl::FormatDuration(state_->options.hello_timeout)));
    StartTimer(kLinger);
    Pump();
  }

  void Finish() {
    timer_->Cancel();
    stream_->Close();
    *self_ = nullptr;
    Task done = std::move(done_);
    done();
  }

  const std::shared_ptr<ServerState> state_;
  const bool inline_;
  EventLoop* const loop_;
  // What comes back later finds the session, or null, through it.
  const std::shared_ptr<NativeSession*> self_ = std::make_shared<NativeSession*>(this);
  Task done_;

  native::FrameReader reader_;
  Output out_;          // gathers answers
  Output writing_out_;  // what the write under way sends
  ServerCall call_;     // of a store that does not block
  std::shared_ptr<RetryClient> client_;
  RequestCounts counts_;     // not yet told
  uint64_t unrecorded_ = 0;  // answers whose latency is not yet told
  absl::Duration arrived_;   // the last bytes

  Phase phase_ = Phase::kPreamble;
  size_t in_flight_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool active_ = false;  // since the timer was set
  bool broken_ = false;  // what follows in the bytes has no meaning
  bool peer_ended_ = false;
  bool said_preamble_ = false;
  bool said_last_word_ = false;
  bool speaks_cluster_ = false;  // both hellos name it
  absl::Status last_word_;

  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Stream> stream_;  // goes first: it uses what is above
};

}  // namespace

std::string NativeRefusal(const absl::Status& why) {
  native::Response response;
  native::SetStatus(why, &response);
  std::string out;
  native::AppendPreamble(&out);
  native::AppendFrameHead(response, 0, &out);
  return out;
}

SessionFactory NewNativeSessions(StoreRunner* runner, const NativeServerOptions& options) {
  auto state = std::make_shared<ServerState>(runner, options);
  return [state](std::unique_ptr<Stream> stream) -> std::unique_ptr<Session> {
    return std::make_unique<NativeSession>(std::move(stream), state);
  };
}

}  // namespace kvarts
