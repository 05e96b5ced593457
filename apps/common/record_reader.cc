#include "apps/common/record_reader.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text_start.h"
#include "storage/store.h"

namespace kvarts {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kMaxLineBytes = kMaxKeyBytes + kMaxValueBytes + 1024;

absl::Status SystemError(absl::string_view name, absl::string_view what) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat(name, ": cannot ", what));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordReader>> RecordReader::Open(
    const std::string& path, std::optional<RecordFormat> format) {
  if (path == "-") {
    return std::unique_ptr<RecordReader>(new RecordReader("standard input", stdin, 0, format));
  }
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return SystemError(path, "open the file");
  struct stat info = {};
  const bool regular = ::fstat(::fileno(file), &info) == 0 && S_ISREG(info.st_mode);
  return std::unique_ptr<RecordReader>(
      new RecordReader(path, file, regular ? static_cast<uint64_t>(info.st_size) : 0, format));
}

RecordReader::RecordReader(std::string name, std::FILE* file, uint64_t size,
                           std::optional<RecordFormat> format)
    : name_(std::move(name)), file_(file), size_(size), format_(format) {}

RecordReader::~RecordReader() {
  if (file_ != stdin) std::fclose(file_);
}

absl::Status RecordReader::Malformed(absl::string_view expected) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ", line ", line_, ": expected ", expected));
}

absl::StatusOr<bool> RecordReader::Next(Record* record) {
  absl::string_view line;
  KVARTS_ASSIGN_OR_RETURN(const bool more, NextLine(&line));
  if (!more) return false;
  if (!format_.has_value()) {
    format_ = absl::StartsWith(line, kNdjsonBegin) ? RecordFormat::kNdjson : RecordFormat::kData;
    // A data file may begin so too, but then it is to be said: neither is taken for the other.
    if (const absl::Status parsed = ParseFirst(line, record); !parsed.ok()) return parsed;
    return true;
  }
  KVARTS_RETURN_IF_ERROR(*format_ == RecordFormat::kData ? ParseData(line, record)
                                                         : ParseNdjson(line, record));
  return true;
}

absl::StatusOr<bool> RecordReader::NextLine(absl::string_view* line) {
  size_t searched = begin_;
  size_t newline;
  while ((newline = buffer_.find('\n', searched)) == std::string::npos && !at_end_) {
    searched = buffer_.size();
    // No record is longer, be each of its bytes six of NDJSON.
    if (searched - begin_ > (format_ == RecordFormat::kData ? 1 : 6) * kMaxLineBytes) break;
    if (begin_ > 0) {
      buffer_.erase(0, begin_);
      searched -= begin_;
      begin_ = 0;
    }
    buffer_.resize(searched + kReadBytes);
    const size_t n = std::fread(&buffer_[searched], 1, kReadBytes, file_);
    buffer_.resize(searched + n);
    const bool first = std::exchange(bytes_read_, bytes_read_ + n) == 0;
    if (n < kReadBytes) {
      if (std::ferror(file_) != 0) return SystemError(name_, "read the file");
      at_end_ = true;
    }
    if (first) {
      KVARTS_RETURN_IF_ERROR(
          CheckTextStart(name_, absl::string_view(buffer_).substr(0, kTextStartBytes)));
      begin_ = ByteOrderMarkBytes(buffer_);
    }
  }
  if (newline == std::string::npos) {
    if (begin_ == buffer_.size()) return false;
    newline = buffer_.size();  // the last line may lack its end
  }
  ++line_;
  offset_ = bytes_read_ - (buffer_.size() - begin_);
  *line = absl::string_view(buffer_).substr(begin_, newline - begin_);
  begin_ = std::min(newline + 1, buffer_.size());
  return true;
}

absl::Status RecordReader::ParseData(absl::string_view line, Record* record) const {
  const size_t space = line.find(' ');
  if (space == absl::string_view::npos) return Malformed("a key, a space and a value");
  if (space == 0) return Malformed("a key in front of the space");
  *record = {line.substr(0, space), line.substr(space + 1), {}, 0};
  if (record->key.size() > kMaxKeyBytes) {
    return Malformed(absl::StrCat("a key of at most ", kMaxKeyBytes, " bytes"));
  }
  if (record->value.size() > kMaxValueBytes) {
    return Malformed(absl::StrCat("a value of at most ", kMaxValueBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status RecordReader::ParseFirst(absl::string_view line, Record* record) {
  if (*format_ == RecordFormat::kData) return ParseData(line, record);
  const absl::Status parsed = ParseNdjson(line, record);
  if (parsed.ok()) return parsed;
  return absl::Status(parsed.code(), absl::StrCat(parsed.message(),
                                                  "; with --format=data it is a line of a data "
                                                  "file"));
}

absl::Status RecordReader::ParseNdjson(absl::string_view line, Record* record) {
  absl::StatusOr<JsonEntry> entry = ParseJsonEntry(line);
  if (!entry.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ", line ", line_, ": ", entry.status().message()));
  }
  entry_ = *std::move(entry);
  *record = {entry_.key, entry_.value, entry_.content_type, entry_.expires_at_ms};
  return absl::OkStatus();
}

}  // namespace kvarts
