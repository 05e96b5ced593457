#include "storage/bisect/builder.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/dataset.h"
#include "storage/bisect/index_writer.h"
#include "storage/data_file/data_file.h"
#include "storage/sort/sorter.h"

namespace kvarts {
namespace {

constexpr uint64_t kProgressRecords = 1 << 16;

// What is sorted with a key: the record's offset, and above it the value's size
// as far as an index may tell it.
constexpr int kOffsetBits = 48;
static_assert(kMaxDataBytes == uint64_t{1} << kOffsetBits);
constexpr uint64_t kMostSize = 0xFFFF;

std::string Lines(uint64_t n) { return absl::StrCat(n, n == 1 ? " line" : " lines"); }

// One build: a scan of the data file into a sorter, and the sorted keys into an
// index. Keys go packed while all are UUIDs; the first that is not starts the
// scan again with keys as they are.
class Build {
 public:
  Build(absl::string_view data_path, const std::string& index_path, const BuildOptions& options)
      : data_path_(data_path), index_path_(index_path), options_(options) {}

  absl::StatusOr<BuildReport> Run() {
    if (options_.memory_bytes < kMinBuildMemory) {
      return absl::InvalidArgumentError(absl::StrCat(
          "memory of ", options_.memory_bytes, " bytes; a build needs at least ", kMinBuildMemory));
    }
    const absl::Time start = absl::Now();
    KVARTS_RETURN_IF_ERROR(RemoveLeftovers());
    KVARTS_ASSIGN_OR_RETURN(header_.data, IdentifyData(options_.fs, data_path_));
    if (header_.data.size >= kMaxDataBytes) {
      return absl::InvalidArgumentError(absl::StrCat(data_path_, ": a data file of ",
                                                     header_.data.size, " bytes; less than ",
                                                     kMaxDataBytes, " are allowed"));
    }
    KVARTS_ASSIGN_OR_RETURN(bool all_uuids, Scan(/*packed=*/true));
    if (!all_uuids) KVARTS_RETURN_IF_ERROR(Scan(/*packed=*/false).status());
    KVARTS_RETURN_IF_ERROR(Write(all_uuids));
    report_.built = true;
    report_.time = absl::Now() - start;
    AddWarnings();
    return std::move(report_);
  }

 private:
  // Of a build that died: this process holds the lock.
  absl::Status RemoveLeftovers() {
    const std::string dir = TempDir();
    KVARTS_ASSIGN_OR_RETURN(const std::vector<std::string> names, options_.fs->List(dir));
    const std::string prefix = absl::StrCat(TempPrefix(), ".");
    for (const std::string& name : names) {
      if (absl::StartsWith(name, prefix)) {
        KVARTS_RETURN_IF_ERROR(options_.fs->Delete(JoinPath(dir, name)));
      }
    }
    return absl::OkStatus();
  }
  std::string TempDir() const {
    return options_.temp_dir.empty() ? DirName(index_path_) : options_.temp_dir;
  }
  std::string TempPrefix() const {
    const size_t slash = index_path_.rfind('/');
    return absl::StrCat(slash == std::string::npos ? index_path_ : index_path_.substr(slash + 1),
                        ".sort");
  }
  void Progress(absl::string_view phase, absl::string_view unit, uint64_t done, uint64_t total) {
    if (options_.progress != nullptr) options_.progress->Report(phase, unit, done, total);
  }

