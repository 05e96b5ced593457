#ifndef KVARTS_GROUPBY_GROUP_STREAM_H_
#define KVARTS_GROUPBY_GROUP_STREAM_H_

#include "base/language.h"

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/codec.h"
#include "groupby/grouping.h"

namespace kvarts {

namespace groupby_internal {

// What a stream and its values share.
struct StreamSource {
  absl::Status Fail(absl::Status error) {
    if (status.ok()) status = std::move(error);
    return status;
  }
  absl::Status FailParse(const char* what) {
    return Fail(absl::InternalError(
        std::string("Codec::Parse() refused what Append() wrote for a ") + what));
  }

  std::shared_ptr<Grouping> grouping;
  std::unique_ptr<Groups> groups;
  absl::Status status;
};

// An input iterator over whatever has Step() and current().
template <typename Source, typename T>
class StepIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = T;
  using difference_type = ptrdiff_t;
  using pointer = T*;
  using reference = T&;

  StepIterator() = default;
  explicit StepIterator(Source* source) : source_(source) { ++*this; }

  T& operator*() const { return source_->current(); }
  T* operator->() const { return &source_->current(); }
  StepIterator& operator++() {
    if (!source_->Step()) source_ = nullptr;
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const StepIterator& a, const StepIterator& b) {
    return a.source_ == b.source_;
  }
  friend bool operator!=(const StepIterator& a, const StepIterator& b) { return !(a == b); }

 private:
  Source* source_ = nullptr;
};

}  // namespace groupby_internal

template <typename K, typename V>
class GroupStream;
template <typename K, typename V>
struct Group;

// Not thread-safe. The values of a group in the order they were added, decoded one by
// one: a list that is never in memory. Can be read once; begin() goes on behind what
// was read.
template <typename V>
class GroupValues {
 public:
  using value_type = V;
  using iterator = groupby_internal::StepIterator<GroupValues, V>;

  GroupValues(const GroupValues&) = delete;
  GroupValues& operator=(const GroupValues&) = delete;

  // The loop ends at the last value, or at an error, which the stream's status() has.
  // The element is good until the next one, and may be moved from.
  iterator begin() { return iterator(this); }
  iterator end() { return iterator(); }

  // Sets `value` to the next one; false behind the last.
  absl::StatusOr<bool> Next(V* value) {
    if (!source_->status.ok()) return source_->status;
    if (next_ == batch_.size()) {
      if (ended_) return false;
      absl::StatusOr<absl::Span<const absl::string_view>> batch = source_->groups->Values();
      if (!batch.ok()) return source_->Fail(batch.status());
      batch_ = *batch;
      next_ = 0;
      ended_ = batch_.empty();
      if (ended_) return false;
    }
    absl::string_view bytes = batch_[next_++];
    if (!Codec<V>::Parse(&bytes, CodecUse{false, true}, value) || !bytes.empty()) {
      return source_->FailParse("value");
    }
    return true;
  }

  // All that are left.
  absl::StatusOr<std::vector<V>> Collect() {
    std::vector<V> all;
    while (true) {
      V value{};
      absl::StatusOr<bool> more = Next(&value);
      if (!more.ok()) return more.status();
      if (!*more) return all;
      all.push_back(std::move(value));
    }
  }

 private:
  template <typename K, typename U>
  friend class GroupStream;
  template <typename K, typename U>
  friend struct Group;
  friend iterator;

  explicit GroupValues(groupby_internal::StreamSource* source) : source_(source) {}
  void Restart() {
    batch_ = {};
    next_ = 0;
    ended_ = false;
  }
  bool Step() {
    const absl::StatusOr<bool> more = Next(&value_);
    return more.ok() && *more;
  }
  V& current() { return value_; }

  groupby_internal::StreamSource* const source_;
  absl::Span<const absl::string_view> batch_;
  size_t next_ = 0;
  bool ended_ = true;  // before the first group
  V value_{};
};

// A group: `for (auto& [key, values] : stream)`. Good until the next one; what was not
// read of the values is passed over.
template <typename K, typename V>
struct Group {
  explicit Group(groupby_internal::StreamSource* source) : values(source) {}

  K key{};
  GroupValues<V> values;
};

// Not thread-safe. The groups, each read from memory or disk as it is asked for. Has the
// memory and the files of the grouping, until it is destroyed or at its end. Movable.
template <typename K, typename V>
class GroupStream {
 public:
  using value_type = Group<K, V>;

  // The groups of `grouping`, that `groups` are of, and whose rows were written by
  // these codecs.
  GroupStream(std::shared_ptr<Grouping> grouping, std::unique_ptr<Groups> groups)
      : state_(std::make_unique<State>(std::move(grouping), std::move(groups))) {}

 private:
  struct State;

 public:
  using iterator = groupby_internal::StepIterator<State, Group<K, V>>;

  // The loop ends behind the last group, or at an error: see status(). begin() goes on
  // behind what was read.
  iterator begin() { return iterator(state_.get()); }
  iterator end() { return iterator(); }

  // The next group, which this keeps; null behind the last one.
  absl::StatusOr<Group<K, V>*> Next() {
    absl::StatusOr<bool> more = state_->Next();
    if (!more.ok()) return more.status();
    return *more ? &state_->current() : nullptr;
  }

  // The first error, of groups and of values.
  const absl::Status& status() const { return state_->source.status; }

  // All groups that are left, in memory.
  absl::StatusOr<std::vector<std::pair<K, std::vector<V>>>> Collect() {
    std::vector<std::pair<K, std::vector<V>>> all;
    while (true) {
      absl::StatusOr<Group<K, V>*> group = Next();
      if (!group.ok()) return group.status();
      if (*group == nullptr) return all;
      absl::StatusOr<std::vector<V>> values = (*group)->values.Collect();
      if (!values.ok()) return values.status();
      all.emplace_back(std::move((*group)->key), *std::move(values));
    }
  }

  GroupingStats stats() const { return state_->source.grouping->stats(); }
  // Thread-safe, as long as this is not destroyed: all calls end soon with kCancelled.
  void Cancel() { state_->source.grouping->Cancel(); }

 private:
  struct State {
    State(std::shared_ptr<Grouping> grouping, std::unique_ptr<Groups> groups)
        : source{std::move(grouping), std::move(groups), absl::OkStatus()}, group(&source) {}

    absl::StatusOr<bool> Next() {
      if (!source.status.ok()) return source.status;
      absl::string_view key;
      absl::StatusOr<bool> more = source.groups->Next(&key);
      if (!more.ok()) return source.Fail(more.status());
      if (!*more) {
        group.values.ended_ = true;
        group.values.batch_ = {};
        group.values.next_ = 0;
        return false;
      }
      group.values.Restart();
      if (!Codec<K>::Parse(&key, CodecUse{true, true}, &group.key) || !key.empty()) {
        return source.FailParse("key");
      }
      return true;
    }
    bool Step() {
      const absl::StatusOr<bool> more = Next();
      return more.ok() && *more;
    }
    Group<K, V>& current() { return group; }

    groupby_internal::StreamSource source;
    Group<K, V> group;
  };

  std::unique_ptr<State> state_;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_GROUP_STREAM_H_
