#include "groupby/aggregate/column_name.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace kvarts {
namespace {

// Digits as a number; one that is too large for any limit where it is too large for 64 bits.
std::optional<uint64_t> Place(absl::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != absl::string_view::npos) return {};
  uint64_t place = 0;
  return absl::SimpleAtoi(text, &place) ? place : std::numeric_limits<uint64_t>::max();
}

// Behind the quote that closes the one which `text` begins with; npos: none does.
size_t QuotedBytes(absl::string_view text) {
  size_t at = text.find('"', 1);
  while (at != absl::string_view::npos && at + 1 < text.size() && text[at + 1] == '"') {
    at = text.find('"', at + 2);
  }
  return at == absl::string_view::npos ? at : at + 1;
}

}  // namespace

absl::StatusOr<ColumnName> ParseColumnName(absl::string_view text) {
  ColumnName column;
  if (!text.empty() && text[0] == '"') {
    if (QuotedBytes(text) != text.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected a name between quotes, with a quote in it twice; found ",
                       absl::CHexEscape(text)));
    }
    column.name = absl::StrReplaceAll(text.substr(1, text.size() - 2), {{"\"\"", "\""}});
    return column;
  }
  if (!text.empty() && text[0] == '#') column.place = Place(text.substr(1));
  if (!column.place.has_value()) {
    column.name = std::string(text);
    column.place = Place(text);
  }
  return column;
}

std::vector<absl::string_view> SplitAtNames(absl::string_view text, char separator) {
  std::vector<absl::string_view> parts;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool opens = text[at] == '"' && (at == 0 || text[at - 1] == ',' || text[at - 1] == ':');
    const size_t quoted = opens ? QuotedBytes(text.substr(at)) : absl::string_view::npos;
    if (quoted != absl::string_view::npos) {
      at += quoted - 1;
    } else if (text[at] == separator) {
      parts.push_back(text.substr(begin, at - begin));
      begin = at + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace kvarts
