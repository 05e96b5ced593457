#include <atomic>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "groupby/grouping.h"

// A Grouping for tests of the text around it: a std::map, by key.
namespace kvarts {
namespace {

using Map = std::map<std::string, std::vector<std::string>, std::less<>>;

class MapGroups final : public Groups, Groups::Cursor, Groups::Output {
 public:
  explicit MapGroups(Map map) : map_(std::move(map)), next_(map_.begin()) {}

  absl::StatusOr<bool> Next(absl::string_view* key) override {
    if (next_ == map_.end()) return false;
    group_ = next_++;
    at_ = 0;
    *key = group_->first;
    return true;
  }
  // Three at a time: a renderer has to ask again.
  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    lent_.clear();
    for (; at_ < group_->second.size() && lent_.size() < 3; ++at_) {
      lent_.push_back(group_->second[at_]);
    }
    return absl::MakeConstSpan(lent_);
  }
  absl::Status Drain(const Render& render, const Write& write) override {
    absl::string_view key;
    while (*Next(&key)) {
      absl::Status status = render(this, this);
      if (status.ok()) status = write(std::exchange(text_, ""));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::string_view key() const override { return group_->first; }
  absl::Status Append(absl::string_view text) override {
    text_.append(text.data(), text.size());
    return absl::OkStatus();
  }

 private:
  const Map map_;
  Map::const_iterator next_;
  Map::const_iterator group_;
  size_t at_ = 0;
  std::vector<absl::string_view> lent_;
  std::string text_;
};

class MapGrouping final : public Grouping {
 public:
  absl::Status Add(absl::Span<const KeyValue> rows) override {
    MutexLock lock(&mu_);
    return AddLocked(rows);
  }
  absl::Status AddInOrder(uint64_t sequence, absl::Span<const KeyValue> rows) override {
    MutexLock lock(&mu_);
    while (sequence != next_ && !cancelled_) changed_.Wait(&mu_);
    ++next_;
    changed_.SignalAll();
    return AddLocked(rows);
  }
  absl::StatusOr<std::unique_ptr<Groups>> Finish() override {
    MutexLock lock(&mu_);
    if (cancelled_) return absl::CancelledError("cancelled");
    return std::unique_ptr<Groups>(new MapGroups(std::move(map_)));
  }
  void Cancel() override {
    MutexLock lock(&mu_);
    cancelled_ = true;
    changed_.SignalAll();
  }
  GroupingStats stats() const override {
    MutexLock lock(&mu_);
    return stats_;
  }

 private:
  absl::Status AddLocked(absl::Span<const KeyValue> rows) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (cancelled_) return absl::CancelledError("cancelled");
    for (const KeyValue& row : rows) {
      auto found = map_.find(row.key);
      if (found == map_.end()) found = map_.emplace(row.key, std::vector<std::string>()).first;
      found->second.emplace_back(row.value);
      ++stats_.rows;
    }
    stats_.groups = map_.size();
    return absl::OkStatus();
  }

  mutable Mutex mu_;
  CondVar changed_;
  Map map_ ABSL_GUARDED_BY(mu_);
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  GroupingStats stats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Grouping>> Grouping::New(const GroupingOptions&) {
  return std::unique_ptr<Grouping>(new MapGrouping());
}

std::string GroupingStats::DebugString() const { return "rows=" + std::to_string(rows); }

}  // namespace kvarts
