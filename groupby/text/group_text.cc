#include "groupby/text/group_text.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/memory_budget.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "groupby/text/byte_source.h"
#include "groupby/text/chunk_reader.h"
#include "groupby/text/feed.h"
#include "groupby/text/output_file.h"

namespace kvarts::groupby_text {
namespace {

// More feeders than that only wait for each other: one reads 5 GB a second.
constexpr int kMaxFeeders = 16;
constexpr size_t kMaxChunkBytes = 256 << 10;
// Of all feeders together. A row of one byte takes 32 more when it is parsed.
constexpr size_t kFeedBytes = 20 << 20;

// A second or two of unpacking.
constexpr uint64_t kDamageBytes = 1 << 30;

size_t ChunkBytes(int feeders) {
  const size_t share = kFeedBytes / static_cast<size_t>(feeders) / (1 + sizeof(KeyValue));
  return std::min(kMaxChunkBytes, share & ~size_t{4095});
}

char DelimiterOf(const GroupTextOptions& options) {
  if (options.delimiter == "\\t") return '\t';
  if (!options.delimiter.empty()) return options.delimiter[0];
  return options.input_format == InputFormat::kCsv ? ',' : '\t';
}

// "5.1 M rows/s, 1.2 GiB spilled".
std::string ProgressNote(uint64_t rows, absl::Duration elapsed, uint64_t spilled) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  std::string note = absl::StrCat(FormatCount(static_cast<double>(rows) / seconds), " rows/s");
  if (spilled > 0) absl::StrAppend(&note, ", ", FormatSize(spilled), " spilled");
  return note;
}

// A column's number from `text`, from 0 on; false where it is a name.
bool ColumnNumber(const std::string& text, size_t* number) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  uint64_t parsed;
  if (!digits || !absl::SimpleAtoi(text, &parsed) || parsed == 0) return false;
  *number = static_cast<size_t>(parsed - 1);
  return true;
}

// The most memory that this process has had resident; 0: not known.
uint64_t PeakResidentBytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  uint64_t kib = 0;
  while (std::getline(status, line)) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, "VmHWM:") || !absl::ConsumeSuffix(&rest, "kB")) continue;
    return absl::SimpleAtoi(rest, &kib) ? kib << 10 : 0;
  }
  return 0;
}

absl::Status CheckColumn(absl::string_view flag, const std::string& text, bool header) {
  size_t number;
  if (text.empty() || ColumnNumber(text, &number)) return absl::OkStatus();
  if (text.find_first_not_of("0123456789") == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " is ", text, "; columns are counted from 1"));
  }
  if (header) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is a name, \"", text, "\"; names need --header"));
}

}  // namespace

absl::Status CheckOptions(const GroupTextOptions& options) {
  const auto bad = [](absl::string_view message) { return absl::InvalidArgumentError(message); };
  const bool json = options.input_format == InputFormat::kNdjson;
  if (json && (options.header || !options.delimiter.empty())) {
    return bad("--header and --delimiter are not for NDJSON");
  }
  if (!options.delimiter.empty() && options.delimiter.size() != 1 && options.delimiter != "\\t") {
    return bad("--delimiter is one byte, or \\t");
  }
  const char delimiter = DelimiterOf(options);
  if (delimiter == '\n' || delimiter == '\r') return bad("--delimiter ends lines");
  if (options.input_format == InputFormat::kCsv && delimiter == '"') {
    return bad("--delimiter is the quote of CSV");
  }
  if (!json) {
    KVARTS_RETURN_IF_ERROR(CheckColumn("key", options.key, options.header));
    KVARTS_RETURN_IF_ERROR(CheckColumn("value", options.value, options.header));
    size_t key = 0;
    if (options.value.empty() && ColumnNumber(options.key, &key) && key != 0) {
      return bad("--key is not the first column: --value must say which the value is");
    }
  } else if ((options.key.empty() ? "key" : options.key) ==
             (options.value.empty() ? "value" : options.value)) {
    return bad("--key and --value are the same member");
  }
  const RenderOptions& render = options.render;
  const char separator = render.separator;
  if (render.format != OutputFormat::kNdjson) {
    if (separator == '\n') return bad("--separator ends lines");
    const bool letter = absl::ascii_isalnum(static_cast<unsigned char>(separator));
    if (render.encoding == Encoding::kEscape && (letter || separator == '\\')) {
      return bad("--separator is a byte that --encoding=escape writes");
    }
    if (render.encoding == Encoding::kBase64 &&
        (letter || separator == '+' || separator == '/' || separator == '=')) {
      return bad("--separator is a byte that --encoding=base64 writes");
    }
  }
  return absl::OkStatus();
}

