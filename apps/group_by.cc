// Groups the rows of a text by their keys.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/app.h"
#include "apps/common/stop_signal.h"
#include "base/progress_bar.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "gflags/gflags.h"
#include "groupby/text/group_text.h"

DEFINE_string(input, "-",
              "The file with the rows; - is the standard input. What begins as gzip or zstd data "
              "does is decompressed.");
DEFINE_string(output, "-",
              "Where the groups go; - is the standard output. A file is there whole at the end, or "
              "not at all.");
DEFINE_string(memory, "512MiB",
              "Memory for everything that grows with the input, windows of zstd above 8 MiB too. "
              "What does not fit goes through files in --temp_dir.");
DEFINE_string(temp_dir, "",
              "An existing directory for temporary files; empty: $TMPDIR, else /tmp. With input "
              "that fits in memory nothing is written.");
DEFINE_int32(threads, 0, "Threads; 0: as many as there are cores.");
DEFINE_string(input_format, "tsv", "tsv, csv or ndjson.");
DEFINE_string(format, "tsv", "Of the output: tsv, ndjson or data.");
DEFINE_string(order, "any", "Of the groups: any, or key, by the bytes of the keys.");
DEFINE_string(key, "",
              "The column of the key: a name of the header, or else a number from 1 on; #3 is the "
              "third one whatever it is called, and a name may stand between quotes. Of NDJSON a "
              "member. Empty: the first column; \"key\".");
DEFINE_string(value, "",
              "The column of the value, likewise. Empty: what is behind the key, in TSV with all "
              "its tabs, in CSV one column; \"value\".");
DEFINE_string(aggregate, "list",
              "What is written of each group, some of these with commas between them: list (of the "
              "values, comes first), count, sum, mean, min, max, mintext, maxtext, first, last, "
              "distinct, top:K. Over the value, or another column: sum:COLUMN, top:COLUMN:K, "
              "sum:\"a,b:c\". Without list no values are kept.");
DEFINE_string(delimiter, "",
              "One byte between columns, \\t for a tab. Empty: a tab in TSV, a comma in CSV.");
DEFINE_bool(header, false, "The first row has the names of the columns, and is no row.");
DEFINE_string(separator, ",", "One byte between the values of tsv and data, \\t for a tab.");
DEFINE_string(encoding, "none",
              "Of keys and values: none, and a byte that the format cannot hold is an error; "
              "escape: \\\\ \\t \\n \\r, and \\xNN for others; base64.");
DEFINE_bool(skip_malformed, false,
            "Leave out malformed rows and say how many; otherwise the first one is an error.");
DEFINE_bool(stats, false, "Say at the end on stderr what it took.");
DEFINE_string(algorithm, "auto",
              "auto, or sorted_runs: a hash map, written as a sorted run when it is full, and "
              "merges of runs.");
DEFINE_uint64(max_hash_entries, 0,
              "Of sorted_runs: distinct keys in the map; 0: as many as memory holds.");
DEFINE_int32(max_open_runs, 0,
             "Of sorted_runs: runs that are merged at a time, at least 2; 0: as many as memory "
             "allows.");

