#include "storage/bisect/dataset.h"

#include <algorithm>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts {
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

Dataset::Outcome Dataset::ResolveOther(absl::string_view key, const Probe& probe,
                                       const Place& place, DataFileMap::Match match,
                                       absl::string_view* value, ProbeCounts* counts) const {
  switch (place.kind) {
    case Place::Kind::kAbsent:
      return Outcome::kAbsent;
    case Place::Kind::kDamaged:
      return Outcome::kIndexDamaged;
    case Place::Kind::kFar:
      return Bisect(key, probe.tag, place.begin, place.end, value, counts);
    case Place::Kind::kCandidate:
      break;
  }
  switch (match) {
    case DataFileMap::Match::kEqual:
      return Outcome::kFound;
    case DataFileMap::Match::kLess:
      return Outcome::kAbsent;  // the candidate is the first of its tag
    case DataFileMap::Match::kLost:
      return FindBehindLost(key, probe.tag, place.begin + 1, probe.end, value);
    case DataFileMap::Match::kGreater:
      return Bisect(key, probe.tag, place.begin + 1, probe.end, value, counts);
  }
  return Outcome::kAbsent;
}

Dataset::Outcome Dataset::Find(absl::string_view key, absl::string_view* value,
                               ProbeCounts* counts) const {
  Probe probe;
  const Outcome begun = Begin(key, &probe);
  return begun == Outcome::kFound ? Finish(key, probe, value, counts) : begun;
}

void Dataset::FindBatch(absl::Span<const absl::string_view> keys, absl::string_view* values,
                        Outcome* outcomes) const {
  struct Step {
    uint64_t code;
    Probe probe;
    Place place;
  };
  Step steps[kBatch];
  const size_t n = std::min(keys.size(), kBatch);
  for (size_t i = 0; i < n; ++i) {
    outcomes[i] = index_->Code(keys[i], &steps[i].code) ? Outcome::kFound : Outcome::kAbsent;
    if (outcomes[i] == Outcome::kFound) index_->PrefetchBucket(index_->BucketOf(steps[i].code));
  }
  for (size_t i = 0; i < n; ++i) {
    if (outcomes[i] == Outcome::kFound) outcomes[i] = BeginAt(steps[i].code, &steps[i].probe);
  }
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    if (outcomes[i] != Outcome::kFound) continue;
    s.place = Seek(s.probe);
    if (s.place.kind == Place::Kind::kCandidate) data_.Prefetch(index_->Offset(s.place.entry));
  }
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    if (outcomes[i] != Outcome::kFound) continue;
    outcomes[i] = Resolve(keys[i], s.probe, s.place, &values[i], nullptr);
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