  // False: `packed`, and a key is no UUID.
  absl::StatusOr<bool> Scan(bool packed) {
    SorterOptions sort;
    // The rest is for the scanner's buffer, the radix table and the writer's.
    sort.memory_bytes = options_.memory_bytes - options_.memory_bytes / 16 - (2 << 20);
    sort.fs = options_.fs;
    sort.temp_dir = TempDir();
    sort.temp_prefix = TempPrefix();
    sort.progress = [this](uint64_t done, uint64_t total) {
      Progress("merging", "records", done, total);
    };
    sorter_ = nullptr;
    alphabet_ = AlphabetBuilder();
    KVARTS_ASSIGN_OR_RETURN(sorter_, Sorter::New(sort));
    KVARTS_ASSIGN_OR_RETURN(const auto scanner, DataFileScanner::Open(options_.fs, data_path_,
                                                                      options_.skip_malformed));
    ScannedRecord record;
    uint64_t records = 0;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, scanner->Next(&record));
      if (!more) break;
      char payload[8];
      StoreLE64(payload, record.offset | std::min(record.value_size, kMostSize) << kOffsetBits);
      if (packed) {
        if (!KeyCoding::IsUuid4(record.key)) return false;
        char key[16];
        KeyCoding::PackUuid(record.key.data(), key);
        KVARTS_RETURN_IF_ERROR(
            sorter_->Add(absl::string_view(key, 16), absl::string_view(payload, 8)));
      } else {
        alphabet_.Add(record.key);
        KVARTS_RETURN_IF_ERROR(sorter_->Add(record.key, absl::string_view(payload, 8)));
      }
      if (++records % kProgressRecords == 0) {
        Progress("reading", "bytes", scanner->bytes_read(), header_.data.size);
      }
    }
    Progress("reading", "bytes", scanner->bytes_read(), header_.data.size);
    counts_ = scanner->counts();
    header_.data_checksum = scanner->checksum();
    header_.lines = counts_.lines;
    header_.malformed = counts_.malformed;
    records_ = records;
    return true;
  }

  absl::Status Write(bool packed) {
    header_.coding = packed ? KeyCoding::Uuid4() : alphabet_.Build();
    header_.ChooseWidths(records_);
    KVARTS_ASSIGN_OR_RETURN(const auto sorted, sorter_->Finish());
    KVARTS_ASSIGN_OR_RETURN(const auto writer, IndexWriter::New(options_.fs, index_path_, header_));
    // A key is written when the next one differs: the last of equals wins.
    std::string last;
    uint64_t last_payload = 0;
    bool have_last = false;
    const auto write_last = [&]() -> absl::Status {
      uint64_t code;
      if (packed) {
        code = KeyCoding::PackedCode(last.data());
      } else if (!header_.coding.Code(last, &code)) {
        return absl::InternalError(absl::StrCat("no code for a key of ", data_path_));
      }
      return writer->Add(code, last_payload % kMaxDataBytes, last_payload >> kOffsetBits);
    };
    for (uint64_t done = 0;; ++done) {
      absl::string_view key;
      absl::string_view payload;
      KVARTS_ASSIGN_OR_RETURN(const bool more, sorted->Next(&key, &payload));
      if (!more) break;
      if (have_last && key == last) {
        ++report_.repeated;
      } else {
        if (have_last) KVARTS_RETURN_IF_ERROR(write_last());
        last.assign(key.data(), key.size());
        have_last = true;
      }
      last_payload = LoadLE64(payload.data());
      if (done % kProgressRecords == 0) Progress("writing", "records", done, records_);
    }
    if (have_last) KVARTS_RETURN_IF_ERROR(write_last());
    Progress("writing", "records", records_, records_);
    KVARTS_ASSIGN_OR_RETURN(const DataIdentity now, IdentifyData(options_.fs, data_path_));
    if (!(now == header_.data) || counts_.bytes != now.size) {
      return absl::UnavailableError(
          absl::StrCat(data_path_, ": the data file changed while it was read; build it again"));
    }
    report_.entries = writer->header().entries;
    KVARTS_ASSIGN_OR_RETURN(report_.index_bytes, writer->Finish());
    report_.lines = counts_.lines;
    report_.malformed = counts_.malformed;
    report_.data_bytes = counts_.bytes;
    report_.spilled_bytes = sorter_->stats().spilled_bytes;
    return absl::OkStatus();
  }

  void AddWarnings() {
    const auto warn = [this](absl::string_view text) {
      report_.warnings.push_back(absl::StrCat(data_path_, ": ", text));
    };
    if (counts_.bytes == 0) warn("the file is empty");
    if (report_.repeated > 0) {
      warn(absl::StrCat(Lines(report_.repeated),
                        " with a key that is repeated later; the last "
                        "line of a key is the one that counts"));
    }
    if (report_.malformed > 0)
      warn(absl::StrCat(Lines(report_.malformed), " malformed and skipped"));
    if (counts_.carriage_returns > 0) {
      warn(absl::StrCat(Lines(counts_.carriage_returns),
                        " ending in a carriage return (CRLF); it is part of the value"));
    }
    if (counts_.ends_without_newline) {
      warn("the last line has no newline; it is taken as whole");
    }
  }

