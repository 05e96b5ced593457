#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "groupby/grouping.h"

// A Grouping for tests of what is above it: a std::map. What it lends is overwritten by
// the next call, and values come three at a time.
namespace kvarts {
namespace {

using Map = std::map<std::string, std::vector<std::string>>;

class MapGroups : public Groups {
 public:
  MapGroups(Map map, const std::atomic<bool>* cancelled)
      : map_(std::move(map)), next_(map_.begin()), cancelled_(cancelled) {}

  absl::StatusOr<bool> Next(absl::string_view* key) override {
    Spoil();
    if (*cancelled_) return absl::CancelledError("cancelled");
    if (next_ == map_.end()) return false;
    group_ = next_++;
    at_ = 0;
    key_ = group_->first;
    *key = key_;
    return true;
  }
  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    Spoil();
    if (*cancelled_) return absl::CancelledError("cancelled");
    for (; at_ < group_->second.size() && lent_.size() < 3; ++at_) {
      lent_.push_back(group_->second[at_]);
    }
    views_.assign(lent_.begin(), lent_.end());
    return absl::Span<const absl::string_view>(views_);
  }
  absl::Status Drain(const Render&, const Write&) override {
    return absl::UnimplementedError("not of this double");
  }

 private:
  void Spoil() {
    std::fill(key_.begin(), key_.end(), '?');
    for (std::string& s : lent_) std::fill(s.begin(), s.end(), '?');
    lent_.clear();
  }

  const Map map_;
  Map::const_iterator next_;
  Map::const_iterator group_;
  const std::atomic<bool>* const cancelled_;
  size_t at_ = 0;
  std::string key_;
  std::vector<std::string> lent_;
  std::vector<absl::string_view> views_;
};

class MapGrouping : public Grouping {
 public:
  absl::Status Add(absl::Span<const KeyValue> rows) override {
    MutexLock lock(&mu_);
    if (cancelled_) return absl::CancelledError("cancelled");
    for (const KeyValue& row : rows) {
      map_[std::string(row.key)].emplace_back(row.value);
      ++stats_.rows;
      stats_.bytes += row.key.size() + row.value.size();
    }
    return absl::OkStatus();
  }
  absl::Status AddInOrder(uint64_t, absl::Span<const KeyValue>) override {
    return absl::UnimplementedError("not of this double");
  }
  absl::StatusOr<std::unique_ptr<Groups>> Finish() override {
    MutexLock lock(&mu_);
    return std::unique_ptr<Groups>(new MapGroups(std::move(map_), &cancelled_));
  }
  void Cancel() override { cancelled_ = true; }
  GroupingStats stats() const override {
    MutexLock lock(&mu_);
    return stats_;
  }

 private:
  mutable Mutex mu_;
  Map map_ ABSL_GUARDED_BY(mu_);
  GroupingStats stats_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> cancelled_{false};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Grouping>> Grouping::New(const GroupingOptions& options) {
  if (options.memory_bytes < GroupingOptions::kMinMemory) {
    return absl::InvalidArgumentError("too little memory");
  }
  return std::unique_ptr<Grouping>(new MapGrouping);
}

}  // namespace kvarts
