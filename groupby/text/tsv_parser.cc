#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "groupby/text/byte_scan.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {
namespace {

class TsvParser final : public RowParser {
 public:
  explicit TsvParser(const RowParserOptions& options)
      : options_(options), columns_(options.columns), delimiter_(options.delimiter) {
    // Beside delimiter, newline and carriage return; where there is none, the newline again.
    for (const char byte : options.limits.value_bytes) {
      if (byte == '\n') continue;
      if (byte == delimiter_) {
        delimiter_forbidden_ = true;
      } else if (byte == '\r') {
        return_forbidden_ = true;
      } else {
        (forbidden_[0] == '\n' ? forbidden_[0] : forbidden_[1]) = byte;
      }
    }
    for (const char byte : options.limits.key_bytes) {
      check_key_ = check_key_ || (byte != '\n' && byte != delimiter_);
    }
    check_key_ = check_key_ || !options.limits.empty_key;
    least_ = columns_.key + 1;
    for (const size_t column : columns_.fields) {
      least_ = std::max(least_, column == Columns::kRest ? 2 : column + 1);
    }
    field_of_.assign(least_, -1);
    for (size_t i = 0; i < columns_.fields.size(); ++i) {
      if (columns_.fields[i] == Columns::kRest) {
        rest_field_ = static_cast<int>(i);
      } else {
        field_of_[columns_.fields[i]] = static_cast<int>(i);
      }
    }
  }

  void Parse(absl::Span<char> text, ParsedRows* rows) const override {
    rows->Begin(text, columns_.fields.size(), options_.keep_lines);
    if (columns_.fields.size() == 1) {
      columns_.fields[0] == Columns::kRest ? ParseRest(text, rows) : ParseColumns(text, rows);
    } else {
      ParseFields(text, rows);
    }
  }

 private:
  static absl::string_view View(const char* begin, const char* end) {
    return absl::string_view(begin, static_cast<size_t>(end - begin));
  }

  ByteScan<5> Scan(const char* begin, const char* end) const {
    return {begin, end, {'\n', delimiter_, '\r', forbidden_[0], forbidden_[1]}};
  }
  // Where the last column ends, of a row that ends at `at`.
  const char* ColumnsEnd(const char* column, const char* at) const {
    return options_.crlf && at > column && at[-1] == '\r' ? at - 1 : at;
  }
  // False: the parsing ends here.
  bool Malformed(std::string error, ParsedRows* rows) const {
    if (options_.skip_malformed) {
      rows->Skip();
    } else {
      rows->Fail(std::move(error));
    }
    return options_.skip_malformed;
  }

  // KEY delimiter REST.
  void ParseRest(absl::Span<char> text, ParsedRows* rows) const {
    const char* const end = text.data() + text.size();
    ByteScan<5> scan = Scan(text.data(), end);
    const char* row = text.data();
    const char* split = nullptr;
    bool forbidden = false;
    bool bare_return = false;
    while (row < end) {
      const char* const at = scan.Next();
      if (at != end && *at != '\n') {
        bare_return |= IsBareReturn(at, end);
        if (*at == '\r' && !return_forbidden_) continue;
        if (split != nullptr) {
          forbidden |= *at != delimiter_ || delimiter_forbidden_;
        } else if (*at == delimiter_) {
          split = at;
        }
        continue;
      }
      if (split == nullptr || bare_return) {
        std::string error =
            bare_return ? std::string(kBareReturn)
                        : absl::StrCat("expected a key, ", ByteName(delimiter_), " and a value");
        if (!Malformed(std::move(error), rows)) return;
      } else if (!Add(View(row, split), View(split + 1, ColumnsEnd(split + 1, at)), forbidden,
                      rows)) {
        return;
      }
      if (at == end) return;
      rows->CountLine();
      row = at + 1;
      split = nullptr;
      forbidden = false;
      bare_return = false;
    }
  }

  // A key and one field.
  void ParseColumns(absl::Span<char> text, ParsedRows* rows) const {
    const size_t key_column = columns_.key;
    const size_t field_column = columns_.fields[0];
    absl::string_view key, value;
    ParseEach(
        text, rows,
        [&](size_t number, absl::string_view column) {
          if (number == key_column) key = column;
          if (number == field_column) value = column;
        },
        [&](bool forbidden) { return Add(key, value, forbidden, rows); });
  }

