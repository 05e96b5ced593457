#include "storage/dict/dataset.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvarts {

DictDataset::Outcome DictDataset::ResolveOther(absl::string_view key, const uint64_t* line,
                                               uint64_t tag, uint32_t matches,
                                               absl::string_view* value) const {
  bool lost = false;
  while (true) {
    for (; matches != 0; matches &= matches - 1) {
      const DataFileMap::Match match = Compare(line[__builtin_ctz(matches)], key, value);
      if (match == DataFileMap::Match::kEqual) return Outcome::kFound;
      // The lost record may have been another key's with this tag.
      lost = lost || match == DataFileMap::Match::kLost;
    }
    if (!DictTable::Spilled(line)) break;
    line += DictTable::kSlotsPerLine;
    matches = table_.Matches(line, tag);
  }
  return lost ? Outcome::kDataLost : Outcome::kAbsent;
}

void DictDataset::FindBatch(absl::Span<const absl::string_view> keys, absl::string_view* values,
                            Outcome* outcomes) const {
  struct Step {
    const uint64_t* line;
    uint64_t tag;
    uint32_t matches;
  };
  Step steps[kBatch];
  const size_t n = std::min(keys.size(), kBatch);
  for (size_t i = 0; i < n; ++i) {
    const DictTable::Home home = table_.HomeOf(table_.Hash(keys[i]));
    steps[i] = {home.line, home.tag, 0};
    PrefetchRead(home.line);
  }
  for (size_t i = 0; i < n; ++i) {
    Step& s = steps[i];
    s.matches = table_.Matches(s.line, s.tag);
    // Few keys are not in their home; what spilled is mostly in the next line.
    if (s.matches == 0 && DictTable::Spilled(s.line)) {
      s.line += DictTable::kSlotsPerLine;
      s.matches = table_.Matches(s.line, s.tag);
    }
    if (s.matches != 0) {
      data_.Prefetch(table_.layout().Offset(s.line[__builtin_ctz(s.matches)]));
    }
  }
  for (size_t i = 0; i < n; ++i) {
    const Step& s = steps[i];
    outcomes[i] = Resolve(keys[i], s.line, s.tag, s.matches, &values[i]);
  }
}

bool DictDataset::IsRecord(absl::string_view key, uint64_t offset) const {
  const DictTable::Home home = table_.HomeOf(table_.Hash(key));
  for (const uint64_t* line = home.line;; line += DictTable::kSlotsPerLine) {
    for (uint32_t m = table_.Matches(line, home.tag); m != 0; m &= m - 1) {
      if (table_.layout().Offset(line[__builtin_ctz(m)]) == offset) return true;
    }
    if (!DictTable::Spilled(line)) return false;
  }
}

DictDataset::Outcome DictDataset::Recheck(bool found, absl::string_view bytes) const {
  if (!found) return Outcome::kFound;  // a record that differed was checked against the size
  const auto now = data_.file()->CurrentSize();
  const bool held =
      now.ok() &&
      (bytes.empty() || static_cast<uint64_t>(bytes.data() + bytes.size() - data_.data()) <= *now);
  return held ? Outcome::kFound : Outcome::kDataLost;
}

absl::Status DictDataset::Error(Outcome) const {
  const auto now = data_.file()->CurrentSize();
  return absl::DataLossError(absl::StrCat(
      data_path_, ": the data file has ", now.ok() ? absl::StrCat(*now) : "unknown",
      " bytes; it had ", data_.size(), " when it was opened: it changed while it was served"));
}

}  // namespace kvarts
