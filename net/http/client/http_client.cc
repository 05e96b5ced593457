#include "net/http/client/http_client.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <list>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "net/http/client/response_parser.h"

namespace kvarts {
namespace {

constexpr size_t kReadSize = 64 << 10;
constexpr size_t kMaxBody = 256 << 20;

}  // namespace

class HttpClient::Impl {
 public:
  Impl(EventLoop* loop, Transport* transport, std::string address, std::string host)
      : loop_(loop),
        transport_(transport),
        address_(std::move(address)),
        host_(std::move(host)),
        buffer_(kReadSize, '\0') {}

  ~Impl() {
    // Destroyed when all has left this: a callback's end may do anything.
    const auto exchanges = std::move(exchanges_);
    exchanges_.clear();
  }

  void Add(HttpClientRequest request, absl::Duration timeout, Part part, Done done) {
    exchanges_.emplace_back();
    const auto it = std::prev(exchanges_.end());
    it->request = std::move(request);
    it->part = std::move(part);
    it->done = std::move(done);
    it->timer = loop_->NewTimer();
    it->deadline = loop_->Now() + timeout;
    it->timer->Start(timeout, [this, it] { OnTimeout(it); });
    StartSoon();
  }

  uint64_t connection() const { return stream_ == nullptr ? 0 : connection_; }

 private:
  struct Exchange {
    HttpClientRequest request;
    Part part;
    Done done;
    std::unique_ptr<Timer> timer;
    absl::Duration deadline;
    bool sent = false;
    std::string head;
    std::string body;
    HttpResponseParser parser;
  };
  using Iterator = std::list<Exchange>::iterator;

