#include "net/resp/transaction_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace resp {
namespace {

using MetadataChange = Metadata::Change;

bool Keeps(const Metadata& metadata) {
  return metadata.expiry == MetadataChange::kKeep || metadata.content_type == MetadataChange::kKeep;
}

Metadata Explicit(int64_t expires_at_ms, absl::string_view content_type) {
  Metadata metadata;
  if (expires_at_ms != 0) {
    metadata.expiry = MetadataChange::kSet;
    metadata.expires_at_ms = expires_at_ms;
  }
  if (!content_type.empty()) {
    metadata.content_type = MetadataChange::kSet;
    metadata.type = content_type;
  }
  return metadata;
}

Capabilities Within(Capabilities c) {
  c.backward_scan = c.slot_scan = c.snapshot = Support::kAbsent;
  c.ordered_scan = Support::kAbsent;  // the transaction's own keys come first
  c.durable = c.shared_by_processes = c.discards = false;
  c.no_wait = false;  // its calls are answered from several of the base's
  return c;
}

}  // namespace

absl::Status CheckTransactions(const Capabilities& capabilities) {
  if (!capabilities.has(capabilities.write)) {
    return absl::UnimplementedError("transactions need a store that can be written");
  }
  if (!capabilities.has(capabilities.conditions)) {
    return absl::UnimplementedError("transactions need conditional writes, which the store lacks");
  }
  if (capabilities.batch_scope < BatchScope::kShard) {
    return absl::UnimplementedError(
        "transactions need atomic batches of several keys, which the store lacks");
  }
  return absl::OkStatus();
}

TransactionStore::TransactionStore(Store* base, const Clock* clock)
    : base_(base), clock_(clock), capabilities_(Within(base->capabilities())) {}

const TransactionStore::Known* TransactionStore::ChangeOf(absl::string_view key) const {
  const auto it = known_.find(key);
  return it == known_.end() || it->second.change == Change::kNone ? nullptr : &it->second;
}

void TransactionStore::NoteRead(absl::string_view key, const Stamp& stamp) {
  Known& known = KnownOf(key);
  if (known.read && known.stamp != stamp) conflict_ = true;
  if (known.read) return;
  known.read = true;
  known.stamp = stamp;
}

void TransactionStore::MultiGet(absl::Span<const absl::string_view> keys,
                                const ReadOptions& options, ReadResults* results) {
  if (options.snapshot != nullptr) {
    return results->Fail(keys.size(), absl::UnimplementedError("no snapshots in a transaction"));
  }
  if (cleared_) {
    results->Reset(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) results->mutable_result(i).status = CheckKey(keys[i]);
  } else {
    ReadOptions with_stamp = options;
    with_stamp.stamp = true;
    base_->MultiGet(keys, with_stamp, results);
    ++reads_;
  }
  const int64_t now_ms = NowMs();
  for (size_t i = 0; i < keys.size(); ++i) {
    ReadResult& result = results->mutable_result(i);
    if (!result.status.ok()) {
      if (IsMoved(result.status) || IsSlotDown(result.status)) elsewhere_.Update(result.status);
      continue;
    }
    const Known* known = ChangeOf(keys[i]);
    if (!cleared_ && (known == nullptr || known->change == Change::kTouched)) {
      NoteRead(keys[i], result.stamp);
      known = ChangeOf(keys[i]);
    }
    // Nobody else changes this view: its own changes are all that a stamp has to tell.
    result.stamp = {};
    if (known == nullptr) {
      const auto it = known_.find(keys[i]);
      if (options.stamp && it != known_.end()) result.stamp.low = it->second.version;
    } else {
      const bool was_there = known->change == Change::kPut || result.found;
      result.found = was_there && LiveAt(*known, now_ms);
      result.value = result.found ? result.value : absl::string_view();
      result.expires_at_ms = result.found ? known->expires_at_ms : 0;
      result.content_type = result.found ? absl::string_view(known->content_type) : "";
      if (result.found && known->change == Change::kPut) {
        result.value = options.value ? absl::string_view(*known->value) : "";
        results->bytes().AddPin(known->value);
      }
      if (!result.content_type.empty()) {
        result.content_type = results->bytes().Copy(result.content_type);
      }
      if (options.stamp) result.stamp.low = known->version;
    }
    if (options.stamp) result.stamp.high = result.found ? 1 : 0;
  }
}

absl::StatusOr<const ReadResult*> TransactionStore::Look(absl::string_view key, bool stamp) {
  ReadOptions options;
  options.value = false;
  options.stamp = stamp;
  MultiGet(absl::MakeConstSpan(&key, 1), options, &looked_);
  KVARTS_RETURN_IF_ERROR(looked_[0].status);
  return &looked_[0];
}

absl::StatusOr<bool> TransactionStore::Holds(const Precondition& precondition) {
  const bool unchanged = precondition.kind == Precondition::Kind::kUnchanged;
  KVARTS_ASSIGN_OR_RETURN(const ReadResult* const now, Look(precondition.key, unchanged));
  if (unchanged) return now->stamp == precondition.stamp;
  return now->found == (precondition.kind == Precondition::Kind::kPresent);
}

