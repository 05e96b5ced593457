#include "storage/bisect/dataset.h"

#include <algorithm>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

// Buckets this large are not uniform: the guess would be one probe too many.
constexpr uint64_t kSkewedBucket = 1 << 14;

}  // namespace

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Open(FileSystem* fs,
                                                             absl::string_view data_path,
                                                             absl::string_view index_path) {
  KVARTS_ASSIGN_OR_RETURN(const DataIdentity identity, IdentifyData(fs, data_path));
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<IndexReader> index, IndexReader::Open(fs, index_path));
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> map, fs->Map(data_path));
  map->Advise(MappedFile::Access::kRandom);
  const DataIdentity& wanted = index->header().data;
  std::string why;
  if (wanted.size != identity.size || map->size() != identity.size) {
    why = absl::StrCat("of ", wanted.size, " bytes; the file has ", identity.size);
  } else if (wanted.modified_ns != identity.modified_ns) {
    why = absl::StrCat("as of ", absl::FormatTime(absl::FromUnixNanos(wanted.modified_ns)),
                       "; the file was written ",
                       absl::FormatTime(absl::FromUnixNanos(identity.modified_ns)));
  } else if (wanted.sample_checksum != identity.sample_checksum) {
    why = "with other contents (samples differ)";
  }
  if (!why.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(index_path, ": the index is stale: it is of ", data_path, " ", why));
  }
  return std::shared_ptr<const Dataset>(
      new Dataset(std::string(data_path), std::move(index), DataFileMap(std::move(map))));
}

// Searches the entries around the guess instead of walking from it, by halves and
// without a branch: no branch hangs on what the entries hold, so that the
// processor runs on into the record's cache miss, and into the next lookup.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Place Dataset::Seek(uint64_t tag, uint64_t begin,
                                                                 uint64_t end,
                                                                 uint64_t guess) const {
  using Kind = Place::Kind;
  if (begin == end) return {Kind::kAbsent, 0, 0, 0};
  if (ABSL_PREDICT_FALSE(end - begin > kSkewedBucket)) return {Kind::kFar, begin, end, 0};
  const IndexReader::PageView page = index_->Page(guess);
  if (ABSL_PREDICT_FALSE(page.entries == nullptr)) return {Kind::kDamaged, 0, 0, 0};
  // Places in the page, from its first entry. The guess's cache line and its
  // neighbours, 8 to 15 entries on each side: the error of a guess among m
  // uniform tags has a deviation below sqrt(m) / 2, under 5 for buckets of 96.
  const auto at = [&](uint64_t rank) { return static_cast<int64_t>(rank - page.begin); };
  const int64_t line = IndexReader::LineOf(at(guess));
  IndexReader::PrefetchLines(page.entries, line);
  const int64_t first = std::max({line - 8, at(begin), int64_t{0}});
  const int64_t last = std::min({line + 16, at(end), int64_t{kEntriesPerPage}});
  const char* const base = page.entries;
  uint64_t place = first;
  uint64_t left = last - first;
  // At most 24. With one left, a step reads the word in front of it and stays.
#pragma GCC unroll 5
  for (int step = 0; step < 5; ++step) {
    const uint64_t half = left / 2;
    const bool less = LoadLE64(base + 8 * (place + half) - 8) < tag;
    place += half & (uint64_t{0} - less);  // a mask, for fear of a branch
    left -= half;
  }
  uint64_t entry = LoadLE64(base + 8 * place);
  uint64_t rank = page.begin + place;
  if (ABSL_PREDICT_FALSE(entry < tag)) {
    // At an edge of the window that is no edge of the bucket, the place may lie
    // behind it.
    if (++rank != page.begin + last) {
      entry = LoadLE64(base + 8 * place + 8);
    } else if (rank != end) {
      return {Kind::kFar, rank, end, 0};
    } else {
      return {Kind::kAbsent, 0, 0, 0};
    }
  }
  if (ABSL_PREDICT_FALSE(rank == page.begin + first && rank != begin)) {
    return SeekBack(tag, begin, end, rank);
  }
  if (index_->Tag(entry) != tag) return {Kind::kAbsent, 0, 0, 0};
  return {Kind::kCandidate, rank, end, entry};
}

