#include "storage/bisect/index_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts {

absl::StatusOr<std::unique_ptr<IndexReader>> IndexReader::Open(FileSystem* fs,
                                                               absl::string_view path) {
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, fs->Map(path));
  file->Advise(MappedFile::Access::kRandom);
  absl::StatusOr<IndexHeader> header = IndexHeader::Decode(file->bytes());
  if (!header.ok()) {
    return absl::Status(header.status().code(),
                        absl::StrCat(path, ": ", header.status().message()));
  }
  if (file->size() != header->file_bytes()) {
    return absl::DataLossError(absl::StrCat(path, ": the index is ", file->size(),
                                            " bytes; its header says ", header->file_bytes()));
  }
  return std::unique_ptr<IndexReader>(
      new IndexReader(std::string(path), std::move(file), *std::move(header)));
}

IndexReader::IndexReader(std::string path, std::shared_ptr<MappedFile> file, IndexHeader header)
    : path_(std::move(path)),
      file_(std::move(file)),
      header_(std::move(header)),
      base_(file_->data()),
      radix_(base_ + kIndexPageBytes + kPageChecksumBytes),
      first_entry_page_(header_.first_entry_page()),
      entries_(base_ + first_entry_page_ * kIndexPageBytes + kPageChecksumBytes),
      uuid_heads_(header_.coding.kind() == KeyCoding::Kind::kUuid4 &&
                  header_.radix_bits + header_.tag_bits <= KeyCoding::kUuidHeadBits),
      bucket_shift_(63 - header_.radix_bits),
      tag_mask_(~(~uint64_t{0} >> header_.tag_bits)),
      length_mask_((uint64_t{1} << header_.length_bits) - 1),
      offset_mask_(~uint64_t{0} >> (64 - header_.offset_bits)),
      words_(header_.pages() / 64 + 1),
      verified_(new std::atomic<uint64_t>[words_]()) {}

bool IndexReader::VerifyPage(uint64_t page) const {
  const char* const p = base_ + page * kIndexPageBytes;
  if (page >= header_.pages() || IndexPageChecksum(header_, page, p) != LoadLE64(p) ||
      (page < first_entry_page_ && !RanksAscend(page))) {
    return Damaged(page);
  }
  verified_[page / 64].fetch_or(uint64_t{1} << (page % 64), std::memory_order_relaxed);
  return true;
}

bool IndexReader::RanksAscend(uint64_t page) const {
  const uint64_t first = (page - 1) * kRadixPerPage;
  const uint64_t last = std::min(header_.radix_size(), first + kRadixPerPage);
  uint32_t before = 0;
  bool ascend = true;
  for (uint64_t b = first; b < last; ++b) {
    const uint32_t rank = LoadLE32(Radix(b, page - 1));
    ascend &= before <= rank;
    before = rank;
  }
  return ascend && before <= header_.entries;
}

bool IndexReader::Damaged(uint64_t page) const {
  uint64_t none = 0;
  damaged_page_.compare_exchange_strong(none, page, std::memory_order_relaxed);
  return false;
}

absl::Status IndexReader::damage() const {
  const uint64_t page = damaged_page_.load(std::memory_order_relaxed);
  if (page == 0)
    return absl::DataLossError(absl::StrCat(path_, ": the index shrank under its map"));
  return absl::DataLossError(absl::StrCat(path_, ": the index is damaged at offset ",
                                          page * kIndexPageBytes,
                                          "; build it again with kv_build"));
}

}  // namespace kvarts
