#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_REPLY_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_REPLY_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kvarts {
namespace resp_differential {

// A reply, taken apart. A null is of type '_', in RESP2 too.
struct Reply {
  char type = '\0';          // its first byte
  std::string text;          // of what is no aggregate; the number of an integer
  std::vector<Reply> items;  // of '*', '~' and, both keys and values, '%'

  bool is_null() const { return type == '_'; }
  bool is_error() const { return type == '-'; }
};

// Takes the first reply off `bytes`; nothing where it is not whole.
std::optional<Reply> TakeReply(absl::string_view* bytes);

// Printable, on a line.
std::string Escaped(absl::string_view bytes);

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_REPLY_H_
