#include "storage/bisect/format.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

constexpr char kMagic[] = "KVBISECT";  // 8 bytes
// Offsets in the header: FORMAT.md has the table.
constexpr size_t kVersionAt = 8, kPageBytesAt = 12, kEntriesAt = 16, kLinesAt = 24,
                 kMalformedAt = 32, kDataSizeAt = 40, kDataTimeAt = 48, kSampleAt = 56,
                 kDataChecksumAt = 64, kKindAt = 72, kOffsetBitsAt = 73, kTagBitsAt = 74,
                 kRadixBitsAt = 75, kPrefixSizeAt = 76, kAlphabetAt = 80, kPrefixAt = 112,
                 kHeaderChecksumAt = kIndexPageBytes - 8;

static_assert(kPrefixAt + KeyCoding::kMaxPrefix == kLengthBitsInHeader);

constexpr size_t kSamples = 8;
constexpr size_t kSampleBytes = 4096;

// Entries a radix bucket aims at: 48 to 96. Smaller buckets interpolate closer,
// at 4 bytes each: 0.04 to 0.08 bytes an entry.
constexpr uint64_t kBucketEntries = 48;

// Bits by which tags of UUIDs are longer than it takes to tell the keys apart on
// average: one lookup in 4096 reads a record of another key.
constexpr int kSpareTagBits = 12;
// Lengths of fewer bits are of no use, and more are not needed.
constexpr int kMinLengthBits = 6;
constexpr int kMaxLengthBits = 12;

int BitWidth(uint64_t v) { return v == 0 ? 0 : 64 - __builtin_clzll(v); }

}  // namespace

absl::StatusOr<DataIdentity> IdentifyData(FileSystem* fs, absl::string_view path) {
  KVARTS_ASSIGN_OR_RETURN(const FileInfo info, fs->Stat(path));
  if (info.type != FileInfo::Type::kFile) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": not a data file: ",
                                                      info.type == FileInfo::Type::kDirectory
                                                          ? "it is a directory"
                                                          : "it is not a regular file"));
  }
  KVARTS_ASSIGN_OR_RETURN(const auto file, fs->OpenForRead(path));
  DataIdentity id;
  id.size = info.size;
  id.modified_ns = info.modified_ns;
  ChecksumStream checksum;
  std::string block(kSampleBytes, '\0');
  const uint64_t last = info.size > kSampleBytes ? info.size - kSampleBytes : 0;
  for (size_t i = 0; i < kSamples; ++i) {
    // The first block, the last, and some in between: last * i / 7 without overflow.
    const uint64_t offset = last / (kSamples - 1) * i + last % (kSamples - 1) * i / (kSamples - 1);
    KVARTS_ASSIGN_OR_RETURN(const size_t got, file->Read(offset, kSampleBytes, &block[0]));
    checksum.Update(absl::string_view(block.data(), got));
    if (last == 0) break;
  }
  id.sample_checksum = checksum.Digest();
  return id;
}

void IndexHeader::ChooseWidths(uint64_t most_entries) {
  radix_bits = std::min(kMaxRadixBits, std::max(0, BitWidth(most_entries / kBucketEntries) - 1));
  offset_bits = std::max(1, BitWidth(data.size));
  tag_bits = 64 - std::max(offset_bits, radix_bits);
  length_bits = 0;
  // Other keys may be clustered: their tags keep all bits.
  if (coding.kind() != KeyCoding::Kind::kUuid4) return;
  const int wanted_tag = BitWidth(most_entries) - radix_bits + kSpareTagBits;
  const int left = std::min(kMaxLengthBits, 64 - offset_bits - wanted_tag);
  if (left < kMinLengthBits) return;
  length_bits = left;
  tag_bits = wanted_tag;
}