absl::Status TransactionStore::Write(const WriteBatch& batch, const WriteOptions& options,
                                     WriteResults* results) {
  if (absl::Status status = CheckBatch(batch, options, capabilities_); !status.ok()) {
    return FailWrite(batch, status, results);
  }
  for (size_t i = 0; i < batch.preconditions().size(); ++i) {
    const absl::StatusOr<bool> holds = Holds(batch.preconditions()[i]);
    if (!holds.ok()) return FailWrite(batch, holds.status(), results);
    if (*holds) continue;
    absl::Status status = FailWrite(
        batch, absl::FailedPreconditionError(absl::StrCat("precondition ", i, " does not hold")),
        results);
    if (results != nullptr) results->failed_precondition = static_cast<int>(i);
    return status;
  }
  WriteResults unwanted;
  if (results == nullptr) results = &unwanted;
  results->failed_precondition = -1;
  results->results.assign(batch.mutations().size(), WriteResult());
  absl::Status first_error;
  for (size_t i = 0; i < batch.mutations().size(); ++i) {
    WriteResult& out = results->results[i];
    const Mutation& mutation = batch.mutations()[i];
    out.status = CheckMutation(mutation, capabilities_);
    if (out.status.ok()) out.status = Apply(mutation, options.report_existed, &out.existed);
    first_error.Update(out.status);
  }
  return first_error;
}

absl::Status TransactionStore::Apply(const Mutation& mutation, bool report_existed, bool* existed) {
  const bool is_touch = mutation.kind == Mutation::Kind::kTouch;
  const bool is_put = mutation.kind == Mutation::Kind::kPut;
  if (mutation.kind == Mutation::Kind::kDeleteRange) {
    if (!mutation.key.empty() || !mutation.value.empty()) {
      return absl::UnimplementedError("a transaction deletes all keys, or single ones");
    }
    cleared_ = true;
    for (auto& [key, known] : known_) {
      known.change = Change::kNone;
      known.value.reset();
      known.version = ++version_;
    }
    return absl::OkStatus();
  }
  // What is kept must be known: later reads are told.
  const ReadResult* old = nullptr;
  if (report_existed || is_touch || (is_put && Keeps(mutation.metadata))) {
    KVARTS_ASSIGN_OR_RETURN(old, Look(mutation.key, false));
    *existed = report_existed && old->found;
    if (is_touch && !old->found) return absl::OkStatus();
  }
  Known& known = KnownOf(mutation.key);
  known.version = ++version_;
  if (is_touch) {
    SetMetadata(mutation.metadata, old, &known);
    if (known.change == Change::kNone) known.change = Change::kTouched;
    return absl::OkStatus();
  }
  known.value.reset();
  known.change = Change::kDeleted;
  if (!is_put) return absl::OkStatus();
  known.change = Change::kPut;
  known.was_put = true;
  known.value = std::make_shared<const std::string>(mutation.value);
  SetMetadata(mutation.metadata, old, &known);
  return absl::OkStatus();
}

void TransactionStore::SetMetadata(const Metadata& metadata, const ReadResult* old, Known* known) {
  switch (metadata.expiry) {
    case MetadataChange::kClear:
      known->expires_at_ms = 0;
      break;
    case MetadataChange::kKeep:
      known->expires_at_ms = old->expires_at_ms;
      break;
    case MetadataChange::kSet:
      known->expires_at_ms = metadata.expires_at_ms;
      break;
  }
  switch (metadata.content_type) {
    case MetadataChange::kClear:
      known->content_type.clear();
      break;
    case MetadataChange::kKeep:
      known->content_type = std::string(old->content_type);
      break;
    case MetadataChange::kSet:
      known->content_type = std::string(metadata.type);
      break;
  }
}

absl::StatusOr<bool> AreUnchanged(Store* store, absl::Span<const WatchedKey> watched) {
  std::vector<absl::string_view> keys;
  keys.reserve(watched.size());
  for (const WatchedKey& key : watched) keys.emplace_back(key.key);
  ReadOptions options;
  options.value = false;
  options.stamp = true;
  ReadResults now;
  store->MultiGet(keys, options, &now);
  for (size_t i = 0; i < watched.size(); ++i) {
    KVARTS_RETURN_IF_ERROR(now[i].status);
    if (now[i].stamp != watched[i].stamp) return false;
  }
  return true;
}