// The entry of `rank` is not below the tag; those before it are not known.
Dataset::Place Dataset::SeekBack(uint64_t tag, uint64_t begin, uint64_t end, uint64_t rank) const {
  uint64_t entry;
  uint64_t before;
  if (!index_->Entry(rank, &entry) || !index_->Entry(rank - 1, &before)) {
    return {Place::Kind::kDamaged, 0, 0, 0};
  }
  if (index_->Tag(before) >= tag) {
    // A run of the tag itself may go on behind the window.
    return {Place::Kind::kFar, begin, index_->Tag(entry) == tag ? end : rank, 0};
  }
  if (index_->Tag(entry) != tag) return {Place::Kind::kAbsent, 0, 0, 0};
  return {Place::Kind::kCandidate, rank, end, entry};
}

Dataset::Outcome Dataset::Bisect(absl::string_view key, uint64_t tag, uint64_t begin, uint64_t end,
                                 absl::string_view* value, ProbeCounts* counts) const {
  while (begin < end) {
    const uint64_t middle = begin + (end - begin) / 2;
    uint64_t entry;
    if (!index_->Entry(middle, &entry)) return Outcome::kIndexDamaged;
    if (counts != nullptr) ++counts->index;
    const uint64_t other = index_->Tag(entry);
    bool below = tag < other;
    if (tag == other) {
      if (counts != nullptr) ++counts->data;
      const DataFileMap::Match match = Compare(entry, key, value);
      if (match == DataFileMap::Match::kEqual) return Outcome::kFound;
      if (match == DataFileMap::Match::kLost) return Outcome::kDataLost;
      below = match == DataFileMap::Match::kLess;
    }
    if (below) {
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  return Outcome::kAbsent;
}

// The lost record may have been another key's with this tag.
Dataset::Outcome Dataset::FindBehindLost(absl::string_view key, uint64_t tag, uint64_t begin,
                                         uint64_t end, absl::string_view* value) const {
  for (uint64_t rank = begin; rank < end; ++rank) {
    uint64_t entry;
    if (!index_->Entry(rank, &entry)) return Outcome::kIndexDamaged;
    if (index_->Tag(entry) != tag) break;
    if (Compare(entry, key, value) == DataFileMap::Match::kEqual) return Outcome::kFound;
  }
  return Outcome::kDataLost;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Outcome Dataset::Resolve(
    absl::string_view key, uint64_t tag, const Place& place, uint64_t bucket_end,
    absl::string_view* value, ProbeCounts* counts) const {
  switch (place.kind) {
    case Place::Kind::kAbsent:
      return Outcome::kAbsent;
    case Place::Kind::kDamaged:
      return Outcome::kIndexDamaged;
    case Place::Kind::kFar:
      return Bisect(key, tag, place.begin, place.end, value, counts);
    case Place::Kind::kCandidate:
      break;
  }
  if (counts != nullptr) ++counts->data;
  switch (Compare(place.entry, key, value)) {
    case DataFileMap::Match::kEqual:
      return Outcome::kFound;
    case DataFileMap::Match::kLess:
      return Outcome::kAbsent;  // the candidate is the first of its tag
    case DataFileMap::Match::kLost:
      return FindBehindLost(key, tag, place.begin + 1, bucket_end, value);
    case DataFileMap::Match::kGreater:
      return Bisect(key, tag, place.begin + 1, bucket_end, value, counts);
  }
  return Outcome::kAbsent;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Dataset::Outcome Dataset::Lookup(absl::string_view key,
                                                                     absl::string_view* value,
                                                                     ProbeCounts* counts) const {
  uint64_t code;
  uint64_t begin;
  uint64_t end;
  const IndexReader& index = *index_;
  if (!index.header().coding.Code(key, &code)) return Outcome::kAbsent;
  if (!index.Bucket(index.BucketOf(code), &begin, &end)) return Outcome::kIndexDamaged;
  const uint64_t tag = index.TagOf(code);
  const uint64_t guess = index.Guess(begin, end, tag);
  const Place place = Seek(tag, begin, end, guess);
  if (counts != nullptr && begin != end && end - begin <= kSkewedBucket) ++counts->index;
  return Resolve(key, tag, place, end, value, counts);
}

Dataset::Outcome Dataset::Find(absl::string_view key, absl::string_view* value) const {
  return Lookup(key, value, nullptr);
}

Dataset::Outcome Dataset::FindCounting(absl::string_view key, absl::string_view* value,
                                       ProbeCounts* counts) const {
  return Lookup(key, value, counts);
}

void Dataset::FindBatch(absl::Span<const absl::string_view> keys, absl::string_view* values,
                        Outcome* outcomes) const {
  struct Step {
    uint64_t code;
    uint64_t begin;
    uint64_t end;
    uint64_t guess;
    Place place;
  };
  Step steps[kBatch];
  const size_t n = std::min(keys.size(), kBatch);
  const KeyCoding& coding = index_->header().coding;
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    outcomes[i] = coding.Code(keys[i], &s.code) ? Outcome::kFound : Outcome::kAbsent;
    if (outcomes[i] == Outcome::kFound) index_->PrefetchBucket(index_->BucketOf(s.code));
  }
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    if (outcomes[i] != Outcome::kFound) continue;
    if (!index_->Bucket(index_->BucketOf(s.code), &s.begin, &s.end)) {
      outcomes[i] = Outcome::kIndexDamaged;
      continue;
    }
    s.guess = index_->Guess(s.begin, s.end, index_->TagOf(s.code));
    index_->PrefetchEntries(s.guess);
  }
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    if (outcomes[i] != Outcome::kFound) continue;
    s.place = Seek(index_->TagOf(s.code), s.begin, s.end, s.guess);
    if (s.place.kind == Place::Kind::kCandidate) data_.Prefetch(index_->Offset(s.place.entry));
  }
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    if (outcomes[i] != Outcome::kFound) continue;
    outcomes[i] = Resolve(keys[i], index_->TagOf(s.code), s.place, s.end, &values[i], nullptr);
  }
}

