#include "groupby/aggregate/aggregate_spec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/aggregate/aggregate_functions.h"
#include "groupby/aggregate/column_name.h"

namespace kvarts {
namespace {

using Make = std::shared_ptr<const AggregateFunction> (*)();

struct Named {
  absl::string_view name;
  Make make;
};
constexpr Named kFunctions[] = {
    {"sum", &SumFunction},     {"mean", &MeanFunction},       {"min", &MinFunction},
    {"max", &MaxFunction},     {"mintext", &MinTextFunction}, {"maxtext", &MaxTextFunction},
    {"first", &FirstFunction}, {"last", &LastFunction},       {"distinct", &DistinctFunction},
};

absl::Status Bad(absl::string_view aggregate, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("aggregate \"", absl::CHexEscape(aggregate), "\": ", why));
}

absl::StatusOr<size_t> Resolve(absl::string_view aggregate, absl::string_view column,
                               const ResolveColumn& resolve) {
  absl::StatusOr<size_t> resolved = resolve(column);
  if (!resolved.ok()) return Bad(aggregate, resolved.status().message());
  return resolved;
}

absl::StatusOr<AggregateSpec> ParseTop(absl::string_view text,
                                       const std::vector<absl::string_view>& parts,
                                       const ResolveColumn& resolve) {
  uint64_t k = 0;
  if (parts.size() < 2 || parts.size() > 3 || !absl::SimpleAtoi(parts.back(), &k) || k == 0 ||
      k > kMaxTop) {
    return Bad(text, absl::StrCat("expected top:K or top:COLUMN:K, K from 1 to ", kMaxTop));
  }
  KVARTS_ASSIGN_OR_RETURN(const size_t column,
                          Resolve(text, parts.size() == 3 ? parts[1] : "", resolve));
  return AggregateSpec{TopFunction(k), column, std::string(text)};
}

absl::StatusOr<AggregateSpec> ParseOne(absl::string_view text,
                                       const std::vector<absl::string_view>& parts,
                                       const ResolveColumn& resolve) {
  if (parts[0] == "top") return ParseTop(text, parts, resolve);
  if (parts[0] == "count") {
    if (parts.size() > 1) return Bad(text, "count is of rows, and takes no column");
    return AggregateSpec{CountFunction(), 0, std::string(text)};
  }
  for (const Named& f : kFunctions) {
    if (parts[0] != f.name) continue;
    if (parts.size() > 2)
      return Bad(text, absl::StrCat("expected ", f.name, " or ", f.name, ":COLUMN"));
    if (parts.size() == 2 && parts[1].empty()) return Bad(text, "the column is missing");
    KVARTS_ASSIGN_OR_RETURN(const size_t column,
                            Resolve(text, parts.size() == 2 ? parts[1] : "", resolve));
    return AggregateSpec{f.make(), column, std::string(text)};
  }
  std::string known = "list, count";
  for (const Named& f : kFunctions) absl::StrAppend(&known, ", ", f.name);
  return Bad(text, absl::StrCat("unknown; there are ", known, ", top:K"));
}

}  // namespace

absl::StatusOr<ParsedAggregates> ParseAggregates(absl::string_view text,
                                                 const ResolveColumn& resolve) {
  ParsedAggregates parsed;
  for (const absl::string_view one : SplitAtNames(text, ',')) {
    const std::vector<absl::string_view> parts = SplitAtNames(one, ':');
    if (parts[0] == "list") {
      if (parts.size() > 1) return Bad(one, "list is of all values, and takes no column");
      if (parsed.list >= 0) return Bad(text, "list stands there twice");
      parsed.list = static_cast<int>(parsed.aggregates.size());
      continue;
    }
    KVARTS_ASSIGN_OR_RETURN(AggregateSpec spec, ParseOne(one, parts, resolve));
    parsed.aggregates.push_back(std::move(spec));
  }
  return parsed;
}

ResolveColumn ResolveAmong(size_t columns, std::vector<std::string> names) {
  return [columns, names = std::move(names)](absl::string_view column) -> absl::StatusOr<size_t> {
    if (columns == 0) return absl::InvalidArgumentError("there is no value column");
    if (column.empty()) return size_t{0};
    KVARTS_ASSIGN_OR_RETURN(const ColumnName called, ParseColumnName(column));
    if (called.name.has_value()) {
      const auto named = std::find(names.begin(), names.end(), *called.name);
      if (named != names.end()) return static_cast<size_t>(named - names.begin());
    }
    if (called.place.has_value()) {
      if (*called.place >= 1 && *called.place <= columns) {
        return static_cast<size_t>(*called.place - 1);
      }
      return absl::InvalidArgumentError(
          absl::StrCat("there is no value column ", *called.place, " of ", columns));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("there is no value column \"", absl::CHexEscape(column), "\""));
  };
}

}  // namespace kvarts
