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
    // Beside delimiter and newline; what occurs in no value is looked for twice.
    for (const char byte : options.limits.value_bytes) {
      if (byte == '\n') continue;
      if (byte == delimiter_) {
        delimiter_forbidden_ = true;
      } else {
        (forbidden_[0] == '\n' ? forbidden_[0] : forbidden_[1]) = byte;
      }
    }
    for (const char byte : options.limits.key_bytes) {
      check_key_ = check_key_ || (byte != '\n' && byte != delimiter_);
    }
    check_key_ = check_key_ || !options.limits.empty_key;
  }

  void Parse(absl::Span<char> text, ParsedRows* rows) const override {
    // A row is at least its newline.
    rows->Begin(text.size() + 1);
    if (columns_.rest) {
      ParseRest(text, rows);
    } else {
      ParseColumns(text, rows);
    }
  }

 private:
  static absl::string_view View(const char* begin, const char* end) {
    return absl::string_view(begin, static_cast<size_t>(end - begin));
  }

  // KEY delimiter REST.
  void ParseRest(absl::Span<char> text, ParsedRows* rows) const {
    const char* const end = text.data() + text.size();
    ByteScan scan(text.data(), end, '\n', delimiter_, forbidden_[0], forbidden_[1]);
    const char* row = text.data();
    const char* split = nullptr;
    bool forbidden = false;
    while (row < end) {
      const char* const at = scan.Next();
      if (at != end && *at != '\n') {
        if (split != nullptr) {
          forbidden |= *at != delimiter_ || delimiter_forbidden_;
        } else if (*at == delimiter_) {
          split = at;
        }
        continue;
      }
      if (split != nullptr) {
        if (!Add(View(row, split), View(split + 1, at), forbidden, rows)) return;
      } else if (options_.skip_malformed) {
        rows->Skip();
      } else {
        return rows->Fail(absl::StrCat("expected a key, ", ByteName(delimiter_), " and a value"));
      }
      if (at == end) return;
      rows->CountLine();
      row = at + 1;
      split = nullptr;
      forbidden = false;
    }
  }

  void ParseColumns(absl::Span<char> text, ParsedRows* rows) const {
    const char* const end = text.data() + text.size();
    const size_t last = std::max(columns_.key, columns_.value);
    ByteScan scan(text.data(), end, '\n', delimiter_, forbidden_[0], forbidden_[1]);
    const char* row = text.data();
    const char* column = row;  // of number `number`
    size_t number = 0;
    absl::string_view key, value;
    bool forbidden = false;
    while (row < end) {
      const char* const at = scan.Next();
      const bool ends_row = at == end || *at == '\n';
      if (!ends_row && *at != delimiter_) {
        forbidden |= number == columns_.value;
        continue;
      }
      if (number == columns_.key) key = View(column, at);
      if (number == columns_.value) value = View(column, at);
      ++number;
      column = at + 1;
      if (!ends_row) continue;
      if (number > last) {
        if (!Add(key, value, forbidden, rows)) return;
      } else if (options_.skip_malformed) {
        rows->Skip();
      } else {
        return rows->Fail(absl::StrCat("expected ", last + 1, " columns or more, with ",
                                       ByteName(delimiter_), " between them; found ", number));
      }
      if (at == end) return;
      rows->CountLine();
      row = at + 1;
      number = 0;
      forbidden = false;
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
  bool check_key_ = false;
};

}  // namespace

std::unique_ptr<RowParser> NewTsvParser(const RowParserOptions& options) {
  return std::make_unique<TsvParser>(options);
}

std::vector<std::string> SplitTsvHeader(absl::string_view row, char delimiter) {
  return absl::StrSplit(row, delimiter);
}

}  // namespace kvarts::groupby_text
