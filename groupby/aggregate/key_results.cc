#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "base/thread.h"
#include "groupby/aggregate/results.h"
#include "groupby/spill/ordered_writer.h"
#include "storage/sort/loser_tree.h"

namespace kvarts::groupby_internal {
namespace {

// The first 8 bytes of the key decide most comparisons.
struct Item {
  uint64_t prefix;
  const StateEntry* entry;
};

// Items of one table, sorted.
struct Slice {
  const Item* begin;
  const Item* end;
};

// Not thread-safe. The items of slices, merged.
class Merge {
 public:
  Merge(const StateLayout* layout, std::vector<Slice> slices)
      : layout_(*layout), slices_(std::move(slices)) {
    slices_.erase(std::remove_if(slices_.begin(), slices_.end(),
                                 [](const Slice& slice) { return slice.begin == slice.end; }),
                  slices_.end());
    if (slices_.empty()) return;
    tree_.Build(
        slices_.size(), [this](size_t i) { return slices_[i].begin->prefix; }, TieLess{this});
  }

  // Those that are not merged yet.
  const std::vector<Slice>& rest() const { return slices_; }

  // Null behind the last one.
  const StateEntry* Next() {
    if (slices_.empty()) return nullptr;
    Slice& slice = slices_[tree_.source()];
    if (slice.begin == slice.end) return nullptr;
    const StateEntry* const entry = slice.begin++->entry;
    if (slice.end - slice.begin > 1) __builtin_prefetch(slice.begin[1].entry);
    tree_.Replace(slice.begin == slice.end ? sort_internal::LoserTree::kEnded : slice.begin->prefix,
                  TieLess{this});
    return entry;
  }

 private:
  struct TieLess {
    const Merge* merge;
    bool operator()(uint64_t a, uint64_t b) const {
      const Slice& x = merge->slices_[a];
      const Slice& y = merge->slices_[b];
      if (x.begin == x.end || y.begin == y.end) return x.begin != x.end;
      return x.begin->entry->key(merge->layout_) < y.begin->entry->key(merge->layout_);
    }
  };

  const StateLayout& layout_;
  std::vector<Slice> slices_;
  sort_internal::LoserTree tree_;
};

class KeyResults final : public Results {
 public:
  explicit KeyResults(AggregationCore* core) : core_(*core), order_(core->account()) {}

  bool Init() {
    std::vector<StateTable*> tables;
    size_t count = 0;
    bool fits = true;
    for (size_t i = 0; i < core_.parts() && fits; ++i) {
      StateTable* const table = core_.ClaimInMemory(i);
      fits = table != nullptr;
      if (!fits) break;
      tables.push_back(table);
      count += table->size();
    }
    if (fits) fits = order_.Grow(count * sizeof(Item), /*may_ask=*/false).ok();
    if (!fits) {
      for (size_t i = 0; i < tables.size(); ++i) core_.Unclaim(i);
      return false;
    }
    Sort(tables);
    return true;
  }

  absl::StatusOr<const GroupResults*> Next() override {
    if (!core_.ok()) return core_.status();
    if (merge_ == nullptr) merge_ = std::make_unique<Merge>(&core_.layout(), slices_);
    const StateEntry* const entry = merge_->Next();
    if (entry == nullptr) return nullptr;
    KVARTS_RETURN_IF_ERROR(group_.Finish(core_.layout(), *entry));
    return &group_;
  }

  // Each thread takes one range of keys after the other.
  absl::Status Drain(const AggregateGroups::Render& render, const Groups::Write& write) override {
    const std::vector<std::vector<Slice>> ranges = Ranges();
    OrderedWriter writer(&core_, core_.pool(), write, 0, core_.waiting_text_bytes());
    std::atomic<size_t> next{0};
    ForkJoin(core_.options().threads, [&](int) {
      GroupResults group;
      while (core_.ok()) {
        const size_t i = next++;
        if (i >= ranges.size()) break;
        const absl::Status status = DrainRange(i, ranges[i], &group, render, &writer);
        if (!status.ok()) core_.Fail(status).IgnoreError();
      }
      if (!core_.ok()) writer.WakeAll();
    });
    return core_.status();
  }

