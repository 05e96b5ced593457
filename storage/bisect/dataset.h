#ifndef KVARTS_STORAGE_BISECT_DATASET_H_
#define KVARTS_STORAGE_BISECT_DATASET_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/coding.h"
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

  // A lookup between its two steps, which may have other work between them.
  struct Probe {
    uint64_t tag;
    uint64_t begin;  // the ranks of the bucket, which is not empty
    uint64_t end;
    const char* page;  // of entries, with the guess; null: none is to be expected
    uint64_t page_begin;
    int64_t line;  // of the guess, as a place in the page
  };
  // Begins to read what the second step needs. kFound: go on with it.
  Outcome Begin(absl::string_view key, Probe* probe) const;
  // On kFound, `value` points into the mapping; else it stays as it was. `counts`
  // may be null.
  Outcome Finish(absl::string_view key, const Probe& probe, absl::string_view* value,
                 ProbeCounts* counts = nullptr) const;
  // Both.
  Outcome Find(absl::string_view key, absl::string_view* value,
               ProbeCounts* counts = nullptr) const;

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

  // See MappedFile::losses().
  const std::atomic<uint32_t>& index_losses() const { return index_->losses(); }
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

  // Buckets this large are not uniform: the guess would be one probe too many.
  static constexpr uint64_t kSkewedBucket = 1 << 14;

  Outcome BeginAt(uint64_t code, Probe* probe) const;
  DataFileMap::Match Compare(uint64_t entry, absl::string_view key,
                             absl::string_view* value) const {
    return data_.Find(index_->Offset(entry), index_->ValueSize(entry), key, value);
  }
  Place Seek(const Probe& probe) const;
  Place SeekBack(uint64_t tag, uint64_t begin, uint64_t end, uint64_t rank) const;
  // The key's record, from its Place on.
  Outcome Resolve(absl::string_view key, const Probe& probe, const Place& place,
                  absl::string_view* value, ProbeCounts* counts) const;
  // What is rare in it.
  Outcome ResolveOther(absl::string_view key, const Probe& probe, const Place& place,
                       DataFileMap::Match match, absl::string_view* value,
                       ProbeCounts* counts) const;
  Outcome FindBehindLost(absl::string_view key, uint64_t tag, uint64_t begin, uint64_t end,
                         absl::string_view* value) const;
  Outcome Bisect(absl::string_view key, uint64_t tag, uint64_t begin, uint64_t end,
                 absl::string_view* value, ProbeCounts* counts) const;

  const std::string data_path_;
  const std::unique_ptr<IndexReader> index_;
  const DataFileMap data_;
};

// The path of a hit is laid out for the processor to run on from one lookup into
// the next while this one waits for memory: it looks ahead by a few hundred
// instructions, as far as no branch goes another way than most times.

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Outcome Dataset::BeginAt(uint64_t code,
                                                                      Probe* probe) const {
  const IndexReader& index = *index_;
  uint64_t begin;
  uint64_t end;
  if (!index.Bucket(index.BucketOf(code), &begin, &end)) return Outcome::kIndexDamaged;
  if (ABSL_PREDICT_FALSE(begin == end)) return Outcome::kAbsent;
  *probe = {index.TagOf(code), begin, end, nullptr, 0, 0};
  if (ABSL_PREDICT_FALSE(end - begin > kSkewedBucket)) return Outcome::kFound;
  const uint64_t guess = IndexReader::Guess(begin, end, probe->tag);
  const IndexReader::PageView page = index.Page(guess);
  probe->page = page.entries;
  probe->page_begin = page.begin;
  probe->line = IndexReader::LineOf(static_cast<int64_t>(guess - page.begin));
  IndexReader::PrefetchLines(page.entries, probe->line);
  return ABSL_PREDICT_TRUE(page.sound) ? Outcome::kFound : Outcome::kIndexDamaged;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Outcome Dataset::Begin(absl::string_view key,
                                                                    Probe* probe) const {
  uint64_t code;
  if (!index_->Code(key, &code)) return Outcome::kAbsent;
  return BeginAt(code, probe);
}

// Searches the entries around the guess instead of walking from it, by halves and
// without a branch.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Place Dataset::Seek(const Probe& probe) const {
  using Kind = Place::Kind;
  if (ABSL_PREDICT_FALSE(probe.page == nullptr)) return {Kind::kFar, probe.begin, probe.end, 0};
  // Places in the page, from its first entry. The guess's cache line and its
  // neighbours, 8 to 15 entries on each side: the error of a guess among m
  // uniform tags has a deviation below sqrt(m) / 2, under 5 for buckets of 96.
  const auto at = [&](uint64_t rank) { return static_cast<int64_t>(rank - probe.page_begin); };
  const int64_t first = std::max({probe.line - 8, at(probe.begin), int64_t{0}});
  const int64_t last = std::min({probe.line + 16, at(probe.end), int64_t{kEntriesPerPage}});
  const char* const base = probe.page;
  uint64_t place = first;
  uint64_t left = last - first;
  // At most 24. With one left, a step reads the word in front of it and stays.
#pragma GCC unroll 5
  for (int step = 0; step < 5; ++step) {
    const uint64_t half = left / 2;
    const bool less = LoadLE64(base + 8 * (place + half) - 8) < probe.tag;
    place += half & (uint64_t{0} - less);  // a mask, for fear of a branch
    left -= half;
  }
  uint64_t entry = LoadLE64(base + 8 * place);
  uint64_t rank = probe.page_begin + place;
  if (ABSL_PREDICT_FALSE(entry < probe.tag)) {
    // At an edge of the window that is no edge of the bucket, the place may lie
    // behind it.
    if (++rank != probe.page_begin + last) {
      entry = LoadLE64(base + 8 * place + 8);
    } else if (rank != probe.end) {
      return {Kind::kFar, rank, probe.end, 0};
    } else {
      return {Kind::kAbsent, 0, 0, 0};
    }
  }
  if (ABSL_PREDICT_FALSE(rank == probe.page_begin + first && rank != probe.begin)) {
    return SeekBack(probe.tag, probe.begin, probe.end, rank);
  }
  if (index_->Tag(entry) != probe.tag) return {Kind::kAbsent, 0, 0, 0};
  return {Kind::kCandidate, rank, probe.end, entry};
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Outcome Dataset::Resolve(absl::string_view key,
                                                                      const Probe& probe,
                                                                      const Place& place,
                                                                      absl::string_view* value,
                                                                      ProbeCounts* counts) const {
  if (place.kind == Place::Kind::kAbsent) return Outcome::kAbsent;
  DataFileMap::Match match = DataFileMap::Match::kEqual;
  if (ABSL_PREDICT_TRUE(place.kind == Place::Kind::kCandidate)) {
    if (counts != nullptr) ++counts->data;
    match = Compare(place.entry, key, value);
    if (ABSL_PREDICT_TRUE(match == DataFileMap::Match::kEqual)) return Outcome::kFound;
  }
  return ResolveOther(key, probe, place, match, value, counts);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Outcome Dataset::Finish(absl::string_view key,
                                                                     const Probe& probe,
                                                                     absl::string_view* value,
                                                                     ProbeCounts* counts) const {
  if (counts != nullptr && probe.page != nullptr) ++counts->index;
  return Resolve(key, probe, Seek(probe), value, counts);
}

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_DATASET_H_
