#ifndef KVARTS_APPS_REPL_QUOTING_H_
#define KVARTS_APPS_REPL_QUOTING_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// How the shell's lines hold any bytes, both ways. A word ends at a blank (space, tab), and is
// made of pieces as in a POSIX shell:
//   plain      bytes as they are, and escapes
//   '...'      bytes as they are, up to the next '
//   "..."      bytes and escapes
//   $'...'     bytes and escapes, as bash has it
// An escape is a backslash and: a b e f n r t v, as in C; 0, the byte 0; xHH, two hexadecimal
// digits; or a byte that is no letter or digit, which then stands for itself. All else is an
// error, so that nothing typed is dropped. Nothing is ever expanded.

struct Word {
  std::string bytes;
  size_t begin = 0;  // where it stands in the line, up to, not including, `end`
  size_t end = 0;
  bool quoted = false;  // it begins with a quote or an escape: "--x" is then no option
};

// Not thread-safe. Takes a line apart from left to right. The line must outlive it. Errors are
// kInvalidArgument, and name the column, from 1 on.
class WordReader {
 public:
  // `may_be_open`: a quote or an escape that the end of the line cuts off is no error. For
  // completion.
  explicit WordReader(absl::string_view line, bool may_be_open = false)
      : line_(line), may_be_open_(may_be_open) {}

  // Skips blanks. True: there is no further word.
  bool AtEnd();
  // REQUIRES: !AtEnd().
  absl::StatusOr<Word> Next();
  // REQUIRES: !AtEnd(). The DATA of a line: one word where it begins with a quote, and then
  // the line must end behind it; else the rest of the line, byte for byte.
  absl::StatusOr<Word> Data();

 private:
  absl::Status ReadPiece(Word* word);
  absl::Status ReadQuoted(char quote, bool escapes, std::string* out);
  absl::Status ReadEscape(std::string* out);
  absl::Status ErrorAt(size_t position, absl::string_view what) const;
  char Peek(size_t offset) const {
    return at_ + offset < line_.size() ? line_[at_ + offset] : '\0';
  }

  const absl::string_view line_;
  const bool may_be_open_;
  size_t at_ = 0;
};

// `bytes` as a word that reads back as them. Holds no control bytes, no bytes that are not
// UTF-8, and nothing that moves a terminal's cursor: plain where that is enough, else '...',
// else $'...'.
std::string QuoteWord(absl::string_view bytes);
// As DATA it is plain where the rest of a line would read back as it.
std::string QuoteData(absl::string_view bytes);
// The beginning of a word, which more is to be typed behind: without the closing quote.
std::string QuoteOpen(absl::string_view bytes);

// `bytes` for people, on one line: what is not printable is shown as an escape. Not to be read
// back.
std::string Shown(absl::string_view bytes);

// UTF-8 of printable characters, newlines and tabs.
bool IsText(absl::string_view bytes);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_QUOTING_H_
