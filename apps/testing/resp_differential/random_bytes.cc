#include "apps/testing/resp_differential/random_bytes.h"

#include <cstddef>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace kvarts {
namespace resp_differential {
namespace {

// Whose replies are the same to the byte, whoever is asked, and short: redis-server sends no
// more to who has ended than what the socket takes at once. So of keys of their own.
constexpr absl::string_view kLines[] = {
    "PING",
    "ping x",
    "ECHO \"a b\"",
    "SET p q",
    "SET q 'r s'",
    "GET p",
    "APPEND p \"\\x00x\"",
    "MGET p q",
    "INCR r",
    "DEL p r",
    "",
    "GETRANGE p 0 1",
    "MULTI",
    "EXEC",
    "NOSUCH x",
    "GET",
    "QUIT",
};
// Those that mean something to a parser; not of what makes another command, such as XDEL.
constexpr absl::string_view kBytes = "*$\r\n-+ 019\"'\\:\t\v\xff";

}  // namespace

std::string RandomBytes(std::mt19937_64* random) {
  const auto below = [random](size_t n) { return (*random)() % n; };
  std::string bytes;
  for (size_t n = 1 + below(4); n > 0; --n) {
    const absl::string_view line = kLines[below(std::size(kLines))];
    if (below(2) == 0) {
      absl::StrAppend(&bytes, line, below(4) == 0 ? "\n" : "\r\n");
      continue;
    }
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    absl::StrAppend(&bytes, "*", words.size(), "\r\n");
    for (const absl::string_view word : words) {
      absl::StrAppend(&bytes, "$", word.size(), "\r\n", word, "\r\n");
    }
  }
  for (size_t n = below(4); n > 0 && !bytes.empty(); --n) {
    const size_t at = below(bytes.size());
    const char byte = kBytes[below(kBytes.size())];
    switch (below(4)) {
      case 0:
        bytes.erase(at, 1 + below(3));
        break;
      case 1:
        bytes.insert(at, 1, byte);
        break;
      case 2:
        bytes[at] = byte;
        break;
      default:
        bytes.resize(at);
    }
  }
  return bytes;
}

}  // namespace resp_differential
}  // namespace kvarts
