#include "groupby/text/group_text.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/memory_budget.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "groupby/spill/temp_folder.h"
#include "groupby/text/byte_source.h"
#include "groupby/text/chunk_reader.h"
#include "groupby/text/feed.h"
#include "groupby/text/output_file.h"

namespace kvarts::groupby_text {
namespace {

// More feeders than that only wait for each other: one reads 5 GB a second.
constexpr int kMaxFeeders = 16;
constexpr size_t kMaxChunkBytes = 256 << 10;
// Of all feeders together.
constexpr size_t kFeedBytes = 20 << 20;
// What a row of one byte, the shortest, takes with it once it is parsed: as a KeyValue;
// with its line, fields, and their copies for aggregates.
constexpr size_t kListFactor = 1 + sizeof(KeyValue);
constexpr size_t kAggregatesFactor = 96;
// A second or two of unpacking.
constexpr uint64_t kDamageBytes = 1 << 30;

size_t ChunkBytes(int feeders, bool list_alone) {
  const size_t factor = list_alone ? kListFactor : kAggregatesFactor;
  const size_t share = kFeedBytes / static_cast<size_t>(feeders) / factor;
  return std::min(kMaxChunkBytes, share & ~size_t{4095});
}

// "5.1 M rows/s, 1.2 GiB spilled".
std::string ProgressNote(uint64_t rows, absl::Duration elapsed, uint64_t spilled) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  std::string note = absl::StrCat(FormatCount(static_cast<double>(rows) / seconds), " rows/s");
  if (spilled > 0) absl::StrAppend(&note, ", ", FormatSize(spilled), " spilled");
  return note;
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

}  // namespace

absl::StatusOr<GroupTextReport> GroupText::Run() {
  GroupTextReport report;
  // What a killed run left is large; this one may not need a folder itself.
  groupby_internal::TempFolder::DeleteStale(options_.grouping.fs, options_.grouping.temp_dir);
  const std::string name = InputName(options_.input);
  const bool json = options_.input_format == InputFormat::kNdjson;
  MemoryBudget budget(options_.grouping.memory_bytes);
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source,
                          OpenInput(options_.input, &interrupt_, &budget));
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> output,
                          OutputFile::Open(options_.output, &interrupt_));
  FeedOptions feeding;
  feeding.name = name;
  feeding.threads = std::clamp(options_.grouping.threads, 1, kMaxFeeders);
  ChunkOptions chunks;
  chunks.chunk_bytes = ChunkBytes(feeding.threads, options_.aggregate == "list");
  chunks.budget = &budget;
  chunks.quotes = options_.input_format == InputFormat::kCsv;
  chunks.delimiter = DelimiterOf(options_);
  ChunkReader reader(std::move(source), chunks);
  std::string header;
  if (options_.header) {
    KVARTS_ASSIGN_OR_RETURN(header, reader.TakeHeader());
    feeding.first_line = 2 + static_cast<uint64_t>(std::count(header.begin(), header.end(), '\n'));
  }
  absl::StatusOr<TextPlan> plan = MakePlan(options_, header);
  if (!plan.ok()) {
    return absl::Status(plan.status().code(), absl::StrCat(name, ": ", plan.status().message()));
  }
  const std::unique_ptr<RowParser> parser = json ? NewNdjsonParser(plan->parsing)
                                            : options_.input_format == InputFormat::kTsv
                                                ? NewTsvParser(plan->parsing)
                                                : NewCsvParser(plan->parsing);
  CollectorOptions collecting;
  static_cast<GroupingOptions&>(collecting.grouping) = options_.grouping;
  collecting.grouping.budget = &budget;
  collecting.grouping.skip_malformed = options_.skip_malformed;
  collecting.writer = plan->writer;
  collecting.fields = plan->fields;
  collecting.aggregates = plan->aggregates;
  std::atomic<bool> fed{false};
  if (options_.progress != nullptr) {
    // Until all is read, what was read is what is shown.
    collecting.grouping.progress = [this, &fed](absl::string_view phase, uint64_t done,
                                                uint64_t total) {
      if (fed) options_.progress->Report(phase, "bytes", done, total);
    };
  }
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Collector> collector, NewCollector(collecting));
  SetCollector(collector.get());

  const absl::Time begin = absl::Now();
  std::atomic<int64_t> next_note{0};
  if (options_.progress != nullptr) {
    feeding.progress = [&](uint64_t rows, uint64_t) {
      const absl::Duration elapsed = absl::Now() - begin;
      const int64_t tenths = elapsed / absl::Milliseconds(100);
      if (tenths >= next_note.load(std::memory_order_relaxed)) {
        next_note = tenths + 1;
        options_.progress->Note(ProgressNote(rows, elapsed, collector->stats().spilled_bytes));
      }
      options_.progress->Report("reading", "bytes", reader.position(), reader.size());
    };
  }
  FeedReport fed_report;
  absl::Status status = Feed(
      &reader, *parser, feeding,
      [&collector](uint64_t sequence, const ParsedRows& rows, size_t* bad_row) {
        return collector->AddInOrder(sequence, rows, bad_row);
      },
      [this] { CancelCollector(); }, &fed_report);
  if (absl::IsInvalidArgument(status)) {
    // Rows that a damaged file unpacks to are not what is wrong.
    const absl::Status damage = reader.FindDamage(kDamageBytes);
    if (!damage.ok()) status = damage;
  }
  fed = true;
  report.reading = absl::Now() - begin;
  report.input_bytes = reader.position();
  report.rows = fed_report.rows;
  report.skipped = fed_report.skipped;
  if (status.ok()) status = WriteAll(collector.get(), output.get(), &report);
  report.writing = absl::Now() - begin - report.reading;
  SetCollector(nullptr);
  if (!status.ok()) return status;
  return report;
}

absl::Status GroupText::WriteAll(Collector* collector, OutputFile* output,
                                 GroupTextReport* report) const {
  KVARTS_RETURN_IF_ERROR(
      collector->Write([this, output, begun = false](absl::string_view text) mutable {
        if (!std::exchange(begun, true) && options_.before_output) options_.before_output();
        return output->Append(text);
      }));
  KVARTS_RETURN_IF_ERROR(output->Commit());
  report->output_bytes = output->written();
  report->stats = collector->stats();
  report->skipped_fields = collector->skipped_fields();
  report->resident_bytes = PeakResidentBytes();
  return absl::OkStatus();
}

void GroupText::Cancel() {
  interrupt_.Set();
  CancelCollector();
}

void GroupText::SetCollector(Collector* collector) {
  MutexLock lock(&mu_);
  collector_ = collector;
  if (collector != nullptr && interrupt_.is_set()) collector->Cancel();
}

void GroupText::CancelCollector() {
  MutexLock lock(&mu_);
  if (collector_ != nullptr) collector_->Cancel();
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