  const std::string data_path_;
  const std::string index_path_;
  const BuildOptions& options_;
  IndexHeader header_;
  DataFileCounts counts_;
  uint64_t records_ = 0;
  AlphabetBuilder alphabet_;
  std::unique_ptr<Sorter> sorter_;
  BuildReport report_;
};

std::string IndexPath(absl::string_view data_path, const BuildOptions& options) {
  return options.index_path.empty() ? DefaultIndexPath(data_path) : options.index_path;
}

// Why the index must be built; empty: it need not. An error: it must not be.
absl::StatusOr<std::string> WhyBuild(absl::string_view data_path, const std::string& index_path,
                                     FileSystem* fs) {
  KVARTS_RETURN_IF_ERROR(IdentifyData(fs, data_path).status());
  const auto index = IndexReader::Open(fs, index_path);
  switch (index.status().code()) {
    case absl::StatusCode::kOk:
      break;
    case absl::StatusCode::kNotFound:
      return std::string("there is no index");
    case absl::StatusCode::kDataLoss:
      return std::string(index.status().message());
    default:
      return index.status();  // a newer format, no permission
  }
  const absl::Status opened = Dataset::Open(fs, data_path, index_path).status();
  if (opened.code() == absl::StatusCode::kFailedPrecondition) {
    return std::string(opened.message());  // stale
  }
  KVARTS_RETURN_IF_ERROR(opened);
  return std::string();
}

// Waits for its turn. The holder deletes the file before it lets go.
class BuildLock {
 public:
  BuildLock(FileSystem* fs, absl::string_view index_path)
      : fs_(fs), path_(absl::StrCat(index_path, ".lock")) {}
  ~BuildLock() {
    if (lock_ != nullptr) fs_->Delete(path_).IgnoreError();  // the lock counts, not the file
  }

  absl::Status Take(const std::function<void()>& on_wait) {
    for (bool first = true;; first = false) {
      absl::StatusOr<std::unique_ptr<FileLock>> lock = fs_->Lock(path_);
      if (lock.ok()) {
        lock_ = *std::move(lock);
        return absl::OkStatus();
      }
      if (lock.status().code() != absl::StatusCode::kFailedPrecondition) return lock.status();
      if (first && on_wait) on_wait();
      absl::SleepFor(absl::Milliseconds(50));
    }
  }

 private:
  FileSystem* const fs_;
  const std::string path_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace

absl::StatusOr<BuildReport> BuildBisect(absl::string_view data_path, const BuildOptions& options) {
  const std::string index_path = IndexPath(data_path, options);
  // A data file that is not there is said first, and leaves no lock file.
  KVARTS_RETURN_IF_ERROR(IdentifyData(options.fs, data_path).status());
  BuildLock lock(options.fs, index_path);
  KVARTS_RETURN_IF_ERROR(lock.Take(options.on_wait));
  return Build(data_path, index_path, options).Run();
}

absl::StatusOr<BuildReport> EnsureBisect(absl::string_view data_path, const BuildOptions& options) {
  const std::string index_path = IndexPath(data_path, options);
  KVARTS_ASSIGN_OR_RETURN(std::string why, WhyBuild(data_path, index_path, options.fs));
  if (why.empty()) return BuildReport();
  BuildLock lock(options.fs, index_path);
  KVARTS_RETURN_IF_ERROR(lock.Take(options.on_wait));
  // Another process may have built it meanwhile.
  KVARTS_ASSIGN_OR_RETURN(why, WhyBuild(data_path, index_path, options.fs));
  if (why.empty()) return BuildReport();
  KVARTS_ASSIGN_OR_RETURN(BuildReport report, Build(data_path, index_path, options).Run());
  report.reason = std::move(why);
  return report;
}

}  // namespace kvarts
