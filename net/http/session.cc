#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/http/http.h"
#include "net/http/message.h"
#include "net/http/output_queue.h"
#include "net/http/request_parser.h"
#include "net/http/routes.h"

namespace kvarts {
namespace {

constexpr size_t kIdleReadBytes = 4 << 10;
constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kMaxKeptBytes = 64 << 10;
constexpr size_t kWriteBytes = 1 << 20;
constexpr size_t kBodyStep = 64 << 10;
constexpr size_t kMaxLingerBytes = 1 << 20;

// One connection. Reads only when it has nothing else to do: a client that does
// not read its answers is not read from either.
//
//   read ──▶ input_ ──▶ parser_ ──▶ call (loop, or a pool thread) ──▶ output_ ──▶ write
//
// Advance() does whatever can be done now; each callback leads there.
class HttpSession final : public Session {
 public:
  HttpSession(HttpService* service, std::unique_ptr<Stream> stream)
      : service_(service), options_(service->options()), stream_(std::move(stream)) {}

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
    while (!calling_ && !last_ && !starved && output_.size() < options_.max_output) {
      starved = !ParseSome();
    }
    advancing_ = false;
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

  // One step of parsing. False: no more can be done without further bytes.
  bool ParseSome() {
    size_t used = 0;
    const Step step = parser_.Parse(absl::string_view(input_).substr(parsed_), &used);
    parsed_ += used;
    switch (step) {
      case Step::kNeedMore:
        input_.erase(0, parsed_);
        parsed_ = 0;
        if (eof_) {
          if (parser_.begun()) Refuse(HttpError(400, "the request ends before its end"));
          last_ = true;
        }
        return false;
      case Step::kHead:
        return StartRequest();
      case Step::kDone:
        Dispatch();
        return true;
      case Step::kError:
        Refuse(HttpError(parser_.status(), parser_.message()));
        return false;
    }
    return false;
  }

  // The head is there. Refuses now what it would refuse after the body.
  bool StartRequest() {
    HttpRequest& request = parser_.request();
    deadline_ = Now() + options_.transfer_timeout;
    body_mark_ = 0;
    match_ = MatchRoute(HttpRoutes(), request.method, request.target);
    if (match_.route == nullptr) {
      if (!parser_.has_body()) return true;  // Dispatch() answers, the connection stays
      Refuse(std::move(match_.error));
      return false;
    }
    parser_.SetBodyLimit(match_.route->max_body);
    if (parser_.body_too_large()) {
      Refuse(HttpError(413,
                       absl::StrCat("the body is larger than ", match_.route->max_body, " bytes")));
      return false;
    }
    const std::string* const expect = request.Find("Expect");
    if (expect == nullptr || request.http_1_0) return true;
    if (!absl::EqualsIgnoreCase(*expect, "100-continue")) {
      Refuse(HttpError(417, "the only expectation known is 100-continue"));
      return false;
    }
    if (parser_.has_body() && parsed_ == input_.size()) {
      output_.Append("HTTP/1.1 100 Continue\r\n\r\n");
    }
    return true;
  }

  void Dispatch() {
    auto call = std::make_shared<HttpCall>();
    call->request = std::move(parser_.request());
    call->parameter = std::move(match_.parameter);
    const HttpRoute* const route = match_.route;
    if (route == nullptr) {
      call->response = std::move(match_.error);
      Answer(call.get());
      return;
    }
    StoreRunner* const runner = service_->runner();
    const HttpContext context = {runner == nullptr ? nullptr : runner->store()};
    if (!route->uses_store) {
      route->handle(context, call.get());
      Answer(call.get());
    } else if (runner == nullptr) {
      call->response = HttpError(503, "not ready: the store is being opened");
      Answer(call.get());
    } else if (runner->full()) {
      call->response = HttpError(503, "too many requests are waiting; try again later");
      Answer(call.get());
    } else {
      calling_ = true;
      // The session may end while the store works, so that the work holds only
      // what is its own.
      runner->Run(
          stream_->loop(), [route, context, call] { route->handle(context, call.get()); },
          [this, call, alive = std::weak_ptr<char>(alive_)] {
            if (alive.expired()) return;
            calling_ = false;
            Answer(call.get());
            Advance();
          });
    }
  }

