#ifndef KVARTS_NET_RESP_CLIENT_REPLY_PARSER_H_
#define KVARTS_NET_RESP_CLIENT_REPLY_PARSER_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {
namespace resp_client {

// What a server may send. Beyond it the bytes are an error.
struct ReplyLimits {
  size_t max_line_bytes = 64 << 10;  // of a simple string, an error, a number
  size_t max_bulk_bytes = 64 << 20;  // of a bulk string: a store's largest value
  size_t max_elements = 1 << 20;     // of one array
  size_t max_depth = 8;              // of arrays within arrays
};

// One piece of a reply: a string, a number, or the head of an array, whose
// elements are the items that follow. A reply of [cursor, [a, b]] is five items.
struct ReplyItem {
  enum class Kind : unsigned char { kSimple, kError, kInteger, kBulk, kNull, kArray };

  Kind kind = Kind::kNull;
  bool last = false;       // a reply ends with it
  size_t depth = 0;        // 0: a reply's first; 1: an element of it, and so on
  int64_t number = 0;      // of an integer; the elements of an array
  absl::string_view text;  // of a simple string, an error without its '-', a bulk string
};

// Not thread-safe. Cuts what a server sends in RESP2 into items, as the bytes
// come:
//   parser.Filled(n) after a read of n bytes into parser.Space();
//   then parser.Next() until it says kNeedMore or kError.
// An array is not gathered: memory is that of one bulk string. The buffer has 4
// to 64 KiB; beyond, it grows with the bytes that came, to at most twice as many,
// whatever a length declares.
//
// Source: the Redis serialization protocol specification, version 2. Lines end in
// "\r\n", to the byte; null arrays are kNull.
class ReplyParser {
 public:
  enum class Result : unsigned char { kItem, kNeedMore, kError };

  explicit ReplyParser(const ReplyLimits& limits = {}) : limits_(limits) {}

  // Where the next bytes go: never empty. Ends the life of all views into the
  // buffer.
  absl::Span<char> Space();
  void Filled(size_t n);

  // kItem: item() is the next one. kError: error() says why the bytes are no
  // reply; nothing that follows has a meaning.
  Result Next();
  // Its text is good until Space().
  const ReplyItem& item() const { return item_; }
  const std::string& error() const { return error_; }

  // True: part of a reply is there. After Next() has said kNeedMore.
  bool begun() const { return end_ != at_ || !left_.empty(); }
  size_t capacity() const { return capacity_; }

 private:
  enum class Line : unsigned char { kWhole, kPart, kBad };

  Line ReadLine(absl::string_view* line);
  Result Head();
  Result Bulk();
  Result Item(ReplyItem::Kind kind, absl::string_view text);
  Result Fail(std::string error);

  const ReplyLimits limits_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t at_ = 0;       // what is still to be parsed
  size_t scanned_ = 0;  // no "\r" before it in the line at at_
  size_t end_ = 0;      // of what was received
  bool filled_ = false;

  int64_t bulk_bytes_ = -1;    // of the bulk string at at_; -1: a head is next
  std::vector<int64_t> left_;  // elements still to come, of each open array
  ReplyItem item_;
  std::string error_;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_REPLY_PARSER_H_
