#include "cluster/node/node_store.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace cluster {
namespace {

// A count by scanning takes a second for some ten million entries: beyond this many it is
// estimated.
constexpr uint64_t kMostCounted = 1 << 20;

Capabilities NodeCapabilities(Capabilities c) {
  c.snapshot = Support::kAbsent;
  if (c.has(c.write)) {
    c.batch_scope = std::min(c.batch_scope, BatchScope::kShard);
    if (c.has(c.scan)) c.delete_range = Support::kEmulatedLinear;
  }
  // A store that does not block does so in no call: what it says of the calls of a hold holds.
  c.no_wait = c.no_wait || !c.may_block;
  c.may_block = true;
  c.shared_by_processes = false;
  return c;
}

// The entries of the node's slots. What a page's guard has seen holds until the page is filled.
class SlotCursor final : public Cursor {
 public:
  SlotCursor(std::unique_ptr<Cursor> under, std::vector<SlotRange> asked,
             std::shared_ptr<SlotTable> slots)
      : under_(std::move(under)), asked_(std::move(asked)), slots_(std::move(slots)) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    do {
      InFlight::Guard guard(slots_->calls());
      page->Reset();
      KVARTS_RETURN_IF_ERROR(CheckAsked());
      KVARTS_RETURN_IF_ERROR(under_->Next(limits, page));
      if (page->empty()) return absl::OkStatus();
      // After the guard: entries that came to be foreign later are not in the page.
      if (slots_->foreign() > 0) {
        page->Retain([this](const ScanEntry& entry) { return IsHere(KeySlot(entry.key)); });
      }
    } while (page->empty());
    return absl::OkStatus();
  }
  std::string position() const override { return under_->position(); }

 private:
  // Those that are held are the node's still or not yet: a page of them would be too early or too
  // late, but for keys that are there throughout it is neither.
  bool IsHere(uint16_t slot) const { return slots_->Serves(slot); }

  // Who asks for certain slots counts them as done when the scan ends.
  absl::Status CheckAsked() const {
    for (const SlotRange& range : asked_) {
      for (int slot = range.first; slot <= range.last; ++slot) {
        const auto here = static_cast<uint16_t>(slot);
        const SlotState state = slots_->state(here);
        if (state >= SlotState::kServing) continue;
        return state == SlotState::kHeld ? absl::UnavailableError("a slot is about to move")
                                         : slots_->WhyNot(here, state);
      }
    }
    return absl::OkStatus();
  }

  const std::unique_ptr<Cursor> under_;
  const std::vector<SlotRange> asked_;
  const std::shared_ptr<SlotTable> slots_;
};

}  // namespace

NodeStore::NodeStore(Store* under, std::function<void(Task)> run)
    : under_(under),
      under_capabilities_(under->capabilities()),
      capabilities_(NodeCapabilities(under_capabilities_)),
      run_(std::move(run)),
      slots_(std::make_shared<SlotTable>()),
      outbox_(std::make_shared<Outbox>(under)) {}

void NodeStore::MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                         ReadResults* results) {
  if (options.snapshot != nullptr) {
    return results->Fail(keys.size(), absl::UnimplementedError("a node has no snapshots"));
  }
  while (true) {
    InFlight::Guard guard(slots_->calls());
    int held = -1;
    bool all_here = true;
    for (const absl::string_view key : keys) {
      const uint16_t slot = KeySlot(key);
      const SlotState state = slots_->state(slot);
      if (ABSL_PREDICT_TRUE(state >= SlotState::kServing)) continue;
      all_here = false;
      if (state == SlotState::kHeld) held = slot;
    }
    if (ABSL_PREDICT_FALSE(held >= 0 && !options.no_wait)) {
      guard.Release();
      if (WaitWhileHeld(static_cast<uint16_t>(held))) continue;
      return results->Fail(keys.size(), ClosedError());
    }
    under_->MultiGet(keys, options, results);
    if (ABSL_PREDICT_TRUE(all_here && !options.stamp)) return;
    for (size_t i = 0; i < keys.size(); ++i) {
      const uint16_t slot = KeySlot(keys[i]);
      const SlotState state = slots_->state(slot);
      ReadResult& result = results->mutable_result(i);
      if (state >= SlotState::kServing) {
        if (options.stamp) result.stamp = slots_->CombineStamp(slot, result.stamp);
        continue;
      }
      // What is there is a copy that is not the node's.
      result.Clear();
      result.status = state == SlotState::kHeld ? absl::UnavailableError("the slot is held")
                                                : slots_->WhyNot(slot, state);
    }
    return;
  }
}