  // Starts what is next from a task of its own: nobody is called back inside a call, and no
  // callback stands below another.
  void StartSoon() {
    if (starting_) return;
    starting_ = true;
    loop_->Post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.expired()) return;
      starting_ = false;
      StartNext();
    });
  }

  void StartNext() {
    if (exchanges_.empty() || exchanges_.front().sent || connecting_ || writing_) return;
    Exchange& next = exchanges_.front();
    if (next.request.connection != 0 && next.request.connection != connection()) {
      return Finish(exchanges_.begin(),
                    absl::UnavailableError(absl::StrCat(address_, ": the connection ended")));
    }
    if (stream_ == nullptr) return Connect(next.deadline - loop_->Now());
    next.head = absl::StrCat("POST ", next.request.target, " HTTP/1.1\r\nHost: ", host_,
                             "\r\nContent-Length: ", next.request.body.size(), "\r\n");
    for (const auto& [name, value] : next.request.fields) {
      absl::StrAppend(&next.head, name, ": ", value, "\r\n");
    }
    next.head += "\r\n";
    next.sent = true;
    writing_ = true;
    const absl::string_view pieces[] = {next.head, next.request.body};
    // Its own deadline ends it.
    stream_->Write(pieces, absl::InfiniteDuration(), [this](absl::Status status) {
      writing_ = false;
      if (!status.ok()) return Lose(status.message());
      StartSoon();
    });
  }

  void Connect(absl::Duration timeout) {
    connecting_ = true;
    transport_->Connect(loop_, address_, timeout,
                        [this, alive = std::weak_ptr<bool>(alive_)](
                            absl::StatusOr<std::unique_ptr<kvarts::Stream>> stream) {
                          if (alive.expired()) return;
                          connecting_ = false;
                          if (stream.ok()) {
                            stream_ = *std::move(stream);
                            ++connection_;
                            received_ = 0;
                            Read();
                            return StartNext();
                          }
                          // For the one that it was tried for; the next one tries again.
                          StartSoon();
                          if (!exchanges_.empty()) {
                            Finish(exchanges_.begin(),
                                   absl::UnavailableError(stream.status().message()));
                          }
                        });
  }

  // Also while nothing is asked, to notice the connection's end.
  void Read() {
    if (received_ == buffer_.size()) buffer_.resize(buffer_.size() * 2);
    stream_->Read(absl::MakeSpan(&buffer_[received_], buffer_.size() - received_),
                  absl::InfiniteDuration(), [this](absl::StatusOr<size_t> n) {
                    if (!n.ok()) return Lose(n.status().message());
                    if (*n == 0) return OnEnd();
                    received_ += *n;
                    OnBytes();
                  });
  }

  void OnBytes() {
    if (exchanges_.empty() || !exchanges_.front().sent) return Lose("bytes that nobody asked for");
    const Iterator it = exchanges_.begin();
    const std::weak_ptr<bool> alive = alive_;
    const uint64_t connection = connection_;
    size_t used = 0;
    std::string part;
    const HttpResponseParser::Step step = it->parser.Parse(
        absl::string_view(buffer_).substr(0, received_),
        [&](absl::string_view bytes) {
          (it->part != nullptr && it->parser.status() == 200 ? part : it->body)
              .append(bytes.data(), bytes.size());
        },
        &used);
    buffer_.erase(0, used);
    buffer_.resize(std::max(buffer_.size(), kReadSize));
    received_ -= used;
    if (it->body.size() > kMaxBody) return Lose("a body that is too large");
    if (step == HttpResponseParser::Step::kError) return Lose(it->parser.message());
    if (!part.empty()) {
      // May end this, and with it what is called.
      Part call = std::move(it->part);
      call(part);
      if (alive.expired() || stream_ == nullptr || connection_ != connection) return;
      it->part = std::move(call);
    }
    if (step == HttpResponseParser::Step::kNeedMore) return Read();
    if (it->parser.keep_alive() && received_ == 0) {
      Read();
    } else {
      Disconnect();
    }
    StartSoon();
    Finish(it, absl::OkStatus());
  }

  void OnEnd() {
    if (!exchanges_.empty() && exchanges_.front().sent && exchanges_.front().parser.ParseEnd()) {
      Disconnect();
      StartSoon();
      return Finish(exchanges_.begin(), absl::OkStatus());
    }
    Lose("the server closed the connection");
  }

  void Disconnect() {
    stream_ = nullptr;
    writing_ = false;
  }

  void Lose(absl::string_view why) {
    // Before the stream goes, with what `why` may be a part of.
    const absl::Status status = absl::AbortedError(absl::StrCat(address_, ": ", why));
    Disconnect();
    StartSoon();
    if (!exchanges_.empty() && exchanges_.front().sent) Finish(exchanges_.begin(), status);
  }

  void OnTimeout(Iterator it) {
    if (!it->sent) {
      return Finish(it, absl::UnavailableError(absl::StrCat(address_, ": no connection in time")));
    }
    Disconnect();
    StartSoon();
    Finish(it, absl::DeadlineExceededError(absl::StrCat(address_, ": no answer in time")));
  }

  // The last that a function does: the callback may end this.
  void Finish(Iterator it, const absl::Status& status) {
    std::list<Exchange> ended;
    ended.splice(ended.begin(), exchanges_, it);
    it->timer = nullptr;
    if (!status.ok()) return it->done(status);
    it->done(HttpClientResponse{it->parser.status(), std::move(it->body)});
  }

  EventLoop* const loop_;
  Transport* const transport_;
  const std::string address_;
  const std::string host_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::list<Exchange> exchanges_;  // the first is under way, where it is sent
  bool starting_ = false;
  bool connecting_ = false;
  bool writing_ = false;
  uint64_t connection_ = 0;
  std::string buffer_;
  size_t received_ = 0;                     // of buffer_
  std::unique_ptr<kvarts::Stream> stream_;  // the first to end: it uses what is above
};

HttpClient::HttpClient(EventLoop* loop, Transport* transport, std::string address, std::string host)
    : impl_(std::make_unique<Impl>(loop, transport, std::move(address), std::move(host))) {}

HttpClient::~HttpClient() = default;

void HttpClient::Send(HttpClientRequest request, absl::Duration timeout, Done done) {
  impl_->Add(std::move(request), timeout, nullptr, std::move(done));
}

void HttpClient::Stream(HttpClientRequest request, absl::Duration timeout, Part part, Done done) {
  impl_->Add(std::move(request), timeout, std::move(part), std::move(done));
}

uint64_t HttpClient::connection() const { return impl_->connection(); }

}  // namespace kvarts
