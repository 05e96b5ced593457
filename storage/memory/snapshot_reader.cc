#include "storage/memory/snapshot_reader.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/memory/uuid_key.h"

namespace kvarts::memory_internal {
namespace {

// Not thread-safe. Takes the parts of an entry from a payload, checking that they are there.
class PayloadParser {
 public:
  explicit PayloadParser(absl::string_view payload) : rest_(payload), size_(payload.size()) {}

  bool empty() const { return rest_.empty(); }
  size_t position() const { return size_ - rest_.size(); }

  bool Take(size_t n, absl::string_view* bytes) {
    if (n > rest_.size()) return false;
    *bytes = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return true;
  }
  bool TakeByte(unsigned char* byte) {
    absl::string_view bytes;
    if (!Take(1, &bytes)) return false;
    *byte = static_cast<unsigned char>(bytes[0]);
    return true;
  }
  bool TakeSized(size_t most, absl::string_view* bytes) {
    size_t n = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      unsigned char byte;
      if (!TakeByte(&byte)) return false;
      n |= static_cast<size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return n <= most && Take(n, bytes);
    }
    return false;
  }
  bool TakeEntry(SnapshotEntry* entry) {
    unsigned char flags;
    if (!TakeByte(&flags) || (flags & ~(kEntryUuid | kEntryExpiry | kEntryType)) != 0) {
      return false;
    }
    absl::string_view bytes;
    if ((flags & kEntryExpiry) != 0) {
      if (!Take(8, &bytes)) return false;
      entry->expires_at_ms = static_cast<int64_t>(LoadLE64(bytes.data()));
    }
    if ((flags & kEntryType) != 0) {
      unsigned char size;
      if (!TakeByte(&size) || !Take(size, &entry->content_type)) return false;
    }
    entry->is_uuid = (flags & kEntryUuid) != 0;
    const bool has_key =
        entry->is_uuid ? Take(kUuidBytes, &entry->key) : TakeSized(kMaxKeyBytes, &entry->key);
    return has_key && TakeSized(kMaxValueBytes, &entry->value);
  }

 private:
  absl::string_view rest_;
  const size_t size_;
};

// Not thread-safe.
class Reader {
 public:
  Reader(const RandomAccessFile& file, absl::string_view path, uint64_t size)
      : file_(file), path_(path), size_(size) {}

  absl::Status ReadHeader() {
    std::string header(kSnapshotHeaderBytes, '\0');
    KVARTS_RETURN_IF_ERROR(Read(&header[0], header.size(), "the header"));
    const absl::string_view bytes = header;
    if (bytes.substr(0, kSnapshotMagic.size()) != kSnapshotMagic) {
      return Damaged(0, absl::StrCat("expected \"", kSnapshotMagic, "\": not a snapshot"));
    }
    snapshot_ = LoadLE64(&header[24]);
    if (snapshot_ != Checksum(bytes.substr(0, 24))) {
      return Damaged(0, "the checksum of the header does not match");
    }
    const uint32_t version = LoadLE32(&header[8]);
    if (version != kSnapshotVersion) {
      return absl::FailedPreconditionError(absl::StrCat(path_, ": the snapshot has format version ",
                                                        version, "; this program reads version ",
                                                        kSnapshotVersion));
    }
    totals_.created_ms = static_cast<int64_t>(LoadLE64(&header[16]));
    return absl::OkStatus();
  }

  // The next block's entries; at the end none, and *at_end.
  absl::Status ReadBlock(std::vector<SnapshotEntry>* entries, bool* at_end) {
    const uint64_t begin = offset_;
    char head_bytes[kBlockHeadBytes];
    KVARTS_RETURN_IF_ERROR(Read(head_bytes, kBlockHeadBytes, "the head of a block"));
    BlockHead head;
    if (!head.ReadFrom(head_bytes, snapshot_, begin)) {
      return Damaged(begin, "the checksum of a block's head does not match");
    }
    if (head.payload_bytes > std::max(kMaxPayloadBytes, kBlockBytes)) {
      return Damaged(begin, absl::StrCat("a block of ", head.payload_bytes, " bytes"));
    }
    // Before there is memory for it.
    KVARTS_RETURN_IF_ERROR(Expect(head.payload_bytes, "a block"));
    if (payload_.capacity() > 2 * kBlockBytes) payload_ = std::string();
    payload_.resize(head.payload_bytes);
    KVARTS_RETURN_IF_ERROR(Read(&payload_[0], payload_.size(), "a block"));
    if (Checksum(payload_) != head.payload_checksum) {
      return Damaged(begin,
                     absl::StrCat("the checksum of a block of ", kBlockHeadBytes + payload_.size(),
                                  " bytes does not match"));
    }
    *at_end = head.kind == BlockHead::kEnd;
    if (*at_end) return CheckEnd(begin);
    if (head.kind != BlockHead::kEntries) {
      return Damaged(begin, absl::StrCat("a block of the unknown kind ", head.kind));
    }
    return Parse(begin, head.entries, entries);
  }