NodeStore::Look NodeStore::LookAt(const WriteBatch& batch, bool was_held) const {
  Look look;
  int one = -1;
  const auto add = [&](absl::string_view key) {
    const uint16_t slot = KeySlot(key);
    look.has_several = look.has_several || (one >= 0 && one != slot);
    one = slot;
    const SlotState state = was_held ? slots_->state_behind_hold(slot) : slots_->state(slot);
    if (ABSL_PREDICT_TRUE(state == SlotState::kServing)) return;
    if (state == SlotState::kCopying) look.has_copying = true;
    if (state == SlotState::kHeld && look.held < 0) look.held = slot;
    if (state < SlotState::kHeld && look.away < 0) look.away = slot;
  };
  for (const Mutation& m : batch.mutations()) {
    if (ABSL_PREDICT_FALSE(m.kind == Mutation::Kind::kDeleteRange)) {
      look.has_ranges = true;
    } else {
      add(m.key);
    }
  }
  for (const Precondition& p : batch.preconditions()) {
    look.has_stamps = look.has_stamps || p.kind == Precondition::Kind::kUnchanged;
    add(p.key);
  }
  return look;
}

bool NodeStore::WaitWhileHeld(uint16_t slot) {
  MutexLock lock(&held_mu_);
  while (slots_->state(slot) == SlotState::kHeld && !closed_) not_held_.Wait(&held_mu_);
  return !closed_;
}

void NodeStore::SetStates(absl::Span<const uint16_t> slots, SlotState state) {
  bool releases = false;
  for (const uint16_t slot : slots) {
    if (state != SlotState::kHeld && slots_->state(slot) == SlotState::kHeld) {
      slots_->Release(slot, state);
      releases = true;
    } else {
      slots_->SetState(slot, state);
    }
  }
  if (!releases) return;
  std::vector<HeldWrite> still_held;
  while (true) {
    std::vector<HeldWrite> held;
    {
      MutexLock lock(&held_mu_);
      held.swap(held_);
      if (held.empty()) {
        // Inside the lock: who finds the slot held after this waits for another release.
        for (const uint16_t slot : slots) slots_->SetState(slot, state);
        held_.swap(still_held);
        break;
      }
    }
    for (HeldWrite& write : held) {
      if (!TryToSubmit(&write, true)) still_held.push_back(std::move(write));
    }
  }
  not_held_.SignalAll();
}

void NodeStore::Record(const WriteBatch& batch) {
  std::vector<absl::string_view> keys;
  for (const Mutation& m : batch.mutations()) {
    if (m.kind != Mutation::Kind::kDeleteRange &&
        slots_->state_behind_hold(KeySlot(m.key)) == SlotState::kCopying) {
      keys.push_back(m.key);
    }
  }
  if (!keys.empty()) outbox_.Share()->Add(keys);
}

// By keys, through the front door: what it deletes is in no slot but the node's, and is copied
// where the slot is being copied.
absl::Status NodeStore::DeleteRange(const Mutation& mutation, const WriteOptions& options) {
  ScanOptions scan;
  scan.range = {std::string(mutation.key), std::string(mutation.value)};
  scan.keys_only = true;
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, NewCursor(scan));
  ScanPage page;
  while (true) {
    KVARTS_RETURN_IF_ERROR(cursor->Next(PageLimits(), &page));
    if (page.empty()) return absl::OkStatus();
    WriteBatch batch;
    for (const ScanEntry& entry : page) batch.Delete(entry.key);
    WriteResults results;
    WriteOptions each;
    each.sync = options.sync;
    Write(batch, each, &results).IgnoreError();
    for (const WriteResult& result : results.results) {
      // A slot that moved away since the page was read takes its keys with it.
      if (!result.status.ok() && !IsMoved(result.status)) return result.status;
    }
  }
}

absl::Status NodeStore::Check(const Look& look, const WriteBatch& batch,
                              const WriteOptions& options) const {
  KVARTS_RETURN_IF_ERROR(CheckBatch(batch, options, capabilities_));
  if (options.atomic && look.has_several) {
    return absl::InvalidArgumentError("an atomic batch of keys in several slots; one is allowed");
  }
  if (options.atomic && look.has_ranges) {
    return absl::InvalidArgumentError("a range in an atomic batch, which is of one slot here");
  }
  return absl::OkStatus();
}

