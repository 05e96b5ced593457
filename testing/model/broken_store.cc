#include "testing/model/broken_store.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "testing/model/model_fixture.h"

namespace kvarts {
namespace {

// Not thread-safe.
class BrokenCursor final : public Cursor {
 public:
  BrokenCursor(std::unique_ptr<Cursor> base, Bug bug) : base_(std::move(base)), bug_(bug) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    absl::Status status = base_->Next(limits, page);
    if (bug_ != Bug::kSkipsAfterAPage || ++pages_ == 1 || page->size() < 2) return status;
    ScanPage shorter;
    for (size_t i = 1; i < page->size(); ++i) {
      ScanEntry entry = (*page)[i];
      entry.key = shorter.bytes().Copy(entry.key);
      entry.value = shorter.bytes().Copy(entry.value);
      entry.content_type = shorter.bytes().Copy(entry.content_type);
      shorter.Add(entry);
    }
    *page = std::move(shorter);
    return status;
  }

  std::string position() const override {
    std::string now = base_->position();
    if (bug_ != Bug::kResumeRepeatsTheLast) return now;
    return std::exchange(before_, now);
  }

 private:
  const std::unique_ptr<Cursor> base_;
  const Bug bug_;
  int pages_ = 0;
  mutable std::string before_;
};

class BrokenStore final : public Store {
 public:
  BrokenStore(std::unique_ptr<Store> base, Bug bug) : base_(std::move(base)), bug_(bug) {}

  Capabilities capabilities() const override { return base_->capabilities(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    base_->MultiGet(keys, options, results);
    MutexLock lock(&mu_);
    for (size_t i = 0; i < results->size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      if (!result.status.ok()) continue;
      if (bug_ == Bug::kStampsOfAbsentKeysAreEqual && !result.found) result.stamp = kAbsentStamp;
      if (bug_ == Bug::kSnapshotSeesNewKeys && options.snapshot != nullptr && !result.found) {
        ReadResults now;
        base_->Read(keys[i], {}, &now);
        result.found = now[0].found;
        result.value = results->bytes().Copy(now[0].value);
      }
      if (bug_ != Bug::kCacheOutlivesDeleteRange || options.snapshot != nullptr) continue;
      const std::string key(keys[i]);
      if (result.found && options.value) {
        cache_[key] = std::string(result.value);
      } else if (const auto it = cache_.find(key); !result.found && it != cache_.end()) {
        result.found = true;
        if (options.value) result.value = results->bytes().Copy(it->second);
      }
    }
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    if (bug_ == Bug::kAtomicBatchIsTwoWrites && options.atomic && batch.preconditions().empty() &&
        batch.mutations().size() > 1) {
      return WriteInTwoSteps(batch, options, results);
    }
    WriteBatch changed;
    for (const Precondition& p : batch.preconditions()) changed.Add(Changed(p));
    std::set<std::string> put;
    for (const Mutation& m : batch.mutations()) {
      if (m.kind != Mutation::Kind::kDeleteRange) Forget(m.key);
      Mutation mutation = m;
      if (bug_ == Bug::kKeepForgetsExpiry && m.metadata.expiry == Metadata::Change::kKeep) {
        mutation.metadata.expiry = Metadata::Change::kClear;
      }
      if (bug_ == Bug::kLosesSecondPutOfABatch && m.kind == Mutation::Kind::kPut &&
          !put.insert(std::string(m.key)).second) {
        mutation = {Mutation::Kind::kTouch, m.key, {}, Metadata::Keep()};
      }
      changed.Add(mutation);
    }
    absl::Status status = base_->Write(changed, options, results);
    if (results == nullptr) return status;
    if (bug_ == Bug::kExistedOfPutsIsFalse && status.ok()) {
      for (size_t i = 0; i < results->results.size(); ++i) {
        if (batch.mutations()[i].kind == Mutation::Kind::kPut) results->results[i].existed = false;
      }
    }
    if (bug_ == Bug::kAtomicStopsHalfway && results->failed_precondition >= 0 &&
        !batch.mutations().empty()) {
      WriteBatch first;
      first.Add(batch.mutations()[0]);
      base_->Write(first, {}, nullptr).IgnoreError();
    }
    return status;
  }

  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    if (bug_ == Bug::kModifyIsNotAtomic) return ModifyInTwoSteps(key, options, function);
    return Store::Modify(key, options, [&](const ReadResult& current) {
      absl::StatusOr<Modification> wanted = function(current);
      if (bug_ == Bug::kModifyDeletesForNothing && wanted.ok() &&
          wanted->kind == Modification::Kind::kNothing) {
        wanted = Modification::Delete();
      }
      return wanted;
    });
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    auto cursor = base_->NewCursor(options);
    if (!cursor.ok()) return cursor.status();
    return std::make_unique<BrokenCursor>(*std::move(cursor), bug_);
  }
  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    return base_->GetSnapshot();
  }
  absl::StatusOr<StoreStats> Stats() override { return base_->Stats(); }
  absl::Status Sync() override { return base_->Sync(); }
  absl::Status Close() override { return base_->Close(); }

