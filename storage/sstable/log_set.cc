#include "storage/sstable/log_set.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::sstable {

std::string LogPath(absl::string_view dir, uint64_t number) {
  return JoinPath(dir, absl::StrFormat("%06d.log", number));
}

std::string EncodeLogRecord(absl::Span<const Entry> entries) {
  std::string out;
  size_t bytes = 2 * kMaxVarintBytes;
  for (const Entry& entry : entries) bytes += entry.key.size() + entry.blob.size() + 16;
  out.reserve(bytes);
  AppendVarint(&out, entries.empty() ? 0 : entries.front().sequence());
  AppendVarint(&out, entries.size());
  for (const Entry& entry : entries) {
    out.push_back(static_cast<char>(entry.trailer));
    AppendSized(&out, entry.key);
    AppendSized(&out, entry.blob);
  }
  return out;
}

bool DecodeLogRecord(absl::string_view record, std::vector<Entry>* entries) {
  entries->clear();
  ByteReader reader(record);
  const Sequence first = reader.Varint();
  const uint64_t count = reader.Varint();
  if (!reader.ok() || count > record.size() || first > kMaxSequence - count) return false;
  for (uint64_t i = 0; i < count; ++i) {
    Entry entry;
    const unsigned char kind = reader.Byte();
    entry.trailer = MakeTrailer(first + i, kind);
    entry.key = reader.Sized();
    entry.blob = reader.Sized();
    int64_t expires_at_ms = 0;
    absl::string_view type;
    absl::string_view value;
    if (!reader.ok() || (kind & kKindMask) > kDeleteRange ||
        !entry.Decode(&expires_at_ms, &type, &value)) {
      return false;
    }
    entries->push_back(entry);
  }
  return reader.done();
}

absl::Status LogSet::Begin(uint64_t number, Sequence first_sequence) {
  RecordLogHeader header;
  header.kind = RecordLogHeader::Kind::kWriteLog;
  header.number = number;
  header.first = first_sequence;
  if (current_ != nullptr) {
    header.previous = current_->header().number;
    header.previous_synced = current_->synced_size();
  }
  KVARTS_ASSIGN_OR_RETURN(auto next, RecordLogWriter::Create(fs_, LogPath(dir_, number), header));
  if (current_ != nullptr && current_->synced_size() < current_->size()) {
    older_.push_back(std::move(current_));
  }
  current_ = std::move(next);
  return absl::OkStatus();
}

absl::Status LogSet::Sync() {
  const uint64_t needed = needed_.load(std::memory_order_acquire);
  for (const auto& log : older_) {
    if (log->header().number >= needed) KVARTS_RETURN_IF_ERROR(log->Sync());
  }
  older_.clear();
  return current_ == nullptr ? absl::OkStatus() : current_->Sync();
}

absl::StatusOr<Sequence> ReplayLogs(
    FileSystem* fs, const std::string& dir, uint64_t first_number, Sequence first_sequence,
    const std::vector<uint64_t>& numbers,
    const std::function<absl::Status(absl::Span<const Entry>)>& batch) {
  const auto lost = [](const std::string& path, uint64_t offset, absl::string_view what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what, " at offset ", offset));
  };
  const auto end_lost = [&](const std::string& path, uint64_t offset, absl::string_view by) {
    return lost(path, offset,
                absl::StrCat("the end is gone, which ", by, " says was synced: damaged bytes"));
  };
  if (numbers.empty() || numbers.front() != first_number) {
    return lost(LogPath(dir, first_number), 0, "the log is gone");
  }
  Sequence next = first_sequence;
  // Where the first log ended whose end may have been lost; what follows it was never
  // acknowledged, unless a later log proves that it was.
  std::string cut_path;
  uint64_t cut_offset = 0;
  std::map<uint64_t, uint64_t> good_sizes;  // of the logs read so far
  std::vector<Entry> entries;
  for (const uint64_t number : numbers) {
    const std::string path = LogPath(dir, number);
    KVARTS_ASSIGN_OR_RETURN(
        auto reader, RecordLogReader::Open(fs, path, RecordLogHeader::Kind::kWriteLog, number));
    uint64_t& good_size = good_sizes[number];
    if (reader->is_unused()) {
      // A crash came before it had a record; the manifest names none of which that is true.
      if (number == first_number) return lost(path, 0, "the header is gone");
      continue;
    }
    // The log before it may be one that was flushed since, and deleted. What was promised of it
    // holds whatever became of this one.
    if (const RecordLogHeader& header = reader->header(); header.previous >= first_number) {
      const std::string previous = LogPath(dir, header.previous);
      const auto it = good_sizes.find(header.previous);
      if (it == good_sizes.end()) {
        return lost(previous, 0, absl::StrCat("the log is gone, which ", path, " follows"));
      }
      if (it->second < header.previous_synced) return end_lost(previous, it->second, path);
    }
    if (number == first_number && reader->header().first != next) {
      return lost(path, 0, "the log of other sequences");
    }
    const uint64_t header_size = reader->good_size();
    while (true) {
      absl::string_view record;
      const bool is_first = reader->good_size() == header_size;
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
      if (!more) break;
      // A log without a record may be one that could not be begun, nor deleted: the one before it
      // went on. With one, the end of the one before is missing.
      if (is_first && cut_path.empty() && reader->header().first != next) {
        const uint64_t before = *std::prev(std::find(numbers.begin(), numbers.end(), number));
        cut_path = LogPath(dir, before);
        KVARTS_ASSIGN_OR_RETURN(const FileInfo info, fs->Stat(cut_path));
        cut_offset = info.size;
      }
      if (!cut_path.empty()) continue;  // read for what it promises alone
      if (!DecodeLogRecord(record, &entries)) {
        return lost(path, reader->record_offset(), "a bad batch");
      }
      if (entries.empty()) continue;
      if (entries.front().sequence() != next) {
        return lost(path, reader->record_offset(), "a batch out of order");
      }
      next += entries.size();
      KVARTS_RETURN_IF_ERROR(batch(entries));
    }
    // A log is synced only after all before it are.
    if (!cut_path.empty() && reader->promised() > header_size) {
      return end_lost(cut_path, cut_offset, path);
    }
    good_size = reader->good_size();
  }
  return next - 1;
}

absl::Status DescribeLog(FileSystem* fs, const std::string& path, uint64_t number,
                         std::string* out) {
  KVARTS_ASSIGN_OR_RETURN(
      auto reader, RecordLogReader::Open(fs, path, RecordLogHeader::Kind::kWriteLog, number));
  const RecordLogHeader& header = reader->header();
  absl::StrAppend(out, "log ", number, ", from sequence ", header.first, "\n");
  if (header.previous != 0) {
    absl::StrAppend(out, "follows log ", header.previous, ", which was synced to ",
                    header.previous_synced, "\n");
  }
  std::vector<Entry> entries;
  while (true) {
    absl::string_view record;
    KVARTS_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) break;
    if (!DecodeLogRecord(record, &entries)) {
      return absl::DataLossError(
          absl::StrCat(path, ": a bad batch at offset ", reader->record_offset()));
    }
    absl::StrAppend(out, reader->record_offset(), ": ", entries.size(), " mutations, ",
                    record.size(), " bytes\n");
  }
  absl::StrAppend(out, "good to ", reader->good_size(), ", synced to ", reader->promised(),
                  reader->has_bad_tail() ? ", and a torn end" : "", "\n");
  return absl::OkStatus();
}

}  // namespace kvarts::sstable
