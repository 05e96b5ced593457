#ifndef KVARTS_STORAGE_BISECT_DATASET_H_
#define KVARTS_STORAGE_BISECT_DATASET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/bisect/index_reader.h"
#include "storage/data_file/data_file.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// What a lookup cost.
struct ProbeCounts {
  uint64_t index = 0;  // places of the index read: a guess with the entries
                       // around it, or a step of bisection
  uint64_t data = 0;   // records compared
};

// Thread-safe, immutable. A data file and its index, both mapped. What reads
// lend out points into it and must hold it.
//
// A lookup: the key's code gives a bucket of the radix table and a tag in it;
// interpolation guesses the rank of the tag, and the entries around it tell
// it: one page of the index, one record of data. Skewed keys, whose guess is
// off, are bisected: by tag and, where tags are equal, by the records' keys.
class Dataset {
 public:
  // The index must be of this state of the data file: kFailedPrecondition says
  // in what they differ; kNotFound: no index; kDataLoss: a damaged one.
  static absl::StatusOr<std::shared_ptr<const Dataset>> Open(FileSystem* fs,
                                                             absl::string_view data_path,
                                                             absl::string_view index_path);

  const IndexReader& index() const { return *index_; }
  const DataFileMap& data() const { return data_; }
  const std::string& data_path() const { return data_path_; }
  uint64_t size() const { return index_->header().entries; }

  enum class Outcome : unsigned char { kFound = 0, kAbsent, kIndexDamaged, kDataLost };

  // On kFound, `value` points into the mapping.
  Outcome Find(absl::string_view key, absl::string_view* value) const;
  Outcome FindCounting(absl::string_view key, absl::string_view* value, ProbeCounts* counts) const;

  // Find() for up to kBatch keys, whose cache misses overlap: each step is made
  // for all keys, and prefetches for the next, before any key makes the next.
  static constexpr size_t kBatch = 64;
  void FindBatch(absl::Span<const absl::string_view> keys, absl::string_view* values,
                 Outcome* outcomes) const;

  // The rank of the first key that is not less than `bound`; kFound, or what
  // went wrong.
  Outcome LowerBound(absl::string_view bound, uint64_t* rank) const;
  // The record of a rank below size().
  Outcome Record(uint64_t rank, absl::string_view* key, absl::string_view* value) const;
  // Into cache: what Record() of a rank reads.
  void PrefetchRecord(uint64_t rank) const {
    uint64_t entry;
    if (index_->Entry(rank, &entry)) data_.Prefetch(index_->Offset(entry));
  }

  // True once a page of either file was found to be gone.
  bool poisoned() const { return index_->poisoned() || data_.file()->poisoned(); }
  // For what was read before poisoned() was seen to be true: whether it still
  // holds. `bytes` are those found, if any.
  Outcome Recheck(bool found, absl::string_view bytes) const;

  // What kIndexDamaged and kDataLost are as errors.
  absl::Status Error(Outcome outcome) const;

 private:
  // The place of a tag among the ranks [begin, end) of its bucket.
  struct Place {
    enum class Kind : unsigned char {
      kCandidate = 0,  // `begin` is the first rank of the tag, of `entry`
      kAbsent,
      kFar,  // not near the guess: between `begin` and `end`
      kDamaged,
    };
    Kind kind;
    uint64_t begin;
    uint64_t end;
    uint64_t entry;
  };

  Dataset(std::string data_path, std::unique_ptr<IndexReader> index, DataFileMap data)
      : data_path_(std::move(data_path)), index_(std::move(index)), data_(std::move(data)) {}

  // Find(), for a constant null or not null `counts`.
  Outcome Lookup(absl::string_view key, absl::string_view* value, ProbeCounts* counts) const;
  DataFileMap::Match Compare(uint64_t entry, absl::string_view key,
                             absl::string_view* value) const {
    return data_.Find(index_->Offset(entry), index_->ValueSize(entry), key, value);
  }
  Place Seek(uint64_t tag, uint64_t begin, uint64_t end, uint64_t guess) const;
  Place SeekBack(uint64_t tag, uint64_t begin, uint64_t end, uint64_t rank) const;
  // The key's record, from its Place on.
  Outcome Resolve(absl::string_view key, uint64_t tag, const Place& place, uint64_t bucket_end,
                  absl::string_view* value, ProbeCounts* counts) const;
  Outcome FindBehindLost(absl::string_view key, uint64_t tag, uint64_t begin, uint64_t end,
                         absl::string_view* value) const;
  Outcome Bisect(absl::string_view key, uint64_t tag, uint64_t begin, uint64_t end,
                 absl::string_view* value, ProbeCounts* counts) const;

  const std::string data_path_;
  const std::unique_ptr<IndexReader> index_;
  const DataFileMap data_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_DATASET_H_
