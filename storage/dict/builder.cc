#include "storage/dict/builder.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "storage/data_file/data_file.h"
#include "storage/dict/entry_log.h"
#include "storage/dict/log_sort.h"

namespace kvarts {
namespace {

constexpr int kMaxLogBits = 10;
// A log for each so many bytes of data: about 64 Ki lines of 64 bytes.
constexpr uint64_t kBytesPerLog = 4 << 20;
constexpr uint64_t kProgressRecords = 1 << 16;
// Threads of less than that to read are not worth it.
constexpr uint64_t kBytesPerThread = 16 << 20;

std::string Lines(uint64_t n) { return absl::StrCat(n, n == 1 ? " line" : " lines"); }

uint64_t RandomSeed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

bool SameFile(const FileInfo& a, const FileInfo& b) {
  return a.device == b.device && a.inode == b.inode && a.size == b.size &&
         a.modified_ns == b.modified_ns;
}

// What one thread makes of its part of the file. Not thread-safe.
struct Part {
  explicit Part(size_t logs) : logs(logs) {}

  ChunkSource source;
  std::vector<EntryLog> logs;
  DataFileCounts counts;
  absl::Status status;
};

class Build {
 public:
  Build(absl::string_view data_path, const DictOptions& options)
      : data_path_(data_path), options_(options) {}

  absl::StatusOr<std::shared_ptr<const DictDataset>> Run(DictReport* report) {
    const absl::Time start = absl::Now();
    KVARTS_ASSIGN_OR_RETURN(const FileInfo info, options_.fs->Stat(data_path_));
    layout_ = SlotLayout::For(info.size);
    if (layout_.offset_bits > SlotLayout::kMaxOffsetBits) {
      return absl::InvalidArgumentError(
          absl::StrCat(data_path_, ": ", info.size, " bytes are more than dict can index"));
    }
    seed_ = options_.seed != 0 ? options_.seed : RandomSeed();
    while (log_bits_ < kMaxLogBits && info.size >> log_bits_ > kBytesPerLog) ++log_bits_;
    hash_bits_ = std::min(64, log_bits_ + 80 - layout_.payload_bits());
    file_bytes_ = info.size;

    KVARTS_RETURN_IF_ERROR(Scan());
    KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> map, options_.fs->Map(data_path_));
    map->Advise(MappedFile::Access::kRandom);
    KVARTS_ASSIGN_OR_RETURN(const FileInfo now, options_.fs->Stat(data_path_));
    if (!SameFile(info, now) || map->size() != info.size || counts_.bytes != info.size) {
      return absl::UnavailableError(
          absl::StrCat(data_path_, ": the data file changed while it was read; open it again"));
    }
    const DataFileMap data(map);
    SortLogs(data);
    KVARTS_ASSIGN_OR_RETURN(DictTable table, WriteTable());
    if (report != nullptr) {
      Report(table, report);
      report->time = absl::Now() - start;
    }
    const bool gaps = records_ != table.entries() || counts_.malformed > 0;
    return std::make_shared<const DictDataset>(data_path_, info, data, std::move(table), gaps);
  }

 private:
  // (1)
  absl::Status Scan() {
    const int threads = static_cast<int>(std::clamp<uint64_t>(
        file_bytes_ / kBytesPerThread, 1, static_cast<uint64_t>(std::max(options_.threads, 1))));
    KVARTS_ASSIGN_OR_RETURN(const std::vector<DataFileRange> ranges,
                            SplitDataFile(options_.fs, data_path_, threads));
    for (size_t i = 0; i < ranges.size(); ++i) {
      parts_.push_back(std::make_unique<Part>(size_t{1} << log_bits_));
    }
    ForkJoin(static_cast<int>(ranges.size()), [&](int n) {
      const auto i = static_cast<size_t>(n);
      parts_[i]->status = ScanRange(ranges[i], parts_[i].get());
      if (!parts_[i]->status.ok()) failed_.store(true, std::memory_order_relaxed);
    });
    if (failed_.load(std::memory_order_relaxed)) return FirstError();
    for (const auto& part : parts_) {
      const DataFileCounts& c = part->counts;
      counts_.bytes += c.bytes;
      counts_.lines += c.lines;
      counts_.malformed += c.malformed;
      counts_.carriage_returns += c.carriage_returns;
      counts_.ends_without_newline = c.ends_without_newline;
      for (EntryLog& log : part->logs) records_ += log.size();
    }
    Progress("reading", "bytes", counts_.bytes, file_bytes_);
    return absl::OkStatus();
  }

