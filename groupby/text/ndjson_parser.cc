#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "groupby/text/json_line.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {
namespace {

class NdjsonParser final : public RowParser {
 public:
  explicit NdjsonParser(const RowParserOptions& options) : options_(options) {}

  void Parse(absl::Span<char> text, ParsedRows* rows) const override {
    // The shortest row is {"":0,"a":0}.
    rows->Begin(text.size() / 12 + 1);
    char* const end = text.data() + text.size();
    for (char* line = text.data(); line < end;) {
      void* const found = std::memchr(line, '\n', static_cast<size_t>(end - line));
      char* const line_end = found == nullptr ? end : static_cast<char*>(found);
      const absl::Span<char> row(line, static_cast<size_t>(line_end - line));
      if (!IsBlank(row) && !ParseRow(row, rows)) return;
      if (line_end == end) return;
      rows->CountLine();
      line = line_end + 1;
    }
  }

 private:
  static bool IsBlank(absl::Span<char> row) {
    for (const char byte : row) {
      if (byte != ' ' && byte != '\t' && byte != '\r') return false;
    }
    return true;
  }

  bool ParseRow(absl::Span<char> row, ParsedRows* rows) const {
    JsonMember key;
    JsonMember value;
    std::string error =
        ParseJsonObject(row, options_.key_member, &key, options_.value_member, &value);
    if (error.empty() && !key.found) {
      error = absl::StrCat("expected a member \"", options_.key_member, "\"");
    }
    if (error.empty() && !value.found) {
      error = absl::StrCat("expected a member \"", options_.value_member, "\"");
    }
    if (!error.empty()) {
      if (options_.skip_malformed) {
        rows->Skip();
        return true;
      }
      rows->Fail(std::move(error));
      return false;
    }
    const absl::string_view key_text = KeyText(key);
    const absl::string_view value_text =
        value.is_string && !options_.json_text
            ? UnescapeJson(value.raw)
            : absl::string_view(value.raw.data(), value.raw.size());
    error = RowError(key_text, value_text, options_.limits);
    if (error.empty()) {
      rows->Add(key_text, value_text);
      return true;
    }
    rows->Fail(std::move(error));
    return false;
  }

  absl::string_view KeyText(const JsonMember& key) const {
    if (key.is_string) return UnescapeJson(key.raw);
    size_t size = key.raw.size();
    // Behind a value there is a comma, a space or the object's end.
    if (options_.json_text) key.raw.data()[size++] = '\xFF';
    return absl::string_view(key.raw.data(), size);
  }

  const RowParserOptions options_;
};

}  // namespace

std::unique_ptr<RowParser> NewNdjsonParser(const RowParserOptions& options) {
  return std::make_unique<NdjsonParser>(options);
}

}  // namespace kvarts::groupby_text
