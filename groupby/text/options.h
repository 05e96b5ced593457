#ifndef KVARTS_GROUPBY_TEXT_OPTIONS_H_
#define KVARTS_GROUPBY_TEXT_OPTIONS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/progress.h"
#include "groupby/aggregate/aggregate_spec.h"
#include "groupby/grouping.h"
#include "groupby/text/group_writer.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

enum class InputFormat : unsigned char { kTsv = 0, kCsv, kNdjson };

struct GroupTextOptions {
  std::string input = "-";   // see OpenInput()
  std::string output = "-";  // see OutputFile
  InputFormat input_format = InputFormat::kTsv;
  OutputFormat format = OutputFormat::kTsv;
  Encoding encoding = Encoding::kNone;
  char separator = ',';  // between the values of a group
  // A column as ParseColumnName() has it: with `header` a name of that, else a place; of
  // JSON a member's name. Empty: the first column and what is behind it; "key" and "value" of JSON.
  std::string key;
  std::string value;
  std::string aggregate = "list";  // see ParseAggregates(); `list` comes first
  std::string delimiter;           // one byte, or "\t"; empty: a tab, in CSV a comma
  bool header = false;             // the first row has names
  bool skip_malformed = false;
  // Memory, threads, order, temp_dir, algorithm and its caps.
  GroupingOptions grouping;
  ProgressSink* progress = nullptr;
  // Called before anything of the output is written, if anything is.
  std::function<void()> before_output;
};

char DelimiterOf(const GroupTextOptions& options);

// kInvalidArgument where options contradict each other: the caller's mistake.
absl::Status CheckOptions(const GroupTextOptions& options);

// What follows from options and a header: how rows are parsed and groups written.
struct TextPlan {
  RowParserOptions parsing;
  WriterOptions writer;
  size_t fields = 1;
  std::vector<AggregateSpec> aggregates;
};

// `header` is the row, where there is one. REQUIRES: CheckOptions(options) is OK.
absl::StatusOr<TextPlan> MakePlan(const GroupTextOptions& options, absl::string_view header);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_OPTIONS_H_