Dataset::Outcome Dataset::LowerBound(absl::string_view bound, uint64_t* rank) const {
  uint64_t begin = 0;
  uint64_t end = 0;
  // Buckets below the bound's hold only lesser keys, those above only greater.
  if (!index_->Bucket(index_->BucketOf(index_->header().coding.BoundCode(bound)), &begin, &end)) {
    return Outcome::kIndexDamaged;
  }
  while (begin < end) {
    const uint64_t middle = begin + (end - begin) / 2;
    absl::string_view key;
    const Outcome outcome = Record(middle, &key, nullptr);
    if (outcome != Outcome::kFound) return outcome;
    if (key < bound) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  *rank = begin;
  return Outcome::kFound;
}

Dataset::Outcome Dataset::Record(uint64_t rank, absl::string_view* key,
                                 absl::string_view* value) const {
  uint64_t entry;
  if (!index_->Entry(rank, &entry)) return Outcome::kIndexDamaged;
  return data_.Get(index_->Offset(entry), key, value) ? Outcome::kFound : Outcome::kDataLost;
}

Dataset::Outcome Dataset::Recheck(bool found, absl::string_view bytes) const {
  if (index_->poisoned()) return Outcome::kIndexDamaged;
  if (!found) return Outcome::kFound;  // the index alone says that a key is absent
  const auto now = data_.file()->CurrentSize();
  const bool held =
      now.ok() &&
      (bytes.empty() || static_cast<uint64_t>(bytes.data() + bytes.size() - data_.data()) <= *now);
  return held ? Outcome::kFound : Outcome::kDataLost;
}

absl::Status Dataset::Error(Outcome outcome) const {
  if (outcome == Outcome::kIndexDamaged) return index_->damage();
  const auto now = data_.file()->CurrentSize();
  return absl::DataLossError(
      absl::StrCat(data_path_, ": the data file has ", now.ok() ? absl::StrCat(*now) : "unknown",
                   " bytes; the index is of ", data_.size(), ": it changed while it was served"));
}

}  // namespace kvarts
