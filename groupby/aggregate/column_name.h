#ifndef KVARTS_GROUPBY_AGGREGATE_COLUMN_NAME_H_
#define KVARTS_GROUPBY_AGGREGATE_COLUMN_NAME_H_

#include "base/language.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// What a flag calls a column:
//
//   price     a name
//   3         a name, and the third place where no column is called so
//   #3        the third place, whatever the columns are called
//   "a:b,c"   a name, also one of digits or with signs that flags split at; a quote in it
//             is written twice
struct ColumnName {
  std::optional<std::string> name;
  std::optional<uint64_t> place;  // from 1 on, unless it is wrong: the caller has its limits
};

// kInvalidArgument where quotes are wrong.
absl::StatusOr<ColumnName> ParseColumnName(absl::string_view text);

// The parts of `text` between `separator`s that stand outside of such quotes, which open
// at the beginning, and behind a comma or colon.
std::vector<absl::string_view> SplitAtNames(absl::string_view text, char separator);

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_COLUMN_NAME_H_