  // A key and some fields, or none.
  void ParseFields(absl::Span<char> text, ParsedRows* rows) const {
    absl::string_view key;
    std::vector<absl::string_view> fields(columns_.fields.size());
    absl::string_view* const rest =
        rest_field_ < 0 ? nullptr : &fields[static_cast<size_t>(rest_field_)];
    ParseEach(
        text, rows,
        [&](size_t number, absl::string_view column) {
          if (number == columns_.key) key = column;
          if (number > 0 && rest != nullptr) {
            *rest = number == 1 ? column : View(rest->data(), column.data() + column.size());
          }
          if (number < field_of_.size() && field_of_[number] >= 0) {
            fields[static_cast<size_t>(field_of_[number])] = column;
          }
        },
        [&](bool forbidden) {
          const absl::string_view value = fields.empty() ? absl::string_view() : fields[0];
          if (!forbidden && !check_key_ && SizesFit(key, value)) {
            rows->Add(key, fields);
            return true;
          }
          std::string error = RowError(key, value, options_.limits);
          if (error.empty()) {
            rows->Add(key, fields);
            return true;
          }
          rows->Fail(std::move(error));
          return false;
        });
  }

  // Calls `take` for each column of a row, then `add`, until that is false.
  template <typename Take, typename AddRow>
  void ParseEach(absl::Span<char> text, ParsedRows* rows, const Take& take,
                 const AddRow& add) const {
    const char* const end = text.data() + text.size();
    // Of the field that is held against the limits.
    const size_t none = SIZE_MAX;
    const size_t first_column = columns_.fields.empty() ? none
                                : rest_field_ == 0      ? 1
                                                        : columns_.fields[0];
    const size_t last_column = rest_field_ == 0 ? none : first_column;
    const bool split_forbidden = delimiter_forbidden_ && rest_field_ == 0;
    ByteScan<5> scan = Scan(text.data(), end);
    const char* row = text.data();
    const char* column = row;  // of number `number`
    size_t number = 0;
    bool forbidden = false;
    bool bare_return = false;
    while (row < end) {
      const char* const at = scan.Next();
      const bool ends_row = at == end || *at == '\n';
      if (!ends_row && *at == '\r') {
        bare_return |= IsBareReturn(at, end);
        if (!return_forbidden_) continue;
      }
      if (!ends_row && *at != delimiter_) {
        forbidden |= number >= first_column && number <= last_column;
        continue;
      }
      take(number, View(column, ends_row ? ColumnsEnd(column, at) : at));
      ++number;
      column = at + 1;
      if (!ends_row) continue;
      forbidden |= split_forbidden && number > 2;
      if (number < least_ || bare_return) {
        std::string error =
            bare_return ? std::string(kBareReturn)
                        : absl::StrCat("expected ", least_, " columns or more, with ",
                                       ByteName(delimiter_), " between them; found ", number);
        if (!Malformed(std::move(error), rows)) return;
      } else if (!add(forbidden)) {
        return;
      }
      if (at == end) return;
      rows->CountLine();
      row = at + 1;
      number = 0;
      forbidden = false;
      bare_return = false;
    }
  }

  bool Add(absl::string_view key, absl::string_view value, bool forbidden, ParsedRows* rows) const {
    if (!forbidden && !check_key_ && SizesFit(key, value)) {
      rows->Add(key, value);
      return true;
    }
    std::string error = RowError(key, value, options_.limits);
    if (error.empty()) {
      rows->Add(key, value);
      return true;
    }
    rows->Fail(std::move(error));
    return false;
  }

  const RowParserOptions options_;
  const Columns columns_;
  const char delimiter_;
  char forbidden_[2] = {'\n', '\n'};
  bool delimiter_forbidden_ = false;
  bool return_forbidden_ = false;
  bool check_key_ = false;
  size_t least_ = 0;           // columns of a row
  std::vector<int> field_of_;  // of a column; -1: none
  int rest_field_ = -1;        // that of Columns::kRest
};

}  // namespace

std::unique_ptr<RowParser> NewTsvParser(const RowParserOptions& options) {
  return std::make_unique<TsvParser>(options);
}

std::vector<std::string> SplitTsvHeader(absl::string_view row, char delimiter) {
  return absl::StrSplit(row, delimiter);
}

}  // namespace kvarts::groupby_text
