#ifndef KVARTS_APPS_REPL_LINE_EDITOR_H_
#define KVARTS_APPS_REPL_LINE_EDITOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "apps/repl/completion.h"

namespace kvarts {

// Not thread-safe. Lines that a person types at a terminal, which is the standard input and
// output: edited, recalled (up, down, Ctrl-R) and completed (Tab), by libedit. Settings of the
// user's ~/.editrc count. Needs an Interrupts: a signal ends a ReadLine().
class LineEditor {
 public:
  enum class Result : unsigned char { kLine = 0, kEnd, kInterrupted };

  // Told the line up to the cursor.
  using Completer = std::function<Completion(absl::string_view line)>;

  LineEditor(std::string prompt, Completer completer);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // A line that may be recalled, the newest last.
  void Remember(const std::string& line);
  // The next line, without its newline. kEnd: Ctrl-D on an empty line, or the terminal is gone.
  Result ReadLine(std::string* line);

 private:
  class Editor;
  const std::unique_ptr<Editor> editor_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_LINE_EDITOR_H_
