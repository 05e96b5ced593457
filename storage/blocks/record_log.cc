#include "storage/blocks/record_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/siphash.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

constexpr absl::string_view kMagic = "kvartlog";
// magic 8, version 4, kind 4, number 8, first 8, previous 8, previous_synced 8, salt 8, checksum 8
constexpr uint64_t kHeaderBytes = 64;
constexpr uint64_t kBlockBytes = 32 << 10;
// checksum 4, size 2, type 1
constexpr uint64_t kFragmentHeader = 7;
constexpr uint64_t kReadBytes = 8 * kBlockBytes;  // a whole number of blocks
// How far a log is written ahead: as far again as it has come, within these.
constexpr uint64_t kLeastAhead = 4 << 10;
constexpr uint64_t kMostAhead = 1 << 20;

enum Type : unsigned char { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

std::string EncodeHeader(const RecordLogHeader& header) {
  std::string out(kMagic);
  AppendLE32(&out, RecordLogHeader::kVersion);
  AppendLE32(&out, static_cast<uint32_t>(header.kind));
  AppendLE64(&out, header.number);
  AppendLE64(&out, header.first);
  AppendLE64(&out, header.previous);
  AppendLE64(&out, header.previous_synced);
  AppendLE64(&out, header.salt);
  AppendLE64(&out, Checksum(out));
  return out;
}

uint32_t FragmentChecksum(uint64_t salt, uint64_t offset, absl::string_view size_type_bytes) {
  // The multiplication parts places from salts: two files never share a seed by chance alone.
  return static_cast<uint32_t>(Checksum(size_type_bytes, salt ^ (offset * 0x9e3779b97f4a7c15)));
}

absl::Status Damage(const std::string& path, uint64_t offset, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what, " at offset ", offset));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordLogWriter>> RecordLogWriter::Create(
    FileSystem* fs, const std::string& path, RecordLogHeader header,
    absl::string_view first_record) {
  header.salt = HashSeed::Random().k0;
  const auto create = [&]() -> absl::StatusOr<std::unique_ptr<RecordLogWriter>> {
    KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForWrite(path, FileSystem::Create::kTruncate));
    auto writer =
        std::unique_ptr<RecordLogWriter>(new RecordLogWriter(path, header, std::move(file)));
    KVARTS_RETURN_IF_ERROR(writer->file_->Append(EncodeHeader(header)));
    writer->size_ = kHeaderBytes;
    if (!first_record.empty()) {
      writer->Add(first_record);
      KVARTS_RETURN_IF_ERROR(writer->Flush());
    }
    // A header that is not durable would leave records behind it that nothing can read.
    KVARTS_RETURN_IF_ERROR(writer->file_->Sync());
    KVARTS_RETURN_IF_ERROR(fs->SyncDir(DirName(path)));
    writer->synced_size_ = writer->size_;
    return writer;
  };
  auto writer = create();
  if (!writer.ok()) fs->Delete(path).IgnoreError();
  return writer;
}

absl::StatusOr<std::unique_ptr<RecordLogWriter>> RecordLogWriter::GoOn(
    FileSystem* fs, const std::string& path, const RecordLogHeader& header, uint64_t size,
    uint64_t synced) {
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForWrite(path, FileSystem::Create::kAppend));
  auto writer =
      std::unique_ptr<RecordLogWriter>(new RecordLogWriter(path, header, std::move(file)));
  writer->size_ = size;
  writer->synced_size_ = synced;
  return writer;
}

void RecordLogWriter::Add(absl::string_view record) {
  std::string promise;
  AppendVarint(&promise, synced_size_);
  bool first = true;
  do {
    const uint64_t at = (size_ + pending_.size()) % kBlockBytes;
    uint64_t room = kBlockBytes - at;
    if (room <= kFragmentHeader + kMaxVarintBytes) {  // no room for a promise: the next block
      pending_.append(room, '\0');
      room = kBlockBytes;
    }
    room -= kFragmentHeader;
    if (first) room -= promise.size();
    const size_t size = std::min<uint64_t>(room, record.size());
    const bool last = size == record.size();
    const Type type = first ? (last ? kFull : kFirst) : (last ? kLast : kMiddle);
    if (first) {
      promise.append(record.data(), size);
      AddFragment(type, promise);
    } else {
      AddFragment(type, record.substr(0, size));
    }
    record.remove_prefix(size);
    first = false;
  } while (!record.empty());
}

void RecordLogWriter::AddFragment(unsigned char type, absl::string_view bytes) {
  const uint64_t offset = size_ + pending_.size();
  const size_t start = pending_.size();
  pending_.append(4, '\0');
  pending_.push_back(static_cast<char>(bytes.size()));
  pending_.push_back(static_cast<char>(bytes.size() >> 8));
  pending_.push_back(static_cast<char>(type));
  pending_.append(bytes.data(), bytes.size());
  StoreLE32(&pending_[start],
            FragmentChecksum(header_.salt, offset, absl::string_view(pending_).substr(start + 4)));
}

