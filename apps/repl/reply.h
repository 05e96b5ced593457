#ifndef KVARTS_APPS_REPL_REPLY_H_
#define KVARTS_APPS_REPL_REPLY_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/cursor.h"

namespace kvarts {

// Where the shell's output goes. Not thread-safe.
class ReplConsole {
 public:
  virtual ~ReplConsole() = default;

  // Goes to the standard output, which may keep it until Flush(). False: nobody takes it any more.
  virtual bool Print(absl::string_view bytes) = 0;
  virtual bool Flush() = 0;
  // A line about an error, without its end, behind all that was printed.
  virtual void Complain(absl::string_view line) = 0;
};

struct ReplyStyle {
  bool json = false;         // one object a command
  bool times = false;        // says how long a command took; JSON always does
  bool plain_texts = false;  // a value that is text is written as it is: see IsText()
};

// Not thread-safe. The answer to one command, as lines for people and scripts or as a JSON
// object on one line. It is built from both at once: lines are left out of the object, and
// members of the lines. Long ones are printed as they grow.
class Reply {
 public:
  Reply(absl::string_view command, const ReplyStyle& style, ReplConsole* console);

  void Line(absl::string_view text);
  // One line, of bytes that may be anything.
  void ValueLine(absl::string_view bytes);

  void Number(absl::string_view name, uint64_t number);
  void Flag(absl::string_view name, bool flag);
  void Bytes(absl::string_view name, absl::string_view bytes);
  void Pairs(absl::string_view name, const std::vector<std::pair<std::string, std::string>>& pairs);

  // An entry of a scan: a line, and a place in the array "entries", or the key alone in "keys".
  // False: nobody takes output any more.
  bool Entry(const ScanEntry& entry, bool keys_only);
  // A scan without entries calls it too, so that the object has its array.
  void EndEntries(bool keys_only);

  // Shows what there is so far. False: nobody takes output any more.
  bool Flush();

  // Ends the answer and prints it. `line`: of the command in a pipe, or 0; errors name it. False:
  // nobody takes output any more.
  bool Finish(const absl::Status& status, absl::Duration time, uint64_t line);

 private:
  void Member(absl::string_view name);
  bool PrintSome();

  const ReplyStyle style_;
  ReplConsole* const console_;
  std::string out_;
  bool in_entries_ = false;
  bool taken_ = true;
};

// `status` as the line of an error, which names the line of the command where that is not 0.
std::string ErrorLine(const absl::Status& status, uint64_t line);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_REPLY_H_
