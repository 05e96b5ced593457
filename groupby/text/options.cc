#include "groupby/text/options.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "groupby/aggregate/column_name.h"
#include "groupby/text/row_limits.h"

namespace kvarts::groupby_text {
namespace {

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

// Columns and members by what --key, --value and --aggregate call them.
class Fields {
 public:
  // `names`: of the header; null: not known yet, and all names are right.
  Fields(const GroupTextOptions& options, const std::vector<std::string>* names)
      : options_(options), names_(names) {}

  absl::Status TakeKey(TextPlan* plan) {
    if (json()) {
      KVARTS_ASSIGN_OR_RETURN(key_member_, Member("--key", options_.key, "key"));
      plan->parsing.key_member = key_member_;
      return absl::OkStatus();
    }
    if (options_.key.empty()) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(key_, Column("--key", options_.key));
    plan->parsing.columns.key = key_;
    return absl::OkStatus();
  }

  // The field for a COLUMN of --aggregate; the value's where that is empty.
  absl::StatusOr<size_t> Take(absl::string_view column) {
    const std::string& value = options_.value;
    if (json()) {
      KVARTS_ASSIGN_OR_RETURN(const std::string name, !column.empty()
                                                          ? Member("a member", column, "")
                                                          : Member("--value", value, "value"));
      if (name == key_member_) {
        return Bad(absl::StrCat("the member \"", name, "\" is the key and cannot be a value too"));
      }
      return Position(name, &members_);
    }
    if (!column.empty() || !value.empty()) {
      chosen_ = true;
      KVARTS_ASSIGN_OR_RETURN(const size_t number, !column.empty() ? Column("a column", column)
                                                                   : Column("--value", value));
      return Position(number, &columns_);
    }
    if (key_ != 0 && key_ < kUnknown) {
      return Bad("--key is not the first column: --value must say which the value is");
    }
    const bool csv = options_.input_format == InputFormat::kCsv;
    return Position(csv ? size_t{1} : Columns::kRest, &columns_);
  }

  void Finish(TextPlan* plan) {
    if (json()) {
      plan->fields = members_.size();
      plan->parsing.field_members = std::move(members_);
      return;
    }
    // The one value that nobody chose: then there are two columns.
    const bool csv = options_.input_format == InputFormat::kCsv;
    if (csv && !chosen_ && !columns_.empty()) columns_ = {Columns::kRest};
    plan->fields = columns_.size();
    plan->parsing.columns.fields = std::move(columns_);
  }

 private:
  // Of names that are not known yet, from here on.
  static constexpr size_t kUnknown = 1 << 20;

  bool json() const { return options_.input_format == InputFormat::kNdjson; }

  template <typename T>
  static size_t Position(const T& item, std::vector<T>* items) {
    const auto found = std::find(items->begin(), items->end(), item);
    if (found == items->end()) {
      items->push_back(item);
      return items->size() - 1;
    }
    return static_cast<size_t>(found - items->begin());
  }

  static absl::StatusOr<ColumnName> Parse(absl::string_view what, absl::string_view text) {
    absl::StatusOr<ColumnName> column = ParseColumnName(text);
    if (!column.ok()) return Bad(absl::StrCat(what, ": ", column.status().message()));
    return column;
  }

  // Members have no places: all but quotes is as it stands there.
  static absl::StatusOr<std::string> Member(absl::string_view what, absl::string_view text,
                                            absl::string_view if_empty) {
    if (text.empty()) return std::string(if_empty);
    if (text[0] != '"') return std::string(text);
    KVARTS_ASSIGN_OR_RETURN(ColumnName column, Parse(what, text));
    return *std::move(column.name);
  }

  absl::StatusOr<size_t> Column(absl::string_view what, absl::string_view text) {
    KVARTS_ASSIGN_OR_RETURN(const ColumnName column, Parse(what, text));
    if (options_.header && column.name.has_value()) {
      const std::string& name = *column.name;
      // As good as any, and apart from each other.
      if (names_ == nullptr) return kUnknown + Position(name, &unknown_);
      const auto found = std::find(names_->begin(), names_->end(), name);
      if (found != names_->end()) {
        if (std::find(found + 1, names_->end(), name) == names_->end()) {
          return static_cast<size_t>(found - names_->begin());
        }
        return Bad(absl::StrCat("the header has more than one column \"", name, "\""));
      }
      if (!column.place.has_value()) {
        return Bad(absl::StrCat("the header has no column \"", name, "\""));
      }
    }
    if (!column.place.has_value()) {
      return Bad(absl::StrCat(what, " is a name, \"", *column.name, "\"; names need --header"));
    }
    constexpr uint64_t kMaxColumns = 100000;
    if (*column.place > 0 && *column.place <= kMaxColumns) {
      return static_cast<size_t>(*column.place - 1);
    }
    return Bad(absl::StrCat(what, " is ", text, "; columns are counted from 1 to ", kMaxColumns));
  }

