#include "apps/testing/soak/connections.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvarts::soak {

void AppendRequest(std::initializer_list<absl::string_view> args, std::string* pipeline) {
  absl::StrAppend(pipeline, "*", args.size(), "\r\n");
  for (const absl::string_view arg : args) {
    absl::StrAppend(pipeline, "$", arg.size(), "\r\n", arg, "\r\n");
  }
}

std::optional<Reply> RespConnection::Read() {
  for (;;) {
    absl::string_view rest = absl::string_view(buffer_).substr(taken_);
    if (std::optional<Reply> reply = resp_differential::TakeReply(&rest)) {
      taken_ = buffer_.size() - rest.size();
      return reply;
    }
    buffer_.erase(0, taken_);
    taken_ = 0;
    const std::string more = socket_.ReceiveSome();
    if (more.empty()) return std::nullopt;
    buffer_ += more;
  }
}

Reply RespConnection::Ask(std::initializer_list<absl::string_view> args) {
  std::string request;
  AppendRequest(args, &request);
  socket_.Send(request);
  return Read().value_or(Reply());
}

std::string HttpReply::Field(absl::string_view name) const {
  const std::string before = absl::StrCat("\r\n", name, ": ");
  const size_t at = head.find(before);
  if (at == std::string::npos) return "";
  const size_t begin = at + before.size();
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

bool HttpConnection::Fill(size_t bytes) {
  while (buffer_.size() < bytes) {
    const std::string more = socket_.ReceiveSome();
    if (more.empty()) return false;
    buffer_ += more;
  }
  return true;
}

bool HttpConnection::TakeLine(std::string* line) {
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!Fill(buffer_.size() + 1)) return false;
  }
  *line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

bool HttpConnection::TakeBytes(size_t size, std::string* bytes) {
  if (!Fill(size)) return false;
  bytes->append(buffer_, 0, size);
  buffer_.erase(0, size);
  return true;
}

bool HttpConnection::TakeChunks(std::string* body) {
  std::string line;
  size_t size = 0;
  do {
    if (!TakeLine(&line) || !absl::SimpleHexAtoi(line, &size)) return false;
    // No chunk of its own is the end; trailers are not sent.
    if (!TakeBytes(size, body) || !TakeLine(&line) || !line.empty()) return false;
  } while (size > 0);
  return true;
}

HttpReply HttpConnection::Ask(absl::string_view method, absl::string_view target,
                              absl::string_view fields, absl::string_view body) {
  HttpReply reply;
  socket_.Send(absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: x\r\n", fields,
                            "Content-Length: ", body.size(), "\r\n\r\n", body));
  std::string line;
  do {
    if (!TakeLine(&line)) return {};
    absl::StrAppend(&reply.head, line, "\r\n");
  } while (!line.empty());
  // None: those of 204 and 304, which have no body.
  const std::string declared = reply.Field("Content-Length");
  size_t length = 0;
  if (!declared.empty() &&
      (!absl::SimpleAtoi(declared, &length) || !TakeBytes(length, &reply.body))) {
    return {};
  }
  if (reply.Field("Transfer-Encoding") == "chunked" && !TakeChunks(&reply.body)) return {};
  if (!absl::SimpleAtoi(reply.head.substr(9, 3), &reply.status)) return {};
  return reply;
}

}  // namespace kvarts::soak
