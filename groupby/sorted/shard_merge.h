#ifndef KVARTS_GROUPBY_SORTED_SHARD_MERGE_H_
#define KVARTS_GROUPBY_SORTED_SHARD_MERGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "groupby/sorted/sort_counters.h"
#include "storage/sort/loser_tree.h"
#include "storage/sort/record.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Which of some shards has the smallest key: the order of groups of which
// no two, of any shards, have the same key.
class ShardMerge {
 public:
  explicit ShardMerge(size_t shards) : heads_(shards) {}

  // Each shard's first key, which is good until it is replaced; none where it has no groups.
  // Then Start().
  void SetFirst(size_t shard, bool has_key, absl::string_view key) {
    heads_[shard] = {key, has_key};
  }
  void Start(SortCounter* comparisons) {
    comparisons_ = comparisons;
    tree_.Build(
        heads_.size(), [this](size_t i) { return WordOf(i); },
        [this](uint64_t a, uint64_t b) { return TieLess(a, b); });
    comparisons_->Add(heads_.size() - 1);
  }

  bool at_end() const { return !heads_[tree_.source()].has_key; }
  size_t shard() const { return tree_.source(); }
  absl::string_view key() const { return heads_[tree_.source()].key; }
  // shard() has gone on.
  void Replace(bool has_key, absl::string_view key) {
    const size_t i = tree_.source();
    heads_[i] = {key, has_key};
    comparisons_->Add(
        tree_.Replace(WordOf(i), [this](uint64_t a, uint64_t b) { return TieLess(a, b); }));
  }

 private:
  struct Head {
    absl::string_view key;
    bool has_key = false;
  };

  uint64_t WordOf(uint64_t i) const {
    const Head& head = heads_[i];
    if (!head.has_key) return sort_internal::LoserTree::kEnded;
    return sort_internal::KeyWord(head.key.data(), head.key.size(), 0);
  }
  bool TieLess(uint64_t a, uint64_t b) const {
    if (!heads_[a].has_key || !heads_[b].has_key) return heads_[a].has_key;
    return heads_[a].key < heads_[b].key;
  }

  std::vector<Head> heads_;
  sort_internal::LoserTree tree_;
  SortCounter* comparisons_ = nullptr;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SHARD_MERGE_H_