namespace kvarts {
namespace {

using groupby_text::Encoding;
using groupby_text::GroupText;
using groupby_text::GroupTextOptions;
using groupby_text::GroupTextReport;
using groupby_text::InputFormat;
using groupby_text::OutputFormat;

constexpr char kHelp[] =
    "group_by: collects the values of each key, with bounded memory.\n"
    "\n"
    "usage: group_by [FLAGS] < ROWS > GROUPS\n"
    "\n"
    "Rows are lines KEY<TAB>VALUE, where the value is the rest of the line, tabs too;\n"
    "--value picks a column. CSV is that of RFC 4180. Of NDJSON each line is an object\n"
    "with members \"key\" and \"value\"; a value that is no string is its JSON text.\n"
    "\n"
    "Values of a group are in the order of the input. --aggregate has results beside them\n"
    "or in their place, one column each. --format is one of\n"
    "  tsv     KEY<TAB>VALUE,VALUE,...\n"
    "  ndjson  {\"key\":KEY,\"values\":[VALUE,VALUE,...]}\n"
    "  data    KEY VALUE,VALUE,... : a data file, for kv_build and kv_server\n"
    "A value that holds the separator, a tab or a newline, a key with a space in a data\n"
    "file, and bytes that JSON cannot hold are errors, unless --encoding says how to\n"
    "write them. From NDJSON to NDJSON values stay what they are: numbers, objects.";

// The choice that `value` names.
template <typename T>
absl::Status Choose(absl::string_view flag, const std::string& value,
                    const std::vector<std::pair<absl::string_view, T>>& choices, T* choice) {
  std::vector<absl::string_view> names;
  for (const auto& [name, each] : choices) {
    if (value == name) {
      *choice = each;
      return absl::OkStatus();
    }
    names.push_back(name);
  }
  return UsageError(absl::StrCat("--", flag, " is \"", value, "\"; expected one of ",
                                 absl::StrJoin(names, ", ")));
}

absl::Status ReadFlags(GroupTextOptions* options) {
  GroupingOptions& grouping = options->grouping;
  options->input = FLAGS_input;
  options->output = FLAGS_output;
  options->key = FLAGS_key;
  options->aggregate = FLAGS_aggregate;
  options->value = FLAGS_value;
  options->delimiter = FLAGS_delimiter;
  options->header = FLAGS_header;
  options->skip_malformed = FLAGS_skip_malformed;
  KVARTS_ASSIGN_OR_RETURN(grouping.memory_bytes, SizeFlag("memory", FLAGS_memory));
  if (grouping.memory_bytes < GroupingOptions::kMinMemory) {
    return UsageError(absl::StrCat("--memory is ", FormatSize(grouping.memory_bytes),
                                   "; it takes at least ",
                                   FormatSize(GroupingOptions::kMinMemory)));
  }
  grouping.temp_dir = FLAGS_temp_dir;
  if (FLAGS_threads < 0) return UsageError("--threads is negative");
  grouping.threads = FLAGS_threads > 0
                         ? FLAGS_threads
                         : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  KVARTS_RETURN_IF_ERROR(Choose<InputFormat>(
      "input_format", FLAGS_input_format,
      {{"tsv", InputFormat::kTsv}, {"csv", InputFormat::kCsv}, {"ndjson", InputFormat::kNdjson}},
      &options->input_format));
  KVARTS_RETURN_IF_ERROR(Choose<OutputFormat>("format", FLAGS_format,
                                              {{"tsv", OutputFormat::kTsv},
                                               {"ndjson", OutputFormat::kNdjson},
                                               {"data", OutputFormat::kData}},
                                              &options->format));
  KVARTS_RETURN_IF_ERROR(Choose<Encoding>(
      "encoding", FLAGS_encoding,
      {{"none", Encoding::kNone}, {"escape", Encoding::kEscape}, {"base64", Encoding::kBase64}},
      &options->encoding));
  KVARTS_RETURN_IF_ERROR(Choose<GroupingOptions::Order>(
      "order", FLAGS_order,
      {{"any", GroupingOptions::Order::kAny}, {"key", GroupingOptions::Order::kKey}},
      &grouping.order));
  KVARTS_RETURN_IF_ERROR(
      Choose<GroupingOptions::Algorithm>("algorithm", FLAGS_algorithm,
                                         {{"auto", GroupingOptions::Algorithm::kAuto},
                                          {"sorted_runs", GroupingOptions::Algorithm::kSortedRuns}},
                                         &grouping.algorithm));
  if (FLAGS_max_open_runs < 0 || FLAGS_max_open_runs == 1) {
    return UsageError("--max_open_runs is at least 2, or 0");
  }
  grouping.max_hash_entries = FLAGS_max_hash_entries;
  grouping.max_open_runs = FLAGS_max_open_runs;
  // They are caps of that one alone.
  if (FLAGS_max_hash_entries > 0 || FLAGS_max_open_runs > 0) {
    grouping.algorithm = GroupingOptions::Algorithm::kSortedRuns;
  }
  if (FLAGS_separator != "\\t" && FLAGS_separator.size() != 1) {
    return UsageError("--separator is one byte, or \\t");
  }
  options->separator = FLAGS_separator == "\\t" ? '\t' : FLAGS_separator[0];
  const absl::Status checked = groupby_text::CheckOptions(*options);
  return checked.ok() ? checked : UsageError(checked.message());
}

absl::StatusOr<int> Main(const std::vector<std::string>& args) {
  if (!args.empty()) {
    return UsageError(absl::StrCat("unexpected argument \"", args[0],
                                   "\"; files are --input and "
                                   "--output"));
  }
  GroupTextOptions options;
  KVARTS_RETURN_IF_ERROR(ReadFlags(&options));
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignal> stop, StopSignal::New());
  const std::unique_ptr<ProgressBar> bar = ProgressBar::OnStderr();
  options.progress = bar.get();
  // Rows and a bar on one terminal would be drawn over each other.
  const bool shows_rows = options.output == "-" && ::isatty(STDOUT_FILENO) == 1;
  if (shows_rows) options.before_output = [&bar] { bar->Stop(); };
  GroupText group_text(options);
  absl::StatusOr<GroupTextReport> report;
  KVARTS_ASSIGN_OR_RETURN(std::thread runner, StartThread([&] {
                            report = group_text.Run();
                            stop->Wake();
                          }));
  const bool stopped = stop->Wait();
  if (stopped) group_text.Cancel();
  runner.join();
  bar->Finish();
  if (stopped && absl::IsCancelled(report.status())) {
    return absl::CancelledError("ended by a signal; nothing was written");
  }
  // Who reads the output has what they want, as `head`: they know, and nobody else needs to.
  if (absl::IsCancelled(report.status())) return 1;
  KVARTS_RETURN_IF_ERROR(report.status());
  if (report->skipped > 0) {
    std::fprintf(stderr, "group_by: %llu %s malformed and skipped\n",
                 static_cast<unsigned long long>(report->skipped),
                 report->skipped == 1 ? "row" : "rows");
  }
  if (report->skipped_fields > 0) {
    std::fprintf(stderr, "group_by: %llu %s and left out\n",
                 static_cast<unsigned long long>(report->skipped_fields),
                 report->skipped_fields == 1 ? "field is no number" : "fields are no numbers");
  }
  if (FLAGS_stats) {
    std::fprintf(stderr, "%s%s\n", report->Summary().c_str(), report->DebugString().c_str());
  }
  return 0;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  return kvarts::RunApp(argc, argv, {"group_by", __FILE__, kvarts::kHelp, "input"}, kvarts::Main);
}
