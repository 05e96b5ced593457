#ifndef KVARTS_STORAGE_SSTABLE_RANGE_TOMBSTONES_H_
#define KVARTS_STORAGE_SSTABLE_RANGE_TOMBSTONES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/sstable/entry.h"

namespace kvarts::sstable {

// Deletes the versions of keys of [begin, end) that are older than `sequence`. An empty end is
// none: behind every key.
struct RangeTombstone {
  std::string begin;
  std::string end;
  Sequence sequence = 0;
};

// a < b, for ends.
inline bool EndLess(absl::string_view a, absl::string_view b) {
  return !a.empty() && (b.empty() || a < b);
}

// Immutable. Range tombstones cut at each other's borders, so that a lookup is one bisection.
class RangeTombstones {
 public:
  // Keys of [begin, end), and the sequences of the tombstones over it, the newest first.
  struct Fragment {
    std::string begin;
    std::string end;
    std::vector<Sequence> sequences;
  };

  RangeTombstones() = default;
  explicit RangeTombstones(const std::vector<RangeTombstone>& tombstones);

  bool empty() const { return fragments_.empty(); }
  const std::vector<Fragment>& fragments() const { return fragments_; }
  // How many tombstones there are in all fragments.
  size_t size() const { return size_; }
  // What is over `key`; null: nothing.
  const Fragment* Find(absl::string_view key) const;
  // The newest one over `key` that a reader at `at` sees; 0: none.
  Sequence Covering(absl::string_view key, Sequence at) const;

 private:
  std::vector<Fragment> fragments_;  // in order, none overlaps another
  size_t size_ = 0;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_RANGE_TOMBSTONES_H_