  // Puts the answer into the queue and makes ready for the next request.
  void Answer(HttpCall* call) {
    const HttpRequest& request = call->request;
    // What was read together with it is answered even while draining.
    const bool more = parsed_ < input_.size();
    last_ = !request.keep_alive || (draining_ && !more);
    Send(&call->response, request.method == "HEAD", request.http_1_0);
    parser_.Reset();
  }

  // Answers and ends: what follows in the stream cannot be told apart.
  void Refuse(HttpResponse response) {
    last_ = true;
    const HttpRequest& request = parser_.request();
    Send(&response, request.method == "HEAD", false);
    input_.clear();
    parsed_ = 0;
  }

  void Send(HttpResponse* response, bool head_only, bool http_1_0) {
    answered_ = true;
    output_.Append(HttpHead(*response, Date(), last_, http_1_0));
    if (head_only) return;
    if (response->has_lent) {
      output_.AppendLent(response->lent, std::move(response->owner));
    } else {
      output_.Append(response->body);
    }
  }

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
    }
    reading_ = true;
    read_buffer_.resize(parser_.begun() ? kReadBytes : kIdleReadBytes);
    stream_->Read(absl::MakeSpan(read_buffer_), timeout, [this](absl::StatusOr<size_t> n) {
      reading_ = false;
      OnRead(std::move(n));
    });
  }

  void OnRead(absl::StatusOr<size_t> n) {
    if (n.ok() && *n > 0) {
      input_.append(read_buffer_.data(), *n);
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
    const std::vector<absl::string_view> pieces = output_.Front(kWriteBytes);
    size_t size = 0;
    for (const absl::string_view piece : pieces) size += piece.size();
    stream_->Write(pieces, options_.transfer_timeout, [this, size](absl::Status status) {
      writing_ = false;
      if (!status.ok()) {
        End();
        return;
      }
      output_.Consume(size);
      Advance();
    });
  }

  // Waits for the client to close.
  void Linger() {
    if (linger_until_ == absl::InfiniteDuration()) {
      linger_until_ = Now() + options_.linger;
      stream_->CloseWrite();
    }
    const absl::Duration left = linger_until_ - Now();
    if (left <= absl::ZeroDuration() || lingered_ > kMaxLingerBytes) {
      End();
      return;
    }
    read_buffer_.resize(kReadBytes);
    stream_->Read(absl::MakeSpan(read_buffer_), left, [this](absl::StatusOr<size_t> n) {
      if (!n.ok() || *n == 0) {
        End();
        return;
      }
      lingered_ += *n;
      Linger();
    });
  }

  void End() {
    stream_->Close();
    Task done = std::move(done_);
    done();
  }

  absl::Duration Now() const { return stream_->loop()->Now(); }

  // Formatted once a second.
  const std::string& Date() {
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
  const std::shared_ptr<char> alive_ = std::make_shared<char>();

  Task done_;
  HttpRequestParser parser_;
  HttpMatch match_;
  std::string input_;  // from `parsed_` on it is still to be parsed
  size_t parsed_ = 0;
  std::vector<char> read_buffer_;
  OutputQueue output_;

  bool advancing_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool calling_ = false;  // the store has the request
  bool draining_ = false;
  bool eof_ = false;       // the client will not send more
  bool last_ = false;      // nothing is parsed any more: write, then end
  bool answered_ = false;  // there is something the client may have to read
  absl::Duration deadline_ = absl::InfiniteDuration();
  size_t body_mark_ = 0;
  absl::Duration linger_until_ = absl::InfiniteDuration();
  size_t lingered_ = 0;
  int64_t date_second_ = -1;
  std::string date_;
};

}  // namespace

std::unique_ptr<Session> HttpService::NewSession(std::unique_ptr<Stream> stream) {
  return std::make_unique<HttpSession>(this, std::move(stream));
}

}  // namespace kvarts
