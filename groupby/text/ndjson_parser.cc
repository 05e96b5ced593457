#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "groupby/text/json_line.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {
namespace {

class NdjsonParser final : public RowParser {
 public:
  explicit NdjsonParser(const RowParserOptions& options) : options_(options) {
    names_.push_back(options.key_member);
    names_.insert(names_.end(), options.field_members.begin(), options.field_members.end());
  }

  void Parse(absl::Span<char> text, ParsedRows* rows) const override {
    rows->Begin(text, names_.size() - 1, options_.keep_lines);
    Row row(names_.size());
    char* const end = text.data() + text.size();
    for (char* line = text.data(); line < end;) {
      void* const found = std::memchr(line, '\n', static_cast<size_t>(end - line));
      char* const line_end = found == nullptr ? end : static_cast<char*>(found);
      const absl::Span<char> bytes(line, static_cast<size_t>(line_end - line));
      if (!IsBlank(bytes) && !ParseRow(bytes, &row, rows)) return;
      if (line_end == end) return;
      rows->CountLine();
      line = line_end + 1;
    }
  }

 private:
  // One row's, used again for each.
  struct Row {
    explicit Row(size_t names) : members(names), fields(names - 1) {}
    std::vector<JsonMember> members;
    std::vector<absl::string_view> fields;
  };

  static bool IsBlank(absl::Span<char> row) {
    for (const char byte : row) {
      if (byte != ' ' && byte != '\t' && byte != '\r') return false;
    }
    return true;
  }

  bool ParseRow(absl::Span<char> bytes, Row* row, ParsedRows* rows) const {
    std::string error = ParseJsonObject(bytes, names_, row->members.data());
    for (size_t i = 0; i < names_.size() && error.empty(); ++i) {
      if (!row->members[i].found) error = absl::StrCat("expected a member \"", names_[i], "\"");
    }
    if (!error.empty()) {
      if (options_.skip_malformed) {
        rows->Skip();
        return true;
      }
      rows->Fail(std::move(error));
      return false;
    }
    const absl::string_view key = KeyText(row->members[0]);
    for (size_t i = 0; i < row->fields.size(); ++i) row->fields[i] = Text(row->members[i + 1]);
    error =
        RowError(key, row->fields.empty() ? absl::string_view() : row->fields[0], options_.limits);
    if (error.empty()) {
      rows->Add(key, row->fields);
      return true;
    }
    rows->Fail(std::move(error));
    return false;
  }

  absl::string_view Text(const JsonMember& member) const {
    if (member.is_string && !options_.json_values) return UnescapeJson(member.raw);
    return absl::string_view(member.raw.data(), member.raw.size());
  }

  absl::string_view KeyText(const JsonMember& key) const {
    if (key.is_string) return UnescapeJson(key.raw);
    size_t size = key.raw.size();
    // Behind a value there is a comma, a space or the object's end.
    if (options_.json_keys) key.raw.data()[size++] = '\xFF';
    return absl::string_view(key.raw.data(), size);
  }

  const RowParserOptions options_;
  std::vector<std::string> names_;  // of the key's member, then the fields'
};

}  // namespace

std::unique_ptr<RowParser> NewNdjsonParser(const RowParserOptions& options) {
  return std::make_unique<NdjsonParser>(options);
}

}  // namespace kvarts::groupby_text