NodeStore::Part NodeStore::TakePart(const WriteBatch& batch, bool atomic, bool was_held) const {
  Part part;
  part.all.results.resize(batch.mutations().size());
  bool refused = false;
  for (size_t i = 0; i < batch.mutations().size(); ++i) {
    const Mutation& m = batch.mutations()[i];
    const uint16_t slot = KeySlot(m.key);
    const SlotState state = was_held ? slots_->state_behind_hold(slot) : slots_->state(slot);
    if (state >= SlotState::kServing) {
      part.batch.Add(m);
      part.places.push_back(i);
    } else {
      refused = true;
      part.all.results[i].status = slots_->WhyNot(slot, state);
    }
  }
  for (Precondition p : batch.preconditions()) {
    const uint16_t slot = KeySlot(p.key);
    const SlotState state = was_held ? slots_->state_behind_hold(slot) : slots_->state(slot);
    if (state < SlotState::kServing) {
      refused = true;
      // An atomic batch is of one slot: this is what its mutations have been told too.
      if (batch.mutations().empty()) part.all.results.push_back({slots_->WhyNot(slot, state)});
    }
    if (p.kind == Precondition::Kind::kUnchanged) p.stamp = slots_->CombineStamp(slot, p.stamp);
    part.batch.Add(p);
  }
  if (atomic && refused) {
    part.batch.Clear();
    part.places.clear();
  }
  return part;
}

absl::Status NodeStore::Finish(Part* part, const absl::Status& status, WriteResults* results) {
  for (size_t i = 0; i < part->places.size(); ++i) {
    part->all.results[part->places[i]] = part->written.results[i];
  }
  part->all.failed_precondition = part->written.failed_precondition;
  absl::Status first = status;
  for (const WriteResult& result : part->all.results) {
    if (!first.ok()) break;
    first = result.status;
  }
  if (results != nullptr) *results = std::move(part->all);
  return first;
}

absl::Status NodeStore::Write(const WriteBatch& batch, const WriteOptions& options,
                              WriteResults* results) {
  while (true) {
    InFlight::Guard guard(slots_->calls());
    const Look look = LookAt(batch, false);
    const absl::Status checked = Check(look, batch, options);
    if (ABSL_PREDICT_FALSE(!checked.ok())) return FailWrite(batch, checked, results);
    if (ABSL_PREDICT_FALSE(look.held >= 0)) {
      guard.Release();
      if (WaitWhileHeld(static_cast<uint16_t>(look.held))) continue;
      return FailWrite(batch, ClosedError(), results);
    }
    if (ABSL_PREDICT_FALSE(look.has_ranges && slots_->foreign() > 0)) {
      guard.Release();
      return WriteWithRanges(batch, options, results);
    }
    absl::Status status;
    if (ABSL_PREDICT_TRUE(look.away < 0 && !look.has_stamps)) {
      status = under_->Write(batch, options, results);
    } else {
      Part part = TakePart(batch, options.atomic, false);
      if (!part.batch.empty()) status = under_->Write(part.batch, options, &part.written);
      status = Finish(&part, status, results);
    }
    if (ABSL_PREDICT_FALSE(look.has_copying)) {
      Record(batch);
      guard.Release();
      if (under_capabilities_.may_block) outbox_.Share()->WaitForRoom();
    }
    return status;
  }
}

absl::Status NodeStore::WriteWithRanges(const WriteBatch& batch, const WriteOptions& options,
                                        WriteResults* results) {
  WriteResults all;
  absl::Status first;
  for (const Mutation& m : batch.mutations()) {
    absl::Status status;
    if (m.kind == Mutation::Kind::kDeleteRange) {
      status = DeleteRange(m, options);
      all.results.push_back({status});
    } else {
      WriteBatch one;
      one.Add(m);
      WriteResults written;
      status = Write(one, options, &written);
      all.results.push_back(written.results[0]);
    }
    if (first.ok()) first = status;
  }
  if (results != nullptr) *results = std::move(all);
  return first;
}

void NodeStore::Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
                       WriteDone done) {
  HeldWrite write{&batch, options, results, std::move(done)};
  while (!TryToSubmit(&write, false)) {
    MutexLock lock(&held_mu_);
    // It may have been released since; inside the lock that is known, and whoever releases it after
    // this finds the write here.
    if (LookAt(batch, false).held < 0) continue;
    held_.push_back(std::move(write));
    return;
  }
}