absl::StatusOr<TransactionStore::Outcome> TransactionStore::Commit(
    absl::Span<const WatchedKey> watched) {
  KVARTS_RETURN_IF_ERROR(elsewhere_);
  if (conflict_) return Outcome::kConflict;
  WriteBatch batch;
  // What it made and deleted again has changed, for those who watch it.
  for (const auto& [key, known] : known_) {
    if (known.was_put && known.change != Change::kPut) batch.Put(key, "");
  }
  if (cleared_) batch.DeleteRange("", "");
  std::vector<WatchedKey> read;
  for (const auto& [key, known] : known_) {
    switch (known.change) {
      case Change::kNone:
        break;
      case Change::kPut:
        batch.Put(key, *known.value, Explicit(known.expires_at_ms, known.content_type));
        break;
      case Change::kDeleted:
        batch.Delete(key);
        break;
      case Change::kTouched:
        batch.Touch(key, Explicit(known.expires_at_ms, known.content_type));
        break;
    }
  }
  const bool writes = !batch.empty();
  if (!writes && reads_ <= 1 && capabilities_.atomic_multi_get && watched.empty()) {
    return Outcome::kDone;
  }
  for (const WatchedKey& key : watched) batch.RequireUnchanged(key.key, key.stamp);
  for (const auto& [key, known] : known_) {
    if (!known.read) continue;
    batch.RequireUnchanged(key, known.stamp);
    if (!writes) read.push_back({key, known.stamp});
  }
  if (!writes) {
    // Every key was read, and then found unchanged: between the two, all were so at once.
    KVARTS_ASSIGN_OR_RETURN(const bool watched_hold, AreUnchanged(base_, watched));
    if (!watched_hold) return Outcome::kWatched;
    KVARTS_ASSIGN_OR_RETURN(const bool reads_hold, AreUnchanged(base_, read));
    return reads_hold ? Outcome::kDone : Outcome::kConflict;
  }
  WriteOptions options;
  options.atomic = true;
  WriteResults results;
  absl::Status status = base_->Write(batch, options, &results);
  if (results.failed_precondition >= 0) {
    const bool is_watched = static_cast<size_t>(results.failed_precondition) < watched.size();
    return is_watched ? Outcome::kWatched : Outcome::kConflict;
  }
  KVARTS_RETURN_IF_ERROR(status);
  return Outcome::kDone;
}

// The transaction's own keys, then those of the base that it did not change. From
// where the base's position says: own keys may come twice.
class TransactionCursor final : public Cursor {
 public:
  TransactionCursor(std::vector<std::string> own, std::unique_ptr<Cursor> base,
                    const TransactionStore* transaction)
      : own_(std::move(own)), base_(std::move(base)), transaction_(transaction) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    while (next_own_ < own_.size() && page->size() < limits.entries) {
      ScanEntry entry;
      entry.key = page->bytes().Copy(own_[next_own_++]);
      page->Add(entry);
    }
    while (page->empty() && base_ != nullptr) {
      ScanPage of_base;
      KVARTS_RETURN_IF_ERROR(base_->Next(limits, &of_base));
      if (of_base.empty()) break;
      for (const ScanEntry& known : of_base) {
        if (transaction_->ChangeOf(known.key) != nullptr) continue;
        ScanEntry entry;
        entry.key = page->bytes().Copy(known.key);
        entry.expires_at_ms = known.expires_at_ms;
        page->Add(entry);
      }
    }
    return absl::OkStatus();
  }
  std::string position() const override { return base_ == nullptr ? "" : base_->position(); }

 private:
  const std::vector<std::string> own_;
  const std::unique_ptr<Cursor> base_;  // null: all is deleted
  const TransactionStore* const transaction_;
  size_t next_own_ = 0;
};

absl::StatusOr<std::unique_ptr<Cursor>> TransactionStore::NewCursor(const ScanOptions& options) {
  KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
  if (!options.keys_only || options.snapshot != nullptr) {
    return absl::UnimplementedError("a transaction scans keys only, and no snapshot");
  }
  std::vector<std::string> own;
  if (options.resume_after.empty()) {
    const int64_t now_ms = NowMs();
    for (const auto& [key, known] : known_) {
      if (known.change != Change::kNone && LiveAt(known, now_ms) && options.range.Contains(key)) {
        own.push_back(key);
      }
    }
  }
  std::unique_ptr<Cursor> base;
  if (!cleared_) {
    KVARTS_ASSIGN_OR_RETURN(base, base_->NewCursor(options));
  }
  return std::make_unique<TransactionCursor>(std::move(own), std::move(base), this);
}

absl::StatusOr<StoreStats> TransactionStore::Stats() {
  KVARTS_ASSIGN_OR_RETURN(StoreStats stats, base_->Stats());
  std::vector<absl::string_view> changed;
  uint64_t there = 0;
  const int64_t now_ms = NowMs();
  for (const auto& [key, known] : known_) {
    if (known.change == Change::kNone) continue;
    changed.emplace_back(key);
    there += LiveAt(known, now_ms) ? 1 : 0;
  }
  uint64_t were_there = 0;
  if (cleared_) {
    were_there = stats.entries;
  } else if (!changed.empty()) {
    ReadOptions options;
    options.value = false;
    ReadResults before;
    base_->MultiGet(changed, options, &before);
    for (const ReadResult& result : before) were_there += result.found ? 1 : 0;
  }
  stats.entries = stats.entries + there - std::min(were_there, stats.entries);
  return stats;
}

}  // namespace resp
}  // namespace kvarts
