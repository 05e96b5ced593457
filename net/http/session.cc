#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/http/authorization.h"
#include "net/http/handlers.h"
#include "net/http/http.h"
#include "net/http/message.h"
#include "net/http/output_queue.h"
#include "net/http/request_fields.h"
#include "net/http/request_parser.h"
#include "net/http/routes.h"

namespace kvarts {
namespace {

constexpr size_t kIdleReadBytes = 4 << 10;
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxKeptBytes = 64 << 10;
constexpr size_t kWriteBytes = 1 << 20;
constexpr size_t kBodyStep = 64 << 10;
// How often the time of Linger() passes in all, while a client goes on to send.
constexpr int kMaxLingers = 30;
// Pipelined reads of single keys that go to the store together.
constexpr size_t kMaxBatch = 64;
// Of these, what an idle connection keeps: 0.6 KB each.
constexpr size_t kMaxKeptCalls = 16;
// Waiting parts of an answer that is made while it is sent.
constexpr size_t kMaxParts = 256 << 10;
// What a connection holds is told to the service in steps of this.
constexpr size_t kBufferedStep = 16 << 10;

// Requests that the store has, and their answers: what a pool thread works on
// while the session may end.
struct Exchange {
  const HttpRoute* route = nullptr;
  HttpContext context;
  std::vector<HttpCall> calls;  // of which `size` count; the others keep their memory
  size_t size = 0;
  size_t first = 0;  // of those being handled
  size_t count = 0;
  StoreWrite write;  // what is submitted for them

  absl::Span<HttpCall> Handled() { return absl::MakeSpan(&calls[first], count); }
  // An answer that is made while it is sent.
  std::unique_ptr<HttpBodySource> source;
  std::string part;
  bool more = false;
  absl::Status status;
};

// One connection. Reads only when it has nothing else to do: a client that does
// not read its answers is not read from either.
//
//   read ──▶ input_ ──▶ parser_ ──▶ exchange_ (loop, or a pool thread) ──▶ output_ ──▶ write
//
// Advance() does whatever can be done now; each callback leads there.
class HttpSession final : public Session {
 public:
  HttpSession(HttpService* service, std::unique_ptr<Stream> stream)
      : service_(service),
        options_(service->options()),
        stream_(std::move(stream)),
        arrived_(Now()) {}

  ~HttpSession() override {
    service_->metrics()->Add(&counts_);
    if (buffered_ > 0) service_->buffered() -= static_cast<int64_t>(buffered_);
  }

  void Start(Task done) override {
    done_ = std::move(done);
    Advance();
  }

  void Drain() override {
    draining_ = true;
    Advance();
  }

 private:
  using Step = HttpRequestParser::Step;

  void Advance() {
    if (advancing_) return;  // a call that was answered at once
    advancing_ = true;
    bool starved = false;
    while (!calling_ && !last_ && !starved && HasRoom()) {
      if (exchange_->source != nullptr) {
        MakePart();
      } else if (handled_) {
        AnswerNext();
      } else {
        starved = !ParseSome();
      }
    }
    advancing_ = false;
    if (broken_) return End();  // destroys this
    if (draining_ && starved && !parser_.begun()) last_ = true;
    if (!output_.empty()) {
      Write();
    } else if (calling_) {
      return;
    } else if (!last_) {
      Read();
    } else if (answered_ && !eof_ && !reading_) {
      Linger();
    } else {
      End();  // destroys this
    }
  }

  // Whether more may be added to the output.
  bool HasRoom() {
    Account();
    if (exchange_->source != nullptr) return output_.size() < kMaxParts;
    if (output_.empty()) return true;
    return output_.size() < options_.max_output &&
           service_->buffered().load(std::memory_order_relaxed) <
               static_cast<int64_t>(options_.max_buffered);
  }

  // Tells the service what this holds, roughly.
  void Account() {
    const size_t holds = input_.size() + parser_.request().body.size() + output_.size();
    const size_t steps = holds / kBufferedStep * kBufferedStep;
    if (steps == buffered_) return;
    service_->buffered() += static_cast<int64_t>(steps) - static_cast<int64_t>(buffered_);
    buffered_ = steps;
  }