// The columns that --key and --value mean.
absl::Status GroupText::Resolve(const std::string& header, Columns* columns) const {
  std::vector<std::string> names;
  if (options_.header) {
    const char delimiter = DelimiterOf(options_);
    if (options_.input_format == InputFormat::kTsv) {
      names = SplitTsvHeader(header, delimiter);
    } else if (!SplitCsvHeader(header, delimiter, &names)) {
      return absl::InvalidArgumentError("the header is no row of CSV (RFC 4180)");
    }
  }
  const auto resolve = [&names](const std::string& text, size_t* column) {
    if (text.empty() || ColumnNumber(text, column)) return absl::OkStatus();
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) {
      return absl::InvalidArgumentError(absl::StrCat("the header has no column \"", text, "\""));
    }
    if (std::find(found + 1, names.end(), text) != names.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the header has more than one column \"", text, "\""));
    }
    *column = static_cast<size_t>(found - names.begin());
    return absl::OkStatus();
  };
  KVARTS_RETURN_IF_ERROR(resolve(options_.key, &columns->key));
  columns->rest = options_.value.empty();
  if (!columns->rest) {
    columns->fields.resize(1);
    KVARTS_RETURN_IF_ERROR(resolve(options_.value, &columns->fields[0]));
  }
  if (columns->rest && columns->key != 0) {
    return absl::InvalidArgumentError(
        "--key is not the first column: --value must say which the value is");
  }
  return absl::OkStatus();
}

