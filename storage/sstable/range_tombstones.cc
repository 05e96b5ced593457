#include "storage/sstable/range_tombstones.h"

#include <algorithm>
#include <functional>
#include <set>

namespace kvarts::sstable {

RangeTombstones::RangeTombstones(const std::vector<RangeTombstone>& tombstones) {
  // Those that have begun, and the borders where something begins or ends.
  std::vector<const RangeTombstone*> by_begin;
  for (const RangeTombstone& t : tombstones) {
    if (t.end.empty() || t.begin < t.end) by_begin.push_back(&t);
  }
  std::sort(by_begin.begin(), by_begin.end(),
            [](const auto* a, const auto* b) { return a->begin < b->begin; });
  std::vector<absl::string_view> borders;
  bool endless = false;
  for (const RangeTombstone* t : by_begin) {
    borders.push_back(t->begin);
    if (t->end.empty()) {
      endless = true;
    } else {
      borders.push_back(t->end);
    }
  }
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  if (endless) borders.emplace_back();  // the end behind every key
  std::vector<const RangeTombstone*> open;
  size_t next = 0;
  for (size_t i = 0; i + 1 < borders.size(); ++i) {
    const absl::string_view begin = borders[i];
    open.erase(std::remove_if(open.begin(), open.end(),
                              [&](const auto* t) { return !t->end.empty() && t->end <= begin; }),
               open.end());
    while (next < by_begin.size() && by_begin[next]->begin == begin)
      open.push_back(by_begin[next++]);
    if (open.empty()) continue;
    Fragment fragment{std::string(begin), std::string(borders[i + 1]), {}};
    for (const RangeTombstone* t : open) fragment.sequences.push_back(t->sequence);
    std::sort(fragment.sequences.begin(), fragment.sequences.end(), std::greater<>());
    fragment.sequences.erase(std::unique(fragment.sequences.begin(), fragment.sequences.end()),
                             fragment.sequences.end());
    size_ += fragment.sequences.size();
    fragments_.push_back(std::move(fragment));
  }
}

const RangeTombstones::Fragment* RangeTombstones::Find(absl::string_view key) const {
  auto it = std::upper_bound(fragments_.begin(), fragments_.end(), key,
                             [](absl::string_view k, const Fragment& f) { return k < f.begin; });
  if (it == fragments_.begin()) return nullptr;
  --it;
  return it->end.empty() || key < it->end ? &*it : nullptr;
}

Sequence RangeTombstones::Covering(absl::string_view key, Sequence at) const {
  const Fragment* const over = Find(key);
  if (over == nullptr) return 0;
  const auto found =
      std::lower_bound(over->sequences.begin(), over->sequences.end(), at, std::greater<>());
  return found == over->sequences.end() ? 0 : *found;
}

}  // namespace kvarts::sstable