  // One step of parsing. False: no more can be done without further bytes.
  bool ParseSome() {
    if (head_waits_) {
      head_waits_ = false;
      return StartRequest();
    }
    size_t used = 0;
    const Step step = parser_.Parse(absl::string_view(input_).substr(parsed_), &used);
    parsed_ += used;
    switch (step) {
      case Step::kNeedMore:
        if (exchange_->size > 0) return Dispatch();
        input_.erase(0, parsed_);
        parsed_ = 0;
        if (eof_) {
          if (parser_.begun()) Refuse(HttpError(400, "the request ends before its end"));
          last_ = true;
        }
        return false;
      case Step::kHead:
        MatchRoute(HttpRoutes(), parser_.request().method, parser_.request().target, &match_);
        CheckAccess();
        CheckFields();
        if (exchange_->size > 0 && !Joins()) {
          head_waits_ = true;
          return Dispatch();
        }
        return StartRequest();
      case Step::kDone:
        return Accept();
      case Step::kError:
        // It is found again behind the answers to what came before.
        if (exchange_->size > 0) return Dispatch();
        Refuse(HttpError(parser_.status(), parser_.message()));
        return false;
    }
    return false;
  }

  // What is refused whatever the body is, before it is read.
  void CheckAccess() {
    const HttpRoute* const route = match_.route;
    if (!options_.password.empty() && (route == nullptr || !route->open) &&
        !IsAuthorized(parser_.request(), options_.password)) {
      match_.error = UnauthorizedAnswer();
      match_.route = nullptr;
      return;
    }
    StoreRunner* const runner = service_->runner();
    if (route == nullptr || !route->writes || runner == nullptr) return;
    const Capabilities has = runner->store()->capabilities();
    if (has.has(has.write)) return;
    match_.error = ReadOnlyAnswer(AllowedMethods(HttpRoutes(), route->path, /*reads_only=*/true));
    match_.route = nullptr;
  }

  void CheckFields() {
    if (match_.route == nullptr) return;
    match_.error = RefuseFields(*match_.route, parser_.request());
    if (match_.error.has_value()) match_.route = nullptr;
  }

  // Whether the request whose head is there goes to the store with those before it.
  bool Joins() {
    return match_.route != nullptr && match_.route == exchange_->route && !parser_.has_body() &&
           parser_.request().Find("Expect") == nullptr && exchange_->size < kMaxBatch;
  }

  // The head is there. Refuses now what it would refuse after the body.
  bool StartRequest() {
    HttpRequest& request = parser_.request();
    deadline_ = arrived_ + options_.transfer_timeout;
    body_mark_ = 0;
    if (match_.route == nullptr) {
      if (!parser_.has_body()) return true;  // Accept() answers, the connection stays
      Refuse(*std::move(match_.error));
      return false;
    }
    parser_.SetBodyLimit(match_.route->max_body);
    if (parser_.body_too_large()) {
      Refuse(HttpError(413,
                       absl::StrCat("the body is larger than ", match_.route->max_body, " bytes")));
      return false;
    }
    // RefuseFields() let nothing else through.
    const bool expects = request.Find("Expect") != nullptr && !request.http_1_0;
    if (expects && parser_.has_body() && parsed_ == input_.size()) {
      output_.Append("HTTP/1.1 100 Continue\r\n\r\n");
    }
    return true;
  }

  // The request is whole. Lets the store have it, or waits for others to join it.
  bool Accept() {
    if (exchange_->size == exchange_->calls.size()) exchange_->calls.emplace_back();
    HttpCall* const call = &exchange_->calls[exchange_->size++];
    call->response.Clear();
    call->hits = call->misses = 0;
    std::swap(call->request, parser_.request());
    parser_.Reset();
    ++counts_.requests;
    exchange_->route = match_.route;
    if (match_.route == nullptr) {
      call->response = *std::move(match_.error);
      handled_ = true;
      return true;
    }
    std::swap(call->parameter, match_.parameter);
    std::swap(call->query, match_.query);
    if (match_.route->batches && call->request.keep_alive && exchange_->size < kMaxBatch &&
        parsed_ < input_.size()) {
      return true;
    }
    return Dispatch();
  }

  // Has all requests in exchange_ handled. True, for ParseSome().
  bool Dispatch() {
    Handle(0, exchange_->size);
    return true;
  }

