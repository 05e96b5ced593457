#include "sorted_store.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"

namespace sibling {
namespace {

using kvarts::Mutation;
using kvarts::MutexLock;
using kvarts::Precondition;
using kvarts::ReadOptions;
using kvarts::ReadResults;
using kvarts::ScanOptions;

struct Record {
  std::string key;
  std::string value;
};

// Records are shared by the states that hold them, so that a write copies
// pointers only.
using Records = std::vector<std::shared_ptr<const Record>>;

Records::const_iterator LowerBound(const Records& records, absl::string_view key) {
  return std::lower_bound(records.begin(), records.end(), key,
                          [](const std::shared_ptr<const Record>& record, absl::string_view k) {
                            return absl::string_view(record->key) < k;
                          });
}

Records::const_iterator Find(const Records& records, absl::string_view key) {
  const auto it = LowerBound(records, key);
  return it != records.end() && (*it)->key == key ? it : records.end();
}

// What the store held from one write to the next. Immutable, so it is the
// snapshot too.
struct State final : kvarts::Snapshot {
  explicit State(const void* store) : store(store) {}

  const void* const store;  // whose it is; never followed
  uint64_t version = 1;     // of the whole store: the stamp of every key that is there
  Records records;
  // How often keys of these hashes came to be there: the stamps of those that are absent.
  std::vector<uint64_t> comings = std::vector<uint64_t>(4096);

  kvarts::Stamp StampOf(absl::string_view key) const;
};

size_t Bucket(const State& state, absl::string_view key) {
  return std::hash<std::string>()(std::string(key)) % state.comings.size();
}

kvarts::Stamp State::StampOf(absl::string_view key) const {
  if (Find(records, key) != records.end()) return {version, 1};
  return {comings[Bucket(*this, key)], 2};
}

// Positions are the last key behind a hash of it and of the range (FNV-1a), so
// that those of other scans and stray bytes are refused.
std::string Position(const kvarts::KeyRange& range, absl::string_view key) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](absl::string_view bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ bytes.size()) * 0x100000001b3;
  };
  mix(range.begin);
  mix(range.end);
  mix(key);
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(hash >> shift));
  return out.append(key.data(), key.size());
}

// Goes over one state: what is written meanwhile, it does not see.
class SortedCursor final : public kvarts::Cursor {
 public:
  // Begins at the first key of the range, or behind `*last`.
  SortedCursor(std::shared_ptr<const State> state, const ScanOptions& options,
               const std::string* last)
      : state_(std::move(state)), options_(options) {
    const Records& records = state_->records;
    next_ = LowerBound(records, options_.range.begin);
    if (last == nullptr) return;
    position_ = options_.resume_after;
    next_ = LowerBound(records, std::max(*last, options_.range.begin));
    if (next_ != records.end() && (*next_)->key == *last) ++next_;
  }

  absl::Status Next(const kvarts::PageLimits& limits, kvarts::ScanPage* page) override {
    page->Reset();
    page->bytes().AddPin(state_);
    size_t bytes = 0;
    while (next_ != state_->records.end() && !options_.range.IsPast((*next_)->key)) {
      const Record& record = **next_;
      kvarts::ScanEntry entry;
      entry.key = record.key;
      if (!options_.keys_only) entry.value = record.value;
      bytes += entry.key.size() + entry.value.size();
      if (!page->empty() && (page->size() >= limits.entries || bytes > limits.bytes)) break;
      page->Add(entry);
      ++next_;
    }
    if (!page->empty()) position_ = Position(options_.range, (*page)[page->size() - 1].key);
    return absl::OkStatus();
  }

  std::string position() const override { return position_; }

 private:
  const std::shared_ptr<const State> state_;
  const ScanOptions options_;
  Records::const_iterator next_;
  std::string position_;
};

class SortedStore final : public kvarts::Store {
 public:
  SortedStore() : state_(std::make_shared<State>(this)) {}