  const GroupTextOptions& options_;
  const std::vector<std::string>* const names_;
  size_t key_ = 0;
  std::string key_member_;
  bool chosen_ = false;  // a column other than by being behind the key
  std::vector<size_t> columns_;
  std::vector<std::string> members_;
  std::vector<std::string> unknown_;
};

bool HasBareReturn(absl::string_view row) {
  for (const char& byte : row) {
    if (IsBareReturn(&byte, row.data() + row.size())) return true;
  }
  return false;
}

absl::StatusOr<TextPlan> Plan(const GroupTextOptions& options,
                              const std::vector<std::string>* names) {
  TextPlan plan;
  Fields fields(options, names);
  KVARTS_RETURN_IF_ERROR(fields.TakeKey(&plan));
  // The list's field is the first: twice, since only the second time it is known.
  const ResolveColumn none = [](absl::string_view) { return size_t{0}; };
  KVARTS_ASSIGN_OR_RETURN(ParsedAggregates parsed, ParseAggregates(options.aggregate, none));
  if (parsed.list > 0) return Bad("--aggregate: list comes before the others");
  if (parsed.list == 0) KVARTS_RETURN_IF_ERROR(fields.Take("").status());
  KVARTS_ASSIGN_OR_RETURN(
      parsed, ParseAggregates(options.aggregate,
                              [&fields](absl::string_view column) { return fields.Take(column); }));
  fields.Finish(&plan);
  plan.aggregates = std::move(parsed.aggregates);
  for (AggregateSpec& aggregate : plan.aggregates) {
    if (aggregate.function->input() == AggregateFunction::Input::kNone) aggregate.column = 0;
  }
  WriterOptions& writer = plan.writer;
  writer.format = options.format;
  writer.encoding = options.encoding;
  writer.separator = options.separator;
  writer.list = parsed.list == 0;
  writer.json_text = options.input_format == InputFormat::kNdjson &&
                     options.format == OutputFormat::kNdjson && options.encoding == Encoding::kNone;
  plan.parsing.delimiter = DelimiterOf(options);
  plan.parsing.limits = LimitsOf(writer);
  plan.parsing.skip_malformed = options.skip_malformed;
  plan.parsing.keep_lines = !plan.aggregates.empty();
  plan.parsing.json_keys = writer.json_text;
  plan.parsing.json_values = writer.json_text && writer.list;
  return plan;
}

}  // namespace

char DelimiterOf(const GroupTextOptions& options) {
  if (options.delimiter == "\\t") return '\t';
  if (!options.delimiter.empty()) return options.delimiter[0];
  return options.input_format == InputFormat::kCsv ? ',' : '\t';
}

absl::Status CheckOptions(const GroupTextOptions& options) {
  const bool json = options.input_format == InputFormat::kNdjson;
  if (json && (options.header || !options.delimiter.empty())) {
    return Bad("--header and --delimiter are not for NDJSON");
  }
  if (!options.delimiter.empty() && options.delimiter.size() != 1 && options.delimiter != "\\t") {
    return Bad("--delimiter is one byte, or \\t");
  }
  const char delimiter = DelimiterOf(options);
  if (delimiter == '\n' || delimiter == '\r') return Bad("--delimiter ends lines");
  if (options.input_format == InputFormat::kCsv && delimiter == '"') {
    return Bad("--delimiter is the quote of CSV");
  }
  if (options.format != OutputFormat::kNdjson) {
    const char separator = options.separator;
    if (separator == '\n') return Bad("--separator ends lines");
    const bool letter = absl::ascii_isalnum(static_cast<unsigned char>(separator));
    if (options.encoding == Encoding::kEscape && (letter || separator == '\\')) {
      return Bad("--separator is a byte that --encoding=escape writes");
    }
    if (options.encoding == Encoding::kBase64 &&
        (letter || separator == '+' || separator == '/' || separator == '=')) {
      return Bad("--separator is a byte that --encoding=base64 writes");
    }
  }
  KVARTS_ASSIGN_OR_RETURN(const TextPlan plan, Plan(options, nullptr));
  if (!plan.writer.list && options.grouping.algorithm != GroupingOptions::Algorithm::kAuto) {
    return Bad("--algorithm and its caps are for the list of values");
  }
  return absl::OkStatus();
}

absl::StatusOr<TextPlan> MakePlan(const GroupTextOptions& options, absl::string_view header) {
  std::vector<std::string> names;
  bool crlf = false;
  if (options.header) {
    const char delimiter = DelimiterOf(options);
    const bool tsv = options.input_format == InputFormat::kTsv;
    if ((tsv || !absl::StrContains(header, '"')) && HasBareReturn(header)) {
      return Bad(absl::StrCat("the header holds ", kBareReturn));
    }
    if (tsv) {
      crlf = absl::ConsumeSuffix(&header, "\r");
      names = SplitTsvHeader(header, delimiter);
    } else if (!SplitCsvHeader(header, delimiter, &names)) {
      return Bad("the header is no row of CSV (RFC 4180)");
    }
  }
  KVARTS_ASSIGN_OR_RETURN(TextPlan plan, Plan(options, &names));
  plan.parsing.crlf = crlf;
  return plan;
}

}  // namespace kvarts::groupby_text