  // Has `count` of them handled, from `first` on.
  void Handle(size_t first, size_t count) {
    const StoreUse use = exchange_->route->store;
    StoreRunner* const runner = service_->runner();
    exchange_->context = {runner == nullptr ? nullptr : runner->store(), &service_->info(),
                          exchange_->route, service_->leases()};
    exchange_->first = first;
    exchange_->count = count;
    const auto handle = [](Exchange* exchange) {
      exchange->route->handle(exchange->context, exchange->Handled());
    };
    if (use == StoreUse::kNone || (use == StoreUse::kIfReady && runner == nullptr)) {
      handle(exchange_.get());
      handled_ = true;
    } else if (runner == nullptr) {
      Fail("not ready: the store is being opened", 503, "not_ready");
    } else if (runner->full()) {
      Fail("too many requests are waiting; try again later", 503, "busy");
    } else if (use == StoreUse::kAside) {
      HandleAside(runner, handle);
    } else if (exchange_->route->steps == nullptr || !runner->no_wait() ||
               !HandleWithoutWaiting(runner)) {
      Run(runner, handle, [](HttpSession* session) { session->handled_ = true; });
    }
  }

  void HandleAside(StoreRunner* runner, void (*handle)(Exchange*)) {
    if (exchange_->route->steps->begin(exchange_->context, exchange_->Handled(), nullptr) ==
        HttpSteps::Next::kAnswered) {
      handled_ = true;
      return;
    }
    auto done = [this, loop = stream_->loop(), alive = std::weak_ptr<char>(alive_)] {
      loop->Post([this, alive] {
        if (alive.expired()) return;
        calling_ = false;
        handled_ = true;
        Advance();
      });
    };
    const absl::StatusOr<bool> begun =
        runner->RunAside([exchange = exchange_, handle] { handle(exchange.get()); }, done);
    if (begun.ok() && *begun) {
      calling_ = true;
    } else if (begun.ok()) {
      Fail("other work on the store's files is under way; try again when it is done", 409);
    } else {
      Fail(begun.status().message());
    }
  }

  // False: nothing was done.
  bool HandleWithoutWaiting(StoreRunner* runner) {
    const HttpSteps& steps = *exchange_->route->steps;
    exchange_->write = StoreWrite();
    switch (steps.begin(exchange_->context, exchange_->Handled(), &exchange_->write)) {
      case HttpSteps::Next::kHandle:
        return false;
      case HttpSteps::Next::kAnswered:
        handled_ = true;
        return true;
      case HttpSteps::Next::kSubmit:
        break;
    }
    calling_ = true;
    runner->Submit(stream_->loop(), &exchange_->write,
                   [this, exchange = exchange_,
                    alive = std::weak_ptr<char>(alive_)](const absl::Status& status) {
                     if (alive.expired()) return;
                     exchange->route->steps->end(&exchange->Handled()[0], exchange->write, status);
                     calling_ = false;
                     handled_ = true;
                     Advance();
                   });
    return true;
  }

  void Fail(absl::string_view message, int status = 503, absl::string_view code = {}) {
    for (size_t i = 0; i < exchange_->count; ++i) {
      SetHttpError(status, message, &exchange_->calls[exchange_->first + i].response, code);
    }
    handled_ = true;
  }

  // `work` where the store's calls run, then `done` here. The session may end in
  // between, so that the work holds only what is its own.
  void Run(StoreRunner* runner, void (*work)(Exchange*), void (*done)(HttpSession*)) {
    calling_ = true;
    runner->Run(
        stream_->loop(), [exchange = exchange_, work] { work(exchange.get()); },
        [this, done, alive = std::weak_ptr<char>(alive_)] {
          if (alive.expired()) return;
          calling_ = false;
          done(this);
          Advance();
        });
  }

  // Puts the next answer into the queue, and makes ready for the next request
  // behind the last one.
  void AnswerNext() {
    HttpCall* const call = &exchange_->calls[answered_calls_];
    if (call->alone) {
      call->alone = false;
      handled_ = false;
      return Handle(answered_calls_, 1);
    }
    const bool more = ++answered_calls_ < exchange_->size || parsed_ < input_.size();
    if (answered_calls_ == exchange_->size) {
      answered_calls_ = exchange_->size = 0;
      handled_ = false;
    }
    counts_.hits += call->hits;
    counts_.misses += call->misses;
    const int status = call->response.status;
    if (status >= 400 && status != 412 && call->misses == 0) ++counts_.errors;
    // What was read together with it is answered even while draining.
    last_ = !call->request.keep_alive || (draining_ && !more);
    Send(&call->response, call->request.method == "HEAD", call->request.http_1_0);
    if (call->request.body.capacity() > kMaxKeptBytes) call->request.body = std::string();
  }