std::string IndexHeader::Encode() const {
  std::string page(kIndexPageBytes, '\0');
  std::memcpy(&page[0], kMagic, 8);
  StoreLE32(&page[kVersionAt], kIndexVersion);
  StoreLE32(&page[kPageBytesAt], kIndexPageBytes);
  StoreLE64(&page[kEntriesAt], entries);
  StoreLE64(&page[kLinesAt], lines);
  StoreLE64(&page[kMalformedAt], malformed);
  StoreLE64(&page[kDataSizeAt], data.size);
  StoreLE64(&page[kDataTimeAt], static_cast<uint64_t>(data.modified_ns));
  StoreLE64(&page[kSampleAt], data.sample_checksum);
  StoreLE64(&page[kDataChecksumAt], data_checksum);
  page[kKindAt] = static_cast<char>(coding.kind());
  page[kOffsetBitsAt] = static_cast<char>(offset_bits);
  page[kTagBitsAt] = static_cast<char>(tag_bits);
  page[kRadixBitsAt] = static_cast<char>(radix_bits);
  page[kLengthBitsInHeader] = static_cast<char>(length_bits);
  StoreLE32(&page[kPrefixSizeAt], static_cast<uint32_t>(coding.prefix().size()));
  for (int i = 0; i < 4; ++i) StoreLE64(&page[kAlphabetAt + 8 * i], coding.alphabet()[i]);
  std::memcpy(&page[kPrefixAt], coding.prefix().data(), coding.prefix().size());
  StoreLE64(&page[kHeaderChecksumAt],
            Checksum(absl::string_view(page).substr(0, kHeaderChecksumAt)));
  return page;
}

absl::StatusOr<IndexHeader> IndexHeader::Decode(absl::string_view page) {
  if (page.size() < kIndexPageBytes) {
    return absl::DataLossError(absl::StrCat("the index is cut off: ", page.size(),
                                            " bytes, less than its header of ", kIndexPageBytes));
  }
  page = page.substr(0, kIndexPageBytes);
  const char* const p = page.data();
  if (std::memcmp(p, kMagic, 8) != 0) {
    return absl::DataLossError("not a bisect index: it does not begin with KVBISECT");
  }
  const uint32_t version = LoadLE32(p + kVersionAt);
  const bool sound = LoadLE64(p + kHeaderChecksumAt) == Checksum(page.substr(0, kHeaderChecksumAt));
  // Every version keeps magic, version and checksum where they are.
  if (sound && version != kIndexVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the index has format version ", version, "; this program reads version ", kIndexVersion));
  }
  if (!sound) return absl::DataLossError("the header of the index is damaged (checksum)");
  IndexHeader h;
  h.entries = LoadLE64(p + kEntriesAt);
  h.lines = LoadLE64(p + kLinesAt);
  h.malformed = LoadLE64(p + kMalformedAt);
  h.data.size = LoadLE64(p + kDataSizeAt);
  h.data.modified_ns = static_cast<int64_t>(LoadLE64(p + kDataTimeAt));
  h.data.sample_checksum = LoadLE64(p + kSampleAt);
  h.data_checksum = LoadLE64(p + kDataChecksumAt);
  h.offset_bits = static_cast<uint8_t>(p[kOffsetBitsAt]);
  h.tag_bits = static_cast<uint8_t>(p[kTagBitsAt]);
  h.radix_bits = static_cast<uint8_t>(p[kRadixBitsAt]);
  h.length_bits = static_cast<uint8_t>(p[kLengthBitsInHeader]);
  const uint32_t prefix_size = LoadLE32(p + kPrefixSizeAt);
  const uint8_t kind = static_cast<uint8_t>(p[kKindAt]);
  // A sound checksum over values that cannot be: someone made it so.
  if (LoadLE32(p + kPageBytesAt) != kIndexPageBytes || kind > 1 || h.offset_bits < 1 ||
      h.offset_bits > 63 || h.tag_bits < 1 || h.length_bits > kMaxLengthBits ||
      h.offset_bits + h.length_bits + h.tag_bits > 64 || h.radix_bits > kMaxRadixBits ||
      h.radix_bits + h.tag_bits > 64 || prefix_size > KeyCoding::kMaxPrefix ||
      h.entries > kMaxIndexEntries) {
    return absl::DataLossError("the header of the index holds impossible values");
  }
  if (kind == static_cast<uint8_t>(KeyCoding::Kind::kText)) {
    KeyCoding::Alphabet alphabet;
    for (int i = 0; i < 4; ++i) alphabet[i] = LoadLE64(p + kAlphabetAt + 8 * i);
    h.coding = KeyCoding::Text(page.substr(kPrefixAt, prefix_size), alphabet);
  }
  return h;
}

uint64_t IndexPageChecksum(const IndexHeader& header, uint64_t page_number, const char* page) {
  return Checksum(
      absl::string_view(page + kPageChecksumBytes, kIndexPageBytes - kPageChecksumBytes),
      header.page_seed() + page_number * 0x9E3779B97F4A7C15u);
}

}  // namespace kvarts