 private:
  static constexpr Stamp kAbsentStamp = {~uint64_t{0}, 0};

  Precondition Changed(const Precondition& p) const {
    if (bug_ == Bug::kStampsOfAbsentKeysAreEqual && p.kind == Precondition::Kind::kUnchanged &&
        p.stamp == kAbsentStamp) {
      return {Precondition::Kind::kAbsent, p.key, {}};
    }
    return p;
  }

  absl::Status WriteInTwoSteps(const WriteBatch& batch, const WriteOptions& options,
                               WriteResults* results) {
    WriteBatch first;
    first.Add(batch.mutations()[0]);
    base_->Write(first, options, nullptr).IgnoreError();
    std::this_thread::yield();
    return base_->Write(batch, options, results);
  }

  absl::Status ModifyInTwoSteps(absl::string_view key, const WriteOptions& options,
                                Modifier function) {
    ReadResults current;
    base_->Read(key, {}, &current);
    if (!current[0].status.ok()) return current[0].status;
    const absl::StatusOr<Modification> wanted = function(current[0]);
    if (!wanted.ok()) return wanted.status();
    WriteBatch batch;
    if (wanted->kind == Modification::Kind::kPut) batch.Put(key, wanted->value, wanted->metadata);
    if (wanted->kind == Modification::Kind::kDelete) batch.Delete(key);
    std::this_thread::yield();
    return base_->Write(batch, options, nullptr);
  }

  void Forget(absl::string_view key) {
    MutexLock lock(&mu_);
    cache_.erase(std::string(key));
  }

  const std::unique_ptr<Store> base_;
  const Bug bug_;
  Mutex mu_;
  std::map<std::string, std::string> cache_ ABSL_GUARDED_BY(mu_);
};

class BrokenFixture final : public StoreFixture {
 public:
  explicit BrokenFixture(Bug bug) : bug_(bug) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    return Break(base_.Open(records));
  }
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return Break(base_.Reopen()); }
  ManualClock* clock() override { return base_.clock(); }
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return base_.Accepts(key, value);
  }

 private:
  absl::StatusOr<std::unique_ptr<Store>> Break(absl::StatusOr<std::unique_ptr<Store>> store) {
    if (!store.ok()) return store;
    return NewBrokenStore(*std::move(store), bug_);
  }

  ModelFixture base_{ModelCapabilities(), 1 << 20};
  const Bug bug_;
};

}  // namespace

const char* ToText(Bug bug) {
  switch (bug) {
    case Bug::kLosesSecondPutOfABatch:
      return "LosesSecondPutOfABatch";
    case Bug::kCacheOutlivesDeleteRange:
      return "CacheOutlivesDeleteRange";
    case Bug::kSkipsAfterAPage:
      return "SkipsAfterAPage";
    case Bug::kKeepForgetsExpiry:
      return "KeepForgetsExpiry";
    case Bug::kStampsOfAbsentKeysAreEqual:
      return "StampsOfAbsentKeysAreEqual";
    case Bug::kSnapshotSeesNewKeys:
      return "SnapshotSeesNewKeys";
    case Bug::kResumeRepeatsTheLast:
      return "ResumeRepeatsTheLast";
    case Bug::kExistedOfPutsIsFalse:
      return "ExistedOfPutsIsFalse";
    case Bug::kAtomicStopsHalfway:
      return "AtomicStopsHalfway";
    case Bug::kModifyDeletesForNothing:
      return "ModifyDeletesForNothing";
    case Bug::kModifyIsNotAtomic:
      return "ModifyIsNotAtomic";
    case Bug::kAtomicBatchIsTwoWrites:
      return "AtomicBatchIsTwoWrites";
  }
  return "?";
}

std::unique_ptr<Store> NewBrokenStore(std::unique_ptr<Store> base, Bug bug) {
  return std::make_unique<BrokenStore>(std::move(base), bug);
}

StoreFixtureFactory BrokenModelFixture(Bug bug) {
  return [bug] { return std::make_unique<BrokenFixture>(bug); };
}

}  // namespace kvarts
