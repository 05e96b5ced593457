#include "cluster/coordinator/etcd_client.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// Codes of gRPC, which the gateway puts into "code".
enum GrpcCode : int64_t {
  kInvalidArgument = 3,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kOutOfRange = 11,
  kUnauthenticated = 16,
};

constexpr size_t kMaxLine = 200;

// For a message.
absl::string_view FirstLine(absl::string_view text) {
  return absl::StripAsciiWhitespace(text.substr(0, std::min(text.find('\n'), kMaxLine)));
}

}  // namespace

EtcdClient::EtcdClient(EventLoop* loop, Transport* transport, EtcdOptions options)
    : loop_(loop), transport_(transport), options_(std::move(options)) {
  for (const std::string& name : options_.endpoints) {
    endpoints_.push_back({name, std::make_unique<HttpClient>(loop_, transport_,
                                                             absl::StrCat("tcp://", name), name)});
  }
}

void EtcdClient::Call(absl::string_view path, std::string body, absl::Duration timeout, Done done) {
  auto pending = std::make_unique<Pending>();
  pending->endpoint = turn_;
  pending->path = std::string(path);
  pending->body = std::move(body);
  pending->deadline = loop_->Now() + timeout;
  pending->done = std::move(done);
  Check(std::move(pending));
}

HttpClientRequest EtcdClient::RequestFor(absl::string_view path, std::string body) const {
  HttpClientRequest request;
  request.target = std::string(path);
  request.body = std::move(body);
  request.fields.emplace_back("Content-Type", "application/json");
  if (!token_.empty()) request.fields.emplace_back("Authorization", token_);
  return request;
}

void EtcdClient::Check(OwnedPending pending) {
  Endpoint& endpoint = endpoints_[pending->endpoint];
  if (endpoint.checked != 0 && endpoint.checked == endpoint.http->connection()) {
    return Authenticate(std::move(pending));
  }
  HttpClient* const http = endpoint.http.get();
  const absl::Duration timeout = pending->deadline - loop_->Now();
  http->Send(
      RequestFor("/v3/maintenance/status", "{}"), timeout,
      [this,
       pending = std::move(pending)](const absl::StatusOr<HttpClientResponse>& response) mutable {
        Endpoint& endpoint = endpoints_[pending->endpoint];
        Answer answer = Judge(endpoint, response);
        // Ended at once where never an answer came: TLS does that to who speaks plainly.
        if (options_.is_plain && endpoint.checked == 0 && absl::IsAborted(response.status())) {
          answer.status = absl::UnavailableError(absl::StrCat(
              answer.status.message(), "; where it wants TLS, ca=PATH or tls=true asks for it"));
        }
        // Whatever it was, what was asked for was not sent.
        answer.may_be_done = false;
        if (!answer.status.ok()) return Finish(std::move(pending), std::move(answer));
        endpoint.checked = endpoint.http->connection();
        Authenticate(std::move(pending));
      });
}

void EtcdClient::Authenticate(OwnedPending pending) {
  if (options_.user.empty() || !token_.empty()) return Send(std::move(pending));
  Endpoint& endpoint = endpoints_[pending->endpoint];
  const absl::Duration timeout = pending->deadline - loop_->Now();
  endpoint.http->Send(RequestFor("/v3/auth/authenticate",
                                 absl::StrCat("{\"name\":", EtcdText(options_.user),
                                              ",\"password\":", EtcdText(options_.password), "}")),
                      timeout,
                      [this, pending = std::move(pending)](
                          const absl::StatusOr<HttpClientResponse>& response) mutable {
                        Answer answer = Judge(endpoints_[pending->endpoint], response);
                        answer.may_be_done = false;
                        if (!answer.status.ok())
                          return Finish(std::move(pending), std::move(answer));
                        token_ = answer.body["token"].text;
                        Send(std::move(pending));
                      });
}

