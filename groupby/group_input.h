#ifndef KVARTS_GROUPBY_GROUP_INPUT_H_
#define KVARTS_GROUPBY_GROUP_INPUT_H_

#include "base/language.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "groupby/codec.h"
#include "groupby/group_stream.h"
#include "groupby/grouping.h"
#include "groupby/row_feeder.h"

namespace kvarts {

// Thread-safe. Rows for a GroupStream, from several threads: each has a feeder of its
// own, and its values keep its order within a group.
//
//   auto input = kvarts::GroupInput<std::string, int>::New(options);
//   ... in each thread:
//   auto feeder = input->NewFeeder();
//   while (...) KVARTS_RETURN_IF_ERROR(feeder.Add(key, value));
//   ... then, once:
//   auto groups = input->Finish();
template <typename K, typename V>
class GroupInput {
 public:
  // Errors of Grouping::New().
  static absl::StatusOr<GroupInput> New(const GroupingOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<Grouping>> grouping = Grouping::New(options);
    if (!grouping.ok()) return grouping.status();
    return GroupInput(*std::move(grouping));
  }
  // Over another engine.
  explicit GroupInput(std::unique_ptr<Grouping> grouping)
      : grouping_(std::move(grouping)),
        shared_(std::make_unique<groupby_internal::RowFeeder::Shared>()) {}

  // Not thread-safe. Destroyed, or flushed, before Finish(). Collects rows to batches of
  // up to 64 KiB.
  class Feeder {
   public:
    // What converts to K and V, or is stored as them. kInvalidArgument for a row that is
    // too large (Grouping::kMaxKeyBytes, kMaxRowBytes), which is not taken; any other
    // error ends the whole.
    template <typename Key, typename Value>
    absl::Status Add(const Key& key, const Value& value) {
      std::string* const out = rows_.StartRow();
      Codec<K>::Append(key, CodecUse{true, true}, out);
      rows_.EndKey();
      Codec<V>::Append(value, CodecUse{false, true}, out);
      return rows_.EndRow();
    }
    // Hands over what is held back. The destructor does, too, and has Finish() return
    // its error.
    absl::Status Flush() { return rows_.Flush(); }

   private:
    friend class GroupInput;
    Feeder(Grouping* grouping, groupby_internal::RowFeeder::Shared* shared)
        : rows_(grouping, shared) {}

    groupby_internal::RowFeeder rows_;
  };
  Feeder NewFeeder() { return Feeder(grouping_.get(), shared_.get()); }

  // Once, when no feeder holds rows. The first error of a feeder, if there was one.
  absl::StatusOr<GroupStream<K, V>> Finish() {
    absl::Status status = shared_->status();
    if (!status.ok()) return status;
    absl::StatusOr<std::unique_ptr<Groups>> groups = grouping_->Finish();
    if (!groups.ok()) return groups.status();
    return GroupStream<K, V>(grouping_, *std::move(groups));
  }

  // All calls end soon with kCancelled, also those of the stream.
  void Cancel() { grouping_->Cancel(); }

 private:
  std::shared_ptr<Grouping> grouping_;  // with the stream
  std::unique_ptr<groupby_internal::RowFeeder::Shared> shared_;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_GROUP_INPUT_H_
