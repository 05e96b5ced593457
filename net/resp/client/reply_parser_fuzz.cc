#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/resp/client/reply_parser.h"

// What a server sends. The first byte of the input says in what pieces it comes
// and under which limits; the rest are the bytes.
namespace kvarts {
namespace resp_client {
namespace {

struct Parsed {
  std::vector<std::string> items;
  std::string error;
  bool begun = false;
};

Parsed Parse(absl::string_view bytes, size_t step, const ReplyLimits& limits) {
  ReplyParser parser(limits);
  Parsed parsed;
  size_t received = 0;
  size_t depth = 0;  // of the item before, one more for the head of an array
  while (!bytes.empty() && parsed.error.empty()) {
    const absl::Span<char> space = parser.Space();
    if (space.empty()) __builtin_trap();
    const size_t n = std::min({space.size(), bytes.size(), step});
    std::copy_n(bytes.begin(), n, space.begin());
    bytes.remove_prefix(n);
    received += n;
    parser.Filled(n);
    while (true) {
      const ReplyParser::Result result = parser.Next();
      if (result == ReplyParser::Result::kError) parsed.error = parser.error();
      if (result != ReplyParser::Result::kItem) break;
      const ReplyItem& item = parser.item();
      if (item.depth > depth || item.depth > limits.max_depth) __builtin_trap();
      if (item.text.size() > std::max(limits.max_bulk_bytes, limits.max_line_bytes)) {
        __builtin_trap();
      }
      const bool opens = item.kind == ReplyItem::Kind::kArray && item.number > 0;
      if (item.last && opens) __builtin_trap();
      depth = item.last ? 0 : item.depth + (opens ? 1 : 0);
      parsed.items.push_back(std::string(1, static_cast<char>(item.kind)) +
                             (item.last ? "." : " ") + std::to_string(item.depth) + " " +
                             std::to_string(item.number) + " " + std::string(item.text));
    }
    if (parser.capacity() > std::max<size_t>(64 << 10, 2 * received)) __builtin_trap();
  }
  parsed.begun = parser.begun();
  return parsed;
}

}  // namespace
}  // namespace resp_client
}  // namespace kvarts

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t how = data[0];
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  kvarts::resp_client::ReplyLimits limits;
  if ((how & 1) != 0) limits = {20, 30, 4, 2};
  // However the bytes come, they are the same items.
  const auto whole = kvarts::resp_client::Parse(bytes, SIZE_MAX, limits);
  const auto parts = kvarts::resp_client::Parse(bytes, 1 + (how >> 4), limits);
  if (whole.items != parts.items || whole.error != parts.error) __builtin_trap();
  if (whole.error.empty() && whole.begun != parts.begun) __builtin_trap();
  return 0;
}
