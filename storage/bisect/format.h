#ifndef KVARTS_STORAGE_BISECT_FORMAT_H_
#define KVARTS_STORAGE_BISECT_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/bisect/key_coding.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// The index file of bisect: see FORMAT.md. Pages of 4096 bytes: the header, the
// radix table, the entries.
inline constexpr size_t kIndexPageBytes = 4096;
inline constexpr uint32_t kIndexVersion = 1;
inline constexpr size_t kPageChecksumBytes = 8;
inline constexpr size_t kRadixPerPage = (kIndexPageBytes - kPageChecksumBytes) / 4;    // 1022
inline constexpr size_t kEntriesPerPage = (kIndexPageBytes - kPageChecksumBytes) / 8;  // 511
inline constexpr int kMaxRadixBits = 26;
// Where in the header the bits of a length stand: an optional feature, zero in
// indexes of before.
inline constexpr size_t kLengthBitsInHeader = 2160;
// Ranks are 32 bits in the radix table.
inline constexpr uint64_t kMaxIndexEntries = 0xFFFFFFFE;

// What names the state of a data file that an index is of.
struct DataIdentity {
  uint64_t size = 0;
  int64_t modified_ns = 0;
  uint64_t sample_checksum = 0;  // of up to 8 blocks of 4 KiB, spread over the file

  friend bool operator==(const DataIdentity& a, const DataIdentity& b) {
    return a.size == b.size && a.modified_ns == b.modified_ns &&
           a.sample_checksum == b.sample_checksum;
  }
};

// Reads size, time and samples: constant time, whatever the file's size.
absl::StatusOr<DataIdentity> IdentifyData(FileSystem* fs, absl::string_view path);

struct IndexHeader {
  KeyCoding coding = KeyCoding::Uuid4();
  uint64_t entries = 0;    // distinct keys
  uint64_t lines = 0;      // of the data file
  uint64_t malformed = 0;  // of them skipped
  DataIdentity data;
  uint64_t data_checksum = 0;  // of the whole data file
  int offset_bits = 1;         // of an entry, its low ones
  int tag_bits = 0;            // of an entry, its high ones
  int length_bits = 0;         // of an entry, between them; the three add up to 64 or less
  int radix_bits = 0;

  uint64_t radix_size() const { return (uint64_t{1} << radix_bits) + 1; }
  uint64_t radix_pages() const { return (radix_size() + kRadixPerPage - 1) / kRadixPerPage; }
  uint64_t entry_pages() const { return (entries + kEntriesPerPage - 1) / kEntriesPerPage; }
  uint64_t first_entry_page() const { return 1 + radix_pages(); }
  uint64_t pages() const { return first_entry_page() + entry_pages(); }
  uint64_t file_bytes() const { return pages() * kIndexPageBytes; }
  // Goes into the checksum of each page, so that pages of different indexes, or
  // at other places, do not pass for each other.
  uint64_t page_seed() const { return data_checksum ^ data.size; }

  // Chooses the widths for a data file and a number of entries, at most.
  void ChooseWidths(uint64_t most_entries);

  // kIndexPageBytes.
  std::string Encode() const;
  // kDataLoss where it is damaged or foreign, kFailedPrecondition where its
  // version is newer than this program's.
  static absl::StatusOr<IndexHeader> Decode(absl::string_view page);
};

// The checksum of a page's bytes behind its first eight.
uint64_t IndexPageChecksum(const IndexHeader& header, uint64_t page_number, const char* page);

// Data files of this size and more are refused: builds carry an offset and a
// length in one word.
inline constexpr uint64_t kMaxDataBytes = uint64_t{1} << 48;

// Where a code falls: its bucket and, inside it, its tag.
inline uint64_t RadixBucket(uint64_t code, int radix_bits) {
  return radix_bits == 0 ? 0 : code >> (64 - radix_bits);
}
inline uint64_t EntryTag(uint64_t code, int radix_bits, int tag_bits) {
  return tag_bits == 0 ? 0 : (code << radix_bits) >> (64 - tag_bits);
}

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_FORMAT_H_
