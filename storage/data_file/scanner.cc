#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text_start.h"
#include "storage/data_file/data_file.h"
#include "storage/store.h"

namespace kvarts {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
static_assert(kBufferBytes > 2 * kMaxKeyBytes, "a whole key fits into the buffer");

}  // namespace

absl::StatusOr<std::vector<DataFileRange>> SplitDataFile(FileSystem* fs, absl::string_view path,
                                                         int n) {
  KVARTS_ASSIGN_OR_RETURN(const auto file, fs->OpenForRead(path));
  KVARTS_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::vector<DataFileRange> ranges(1);
  std::string buffer(64 << 10, '\0');
  for (int i = 1; i < n; ++i) {
    uint64_t at = size / n * i;
    while (at > ranges.back().begin && at < size) {
      KVARTS_ASSIGN_OR_RETURN(const size_t got, file->Read(at, buffer.size(), &buffer[0]));
      const size_t newline = absl::string_view(buffer.data(), got).find('\n');
      if (newline != absl::string_view::npos) {
        at += newline + 1;
        if (at >= size) break;
        ranges.back().end = at;
        ranges.push_back({at, ~uint64_t{0}});
        break;
      }
      if (got == 0) break;
      at += got;
    }
  }
  return ranges;
}

absl::StatusOr<std::unique_ptr<DataFileScanner>> DataFileScanner::Open(FileSystem* fs,
                                                                       absl::string_view path,
                                                                       bool skip_malformed,
                                                                       const DataFileRange& range) {
  KVARTS_ASSIGN_OR_RETURN(const FileInfo info, fs->Stat(path));
  if (info.type != FileInfo::Type::kFile) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a data file: ",
                                                      info.type == FileInfo::Type::kDirectory
                                                          ? "it is a directory"
                                                          : "it is not a regular file"));
  }
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForRead(path));
  return std::unique_ptr<DataFileScanner>(
      new DataFileScanner(std::string(path), std::move(file), info.size, skip_malformed, range));
}

DataFileScanner::DataFileScanner(std::string path, std::unique_ptr<RandomAccessFile> file,
                                 uint64_t size, bool skip_malformed, const DataFileRange& range)
    : path_(std::move(path)),
      file_(std::move(file)),
      skip_malformed_(skip_malformed),
      range_(range),
      // A byte more than a small file has, so that it is never full of one line.
      capacity_(std::min<uint64_t>(size + 1, kBufferBytes)),
      buffer_(std::make_unique_for_overwrite<char[]>(capacity_)),
      read_offset_(range.begin) {}

absl::StatusOr<bool> DataFileScanner::Refill() {
  if (at_end_) return false;
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const size_t room = std::min<uint64_t>(capacity_ - end_, range_.end - read_offset_);
  KVARTS_ASSIGN_OR_RETURN(const size_t got, file_->Read(read_offset_, room, buffer_.get() + end_));
  checksum_.Update(absl::string_view(buffer_.get() + end_, got));
  end_ += got;
  read_offset_ += got;
  counts_.bytes += got;
  at_end_ = got == 0;
  if (read_offset_ == got && got > 0) KVARTS_RETURN_IF_ERROR(Begin());
  return got > 0;
}

absl::Status DataFileScanner::Begin() {
  const absl::string_view start(buffer_.get(), end_);
  KVARTS_RETURN_IF_ERROR(CheckTextStart(path_, start.substr(0, kTextStartBytes)));
  begin_ = ByteOrderMarkBytes(start);
  return absl::OkStatus();
}

std::string DataFileScanner::Fault(size_t key_size, bool has_space, uint64_t value_size) {
  if (key_size > kMaxKeyBytes) {
    return absl::StrCat("a key longer than ", kMaxKeyBytes, " bytes");
  }
  if (!has_space) return key_size == 0 ? "an empty line" : "no space";
  if (key_size == 0) return "an empty key";
  if (value_size > kMaxValueBytes) {
    return absl::StrCat("a value of ", value_size, " bytes, more than ", kMaxValueBytes);
  }
  return "";
}

absl::Status DataFileScanner::Malformed(absl::string_view why) {
  if (skip_malformed_) {
    ++counts_.malformed;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(path_, ", line ", counts_.lines, " (offset ",
                                                 line_offset_,
                                                 "): expected `<key> <value>`, found ", why));
}

absl::StatusOr<bool> DataFileScanner::Next(ScannedRecord* record) {
  while (true) {
    line_offset_ = read_offset_ - (end_ - begin_);
    const char* const line = buffer_.get() + begin_;
    const size_t left = end_ - begin_;
    const char* const newline =
        left == 0 ? nullptr : static_cast<const char*>(std::memchr(line, '\n', left));
    if (newline == nullptr) {
      // Either the buffer is full of one line, or more must be read first.
      if (left < capacity_) {
        KVARTS_ASSIGN_OR_RETURN(const bool more, Refill());
        if (more) continue;
        if (begin_ == end_) return false;
      }
      bool malformed = false;
      KVARTS_ASSIGN_OR_RETURN(const bool got, NextLong(record, &malformed));
      if (malformed) continue;
      return got;
    }
    ++counts_.lines;
    const size_t line_size = newline - line;
    begin_ += line_size + 1;
    const char* const space = static_cast<const char*>(
        std::memchr(line, ' ', std::min<size_t>(line_size, kMaxKeyBytes + 1)));
    const size_t key_size = space == nullptr ? line_size : space - line;
    if (space == nullptr || key_size == 0) {
      KVARTS_RETURN_IF_ERROR(Malformed(Fault(key_size, space != nullptr, 0)));
      continue;
    }
    counts_.carriage_returns += newline[-1] == '\r';
    record->key = absl::string_view(line, key_size);
    record->offset = line_offset_;
    record->value_size = line_size - key_size - 1;
    return true;
  }
}

// The line fills the buffer, or is the last one and lacks its newline.
absl::StatusOr<bool> DataFileScanner::NextLong(ScannedRecord* record, bool* malformed) {
  ++counts_.lines;
  const absl::string_view head(buffer_.get() + begin_, end_ - begin_);
  const size_t space = head.substr(0, kMaxKeyBytes + 1).find(' ');
  const bool has_space = space != absl::string_view::npos;
  long_key_ = std::string(head.substr(0, has_space ? space : kMaxKeyBytes + 1));
  uint64_t line_size = 0;
  char last = '\0';
  while (true) {
    const size_t left = end_ - begin_;
    const char* const at = buffer_.get() + begin_;
    const char* const newline =
        left == 0 ? nullptr : static_cast<const char*>(std::memchr(at, '\n', left));
    const size_t part = newline == nullptr ? left : newline - at;
    if (part > 0) last = at[part - 1];
    line_size += part;
    begin_ += part;
    if (newline != nullptr) {
      ++begin_;
      break;
    }
    KVARTS_ASSIGN_OR_RETURN(const bool more, Refill());
    if (!more) {
      counts_.ends_without_newline = true;
      break;
    }
  }
  const uint64_t value_size = has_space ? line_size - long_key_.size() - 1 : 0;
  const std::string fault = Fault(long_key_.size(), has_space, value_size);
  if (!fault.empty()) {
    KVARTS_RETURN_IF_ERROR(Malformed(fault));
    *malformed = true;
    return true;
  }
  counts_.carriage_returns += last == '\r';
  record->key = long_key_;
  record->offset = line_offset_;
  record->value_size = value_size;
  return true;
}

}  // namespace kvarts
