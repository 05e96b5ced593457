#ifndef KVARTS_NET_RESP_REPLY_H_
#define KVARTS_NET_RESP_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "net/output.h"

namespace kvarts {
namespace resp {

// Error replies that were written. A value.
struct ErrorCodes {
  uint64_t count = 0;
  std::vector<std::pair<std::string, uint64_t>> codes;  // by their first word: "ERR"
};

// Not thread-safe. Appends replies to an output, in the words of RESP2 or RESP3.
// An array or a map is its head, followed by as many replies as it says.
class ReplyWriter {
 public:
  // 2 or 3.
  int protocol() const { return protocol_; }
  void set_protocol(int protocol) { protocol_ = protocol; }

  // Where the replies go; not null when one is written.
  Output* output() const { return output_; }
  void set_output(Output* output) { output_ = output; }

  void Ok() { Append("+OK\r\n"); }
  // Without newlines.
  void Simple(absl::string_view text);
  // "ERR ..."; the code first. A newline becomes a space, at the end nothing.
  void Error(absl::string_view text);
  // Errors written so far, and again from none. For what is taken back: set to what was.
  uint64_t errors() const { return errors_.count; }
  const ErrorCodes& error_codes() const { return errors_; }
  void set_error_codes(ErrorCodes codes) { errors_ = std::move(codes); }
  void Integer(int64_t value);
  void Bulk(absl::string_view bytes);
  // As Bulk(), but a large value is lent: it must be good until the output is
  // sent, or kept by an Output::Keep() that follows where this is true.
  bool Value(absl::string_view bytes);
  // Text for people: RESP3 says so.
  void Verbatim(absl::string_view text);
  void Double(double value);
  void Null() { Append(protocol_ == 2 ? "$-1\r\n" : "_\r\n"); }
  void NullArray() { Append(protocol_ == 2 ? "*-1\r\n" : "_\r\n"); }
  void Array(size_t size) { Head('*', size); }
  // RESP2: an array of twice as many.
  void Map(size_t pairs) { protocol_ == 2 ? Head('*', 2 * pairs) : Head('%', pairs); }
  void Set(size_t size) { Head(protocol_ == 2 ? '*' : '~', size); }

 private:
  void Head(char type, size_t size);
  void Append(absl::string_view bytes) { output_->bytes().append(bytes.data(), bytes.size()); }

  Output* output_ = nullptr;
  int protocol_ = 2;
  ErrorCodes errors_;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_REPLY_H_
