#ifndef KVARTS_NET_RESP_PARSER_H_
#define KVARTS_NET_RESP_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {
namespace resp {

inline constexpr size_t kMaxLineBytes = 64 << 10;

// Of one request. The defaults are those of a client that is let in.
struct RequestLimits {
  size_t max_arguments = 1 << 20;
  size_t max_bulk_bytes = 64 << 20;  // of an argument: a store's largest value
  size_t max_request_bytes = 80 << 20;

  bool authenticated = true;

  static RequestLimits BeforeAuthentication() { return {10, 16 << 10, 1 << 20, false}; }
};

// Not thread-safe. Cuts received bytes into requests: arrays of bulk strings, and
// inline ones, which are lines of words that may be quoted. Blank lines and empty
// arrays are no requests.
//   parser.Filled(n) after a read of n bytes into parser.Space();
//   then parser.Next() until it says kNeedMore or kError.
// The buffer is of 4 to 64 KiB; beyond, it and the arguments grow with the bytes
// that came, to at most twice as many, whatever a request declares.
class RequestParser {
 public:
  enum class Result : unsigned char { kRequest, kNeedMore, kError };

  void SetLimits(const RequestLimits& limits) { limits_ = limits; }

  // Where the next bytes go: never empty. Ends the life of all views into the
  // buffer.
  absl::Span<char> Space();
  void Filled(size_t n);

  // kRequest: args() is the next one, with at least one argument. kError: error()
  // says why the bytes are no request; nothing that follows has a meaning.
  Result Next();

  // Into the buffer, good until Space(); the span until Next().
  absl::Span<const absl::string_view> args() const { return args_; }
  // "Protocol error: ...", in the words that clients know.
  const std::string& error() const { return error_; }

  // True: part of a request is there. After Next() has said kNeedMore.
  bool begun() const { return end_ != begin_; }
  size_t capacity() const { return capacity_; }
  // Bytes in the buffer: those of the last request until the next Next(), and behind it.
  size_t buffered() const { return end_ - begin_; }
  size_t free_bytes() const { return capacity_ - end_; }
  // Memory of args() beyond the buffer.
  size_t argument_bytes() const { return args_.capacity() * sizeof(absl::string_view); }

 private:
  enum class Line : unsigned char { kWhole, kPart, kBad };

  Result Multibulk();
  Result Inline();
  Line ReadLength(int64_t* length);
  // In place: a word is never longer than what it was written as.
  bool SplitLine(char* line, char* end);
  Result Fail(std::string error);
  void MoveTo(size_t capacity);

  RequestLimits limits_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t begin_ = 0;    // of the request that is being parsed
  size_t at_ = 0;       // of what is still to be parsed
  size_t scanned_ = 0;  // of an inline request: no newline before it
  size_t end_ = 0;      // of what was received
  bool filled_ = false;
  int small_reads_ = 0;  // in a row

  int64_t arguments_left_ = 0;  // of the request at begin_; 0: its head is not read
  int64_t bulk_bytes_ = -1;     // of the argument at at_; -1: not known
  std::vector<absl::string_view> args_;
  std::string error_;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_PARSER_H_