  // Answers and ends: what follows in the stream cannot be told apart.
  void Refuse(HttpResponse response) {
    last_ = true;
    ++counts_.requests;
    ++counts_.errors;
    const HttpRequest& request = parser_.request();
    Send(&response, request.method == "HEAD", false);
    input_.clear();
    parsed_ = 0;
  }

  void Send(HttpResponse* response, bool head_only, bool http_1_0) {
    answered_ = true;
    ++unrecorded_;
    const bool streamed = response->source != nullptr;
    chunked_ = streamed && !http_1_0;
    const bool ends = last_ || (streamed && http_1_0);
    AppendHttpHead(*response, {Date(), ends, http_1_0}, output_.text());
    if (head_only || response->status == 304 || response->status == 204) return;
    if (response->has_lent) {
      output_.AppendLent(response->lent, std::move(response->owner));
    } else if (streamed) {
      exchange_->source = std::move(response->source);
      last_after_source_ = ends;
      last_ = false;
      --unrecorded_;  // with its last part
      AppendPart(response->body);
    } else {
      output_.Append(response->body);
    }
  }

  // --- Answers made while they are sent ------------------------------------

  void MakePart() {
    StoreRunner* const runner = service_->runner();
    exchange_->part.clear();
    Run(
        runner,
        [](Exchange* exchange) {
          exchange->more = true;
          exchange->status = exchange->source->Next(&exchange->part, &exchange->more);
        },
        [](HttpSession* session) { session->TakePart(); });
  }

  void TakePart() {
    if (!exchange_->status.ok()) {
      ++counts_.errors;
      broken_ = last_ = true;  // without its end, so that the client knows
      return;
    }
    AppendPart(exchange_->part);
    if (exchange_->more) return;
    if (chunked_) output_.Append("0\r\n\r\n");
    ++unrecorded_;
    counts_.hits += exchange_->source->hits;
    counts_.misses += exchange_->source->misses;
    exchange_->source.reset();
    last_ = last_after_source_ || (draining_ && parsed_ == input_.size());
  }

  void AppendPart(absl::string_view part) {
    if (part.empty()) return;
    if (chunked_) absl::StrAppend(output_.text(), absl::Hex(part.size()), "\r\n");
    output_.Append(part);
    if (chunked_) output_.Append("\r\n");
  }

  // --- The stream -------------------------------------------------------------

  void Read() {
    if (reading_) return;
    absl::Duration timeout = options_.idle_timeout;
    if (parser_.begun()) {
      if (deadline_ == absl::InfiniteDuration()) deadline_ = Now() + options_.header_timeout;
      if (parser_.request().body.size() >= body_mark_ + kBodyStep) {
        body_mark_ = parser_.request().body.size();
        deadline_ = Now() + options_.transfer_timeout;
      }
      timeout = std::max(deadline_ - Now(), absl::ZeroDuration());
    } else {
      deadline_ = absl::InfiniteDuration();
      if (input_.capacity() > kMaxKeptBytes) input_.shrink_to_fit();
      if (exchange_->calls.size() > kMaxKeptCalls) exchange_->calls.resize(kMaxKeptCalls);
    }
    reading_ = true;
    // More only for who has shown that there is more.
    read_buffer_.resize(read_filled_ ? kReadBytes : kIdleReadBytes);
    if (!read_filled_ && read_buffer_.capacity() > kIdleReadBytes) read_buffer_.shrink_to_fit();
    stream_->Read(absl::MakeSpan(read_buffer_), timeout, [this](absl::StatusOr<size_t> n) {
      reading_ = false;
      OnRead(std::move(n));
    });
  }

  void OnRead(absl::StatusOr<size_t> n) {
    arrived_ = Now();
    if (n.ok() && *n > 0) {
      counts_.bytes_in += *n;
      read_filled_ = *n == read_buffer_.size();
      input_.append(read_buffer_.data(), *n);
      Account();
      if (buffered_ > kReadBytes && service_->buffered().load(std::memory_order_relaxed) >
                                        static_cast<int64_t>(options_.max_buffered)) {
        Refuse(HttpError(503, "too many large requests at once; try again later"));
      }
    } else if (n.ok()) {
      eof_ = true;  // ParseSome() ends
    } else if (absl::IsDeadlineExceeded(n.status()) && parser_.begun()) {
      eof_ = true;
      Refuse(HttpError(408, "the request did not arrive in time"));
    } else {
      End();
      return;
    }
    Advance();
  }