absl::StatusOr<GroupTextReport> GroupText::Run() {
  GroupTextReport report;
  const std::string name = InputName(options_.input);
  MemoryBudget budget(options_.grouping.memory_bytes);
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source,
                          OpenInput(options_.input, &interrupt_, &budget));
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> output,
                          OutputFile::Open(options_.output, &interrupt_));
  const int feeders = std::clamp(options_.grouping.threads, 1, kMaxFeeders);
  ChunkOptions chunks;
  chunks.chunk_bytes = options_.chunk_bytes > 0 ? options_.chunk_bytes : ChunkBytes(feeders);
  chunks.budget = &budget;
  chunks.quotes = options_.input_format == InputFormat::kCsv;
  chunks.delimiter = DelimiterOf(options_);
  chunks.byte_order_mark = options_.input_format != InputFormat::kTsv;
  ChunkReader reader(std::move(source), chunks);

  RenderOptions render = options_.render;
  render.json_text = options_.input_format == InputFormat::kNdjson &&
                     render.format == OutputFormat::kNdjson && render.encoding == Encoding::kNone;
  RowParserOptions parsing;
  FeedOptions feeding;
  parsing.delimiter = chunks.delimiter;
  parsing.limits = LimitsOf(render);
  parsing.skip_malformed = options_.skip_malformed;
  parsing.json_text = render.json_text;
  std::unique_ptr<RowParser> parser;
  if (options_.input_format == InputFormat::kNdjson) {
    if (!options_.key.empty()) parsing.key_member = options_.key;
    if (!options_.value.empty()) parsing.field_members = {options_.value};
    parser = NewNdjsonParser(parsing);
  } else {
    std::string header;
    if (options_.header) {
      absl::StatusOr<std::string> taken = reader.TakeHeader();
      if (!taken.ok()) return taken.status();
      header = *std::move(taken);
      feeding.first_line =
          2 + static_cast<uint64_t>(std::count(header.begin(), header.end(), '\n'));
    }
    const absl::Status resolved = Resolve(header, &parsing.columns);
    if (!resolved.ok()) {
      return absl::Status(resolved.code(), absl::StrCat(name, ": ", resolved.message()));
    }
    parser =
        options_.input_format == InputFormat::kTsv ? NewTsvParser(parsing) : NewCsvParser(parsing);
  }

  GroupingOptions grouping_options = options_.grouping;
  grouping_options.budget = &budget;
  std::atomic<bool> fed{false};
  if (options_.progress != nullptr) {
    // Until all is read, what was read is what is shown.
    grouping_options.progress = [this, &fed](absl::string_view phase, uint64_t done,
                                             uint64_t total) {
      if (fed) options_.progress->Report(phase, "bytes", done, total);
    };
  }
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Grouping> grouping,
                          Grouping::New(grouping_options));
  {
    MutexLock lock(&mu_);
    grouping_ = grouping.get();
    if (interrupt_.is_set()) grouping_->Cancel();
  }
  const absl::Time begin = absl::Now();
  feeding.name = name;
  feeding.threads = feeders;
  if (options_.progress != nullptr) {
    feeding.progress = [&, next = std::make_shared<std::atomic<int64_t>>(0)](uint64_t rows,
                                                                             uint64_t) {
      const absl::Duration elapsed = absl::Now() - begin;
      const int64_t tenths = elapsed / absl::Milliseconds(100);
      if (tenths >= next->load(std::memory_order_relaxed)) {
        *next = tenths + 1;
        options_.progress->Note(ProgressNote(rows, elapsed, grouping->stats().spilled_bytes));
      }
      options_.progress->Report("reading", "bytes", reader.position(), reader.size());
    };
  }
  FeedReport fed_report;
  absl::Status status = Feed(
      &reader, *parser, feeding,
      [&grouping](uint64_t sequence, const ParsedRows& rows, size_t*) {
        return grouping->AddInOrder(sequence, rows.rows());
      },
      [this] { CancelGrouping(); }, &fed_report);
  fed = true;
  if (absl::IsInvalidArgument(status) && IsPacked(options_.input)) {
    // Rows that a damaged file unpacks to are not what is wrong.
    const absl::Status damage = reader.FindDamage(kDamageBytes);
    if (!damage.ok()) status = damage;
  }
  report.reading = absl::Now() - begin;
  report.input_bytes = reader.position();
  report.rows = fed_report.rows;
  report.skipped = fed_report.skipped;
  std::unique_ptr<Groups> groups;
  if (status.ok()) {
    absl::StatusOr<std::unique_ptr<Groups>> finished = grouping->Finish();
    status = finished.status();
    if (finished.ok()) groups = *std::move(finished);
  }
  if (status.ok()) {
    status = groups->Drain(NewListRender(render),
                           [&output](absl::string_view text) { return output->Append(text); });
  }
  if (status.ok()) status = output->Commit();
  report.writing = absl::Now() - begin - report.reading;
  report.output_bytes = output->written();
  report.stats = grouping->stats();
  report.resident_bytes = PeakResidentBytes();
  {
    MutexLock lock(&mu_);
    grouping_ = nullptr;
  }
  if (!status.ok()) return status;
  return report;
}

void GroupText::Cancel() {
  interrupt_.Set();
  CancelGrouping();
}

void GroupText::CancelGrouping() {
  MutexLock lock(&mu_);
  if (grouping_ != nullptr) grouping_->Cancel();
}

std::string GroupTextReport::DebugString() const {
  return absl::StrCat(stats.DebugString(), " skipped=", skipped, " input_bytes=", input_bytes,
                      " output_bytes=", output_bytes, " resident=", resident_bytes);
}

std::string GroupTextReport::Summary() const {
  const double read_seconds = std::max(absl::ToDoubleSeconds(reading), 1e-6);
  const double write_seconds = std::max(absl::ToDoubleSeconds(writing), 1e-6);
  return absl::StrFormat(
      "read %s, %d rows in %.2f s (%s/s, %s rows/s)\n"
      "wrote %s, %d groups in %.2f s (%s/s)\n"
      "spilled %s; resident memory %s at most\n",
      FormatSize(input_bytes), rows, read_seconds,
      FormatSize(static_cast<uint64_t>(static_cast<double>(input_bytes) / read_seconds)),
      FormatCount(static_cast<double>(rows) / read_seconds), FormatSize(output_bytes), stats.groups,
      write_seconds,
      FormatSize(static_cast<uint64_t>(static_cast<double>(output_bytes) / write_seconds)),
      FormatSize(stats.spilled_bytes), FormatSize(resident_bytes));
}

}  // namespace kvarts::groupby_text
