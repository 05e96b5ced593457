#ifndef KVARTS_APPS_TESTING_SOAK_CONNECTIONS_H_
#define KVARTS_APPS_TESTING_SOAK_CONNECTIONS_H_

#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "apps/testing/programs.h"
#include "apps/testing/resp_differential/reply.h"

namespace kvarts::soak {

using resp_differential::Reply;

// What a server has to answer within; beyond it hangs.
inline constexpr int kHangingSeconds = 60;

// Adds a request to a pipeline.
void AppendRequest(std::initializer_list<absl::string_view> args, std::string* pipeline);

// Not thread-safe. A blocking connection over RESP2.
class RespConnection {
 public:
  RespConnection(absl::string_view address, const std::string& directory)
      : socket_(address, directory) {
    socket_.SetTimeout(kHangingSeconds);
  }

  TestSocket& socket() { return socket_; }
  // The next reply; nothing where the connection ended before, or hangs.
  std::optional<Reply> Read();
  // A request and its reply; one of type '\0' where the connection ended.
  Reply Ask(std::initializer_list<absl::string_view> args);

 private:
  TestSocket socket_;
  std::string buffer_;
  size_t taken_ = 0;  // of it
};

struct HttpReply {
  int status = 0;  // 0: the connection ended, or hangs
  std::string head;
  std::string body;

  // "" where it is not there.
  std::string Field(absl::string_view name) const;
};

// Not thread-safe. A blocking connection over HTTP/1.1, for one request after the other.
class HttpConnection {
 public:
  HttpConnection(absl::string_view address, const std::string& directory)
      : socket_(address, directory) {
    socket_.SetTimeout(kHangingSeconds);
  }

  // `fields`: whole lines.
  HttpReply Ask(absl::string_view method, absl::string_view target, absl::string_view fields = {},
                absl::string_view body = {});

 private:
  // Until so many bytes are there.
  bool Fill(size_t bytes);
  // Off what was received; false where the connection ended.
  bool TakeLine(std::string* line);
  bool TakeBytes(size_t size, std::string* bytes);
  bool TakeChunks(std::string* body);

  TestSocket socket_;
  std::string buffer_;
};

}  // namespace kvarts::soak

#endif  // KVARTS_APPS_TESTING_SOAK_CONNECTIONS_H_