  kvarts::Capabilities capabilities() const override {
    kvarts::Capabilities has;
    has.write = kvarts::Support::kNative;
    has.conditions = kvarts::Support::kNative;
    has.batch_scope = kvarts::BatchScope::kStore;
    has.scan = kvarts::Support::kNative;
    has.ordered_scan = kvarts::Support::kNative;
    has.snapshot = kvarts::Support::kNative;
    has.atomic_multi_get = true;
    return has;
  }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    const auto state = Resolve(options.snapshot);
    if (!state.ok()) return results->Fail(keys.size(), state.status());
    results->Reset(keys.size());
    results->bytes().AddPin(*state);
    for (size_t i = 0; i < keys.size(); ++i) {
      kvarts::ReadResult& result = results->mutable_result(i);
      result.status = kvarts::CheckKey(keys[i]);
      if (!result.status.ok()) continue;
      if (options.stamp) result.stamp = (*state)->StampOf(keys[i]);
      const auto it = Find((*state)->records, keys[i]);
      if (it == (*state)->records.end()) continue;
      result.found = true;
      if (options.value) result.value = (*it)->value;
    }
  }

  absl::Status Write(const kvarts::WriteBatch& batch, const kvarts::WriteOptions& options,
                     kvarts::WriteResults* results) override {
    const kvarts::Capabilities has = capabilities();
    const absl::Status valid = kvarts::CheckBatch(batch, options, has);
    if (!valid.ok()) return kvarts::FailWrite(batch, valid, results);

    MutexLock lock(&mu_);
    if (closed_) return kvarts::FailWrite(batch, kvarts::ClosedError(), results);
    for (size_t i = 0; i < batch.preconditions().size(); ++i) {
      if (Holds(batch.preconditions()[i])) continue;
      const auto failed = absl::FailedPreconditionError("a precondition does not hold");
      kvarts::FailWrite(batch, failed, results).IgnoreError();
      if (results != nullptr) results->failed_precondition = static_cast<int>(i);
      return failed;
    }
    if (results != nullptr) kvarts::FailWrite(batch, absl::OkStatus(), results).IgnoreError();

    auto next = std::make_shared<State>(*state_);
    absl::Status first_error;
    for (size_t i = 0; i < batch.mutations().size(); ++i) {
      const Mutation& mutation = batch.mutations()[i];
      const absl::Status status = kvarts::CheckMutation(mutation, has);
      first_error.Update(status);
      const bool existed = status.ok() && Apply(mutation, &next->records);
      if (!existed) ++next->comings[Bucket(*next, mutation.key)];
      if (results == nullptr) continue;
      results->results[i] = {status, existed && options.report_existed};
    }
    ++next->version;
    state_ = std::move(next);
    return first_error;
  }

  absl::StatusOr<std::unique_ptr<kvarts::Cursor>> NewCursor(const ScanOptions& options) override {
    const absl::Status valid = kvarts::CheckScan(options, capabilities());
    if (!valid.ok()) return valid;
    auto state = Resolve(options.snapshot);
    if (!state.ok()) return state.status();
    std::string last;
    if (!options.resume_after.empty()) {
      last = options.resume_after.substr(std::min(kHashBytes, options.resume_after.size()));
      if (Position(options.range, last) != options.resume_after) {
        return absl::InvalidArgumentError("resume_after is not a position of this scan");
      }
    }
    return std::unique_ptr<kvarts::Cursor>(new SortedCursor(
        *std::move(state), options, options.resume_after.empty() ? nullptr : &last));
  }

  absl::StatusOr<std::shared_ptr<const kvarts::Snapshot>> GetSnapshot() override {
    auto state = Resolve(nullptr);
    if (!state.ok()) return state.status();
    return std::shared_ptr<const kvarts::Snapshot>(*std::move(state));
  }

  absl::StatusOr<kvarts::StoreStats> Stats() override {
    const auto state = Resolve(nullptr);
    if (!state.ok()) return state.status();
    kvarts::StoreStats stats;
    stats.entries = (*state)->records.size();
    stats.entries_exact = true;
    for (const auto& record : (*state)->records) {
      stats.memory_bytes += sizeof(record) + sizeof(Record) + record->key.size();
      stats.memory_bytes += record->value.size();
    }
    return stats;
  }

  // Nothing to make durable.
  absl::Status Sync() override { return Resolve(nullptr).status(); }

  absl::Status Close() override {
    MutexLock lock(&mu_);
    closed_ = true;
    state_ = std::make_shared<State>(this);
    return absl::OkStatus();
  }

 private:
  static constexpr size_t kHashBytes = 8;

  // The state to read: the newest, or the one that `snapshot` is.
  absl::StatusOr<std::shared_ptr<const State>> Resolve(
      const std::shared_ptr<const kvarts::Snapshot>& snapshot) {
    MutexLock lock(&mu_);
    if (closed_) return kvarts::ClosedError();
    if (snapshot == nullptr) return state_;
    auto state = std::dynamic_pointer_cast<const State>(snapshot);
    if (state == nullptr || state->store != this) {
      return absl::InvalidArgumentError("a snapshot of another store");
    }
    return state;
  }

  bool Holds(const Precondition& precondition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    switch (precondition.kind) {
      case Precondition::Kind::kAbsent:
        return Find(state_->records, precondition.key) == state_->records.end();
      case Precondition::Kind::kPresent:
        return Find(state_->records, precondition.key) != state_->records.end();
      case Precondition::Kind::kUnchanged:
        return precondition.stamp == state_->StampOf(precondition.key);
    }
    return false;
  }

  // Returns whether the key was there.
  static bool Apply(const Mutation& mutation, Records* records) {
    const auto it = records->begin() + (LowerBound(*records, mutation.key) - records->cbegin());
    const bool existed = it != records->end() && (*it)->key == mutation.key;
    if (mutation.kind == Mutation::Kind::kPut) {
      auto record = std::make_shared<const Record>(
          Record{std::string(mutation.key), std::string(mutation.value)});
      if (existed) {
        *it = std::move(record);
      } else {
        records->insert(it, std::move(record));
      }
    } else if (mutation.kind == Mutation::Kind::kDelete && existed) {
      records->erase(it);
    }  // A touch has no metadata to change here.
    return existed;
  }

  kvarts::Mutex mu_;
  std::shared_ptr<const State> state_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

std::unique_ptr<kvarts::Store> NewSortedStore() { return std::make_unique<SortedStore>(); }

}  // namespace sibling