  void Write() {
    if (writing_) return;
    writing_ = true;
    if (!output_.intact()) stream_->Close();  // the write then fails
    size_t size = 0;
    const absl::Span<const absl::string_view> pieces = output_.Front(kWriteBytes, &size);
    stream_->Write(pieces, options_.transfer_timeout, [this, size](absl::Status status) {
      writing_ = false;
      if (!status.ok()) {
        End();
        return;
      }
      counts_.bytes_out += size;
      output_.Consume(size);
      Advance();
    });
    Record();
  }

  // Once for all that was answered since the last time.
  void Record() {
    if (unrecorded_ > 0) {
      service_->metrics()->RecordLatency(
          static_cast<uint64_t>(std::max<int64_t>(absl::ToInt64Nanoseconds(Now() - arrived_), 0)),
          unrecorded_);
      unrecorded_ = 0;
    }
    service_->metrics()->Add(&counts_);
  }

  // Waits for the client to close. Many send all of a body before they look at the answer: a
  // connection that is closed with bytes unread is reset, and takes the answer with it. So what
  // comes is read, of any size, while more does.
  void Linger() {
    if (linger_until_ == absl::InfiniteDuration()) {
      linger_until_ = Now() + kMaxLingers * options_.linger;
      stream_->CloseWrite();
    }
    const absl::Duration left = linger_until_ - Now();
    if (left <= absl::ZeroDuration()) return End();
    read_buffer_.resize(kReadBytes);
    stream_->Read(absl::MakeSpan(read_buffer_), std::min(left, options_.linger),
                  [this](absl::StatusOr<size_t> n) { !n.ok() || *n == 0 ? End() : Linger(); });
  }

  void End() {
    stream_->Close();
    Task done = std::move(done_);
    done();
  }

  absl::Duration Now() const { return stream_->loop()->Now(); }

  // Looked up once for all that arrived together, and formatted once a second.
  const std::string& Date() {
    if (arrived_ == date_arrived_ && date_second_ >= 0) return date_;
    date_arrived_ = arrived_;
    const int64_t second = absl::ToUnixSeconds(options_.clock->Now());
    if (second != date_second_) {
      date_second_ = second;
      date_ = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::FromUnixSeconds(second),
                               absl::UTCTimeZone());
    }
    return date_;
  }

  // Constant after construction.
  HttpService* const service_;
  const HttpOptions& options_;
  const std::unique_ptr<Stream> stream_;
  const std::shared_ptr<Exchange> exchange_ = std::make_shared<Exchange>();
  const std::shared_ptr<char> alive_ = std::make_shared<char>();

  Task done_;
  HttpRequestParser parser_;
  HttpMatch match_;
  std::string input_;  // from `parsed_` on it is still to be parsed
  size_t parsed_ = 0;
  std::vector<char> read_buffer_;
  OutputQueue output_;
  RequestCounts counts_;     // not yet told
  uint64_t unrecorded_ = 0;  // answers whose latency is not yet told
  absl::Duration arrived_;   // the last bytes, or the beginning
  size_t buffered_ = 0;      // told to the service

  bool advancing_ = false;
  bool reading_ = false;
  bool read_filled_ = false;  // the last read filled its buffer
  bool writing_ = false;
  bool calling_ = false;  // the store has the exchange
  bool handled_ = false;  // its requests have their responses
  size_t answered_calls_ = 0;
  bool draining_ = false;
  bool eof_ = false;         // the client will not send more
  bool last_ = false;        // nothing is parsed any more: write, then end
  bool answered_ = false;    // there is something the client may have to read
  bool head_waits_ = false;  // for the requests before it to be answered
  bool chunked_ = false;     // the answer that is being made
  bool last_after_source_ = false;
  bool broken_ = false;  // an answer cannot be ended
  absl::Duration deadline_ = absl::InfiniteDuration();
  size_t body_mark_ = 0;
  absl::Duration linger_until_ = absl::InfiniteDuration();
  absl::Duration date_arrived_;
  int64_t date_second_ = -1;
  std::string date_;
};

}  // namespace

std::unique_ptr<Session> HttpService::NewSession(std::unique_ptr<Stream> stream) {
  return std::make_unique<HttpSession>(this, std::move(stream));
}

}  // namespace kvarts
