#ifndef KVARTS_NET_HTTP_CLIENT_HTTP_CLIENT_H_
#define KVARTS_NET_HTTP_CLIENT_HTTP_CLIENT_H_

#include "base/language.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/transport.h"

namespace kvarts {

struct HttpClientRequest {
  std::string target = "/";  // its path, percent-encoded
  std::string body;          // sent by POST, with its Content-Length
  // Beside Host and Content-Length; neither has CR or LF in it.
  std::vector<std::pair<std::string, std::string>> fields;
  // Where not 0: only over this connection (see connection()); kUnavailable where it is gone.
  uint64_t connection = 0;
};

struct HttpClientResponse {
  int status = 0;  // 200, 404, ...
  std::string body;
};

// A client of one HTTP/1.1 server, over one connection that is kept: requests go one after the
// other, in the order given. On its loop only; callbacks run there, never inside the call that
// takes them, each once, or are destroyed unrun with the client. A callback may destroy it.
//
// Left out on purpose: pipelining, redirections, compression, and repeating a request, since only
// the caller knows what may be done twice.
class HttpClient {
 public:
  // "tcp://HOST:PORT", and what is sent as Host. `loop` and `transport` must outlive it.
  HttpClient(EventLoop* loop, Transport* transport, std::string address, std::string host);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Connects where there is no connection. A status of any kind is a response. Otherwise:
  // kUnavailable: nothing of the request was sent.
  // kDeadlineExceeded: sent, or a part of it; no whole response in time. The connection is closed.
  // kAborted: sent, or a part of it; the connection ended, or what came is no HTTP/1.1.
  using Done = absl::AnyInvocable<void(absl::StatusOr<HttpClientResponse>)>;
  void Send(HttpClientRequest request, absl::Duration timeout, Done done);

  // The same for a body without end: `part` is called with its bytes as they come, of a response
  // of status 200; `done` at its end, with an empty body. Others of this client wait for that.
  using Part = absl::AnyInvocable<void(absl::string_view)>;
  void Stream(HttpClientRequest request, absl::Duration timeout, Part part, Done done);

  // Numbers connections from 1; 0 where there is none.
  uint64_t connection() const;

 private:
  class Impl;

  const std::unique_ptr<Impl> impl_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_CLIENT_HTTP_CLIENT_H_
