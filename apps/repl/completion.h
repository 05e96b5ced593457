#ifndef KVARTS_APPS_REPL_COMPLETION_H_
#define KVARTS_APPS_REPL_COMPLETION_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/store.h"

namespace kvarts {

struct Completion {
  // Replaces the line from this byte up to the cursor.
  size_t begin = 0;
  std::string text;
  // Holds all that `text` may become if there are several; sorted, as they would be typed.
  std::vector<std::string> choices;
};

// What may follow in a line, of which the part in front of the cursor is given: a command, an
// option, a command that help knows, or one of the first 100 keys. No keys where the store would
// have to be read through for them. Where nothing is known, `text` is what stands there.
Completion Complete(absl::string_view line, Store* store);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_COMPLETION_H_