absl::Status RecordLogWriter::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  if (ended()) {
    pending_.clear();
    return absl::FailedPreconditionError(absl::StrCat(path_, ": the log has ended"));
  }
  const absl::Status status = file_->WriteAt(size_, pending_);
  if (status.ok()) {
    size_ += pending_.size();
    pending_.clear();
    return status;
  }
  pending_.clear();
  ended_ = true;
  // Whole records of the group may be in the file: unless they are gone for good, they would come
  // back after a crash though their writers were told that they failed.
  absl::Status cut = file_->Truncate(size_);
  if (cut.ok()) cut = file_->Sync();
  if (cut.ok()) {
    synced_size_ = size_;
  } else {
    poisoned_ = true;
  }
  return status;
}

absl::Status RecordLogWriter::Sync() {
  if (poisoned_) {
    return absl::FailedPreconditionError(absl::StrCat(path_, ": an earlier sync failed"));
  }
  if (synced_size_ == size_) return absl::OkStatus();
  WriteAhead();
  const absl::Status status = file_->Sync();
  // The system may have dropped the pages and counts them as clean: another sync of this file
  // would succeed and mean nothing.
  if (!status.ok()) poisoned_ = true;
  if (status.ok()) synced_size_ = size_;
  return status;
}

// A sync of a file that grew writes its size and its new blocks to the disk as well; of one whose
// bytes were there, the bytes alone, in half the time. What the zeros cost is one sync in so many.
void RecordLogWriter::WriteAhead() {
  if (header_.kind != RecordLogHeader::Kind::kWriteLog || size_ < ahead_) return;
  const uint64_t bytes = std::clamp(size_, kLeastAhead, kMostAhead);
  ahead_ = size_ + bytes;
  if (file_->WriteAt(size_, std::string(bytes, '\0')).ok()) return;
  // A full disk has no room to spare. What of it was written is behind all records, and zeros.
  ahead_ = UINT64_MAX;
  file_->Truncate(size_).IgnoreError();
}

absl::StatusOr<std::unique_ptr<RecordLogReader>> RecordLogReader::Open(FileSystem* fs,
                                                                       const std::string& path,
                                                                       RecordLogHeader::Kind kind,
                                                                       uint64_t number) {
  KVARTS_ASSIGN_OR_RETURN(auto file, fs->OpenForRead(path));
  auto reader = std::unique_ptr<RecordLogReader>(new RecordLogReader(path, std::move(file)));
  KVARTS_ASSIGN_OR_RETURN(reader->file_size_, reader->file_->Size());
  KVARTS_RETURN_IF_ERROR(reader->Load(0));
  const std::string& bytes = reader->buffer_;
  const bool whole = bytes.size() >= kHeaderBytes &&
                     absl::string_view(bytes).substr(0, kMagic.size()) == kMagic &&
                     LoadLE64(bytes.data() + kHeaderBytes - 8) ==
                         Checksum(absl::string_view(bytes).substr(0, kHeaderBytes - 8));
  if (!whole) {
    // The header is synced before anything is written behind it.
    if (reader->file_size_ > kHeaderBytes) return Damage(path, 0, "a damaged header");
    reader->unused_ = reader->at_end_ = true;
    return reader;
  }
  const uint32_t version = LoadLE32(bytes.data() + 8);
  if (version != RecordLogHeader::kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": version ", version,
                                                      " of the format; this program reads version ",
                                                      RecordLogHeader::kVersion));
  }
  RecordLogHeader& header = reader->header_;
  header.kind = static_cast<RecordLogHeader::Kind>(LoadLE32(bytes.data() + 12));
  header.number = LoadLE64(bytes.data() + 16);
  header.first = LoadLE64(bytes.data() + 24);
  header.previous = LoadLE64(bytes.data() + 32);
  header.previous_synced = LoadLE64(bytes.data() + 40);
  header.salt = LoadLE64(bytes.data() + 48);
  if (header.kind != kind || header.number != number) {
    return Damage(path, 0, absl::StrCat("the header of another file, of number ", header.number));
  }
  reader->offset_ = reader->good_size_ = kHeaderBytes;
  return reader;
}

absl::Status RecordLogReader::Load(uint64_t offset) {
  buffer_offset_ = offset / kReadBytes * kReadBytes;
  buffer_.resize(kReadBytes);
  KVARTS_ASSIGN_OR_RETURN(const size_t got, file_->Read(buffer_offset_, kReadBytes, &buffer_[0]));
  buffer_.resize(got);
  return absl::OkStatus();
}

