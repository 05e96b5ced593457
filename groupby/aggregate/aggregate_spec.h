#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_SPEC_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_SPEC_H_

#include "base/language.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "groupby/aggregate/aggregate_function.h"

namespace kvarts {

// An aggregate: a function, and the field of the rows that it is over, from 0 on.
struct AggregateSpec {
  std::shared_ptr<const AggregateFunction> function;
  size_t column = 0;
  std::string label;  // for a header and for errors: as it was asked for, "sum:2"
};

// What a flag such as --aggregate=list,count,sum:2,top:price:3 asks for.
struct ParsedAggregates {
  std::vector<AggregateSpec> aggregates;
  // The place of `list` among them (0: before the first), or -1. It keeps values and is
  // none of these functions: see aggregate_fold.h.
  int list = -1;
};

// The field that a COLUMN of the flag stands for: a number or a name; empty where the
// flag has none. Errors become ParseAggregates()'.
using ResolveColumn = std::function<absl::StatusOr<size_t>(absl::string_view column)>;

// NAME[:COLUMN][:ARGUMENT], separated by commas.
//
//   list               the values themselves
//   count              of rows; takes no column
//   sum, mean          of numbers: integers exactly in 128 bits, else doubles with a
//                      compensated sum; beyond these an error
//   min, max           of numbers, by value, exactly; as a number is written: 1.50 is 1.5.
//                      Of equal ones the first
//   mintext, maxtext   of fields, by their bytes
//   first, last        field of the group
//   distinct           how many different fields there are, by their bytes: 1 and 1.0 are
//                      two. By hashes of 128 bits: of n fields two are taken for one with a
//                      chance of n * n / 2^129
//   top                top:K, top:COLUMN:K: the K largest numbers, largest first
//
// Numbers are decimal, as in Number::Parse(); what is none, and be it empty, is an error or
// left out (AggregationOptions::skip_malformed). A group that is left without any has the
// sum 0, and nothing as its mean, min, max and top.
//
// kInvalidArgument names what is wrong, and what is there.
absl::StatusOr<ParsedAggregates> ParseAggregates(absl::string_view text,
                                                 const ResolveColumn& resolve);

// A resolver: columns by number from 1 on, or by one of `names`, which may be fewer or
// none; without a column, the first.
ResolveColumn ResolveAmong(size_t columns, std::vector<std::string> names = {});

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_SPEC_H_