 private:
  bool Less(const Item& a, const Item& b) const {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return a.entry->key(core_.layout()) < b.entry->key(core_.layout());
  }

  // Each table by itself.
  void Sort(const std::vector<StateTable*>& tables) {
    Item* begin = order_.as<Item>();
    for (const StateTable* const table : tables) {
      slices_.push_back(Slice{begin, begin + table->size()});
      begin += table->size();
    }
    std::atomic<size_t> next{0};
    ForkJoin(core_.options().threads, [&](int) {
      while (core_.ok()) {
        const size_t i = next++;
        if (i >= tables.size()) return;
        Item* const first = const_cast<Item*>(slices_[i].begin);
        Item* item = first;
        tables[i]->ForEach([&item, this](const StateEntry& entry) {
          *item++ = Item{KeyPrefix(entry.key(core_.layout())), &entry};
          return true;
        });
        std::sort(first, item, [this](const Item& a, const Item& b) { return Less(a, b); });
      }
    });
  }

  // What is left, in ranges of keys that are about equally large: of each slice some items are
  // looked at, and some of those are where the ranges are cut.
  std::vector<std::vector<Slice>> Ranges() {
    constexpr size_t kRangesAThread = 16;
    constexpr size_t kSmallest = 1024;  // groups
    std::vector<Slice> rest = merge_ == nullptr ? slices_ : merge_->rest();
    size_t count = 0;
    for (const Slice& slice : rest) count += static_cast<size_t>(slice.end - slice.begin);
    const auto threads = static_cast<size_t>(core_.options().threads);
    const size_t ranges =
        threads == 1 ? 1 : std::min(threads * kRangesAThread, count / kSmallest + 1);
    std::vector<Item> samples;
    for (const Slice& slice : rest) {
      const auto size = static_cast<size_t>(slice.end - slice.begin);
      const size_t step = std::max<size_t>(1, size / ranges / 2);
      for (size_t i = step / 2; i < size && ranges > 1; i += step)
        samples.push_back(slice.begin[i]);
    }
    const auto less = [this](const Item& a, const Item& b) { return Less(a, b); };
    std::sort(samples.begin(), samples.end(), less);
    std::vector<std::vector<Slice>> cut;
    for (size_t r = 1; r < ranges; ++r) {
      const Item& at = samples[r * samples.size() / ranges];
      cut.emplace_back();
      for (Slice& slice : rest) {
        const Item* const end = std::lower_bound(slice.begin, slice.end, at, less);
        cut.back().push_back(Slice{slice.begin, end});
        slice.begin = end;
      }
    }
    cut.push_back(std::move(rest));
    return cut;
  }

  absl::Status DrainRange(size_t number, const std::vector<Slice>& slices, GroupResults* group,
                          const AggregateGroups::Render& render, OrderedWriter* writer) {
    OrderedWriter::Text text(writer, number, number + 1);
    Merge merge(&core_.layout(), slices);
    uint64_t groups = 0;
    for (;; ++groups) {
      if (!core_.ok()) return core_.status();
      const StateEntry* const entry = merge.Next();
      if (entry == nullptr) break;
      KVARTS_RETURN_IF_ERROR(group->Finish(core_.layout(), *entry));
      KVARTS_RETURN_IF_ERROR(render(group->key(), group->results(), &text));
    }
    core_.CountGroups(groups);
    return text.End();
  }

  AggregationCore& core_;
  Buffer order_;
  std::vector<Slice> slices_;
  std::unique_ptr<Merge> merge_;  // of Next()
  GroupResults group_;
};

}  // namespace

std::unique_ptr<Results> NewKeyResults(AggregationCore* core) {
  auto results = std::make_unique<KeyResults>(core);
  if (!results->Init()) return nullptr;
  return results;
}

}  // namespace kvarts::groupby_internal