void EtcdClient::Send(OwnedPending pending) {
  Endpoint& endpoint = endpoints_[pending->endpoint];
  HttpClientRequest request = RequestFor(pending->path, std::move(pending->body));
  request.connection = endpoint.checked;
  const absl::Duration timeout = pending->deadline - loop_->Now();
  endpoint.http->Send(std::move(request), timeout,
                      [this, pending = std::move(pending)](
                          const absl::StatusOr<HttpClientResponse>& response) mutable {
                        Answer answer = Judge(endpoints_[pending->endpoint], response);
                        Finish(std::move(pending), std::move(answer));
                      });
}

void EtcdClient::Finish(OwnedPending pending, Answer answer) {
  // Others that were under way there may have moved on already.
  if (!answer.status.ok() && !answer.is_final && turn_ == pending->endpoint) {
    turn_ = (turn_ + 1) % endpoints_.size();
  }
  pending->done(std::move(answer));
}

EtcdClient::Answer EtcdClient::Judge(const Endpoint& endpoint,
                                     const absl::StatusOr<HttpClientResponse>& response) {
  Answer answer;
  if (!response.ok()) {
    answer.may_be_done = !absl::IsUnavailable(response.status());
    answer.is_silence = absl::IsDeadlineExceeded(response.status());
    answer.status = absl::UnavailableError(response.status().message());
    return answer;
  }
  absl::StatusOr<EtcdJson> body = ParseEtcdJson(response->body);
  if (response->status == 200 && body.ok()) {
    // Authentication's answer has a header, too.
    const std::string& cluster = (*body)["header"]["cluster_id"].text;
    if (cluster_id_.empty()) cluster_id_ = cluster;
    if (!cluster.empty() && cluster == cluster_id_) {
      answer.body = *std::move(body);
      return answer;
    }
    answer.may_be_done = true;
    answer.status = absl::UnavailableError(absl::StrCat(endpoint.name, ": is of the etcd cluster ",
                                                        cluster, ", ours is ", cluster_id_));
    return answer;
  }
  // "message" from 3.4 on. What is refused in front of the gateway has a line for people.
  std::string said = absl::StrCat(endpoint.name, ": ");
  if (body.ok() && !(*body)["message"].text.empty()) {
    absl::StrAppend(&said, (*body)["message"].text);
  } else {
    absl::StrAppend(&said, "HTTP ", response->status);
    const absl::string_view line = FirstLine(response->body);
    if (!body.ok() && !line.empty()) absl::StrAppend(&said, ": ", line);
  }
  answer.is_final = true;
  switch (body.ok() ? (*body)["code"].AsInt() : 0) {
    case kInvalidArgument:
      // A token that says of which state of etcd's users it is, as JWT do, ends with that state.
      if (absl::StrContains(said, "revision of auth store is old")) {
        token_.clear();
        answer.is_final = false;
        answer.status = absl::UnavailableError(said);
        break;
      }
      answer.status = absl::InvalidArgumentError(said);
      break;
    case kPermissionDenied:
      answer.status = absl::PermissionDeniedError(said);
      break;
    case kResourceExhausted:
      answer.status = absl::ResourceExhaustedError(said);
      break;
    case kFailedPrecondition:
    case kOutOfRange:
      answer.status = absl::FailedPreconditionError(said);
      break;
    case kUnauthenticated:
      // A token has its time; the next try gets another.
      token_.clear();
      answer.is_final = false;
      answer.status = absl::UnavailableError(said);
      break;
    default:
      // "request timed out", "leader changed", and what else does not say what became of it.
      answer.is_final = false;
      answer.may_be_done = true;
      answer.status = absl::UnavailableError(said);
  }
  return answer;
}

void EtcdClient::Watch(std::string body, absl::AnyInvocable<void()> hint,
                       absl::AnyInvocable<void()> ended) {
  const std::string& name = endpoints_[watch_turn_].name;
  watch_turn_ = (watch_turn_ + 1) % endpoints_.size();
  watch_ = std::make_unique<HttpClient>(loop_, transport_, absl::StrCat("tcp://", name), name);
  watch_->Stream(
      RequestFor("/v3/watch", std::move(body)), absl::InfiniteDuration(),
      [hint = std::move(hint)](absl::string_view) mutable { hint(); },
      [ended = std::move(ended)](const absl::StatusOr<HttpClientResponse>&) mutable { ended(); });
}

}  // namespace kvarts
