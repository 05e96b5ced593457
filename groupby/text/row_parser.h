#ifndef KVARTS_GROUPBY_TEXT_ROW_PARSER_H_
#define KVARTS_GROUPBY_TEXT_ROW_PARSER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_text {

// Which columns of delimited text are taken, from 0 on.
struct Columns {
  // All behind the key, which is the first column then: in TSV the rest of the line with
  // its delimiters; in CSV the second column, and there is no third where this is the one
  // field.
  static constexpr size_t kRest = SIZE_MAX;

  size_t key = 0;
  // All different; none where rows are only counted.
  std::vector<size_t> fields = {kRest};
};

// Bytes that the output cannot hold in a key and in the first field, so that a row is
// refused where its line is known.
struct OutputLimits {
  std::string key_bytes;
  std::string value_bytes;
  bool empty_key = true;
};

// The rows of a chunk. One thread's, used again for each chunk.
class ParsedRows {
 public:
  // Rows are parsed up to the first one that is wrong. Values are first fields.
  absl::Span<const KeyValue> rows() const { return absl::MakeConstSpan(rows_.get(), size_); }
  // All fields of a row.
  absl::Span<const absl::string_view> fields(size_t row) const {
    if (width_ > 1) return absl::MakeConstSpan(fields_.get() + row * width_, width_);
    return absl::MakeConstSpan(&rows_[row].value, width_);
  }
  // Newlines before the row that is wrong, or of the whole chunk; and before a row, where
  // RowParserOptions::keep_lines.
  uint64_t lines() const { return lines_; }
  uint64_t lines_before(size_t row) const { return lines_before_[row]; }
  // Malformed ones that were left out.
  uint64_t skipped() const { return skipped_; }
  // What is wrong with the row at lines(); "": nothing.
  const std::string& error() const { return error_; }

  // For parsers. Makes room for all rows that `text` can have; what is not used of it
  // takes no memory.
  void Begin(absl::Span<const char> text, size_t width, bool keep_lines);
  void Add(absl::string_view key, absl::string_view value) {
    if (keep_lines_) lines_before_[size_] = static_cast<uint32_t>(lines_);
    rows_[size_++] = {key, value};
  }
  // REQUIRES: as many fields as Begin() was told.
  void Add(absl::string_view key, absl::Span<const absl::string_view> fields) {
    if (width_ > 1) std::copy(fields.begin(), fields.end(), fields_.get() + size_ * width_);
    Add(key, fields.empty() ? absl::string_view() : fields[0]);
  }
  void CountLine() { ++lines_; }
  void CountLines(uint64_t lines) { lines_ += lines; }
  void Skip() { ++skipped_; }
  void Fail(std::string error) { error_ = std::move(error); }

 private:
  struct Free {
    void operator()(void* array) const;
  };
  template <typename T>
  using Array = std::unique_ptr<T[], Free>;
  template <typename T>
  static void MakeRoom(size_t size, size_t* room, Array<T>* array);

  Array<KeyValue> rows_;
  Array<absl::string_view> fields_;  // width_ for each row, where they are more than one
  Array<uint32_t> lines_before_;
  size_t row_room_ = 0;
  size_t field_room_ = 0;
  size_t line_room_ = 0;
  size_t width_ = 1;
  bool keep_lines_ = false;
  size_t size_ = 0;
  uint64_t lines_ = 0;
  uint64_t skipped_ = 0;
  std::string error_;
};

// Thread-safe.
class RowParser {
 public:
  virtual ~RowParser() = default;

  // Parses whole rows, of which the last may lack its newline. `text` is overwritten
  // where quotes or escapes are taken out, and the rows lie in it.
  virtual void Parse(absl::Span<char> text, ParsedRows* rows) const = 0;
};

struct RowParserOptions {
  Columns columns;
  char delimiter = '\t';
  OutputLimits limits;
  // Leave malformed rows out. Rows beyond a limit are errors all the same.
  bool skip_malformed = false;
  bool keep_lines = false;  // see ParsedRows
  // Rows of TSV end with \r\n, as their header does: the \r is no byte of the last column.
  bool crlf = false;
  // Of JSON: the members of key and fields, all different.
  std::string key_member = "key";
  std::vector<std::string> field_members = {"value"};
  bool json_keys = false;    // see NewNdjsonParser()
  bool json_values = false;  // likewise
};

// Columns between delimiters, taken as they are: no quotes, no escapes. A carriage return
// in front of a newline is a byte of the last column, but for `crlf`; elsewhere the row is
// malformed.
std::unique_ptr<RowParser> NewTsvParser(const RowParserOptions& options);
// RFC 4180: columns may stand between quotes, in which delimiters and newlines are bytes
// as others are, and two quotes are one. Rows end with \n or \r\n; a \r elsewhere and not
// between quotes is malformed.
std::unique_ptr<RowParser> NewCsvParser(const RowParserOptions& options);
// One JSON object a line (RFC 8259), lines of white space aside. Strings are taken as
// their text, other values as their JSON text. With `json_values` strings too are taken
// as JSON text; with `json_keys` keys that are no strings get a byte FF behind it, which
// no string has. So they can be written as what they are.
std::unique_ptr<RowParser> NewNdjsonParser(const RowParserOptions& options);

// The columns of a header row, as the parsers see it.
std::vector<std::string> SplitTsvHeader(absl::string_view row, char delimiter);
// False where its quotes are wrong.
bool SplitCsvHeader(absl::string_view row, char delimiter, std::vector<std::string>* names);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_ROW_PARSER_H_
