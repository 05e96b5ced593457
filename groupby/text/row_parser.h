#ifndef KVARTS_GROUPBY_TEXT_ROW_PARSER_H_
#define KVARTS_GROUPBY_TEXT_ROW_PARSER_H_

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
  size_t key = 0;
  // Ignored where `rest`.
  size_t value = 1;
  // The value is all behind the key, which is the first column: in TSV the rest of the
  // line with its delimiters, in CSV the second of two columns.
  bool rest = true;
};

// Bytes that the output cannot hold, so that a row is refused where its line is known.
struct OutputLimits {
  std::string key_bytes;
  std::string value_bytes;
  bool empty_key = true;
};

// The rows of a chunk. One thread's, used again for each chunk.
class ParsedRows {
 public:
  // Rows are parsed up to the first one that is wrong.
  absl::Span<const KeyValue> rows() const { return absl::MakeConstSpan(rows_.get(), size_); }
  // Newlines before the row that is wrong, or of the whole chunk.
  uint64_t lines() const { return lines_; }
  // Malformed ones that were left out.
  uint64_t skipped() const { return skipped_; }
  // What is wrong with the row at lines(); "": nothing.
  const std::string& error() const { return error_; }

  // For parsers. Room for `rows`, of which what is not used takes no memory.
  void Begin(size_t rows);
  void Add(absl::string_view key, absl::string_view value) { rows_[size_++] = {key, value}; }
  void CountLine() { ++lines_; }
  void CountLines(uint64_t lines) { lines_ += lines; }
  void Skip() { ++skipped_; }
  void Fail(std::string error) { error_ = std::move(error); }

 private:
  struct Free {
    void operator()(KeyValue* rows) const;
  };
  std::unique_ptr<KeyValue[], Free> rows_;
  size_t room_ = 0;
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
  // Of JSON.
  std::string key_member = "key";
  std::string value_member = "value";
  bool json_text = false;  // see NewNdjsonParser()
};

// Columns between delimiters, taken as they are: no quotes, no escapes.
std::unique_ptr<RowParser> NewTsvParser(const RowParserOptions& options);
// RFC 4180: columns may stand between quotes, in which delimiters and newlines are bytes
// as others are, and two quotes are one. Rows end with \n or \r\n.
std::unique_ptr<RowParser> NewCsvParser(const RowParserOptions& options);
// One JSON object a line (RFC 8259), lines of white space aside. Strings are taken as
// their text, other values as their JSON text. With `json_text` values, strings too,
// are taken as JSON text, and keys that are no strings get a byte FF behind it, which
// no string has: so that they can be written as what they are.
std::unique_ptr<RowParser> NewNdjsonParser(const RowParserOptions& options);

// The columns of a header row, as the parsers see it.
std::vector<std::string> SplitTsvHeader(absl::string_view row, char delimiter);
// False where its quotes are wrong.
bool SplitCsvHeader(absl::string_view row, char delimiter, std::vector<std::string>* names);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_ROW_PARSER_H_