  absl::Status ScanRange(const DataFileRange& range, Part* part) {
    KVARTS_ASSIGN_OR_RETURN(
        const auto scanner,
        DataFileScanner::Open(options_.fs, data_path_, options_.skip_malformed, range));
    const int payload_bits = layout_.payload_bits();
    const int log_bits = log_bits_;
    ScannedRecord record;
    uint64_t reported = 0;
    for (uint64_t records = 1;; ++records) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, scanner->Next(&record));
      if (!more) break;
      const uint64_t hash = Checksum(record.key, seed_);
      const size_t log = log_bits == 0 ? 0 : hash >> (64 - log_bits);
      const uint64_t rest = hash << log_bits;
      const LogEntry entry =
          LogEntry::Make(layout_.Payload(record.offset, record.value_size), rest, payload_bits);
      KVARTS_RETURN_IF_ERROR(part->logs[log].Append(entry, &part->source));
      if (records % kProgressRecords == 0) {
        if (failed_.load(std::memory_order_relaxed)) return absl::CancelledError("");
        const uint64_t bytes = scanner->bytes_read();
        Progress("reading", "bytes", bytes_read_.fetch_add(bytes - reported) + bytes - reported,
                 file_bytes_);
        reported = bytes;
      }
    }
    part->counts = scanner->counts();
    return absl::OkStatus();
  }

  // Malformed lines of later parts are not numbered, and an earlier part may have
  // been stopped before its own: then the file is read once more, to say it.
  absl::Status FirstError() const {
    const absl::Status& first = parts_[0]->status;
    if (!first.ok() && !absl::IsCancelled(first)) return first;
    for (const auto& part : parts_) {
      const absl::Status& status = part->status;
      if (!status.ok() && !absl::IsCancelled(status) && !absl::IsInvalidArgument(status)) {
        return status;
      }
    }
    KVARTS_ASSIGN_OR_RETURN(const auto scanner, DataFileScanner::Open(options_.fs, data_path_,
                                                                      options_.skip_malformed));
    ScannedRecord record;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, scanner->Next(&record));
      if (!more) break;
    }
    return absl::UnavailableError(
        absl::StrCat(data_path_, ": the data file changed while it was read; open it again"));
  }

  // (2)
  void SortLogs(const DataFileMap& data) {
    std::atomic<size_t> next{0};
    std::atomic<uint64_t> done{0};
    ForkJoin(static_cast<int>(parts_.size()), [&](int) {
      LogSorter sorter(layout_, data);
      for (size_t i; (i = next.fetch_add(1)) < parts_[0]->logs.size();) {
        EntryLog& log = parts_[0]->logs[i];
        for (size_t p = 1; p < parts_.size(); ++p) log.Take(std::move(parts_[p]->logs[i]));
        const size_t size = log.size();
        sorter.SortUnique(&log);
        Progress("indexing", "records", done.fetch_add(size) + size, 2 * records_);
      }
    });
  }

  // (3)
  absl::StatusOr<DictTable> WriteTable() {
    uint64_t entries = 0;
    for (const EntryLog& log : parts_[0]->logs) entries += log.size();
    KVARTS_ASSIGN_OR_RETURN(DictTableWriter writer,
                            DictTableWriter::New(layout_, seed_, hash_bits_, entries));
    const int payload_bits = layout_.payload_bits();
    uint64_t done = 0;
    for (size_t i = 0; i < parts_[0]->logs.size(); ++i) {
      EntryLog& log = parts_[0]->logs[i];
      for (size_t j = 0; j < log.size(); ++j) {
        const LogEntry entry = log.Get(j);
        uint64_t hash = entry.Hash(payload_bits) >> log_bits_;
        if (log_bits_ > 0) hash |= static_cast<uint64_t>(i) << (64 - log_bits_);
        KVARTS_RETURN_IF_ERROR(writer.Add(hash, entry.Payload(payload_bits)));
      }
      done += log.size();
      log.Truncate(0);
      Progress("indexing", "records", records_ + done, 2 * records_);
    }
    Progress("indexing", "records", 2 * records_, 2 * records_);
    parts_.clear();
    return writer.Finish();
  }

  void Report(const DictTable& table, DictReport* report) const {
    *report = DictReport();
    report->lines = counts_.lines;
    report->malformed = counts_.malformed;
    report->entries = table.entries();
    report->repeated = records_ - table.entries();
    report->data_bytes = counts_.bytes;
    report->table_bytes = table.memory_bytes();
    const auto warn = [&](absl::string_view text) {
      report->warnings.push_back(absl::StrCat(data_path_, ": ", text));
    };
    if (counts_.bytes == 0) warn("the file is empty");
    if (report->repeated > 0) {
      warn(absl::StrCat(Lines(report->repeated),
                        " with a key that is repeated later; the last "
                        "line of a key is the one that counts"));
    }
    if (counts_.malformed > 0)
      warn(absl::StrCat(Lines(counts_.malformed), " malformed and skipped"));
    if (counts_.carriage_returns > 0) {
      warn(absl::StrCat(Lines(counts_.carriage_returns),
                        " ending in a carriage return (CRLF); it is part of the value"));
    }
    if (counts_.ends_without_newline) warn("the last line has no newline; it is taken as whole");
  }

  void Progress(absl::string_view phase, absl::string_view unit, uint64_t done, uint64_t total) {
    if (options_.progress != nullptr) options_.progress->Report(phase, unit, done, total);
  }

  const std::string data_path_;
  const DictOptions& options_;
  SlotLayout layout_;
  uint64_t seed_ = 0;
  uint64_t file_bytes_ = 0;
  int log_bits_ = 0;   // of a hash: name the log
  int hash_bits_ = 0;  // known in all
  std::vector<std::unique_ptr<Part>> parts_;
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> bytes_read_{0};
  DataFileCounts counts_;
  uint64_t records_ = 0;  // lines less the malformed
};

}  // namespace

absl::StatusOr<std::shared_ptr<const DictDataset>> BuildDict(absl::string_view data_path,
                                                             const DictOptions& options,
                                                             DictReport* report) {
  return Build(data_path, options).Run(report);
}

}  // namespace kvarts
