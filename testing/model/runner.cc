#include "testing/model/runner.h"

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "testing/model/model_store.h"
#include "testing/model/scan_check.h"

namespace kvarts::model {
namespace {

using Wrong = std::optional<std::string>;

std::string CodeText(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

Wrong DifferentCodes(absl::string_view what, const absl::Status& store, const absl::Status& model) {
  if (store.code() == model.code()) return std::nullopt;
  return absl::StrCat(what, ": ", store.ToString(), "; the model: ", model.ToString());
}

std::string Describe(const ReadResult& r) {
  if (!r.status.ok()) return CodeText(r.status);
  if (!r.found) return "absent";
  return absl::StrCat(Quote(r.value), ", type ", Quote(r.content_type), ", expiry ",
                      r.expires_at_ms);
}

Dump DumpOf(Store& model, std::shared_ptr<const Snapshot> snapshot) {
  ScanOptions options;
  options.snapshot = std::move(snapshot);
  Dump dump;
  ScanPage page;
  const std::unique_ptr<Cursor> cursor = *model.NewCursor(options);
  do {
    if (!cursor->Next({}, &page).ok()) return dump;
    for (const ScanEntry& e : page) {
      dump[std::string(e.key)] = {std::string(e.value), std::string(e.content_type),
                                  e.expires_at_ms};
    }
  } while (!page.empty());
  return dump;
}

// Not thread-safe.
class Runner {
 public:
  explicit Runner(StoreFixture& fixture) : fixture_(fixture) {}

  std::optional<Difference> Run(const History& history);

 private:
  struct StampPair {
    Stamp store;
    Stamp model;
    uint64_t changes = 0;
  };
  struct SnapshotPair {
    std::shared_ptr<const Snapshot> store;
    std::shared_ptr<const Snapshot> model;
    uint64_t changes = 0;
  };
  struct OpenScan {
    ScanOptions options;  // the store's, without a position
    std::shared_ptr<const Snapshot> model_snapshot;
    std::unique_ptr<Cursor> cursor;  // null after a reopen
    std::string position;            // behind the last page
    ScanCheck check;
  };

  Wrong Step(const Operation& op);
  Wrong Get(const Operation& op);
  Wrong Write(const Operation& op);
  Wrong Modify(const Operation& op);
  Wrong TakeSnapshot(const Operation& op);
  Wrong OpenCursor(const Operation& op);
  Wrong NextPage(const Operation& op);
  Wrong Resume(const Operation& op);
  Wrong Reopen(const Operation& op);
  Wrong Stats();
  Wrong CheckEverything();

  Wrong CompareReads(absl::Span<const absl::string_view> keys, const ReadResults& store,
                     const ReadResults& model);
  Wrong CheckStamp(const std::string& key, const StampPair& now);
  bool IsFalseAlarm(const WriteBatch& batch, const Operation& op, int failed);
  // What the model holds has changed.
  void Changed();
  bool Has(Support support) const { return support != Support::kAbsent; }

  StoreFixture& fixture_;
  Capabilities has_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Store> model_;
  uint64_t changes_ = 0;
  std::set<std::string> keys_;  // named anywhere
  std::map<int, std::map<std::string, StampPair>> stamps_;
  std::map<int, SnapshotPair> snapshots_;
  std::map<int, OpenScan> scans_;
};

std::optional<Difference> Runner::Run(const History& history) {
  auto store = fixture_.Open(history.records);
  if (!store.ok()) return Difference{0, absl::StrCat("cannot open: ", store.status().ToString())};
  store_ = *std::move(store);
  has_ = store_->capabilities();

  ModelStoreOptions options;
  options.capabilities = has_;
  // The store knows its shards; histories for it stay within one key.
  if (has_.batch_scope == BatchScope::kShard) options.capabilities.batch_scope = BatchScope::kStore;
  // The model's own, for the checks: generated calls for them are refused here.
  options.capabilities.scan = options.capabilities.ordered_scan = Support::kNative;
  options.capabilities.slot_scan = Support::kNative;
  if (fixture_.clock() != nullptr) options.clock = fixture_.clock();
  options.records = history.records;
  model_ = NewModelStore(std::move(options));
  for (const auto& [key, value] : history.records) keys_.insert(key);

  for (size_t i = 0; i < history.operations.size(); ++i) {
    if (Wrong wrong = Step(history.operations[i])) return Difference{i, *std::move(wrong)};
  }
  if (Wrong wrong = CheckEverything()) {
    return Difference{history.operations.size(), *std::move(wrong)};
  }
  return std::nullopt;
}

Wrong Runner::Step(const Operation& op) {
  switch (op.kind) {
    case Operation::Kind::kGet:
      return Get(op);
    case Operation::Kind::kWrite:
      return Write(op);
    case Operation::Kind::kModify:
      return Modify(op);
    case Operation::Kind::kSnapshot:
      return TakeSnapshot(op);
    case Operation::Kind::kDropSnapshot:
      snapshots_.erase(op.id);
      return std::nullopt;
    case Operation::Kind::kCursor:
      return OpenCursor(op);
    case Operation::Kind::kNext:
      return NextPage(op);
    case Operation::Kind::kResume:
      return Resume(op);
    case Operation::Kind::kAdvance:
      if (fixture_.clock() == nullptr) return std::nullopt;
      fixture_.clock()->Advance(absl::Milliseconds(op.advance_ms));
      Changed();
      return std::nullopt;
    case Operation::Kind::kReopen:
      return Reopen(op);
    case Operation::Kind::kStats:
      return Stats();
    case Operation::Kind::kSync:
      return DifferentCodes("Sync", store_->Sync(), absl::OkStatus());
  }
  return std::nullopt;
}

void Runner::Changed() {
  ++changes_;
  if (scans_.empty()) return;
  const Dump now = DumpOf(*model_, nullptr);
  for (auto& [id, scan] : scans_) {
    scan.check.Observe(scan.model_snapshot == nullptr ? now : DumpOf(*model_, scan.model_snapshot));
  }
}

Wrong Runner::CompareReads(absl::Span<const absl::string_view> keys, const ReadResults& store,
                           const ReadResults& model) {
  if (store.size() != keys.size()) {
    return absl::StrCat(store.size(), " results for ", keys.size(), " keys");
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string got = Describe(store[i]);
    const std::string want = Describe(model[i]);
    if (got != want) return absl::StrCat(Quote(keys[i]), ": ", got, "; the model: ", want);
  }
  return std::nullopt;
}

// False alarms are allowed, false matches are not.
Wrong Runner::CheckStamp(const std::string& key, const StampPair& now) {
  for (const auto& [id, stamps] : stamps_) {
    const auto then = stamps.find(key);
    if (then == stamps.end()) continue;
    if (then->second.store == now.store && then->second.model != now.model) {
      return absl::StrCat(Quote(key), " has the stamp of read ", id,
                          " still, and was written since");
    }
  }
  return std::nullopt;
}

Wrong Runner::Get(const Operation& op) {
  ReadOptions store_options;
  store_options.value = op.value;
  store_options.stamp = op.id != 0;
  ReadOptions model_options = store_options;
  uint64_t changes = changes_;
  if (op.snapshot != 0) {
    const auto it = snapshots_.find(op.snapshot);
    if (it == snapshots_.end()) return std::nullopt;
    store_options.snapshot = it->second.store;
    model_options.snapshot = it->second.model;
    changes = it->second.changes;
  }
  keys_.insert(op.keys.begin(), op.keys.end());
  const std::vector<absl::string_view> keys(op.keys.begin(), op.keys.end());
  ReadResults store;
  ReadResults model;
  if (keys.size() == 1) {
    store_->Read(keys[0], store_options, &store);
  } else {
    store_->MultiGet(keys, store_options, &store);
  }
  model_->MultiGet(keys, model_options, &model);
  if (Wrong wrong = CompareReads(keys, store, model)) return wrong;
  if (op.id == 0 || !Has(has_.conditions)) return std::nullopt;
  for (size_t i = 0; i < keys.size(); ++i) {
    const StampPair now = {store[i].stamp, model[i].stamp, changes};
    if (Wrong wrong = CheckStamp(op.keys[i], now)) return wrong;
    stamps_[op.id][op.keys[i]] = now;
  }
  return std::nullopt;
}

// True where the store's precondition `failed` did not hold although the model's
// does, and may: something was written since, if not this key.
bool Runner::IsFalseAlarm(const WriteBatch& batch, const Operation& op, int failed) {
  if (failed < 0 || static_cast<size_t>(failed) >= op.preconditions.size()) return false;
  const PreconditionStep& step = op.preconditions[failed];
  if (step.kind != Precondition::Kind::kUnchanged) return false;
  if (stamps_[step.stamps][step.key].changes == changes_) return false;
  WriteBatch check;
  for (int i = 0; i <= failed; ++i) check.Add(batch.preconditions()[i]);
  WriteOptions atomic;
  atomic.atomic = true;
  return model_->Write(check, atomic, nullptr).ok();
}

Wrong Runner::Write(const Operation& op) {
  WriteBatch for_store;
  WriteBatch for_model;
  for (const MutationStep& step : op.mutations) {
    for_store.Add(step.ToMutation());
    for_model.Add(step.ToMutation());
    keys_.insert(step.key);
  }
  for (const PreconditionStep& step : op.preconditions) {
    StampPair stamps;
    if (step.kind == Precondition::Kind::kUnchanged) {
      const auto it = stamps_.find(step.stamps);
      if (it == stamps_.end() || it->second.count(step.key) == 0) return std::nullopt;
      stamps = it->second[step.key];
    }
    for_store.Add({step.kind, step.key, stamps.store});
    for_model.Add({step.kind, step.key, stamps.model});
  }
  WriteOptions options;
  options.atomic = op.atomic;
  options.report_existed = op.report_existed;
  options.sync = op.sync;
  WriteResults store;
  WriteResults model;
  const absl::Status store_status = store_->Write(for_store, options, &store);
  if (store_status.code() == absl::StatusCode::kFailedPrecondition &&
      IsFalseAlarm(for_model, op, store.failed_precondition)) {
    return std::nullopt;
  }
  const absl::Status model_status = model_->Write(for_model, options, &model);
  Changed();
  if (Wrong wrong = DifferentCodes("Write", store_status, model_status)) return wrong;
  if (store.failed_precondition != model.failed_precondition) {
    return absl::StrCat("failed_precondition ", store.failed_precondition,
                        "; the model: ", model.failed_precondition);
  }
  if (store.results.size() != model.results.size()) {
    return absl::StrCat(store.results.size(), " results; the model: ", model.results.size());
  }
  for (size_t i = 0; i < store.results.size(); ++i) {
    const std::string name = absl::StrCat("mutation ", i);
    if (Wrong wrong = DifferentCodes(name, store.results[i].status, model.results[i].status)) {
      return wrong;
    }
    if (store.results[i].existed != model.results[i].existed) {
      return absl::StrCat(name, ": existed is ", store.results[i].existed,
                          "; the model: ", model.results[i].existed);
    }
  }
  return std::nullopt;
}

Wrong Runner::Modify(const Operation& op) {
  const std::string& key = op.keys[0];
  keys_.insert(key);
  std::string seen;
  const auto modifier = [&](const ReadResult& now) -> absl::StatusOr<Modification> {
    seen = Describe(now);
    switch (op.modifier) {
      case Operation::Modifier::kNothing:
        return Modification::Nothing();
      case Operation::Modifier::kAppend:
        return Modification::Put(absl::StrCat(now.value, op.appended));
      case Operation::Modifier::kDelete:
        return Modification::Delete();
      case Operation::Modifier::kFail:
        return absl::AbortedError("asked for");
    }
    return Modification::Nothing();
  };
  const absl::Status store = store_->Modify(key, {}, modifier);
  const std::string store_saw = std::exchange(seen, "");
  const absl::Status model = model_->Modify(key, {}, modifier);
  Changed();
  if (Wrong wrong = DifferentCodes("Modify", store, model)) return wrong;
  if (store_saw == seen) return std::nullopt;
  return absl::StrCat("Modify read ", store_saw, "; the model: ", seen);
}

Wrong Runner::TakeSnapshot(const Operation& op) {
  auto store = store_->GetSnapshot();
  auto model = model_->GetSnapshot();
  if (Wrong wrong = DifferentCodes("GetSnapshot", store.status(), model.status())) return wrong;
  if (store.ok()) snapshots_[op.id] = {*store, *model, changes_};
  return std::nullopt;
}

Wrong Runner::OpenCursor(const Operation& op) {
  ScanOptions options;
  options.range = op.range;
  options.slots = op.slots;
  options.backward = op.backward;
  options.keys_only = op.keys_only;
  std::shared_ptr<const Snapshot> model_snapshot;
  if (op.snapshot != 0) {
    const auto it = snapshots_.find(op.snapshot);
    if (it == snapshots_.end()) return std::nullopt;
    options.snapshot = it->second.store;
    model_snapshot = it->second.model;
  }
  auto cursor = store_->NewCursor(options);
  absl::Status status = cursor.status();
  const absl::Status want = CheckScan(options, has_);
  if (cursor.ok() && !want.ok()) {  // then it shows at the first page
    ScanPage page;
    status = (*cursor)->Next({}, &page);
  }
  if (Wrong wrong = DifferentCodes("NewCursor", status, want)) return wrong;
  if (!want.ok()) return std::nullopt;
  const bool ordered = Has(has_.ordered_scan);
  ScanCheck check(options, ordered, DumpOf(*model_, model_snapshot));
  scans_.erase(op.id);
  scans_.emplace(op.id, OpenScan{options, model_snapshot, *std::move(cursor), "", check});
  return std::nullopt;
}

Wrong Runner::NextPage(const Operation& op) {
  const auto it = scans_.find(op.id);
  if (it == scans_.end() || it->second.cursor == nullptr) return std::nullopt;
  OpenScan& scan = it->second;
  ScanPage page;
  const absl::Status status = scan.cursor->Next(op.limits, &page);
  if (!status.ok()) return absl::StrCat("Next: ", status.ToString());
  scan.position = scan.cursor->position();
  return scan.check.CheckPage(page, op.limits, DumpOf(*model_, scan.model_snapshot));
}

Wrong Runner::Resume(const Operation& op) {
  const auto it = scans_.find(op.from);
  if (it == scans_.end() || op.id == op.from) return std::nullopt;
  const OpenScan& from = it->second;
  ScanOptions options = from.options;
  options.resume_after = from.position;
  auto cursor = store_->NewCursor(options);
  if (!cursor.ok()) return absl::StrCat("NewCursor: ", cursor.status().ToString());
  ScanCheck check = from.check.Resumed(DumpOf(*model_, from.model_snapshot));
  scans_.erase(op.id);
  scans_.emplace(op.id, OpenScan{from.options, from.model_snapshot, *std::move(cursor),
                                 from.position, std::move(check)});
  return std::nullopt;
}

Wrong Runner::Reopen(const Operation& op) {
  if (!fixture_.can_reopen()) return std::nullopt;
  for (auto it = scans_.begin(); it != scans_.end();) {
    it->second.cursor = nullptr;  // its position stays good
    it = it->second.options.snapshot != nullptr ? scans_.erase(it) : std::next(it);
  }
  snapshots_.clear();
  if (op.close) {
    const absl::Status status = store_->Close();
    if (!status.ok()) return absl::StrCat("Close: ", status.ToString());
  }
  store_ = nullptr;
  auto store = fixture_.Reopen();
  if (!store.ok()) return absl::StrCat("cannot reopen: ", store.status().ToString());
  store_ = *std::move(store);
  ++changes_;  // stamps of before may be gone
  return std::nullopt;
}

Wrong Runner::Stats() {
  const auto store = store_->Stats();
  const auto model = model_->Stats();
  if (Wrong wrong = DifferentCodes("Stats", store.status(), model.status())) return wrong;
  if (!store.ok() || !store->entries_exact || store->entries == model->entries) {
    return std::nullopt;
  }
  return absl::StrCat("Stats: exactly ", store->entries, " entries; the model: ", model->entries);
}

Wrong Runner::CheckEverything() {
  const std::vector<absl::string_view> keys(keys_.begin(), keys_.end());
  ReadResults store;
  ReadResults model;
  store_->MultiGet(keys, {}, &store);
  model_->MultiGet(keys, {}, &model);
  if (Wrong wrong = CompareReads(keys, store, model)) return wrong;
  if (Wrong wrong = Stats()) return wrong;
  if (!Has(has_.scan)) return std::nullopt;
  const Dump now = DumpOf(*model_, nullptr);
  auto cursor = store_->NewCursor({});
  if (!cursor.ok()) return absl::StrCat("NewCursor: ", cursor.status().ToString());
  ScanCheck check({}, Has(has_.ordered_scan), now);
  ScanPage page;
  do {
    const absl::Status status = (*cursor)->Next({}, &page);
    if (!status.ok()) return absl::StrCat("Next: ", status.ToString());
    if (Wrong wrong = check.CheckPage(page, {}, now)) return wrong;
  } while (!page.empty());
  return std::nullopt;
}

}  // namespace

std::optional<Difference> RunHistory(const History& history, StoreFixture& fixture) {
  return Runner(fixture).Run(history);
}

}  // namespace kvarts::model
