#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "groupby/text/byte_scan.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {
namespace {

absl::string_view View(const char* begin, const char* end) {
  return absl::string_view(begin, static_cast<size_t>(end - begin));
}

// Takes the second of each two quotes out of [begin, end), in place; what is left behind
// the end it returns is no newline, so that lines stay as many as they were.
char* TakeQuotesOut(char* begin, char* end) {
  char* to = begin;
  for (char* from = begin; from < end; ++from) {
    *to++ = *from;
    if (*from == '"') ++from;
  }
  for (char* rest = to; rest < end; ++rest) *rest = '"';
  return to;
}

// Not thread-safe. The columns of rows, one after the other.
class CsvColumns {
 public:
  CsvColumns(absl::Span<char> text, char delimiter)
      : end_(text.data() + text.size()),
        at_(text.data()),
        delimiter_(delimiter),
        scan_(text.data(), end_, {'\n', delimiter, '"', '\r'}) {}

  bool at_end() const { return at_ == end_; }

  void StartRow() {
    row_ends_ = false;
    lines_ = 0;
    error_ = {};
  }
  // The next column of the row; `wanted`: as it is meant, else anything.
  absl::string_view Next(bool wanted) {
    if (at_ < end_ && *at_ == '"') return NextQuoted(wanted);
    const char* const begin = at_;
    const char* const stop = Stop();
    return View(begin, TakeReturnOut(begin, stop));
  }
  bool row_ends() const { return row_ends_; }
  // Newlines of the row, once it ends.
  uint64_t lines() const { return lines_; }
  // What is wrong with the row; "": nothing.
  absl::string_view error() const { return error_; }

 private:
  absl::string_view NextQuoted(bool wanted) {
    char* const begin = at_ + 1;
    char* close = begin;
    bool doubled = false;
    while (true) {
      close = static_cast<char*>(std::memchr(close, '"', static_cast<size_t>(end_ - close)));
      if (close == nullptr || close + 1 == end_ || close[1] != '"') break;
      doubled = true;
      close += 2;
      if (close == end_) close = nullptr;
      if (close == nullptr) break;
    }
    if (close == nullptr) {
      error_ = "a quote is not closed";
      lines_ += static_cast<uint64_t>(std::count(begin, end_, '\n'));
      EndAt(end_);
      return {};
    }
    lines_ += static_cast<uint64_t>(std::count(begin, close, '\n'));
    const char* after = close + 1;
    if (after < end_ && *after == '\r' && (after + 1 == end_ || after[1] == '\n')) ++after;
    if (after < end_ && *after != delimiter_ && *after != '\n') {
      if (error_.empty()) error_ = "a closing quote is not the end of its column";
      scan_.Seek(after);
      at_ = close + 1;
      Stop();
      return {};
    }
    scan_.Seek(after < end_ ? after + 1 : end_);
    EndAt(after);
    return View(begin, doubled && wanted ? TakeQuotesOut(begin, close) : close);
  }

  // The end of a column without quotes.
  const char* Stop() {
    const char* stop = scan_.Next();
    while (stop < end_ && (*stop == '"' || *stop == '\r')) {
      if (error_.empty()) {
        if (*stop == '"') error_ = "a quote in a column that does not begin with one";
        if (IsBareReturn(stop, end_)) error_ = kBareReturn;
      }
      stop = scan_.Next();
    }
    EndAt(stop);
    return stop;
  }
  void EndAt(const char* stop) {
    row_ends_ = stop == end_ || *stop == '\n';
    if (stop < end_ && *stop == '\n') ++lines_;
    at_ += (stop - at_) + (stop < end_ ? 1 : 0);
  }
  const char* TakeReturnOut(const char* begin, const char* stop) const {
    return row_ends_ && stop > begin && stop[-1] == '\r' ? stop - 1 : stop;
  }

  char* const end_;
  char* at_;
  const char delimiter_;
  ByteScan<4> scan_;
  bool row_ends_ = false;
  uint64_t lines_ = 0;
  absl::string_view error_;
};

class CsvParser final : public RowParser {
 public:
  explicit CsvParser(const RowParserOptions& options)
      : options_(options), columns_(options.columns) {
    two_columns_ = columns_.fields == std::vector<size_t>{Columns::kRest};
    for (size_t& column : columns_.fields) {
      if (column == Columns::kRest) column = 1;
    }
    least_ = columns_.key + 1;
    for (const size_t column : columns_.fields) least_ = std::max(least_, column + 1);
    field_of_.assign(least_, -1);
    for (size_t i = 0; i < columns_.fields.size(); ++i) {
      field_of_[columns_.fields[i]] = static_cast<int>(i);
    }
  }

  void Parse(absl::Span<char> text, ParsedRows* rows) const override {
    rows->Begin(text, columns_.fields.size(), options_.keep_lines);
    CsvColumns columns(text, options_.delimiter);
    std::vector<absl::string_view> fields(columns_.fields.size());
    while (!columns.at_end()) {
      absl::string_view key;
      size_t number = 0;
      columns.StartRow();
      do {
        const int field = number < least_ ? field_of_[number] : -1;
        const absl::string_view column = columns.Next(field >= 0 || number == columns_.key);
        if (number == columns_.key) key = column;
        if (field >= 0) fields[static_cast<size_t>(field)] = column;
        ++number;
      } while (!columns.row_ends());
      if (!columns.error().empty() || number < least_ || (two_columns_ && number > 2)) {
        if (!options_.skip_malformed) return rows->Fail(Malformed(columns, number));
        rows->Skip();
      } else {
        std::string error =
            RowError(key, fields.empty() ? absl::string_view() : fields[0], options_.limits);
        if (!error.empty()) return rows->Fail(std::move(error));
        rows->Add(key, fields);
      }
      rows->CountLines(columns.lines());
    }
  }

 private:
  std::string Malformed(const CsvColumns& columns, size_t number) const {
    if (!columns.error().empty()) return std::string(columns.error());
    return two_columns_
               ? absl::StrCat("expected 2 columns, found ", number, "; of more --value picks one")
               : absl::StrCat("expected ", least_, " columns or more, found ", number);
  }

  const RowParserOptions options_;
  Columns columns_;
  bool two_columns_ = false;   // and no more
  size_t least_ = 0;           // columns of a row
  std::vector<int> field_of_;  // of a column; -1: none
};

}  // namespace

std::unique_ptr<RowParser> NewCsvParser(const RowParserOptions& options) {
  return std::make_unique<CsvParser>(options);
}

bool SplitCsvHeader(absl::string_view row, char delimiter, std::vector<std::string>* names) {
  std::string text(row);
  CsvColumns columns(absl::MakeSpan(&text[0], text.size()), delimiter);
  columns.StartRow();
  do {
    names->emplace_back(columns.Next(true));
  } while (!columns.row_ends());
  return columns.error().empty();
}

}  // namespace kvarts::groupby_text