absl::StatusOr<RecordLogReader::Fragment> RecordLogReader::Take(uint64_t* offset,
                                                                unsigned char* type,
                                                                absl::string_view* bytes) {
  const uint64_t room = kBlockBytes - *offset % kBlockBytes;
  if (room <= kFragmentHeader) return Fragment::kPadding;
  if (*offset >= file_size_) return Fragment::kEnd;
  if (*offset < buffer_offset_ || *offset >= buffer_offset_ + kReadBytes) {
    KVARTS_RETURN_IF_ERROR(Load(*offset));
  }
  const uint64_t at = *offset - buffer_offset_;
  if (at + kFragmentHeader > buffer_.size()) return Fragment::kBad;
  const char* const p = buffer_.data() + at;
  const uint64_t size = static_cast<unsigned char>(p[4]) | static_cast<unsigned char>(p[5]) << 8;
  *type = static_cast<unsigned char>(p[6]);
  if (*type == 0 && size == 0 && LoadLE32(p) == 0 && room <= kFragmentHeader + kMaxVarintBytes) {
    return Fragment::kPadding;
  }
  if (*type < kFull || *type > kLast || kFragmentHeader + size > room ||
      at + kFragmentHeader + size > buffer_.size()) {
    return Fragment::kBad;
  }
  if (LoadLE32(p) != FragmentChecksum(header_.salt, *offset, absl::string_view(p + 4, 3 + size))) {
    return Fragment::kBad;
  }
  *bytes = absl::string_view(p + kFragmentHeader, size);
  *offset += kFragmentHeader + size;
  return Fragment::kGood;
}

absl::StatusOr<bool> RecordLogReader::Next(absl::string_view* record) {
  if (at_end_) return false;
  record_.clear();
  bool begun = false;
  uint64_t at = offset_;
  while (true) {
    unsigned char type = 0;
    absl::string_view bytes;
    const uint64_t before = at;
    KVARTS_ASSIGN_OR_RETURN(const Fragment fragment, Take(&at, &type, &bytes));
    if (fragment == Fragment::kPadding) {
      at = (at / kBlockBytes + 1) * kBlockBytes;
      continue;
    }
    if (fragment == Fragment::kEnd) {
      at_end_ = true;
      bad_tail_ = begun;
      return false;
    }
    const bool starts = type == kFull || type == kFirst;
    if (skips_ && fragment == Fragment::kGood && !starts && !begun) continue;
    if (fragment == Fragment::kBad || starts == begun) {
      if (!begun) {
        KVARTS_ASSIGN_OR_RETURN(at_end_, HasOnlyZeros(before));
        if (at_end_) return false;
      }
      return EndAt(begun ? record_offset_ : before, before);
    }
    if (starts) {
      uint64_t promise = 0;
      const char* const rest = ParseVarint(bytes.data(), bytes.data() + bytes.size(), &promise);
      if (rest == nullptr || promise > before) return Damage(path_, before, "a bad record");
      promised_ = std::max(promised_, promise);
      bytes.remove_prefix(static_cast<size_t>(rest - bytes.data()));
      record_offset_ = before;
      begun = true;
      skips_ = false;
    }
    if (type == kFull) {
      *record = bytes;
    } else {
      record_.append(bytes.data(), bytes.size());
      *record = record_;
    }
    if (type == kFull || type == kLast) {
      offset_ = good_size_ = at;
      return true;
    }
  }
}

// What was written ahead is zeros, from `offset` to the end.
bool RecordLogReader::SkipBadBytes() {
  if (bad_offset_ == 0) return false;
  offset_ = (bad_offset_ / kBlockBytes + 1) * kBlockBytes;
  bad_offset_ = 0;
  skips_ = true;
  at_end_ = bad_tail_ = offset_ >= file_size_;
  return !at_end_;
}

absl::StatusOr<bool> RecordLogReader::HasOnlyZeros(uint64_t offset) {
  while (offset < file_size_) {
    if (offset < buffer_offset_ || offset >= buffer_offset_ + buffer_.size()) {
      KVARTS_RETURN_IF_ERROR(Load(offset));
      if (offset >= buffer_offset_ + buffer_.size()) return false;  // it has shrunk
    }
    if (buffer_.find_first_not_of('\0', offset - buffer_offset_) != std::string::npos) return false;
    offset = buffer_offset_ + buffer_.size();
  }
  return true;
}

// Goes over what follows the bad bytes only to learn whether they were promised to be good. Where
// the next record begins is not known, since a size may be what is wrong: it may be at any byte.
// The seed of the checksums keeps bytes of a value from being taken for one.
absl::StatusOr<bool> RecordLogReader::EndAt(uint64_t bad_offset, uint64_t scan_from) {
  at_end_ = bad_tail_ = true;
  bad_offset_ = scan_from;
  uint64_t at = scan_from;
  while (at < file_size_) {
    unsigned char type = 0;
    absl::string_view bytes;
    const uint64_t before = at;
    KVARTS_ASSIGN_OR_RETURN(const Fragment fragment, Take(&at, &type, &bytes));
    if (fragment == Fragment::kPadding) at = (at / kBlockBytes + 1) * kBlockBytes;
    if (fragment == Fragment::kBad) ++at;
    if (fragment != Fragment::kGood) continue;
    uint64_t promise = 0;
    if ((type == kFull || type == kFirst) &&
        ParseVarint(bytes.data(), bytes.data() + bytes.size(), &promise) != nullptr &&
        promise <= before) {
      promised_ = std::max(promised_, promise);
    }
  }
  if (promised_ > bad_offset) return Damage(path_, bad_offset, "damaged bytes");
  return false;
}

}  // namespace kvarts