  uint64_t offset() const { return offset_; }
  const SnapshotTotals& totals() const { return totals_; }

 private:
  absl::Status Damaged(uint64_t offset, absl::string_view what) const {
    return absl::DataLossError(
        absl::StrCat(path_, ": the snapshot is damaged at offset ", offset, ": ", what));
  }

  absl::Status Expect(uint64_t n, absl::string_view what) const {
    if (n <= size_ - offset_) return absl::OkStatus();
    return Damaged(offset_, absl::StrCat("expected ", n, " bytes of ", what, ", found the end of ",
                                         "the file after ", size_ - offset_));
  }

  absl::Status Read(char* to, size_t n, absl::string_view what) {
    KVARTS_RETURN_IF_ERROR(Expect(n, what));
    KVARTS_ASSIGN_OR_RETURN(const size_t got, file_.Read(offset_, n, to));
    if (got < n) return Damaged(offset_ + got, "the file has become shorter");
    offset_ += n;
    return absl::OkStatus();
  }

  absl::Status Parse(uint64_t begin, uint32_t count, std::vector<SnapshotEntry>* entries) {
    PayloadParser parser(payload_);
    entries->reserve(std::min<size_t>(count, payload_.size()));
    while (!parser.empty()) {
      const size_t at = parser.position();
      SnapshotEntry entry;
      if (!parser.TakeEntry(&entry)) {
        return Damaged(begin + kBlockHeadBytes + at, "not an entry");
      }
      totals_.bytes += entry.key.size() + entry.value.size();
      entries->push_back(entry);
    }
    if (entries->size() != count) {
      return Damaged(begin, absl::StrCat("a block of ", count, " entries has ", entries->size()));
    }
    totals_.entries += count;
    ++totals_.blocks;
    return absl::OkStatus();
  }

  absl::Status CheckEnd(uint64_t begin) const {
    if (payload_.size() != kEndPayloadBytes) return Damaged(begin, "not an end");
    const char* const p = payload_.data();
    if (LoadLE64(p) != totals_.entries || LoadLE64(p + 8) != totals_.bytes ||
        LoadLE64(p + 16) != totals_.blocks) {
      return Damaged(
          begin, absl::StrCat("expected ", LoadLE64(p), " entries of ", LoadLE64(p + 8),
                              " bytes in ", LoadLE64(p + 16), " blocks, found ", totals_.entries,
                              " of ", totals_.bytes, " in ", totals_.blocks));
    }
    if (offset_ == size_) return absl::OkStatus();
    return Damaged(offset_, absl::StrCat(size_ - offset_, " bytes behind the end"));
  }

  const RandomAccessFile& file_;
  const std::string path_;
  const uint64_t size_;
  uint64_t offset_ = 0;
  uint64_t snapshot_ = 0;
  SnapshotTotals totals_;
  std::string payload_;
};

}  // namespace

absl::StatusOr<SnapshotTotals> ReadSnapshot(
    FileSystem* fs, absl::string_view path, ProgressSink* progress,
    absl::FunctionRef<absl::Status(absl::Span<const SnapshotEntry> entries)> take) {
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<RandomAccessFile> file, fs->OpenForRead(path));
  KVARTS_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  Reader reader(*file, path, size);
  KVARTS_RETURN_IF_ERROR(reader.ReadHeader());
  std::vector<SnapshotEntry> entries;
  for (bool at_end = false; !at_end;) {
    entries.clear();
    KVARTS_RETURN_IF_ERROR(reader.ReadBlock(&entries, &at_end));
    KVARTS_RETURN_IF_ERROR(take(entries));
    if (progress != nullptr) progress->Report("loading", "bytes", reader.offset(), size);
  }
  return reader.totals();
}

}  // namespace kvarts::memory_internal
