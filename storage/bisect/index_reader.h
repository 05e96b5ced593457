#ifndef KVARTS_STORAGE_BISECT_INDEX_READER_H_
#define KVARTS_STORAGE_BISECT_INDEX_READER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "base/prefetch.h"
#include "storage/bisect/format.h"
#include "storage/data_file/data_file.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// Thread-safe. A mapped index: the radix table and the entries by rank. A page's
// checksum is verified the first time the page is touched; private memory is
// one bit a page (0.25 bytes a thousand entries).
//
// Ranks, buckets and tags are as FORMAT.md has them. What a damaged page would
// have said is never used: calls return false then, and damage() says where.
class IndexReader {
 public:
  // Refuses what is not a whole index of this version (see IndexHeader::Decode).
  static absl::StatusOr<std::unique_ptr<IndexReader>> Open(FileSystem* fs, absl::string_view path);

  const IndexHeader& header() const { return header_; }
  const std::string& path() const { return path_; }
  bool poisoned() const { return file_->poisoned(); }
  // See MappedFile::losses().
  const std::atomic<uint32_t>& losses() const { return file_->losses(); }
  uint64_t memory_bytes() const { return words_ * 8 + sizeof *this; }

  // The ranks of a bucket's entries: [*begin, *end).
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Bucket(uint64_t bucket, uint64_t* begin, uint64_t* end) const {
    const uint64_t page = bucket / kRadixPerPage;
    if (ABSL_PREDICT_FALSE(!Verified(1 + page))) return false;
    const char* const p = Radix(bucket, page);
    *begin = LoadLE32(p);
    if (ABSL_PREDICT_TRUE(bucket + 1 != (page + 1) * kRadixPerPage)) {
      *end = LoadLE32(p + 4);
    } else {
      if (!Verified(2 + page)) return false;
      *end = LoadLE32(Radix(bucket + 1, page + 1));
    }
    return ABSL_PREDICT_TRUE(*begin <= *end) || Damaged(1 + page);
  }

  // The entry of `rank`, below header().entries.
  bool Entry(uint64_t rank, uint64_t* entry) const {
    if (ABSL_PREDICT_FALSE(!Verified(first_entry_page_ + rank / kEntriesPerPage))) return false;
    *entry = LoadLE64(EntryAddress(rank));
    return true;
  }
  // The page that holds `rank`: its first entry and that one's rank, and whether
  // it was verified.
  struct PageView {
    const char* entries;
    uint64_t begin;
    bool sound;
  };
  ABSL_ATTRIBUTE_ALWAYS_INLINE PageView Page(uint64_t rank) const {
    uint64_t page = rank / kEntriesPerPage;
    asm("" : "+r"(page));  // else the rest of the division is computed anew, by dividing again
    return {entries_ + page * kIndexPageBytes, page * kEntriesPerPage,
            Verified(first_entry_page_ + page)};
  }
  // Tags stand where entries have them, in the high bits, with zeros below: a tag
  // is the least its entries can be.
  uint64_t Tag(uint64_t entry) const { return entry & tag_mask_; }
  uint64_t Offset(uint64_t entry) const { return entry & offset_mask_; }
  // Of the value, or DataFileMap::kUnknownSize.
  uint64_t ValueSize(uint64_t entry) const {
    const uint64_t length = entry >> header_.offset_bits & length_mask_;
    return length == length_mask_ ? DataFileMap::kUnknownSize : length;
  }

  // The code of a key, as far as bucket and tag reach; false: the key cannot be
  // in the file.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Code(absl::string_view key, uint64_t* code) const {
    if (ABSL_PREDICT_FALSE(!uuid_heads_)) return header_.coding.Code(key, code);
    if (key.size() != 36) return false;
    *code = KeyCoding::UuidHead(key.data());
    return true;
  }
  uint64_t BucketOf(uint64_t code) const { return code >> 1 >> bucket_shift_; }
  uint64_t TagOf(uint64_t code) const { return code << header_.radix_bits & tag_mask_; }
  // Where among the ranks [begin, end) of its bucket a tag is to be expected.
  static uint64_t Guess(uint64_t begin, uint64_t end, uint64_t tag) {
    const unsigned __int128 product = static_cast<unsigned __int128>(end - begin) * tag;
    return begin + static_cast<uint64_t>(product >> 64);
  }

  void PrefetchBucket(uint64_t bucket) const {
    PrefetchRead(Radix(bucket, bucket / kRadixPerPage));
  }
  // Of a place in a page of entries: the first place of its cache line. A page's
  // checksum is as large as an entry, so that lines begin with every eighth, less
  // one; that of the page's first seven is -1.
  static int64_t LineOf(int64_t place) { return ((place + 1) & ~int64_t{7}) - 1; }
  // A line of a page, and its neighbours.
  static void PrefetchLines(const char* entries, int64_t line) {
    const char* const p = entries + 8 * line;
    PrefetchRead(p - 64);
    PrefetchRead(p);
    PrefetchRead(p + 64);
  }

  // What is wrong, after a call returned false: kDataLoss with file and offset.
  absl::Status damage() const;

  // Verifies one page, also where it was before: for `kv_build --verify`.
  bool VerifyPage(uint64_t page) const;

 private:
  IndexReader(std::string path, std::shared_ptr<MappedFile> file, IndexHeader header);

  bool Verified(uint64_t page) const {
    const uint64_t word = verified_[page / 64].load(std::memory_order_relaxed);
    return ABSL_PREDICT_TRUE((word >> (page % 64) & 1) != 0) || VerifyPage(page);
  }
  // A sound checksum does not make ranks right that were written wrong.
  bool RanksAscend(uint64_t page) const;
  bool Damaged(uint64_t page) const;  // remembers it; false
  const char* Radix(uint64_t bucket, uint64_t page) const {
    return radix_ + bucket * 4 + page * kPageChecksumBytes;
  }
  const char* EntryAddress(uint64_t rank) const {
    return entries_ + rank * 8 + rank / kEntriesPerPage * kPageChecksumBytes;
  }

  // Constant after construction.
  const std::string path_;
  const std::shared_ptr<MappedFile> file_;
  const IndexHeader header_;
  const char* const base_;
  const char* const radix_;  // the first one
  const uint64_t first_entry_page_;
  const char* const entries_;  // the first one
  const bool uuid_heads_;      // keys are UUIDs, and their first digits are all that counts
  const int bucket_shift_;     // less one
  const uint64_t tag_mask_;
  const uint64_t length_mask_;
  const uint64_t offset_mask_;
  const uint64_t words_;

  const std::unique_ptr<std::atomic<uint64_t>[]> verified_;  // a bit a page
  mutable std::atomic<uint64_t> damaged_page_{0};            // 0: none yet
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_INDEX_READER_H_
