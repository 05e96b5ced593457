#ifndef KVARTS_STORAGE_MEMORY_SNAPSHOT_FORMAT_H_
#define KVARTS_STORAGE_MEMORY_SNAPSHOT_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "storage/store.h"

// The bytes of a snapshot: FORMAT.md.
namespace kvarts::memory_internal {

inline constexpr absl::string_view kSnapshotMagic = "KVSNAPSH";
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr size_t kSnapshotHeaderBytes = 32;
inline constexpr size_t kBlockHeadBytes = 32;
inline constexpr size_t kBlockBytes = 256 << 10;  // of a payload, unless one entry has more
inline constexpr size_t kMaxEntryOverhead = 1 + 8 + 1 + kMaxContentTypeBytes + 5 + 5;
inline constexpr size_t kMaxPayloadBytes = kMaxEntryOverhead + kMaxKeyBytes + kMaxValueBytes;
inline constexpr size_t kEndPayloadBytes = 24;

// A UUID key is packed: see uuid_key.h.
enum EntryFlag : unsigned char { kEntryUuid = 1, kEntryExpiry = 2, kEntryType = 4 };

struct BlockHead {
  enum Kind : uint32_t { kEntries = 1, kEnd = 2 };

  uint32_t kind = kEntries;
  uint32_t payload_bytes = 0;
  uint32_t entries = 0;
  uint64_t payload_checksum = 0;

  // `snapshot`: the checksum of the file's header, so that a block of another file, or of
  // another place, is none.
  static uint64_t Seed(uint64_t snapshot, uint64_t offset) {
    return snapshot + offset * 0x9e3779b97f4a7c15;
  }
  void WriteTo(char* to, uint64_t snapshot, uint64_t offset) const {
    StoreLE32(to, kind);
    StoreLE32(to + 4, payload_bytes);
    StoreLE32(to + 8, entries);
    StoreLE32(to + 12, 0);
    StoreLE64(to + 16, payload_checksum);
    StoreLE64(to + 24, Checksum(absl::string_view(to, 24), Seed(snapshot, offset)));
  }
  // False where the checksum is another.
  bool ReadFrom(const char* from, uint64_t snapshot, uint64_t offset) {
    kind = LoadLE32(from);
    payload_bytes = LoadLE32(from + 4);
    entries = LoadLE32(from + 8);
    payload_checksum = LoadLE64(from + 16);
    return LoadLE64(from + 24) == Checksum(absl::string_view(from, 24), Seed(snapshot, offset));
  }
};

struct SnapshotEntry {
  bool is_uuid = false;
  absl::string_view key;  // packed, where it is a UUID
  absl::string_view value;
  int64_t expires_at_ms = 0;  // 0: never
  absl::string_view content_type;
};

// Of a whole snapshot.
struct SnapshotTotals {
  int64_t created_ms = 0;
  uint64_t entries = 0;
  uint64_t bytes = 0;  // of keys, as they are stored, and values
  uint64_t blocks = 0;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SNAPSHOT_FORMAT_H_