bool NodeStore::TryToSubmit(HeldWrite* write, bool was_held) {
  InFlight::Guard guard(slots_->calls());
  const WriteBatch& batch = *write->batch;
  const Look look = LookAt(batch, was_held);
  absl::Status refused = Check(look, batch, write->options);
  if (ABSL_PREDICT_FALSE(look.held >= 0 && refused.ok())) return false;
  if (look.has_ranges && slots_->foreign() > 0) {
    refused = absl::UnavailableError("slots are moving: a range cannot be deleted without waiting");
  }
  if (ABSL_PREDICT_FALSE(!refused.ok())) {
    write->done(FailWrite(batch, refused, write->results));
    return true;
  }
  std::shared_ptr<Part> part;
  if (ABSL_PREDICT_FALSE(look.away >= 0 || look.has_stamps)) {
    part = std::make_shared<Part>(TakePart(batch, write->options.atomic, was_held));
    if (part->batch.empty()) {
      write->done(Finish(part.get(), absl::OkStatus(), write->results));
      return true;
    }
  }
  const WriteBatch& here = part == nullptr ? batch : part->batch;
  WriteResults* const results = part == nullptr ? write->results : &part->written;
  if (!under_capabilities_.may_block) {
    absl::Status status = under_->Write(here, write->options, results);
    if (part != nullptr) status = Finish(part.get(), status, write->results);
    if (ABSL_PREDICT_TRUE(!look.has_copying)) {
      write->done(std::move(status));
      return true;
    }
    Record(batch);
    guard.Release();
    outbox_.Share()->WhenRoom([done = std::move(write->done), status]() mutable { done(status); });
    return true;
  }
  auto end = [this, guard = std::move(guard), part, batch = &batch, all = write->results,
              copying = look.has_copying,
              done = std::move(write->done)](absl::Status status) mutable {
    if (part != nullptr) status = Finish(part.get(), status, all);
    if (ABSL_PREDICT_TRUE(!copying)) {
      guard.Release();
      done(std::move(status));
      return;
    }
    // Here the store must not be called.
    run_([this, guard = std::move(guard), batch, done = std::move(done),
          status = std::move(status)]() mutable {
      Record(*batch);
      guard.Release();
      outbox_.Share()->WhenRoom(
          [done = std::move(done), status = std::move(status)]() mutable { done(status); });
    });
  };
  under_->Submit(here, write->options, results, std::move(end));
  return true;
}

absl::Status NodeStore::Modify(absl::string_view key, const WriteOptions& options,
                               Modifier function) {
  const uint16_t slot = KeySlot(key);
  while (true) {
    InFlight::Guard guard(slots_->calls());
    const SlotState state = slots_->state(slot);
    if (ABSL_PREDICT_FALSE(state == SlotState::kHeld)) {
      guard.Release();
      if (WaitWhileHeld(slot)) continue;
      return ClosedError();
    }
    if (ABSL_PREDICT_FALSE(state < SlotState::kHeld)) return slots_->WhyNot(slot, state);
    const absl::Status status = under_->Modify(key, options, function);
    if (ABSL_PREDICT_FALSE(state == SlotState::kCopying)) {
      outbox_.Share()->Add(absl::MakeConstSpan(&key, 1));
      guard.Release();
      if (under_capabilities_.may_block) outbox_.Share()->WaitForRoom();
    }
    return status;
  }
}

absl::StatusOr<std::unique_ptr<Cursor>> NodeStore::NewCursor(const ScanOptions& options) {
  KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Cursor> under, under_->NewCursor(options));
  return std::make_unique<SlotCursor>(std::move(under), options.slots, slots_);
}

absl::StatusOr<StoreStats> NodeStore::Stats() {
  KVARTS_ASSIGN_OR_RETURN(StoreStats stats, under_->Stats());
  const int foreign = slots_->foreign();
  if (foreign == 0) return stats;
  if (stats.entries <= kMostCounted) {
    ScanOptions scan;
    scan.keys_only = true;
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, NewCursor(scan));
    stats.entries = 0;
    stats.entries_exact = true;
    ScanPage page;
    do {
      KVARTS_RETURN_IF_ERROR(cursor->Next(PageLimits(), &page));
      stats.entries += page.size();
    } while (!page.empty());
    return stats;
  }
  uint64_t served = 0;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (slots_->Serves(static_cast<uint16_t>(slot))) ++served;
  }
  stats.entries = stats.entries * served / (served + static_cast<uint64_t>(foreign));
  stats.entries_exact = false;
  return stats;
}

absl::Status NodeStore::Close() {
  {
    MutexLock lock(&held_mu_);
    closed_ = true;
  }
  not_held_.SignalAll();
  return under_->Close();
}

}  // namespace cluster
}  // namespace kvarts
