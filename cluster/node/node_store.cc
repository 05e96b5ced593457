#include "cluster/node/node_store.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "cluster/node/slot_cursor.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace cluster {
namespace {

// A count by scanning takes a second for some ten million entries: beyond this many it is
// estimated.
constexpr uint64_t kMostCounted = 1 << 20;

// So many of the busiest slots are told, mostly for `kv_cluster skew`.
constexpr size_t kBusiestTold = 64;

Capabilities NodeCapabilities(Capabilities c) {
  c.snapshot = Support::kAbsent;
  if (c.has(c.write)) {
    c.batch_scope = std::min(c.batch_scope, BatchScope::kShard);
    if (c.has(c.delete_range)) {
      c.delete_range = c.has(c.scan) ? Support::kEmulatedLinear : Support::kAbsent;
    }
  }
  // A store that does not block does so in no call: what it says of the calls of a hold holds.
  c.no_wait = c.no_wait || !c.may_block;
  c.may_block = true;
  c.shared_by_processes = false;
  return c;
}

absl::Status NoSnapshots() { return absl::UnimplementedError("a node has no snapshots"); }

// The slots of a batch's keys, maybe more than once.
std::vector<uint16_t> SlotsOf(const WriteBatch& batch) {
  std::vector<uint16_t> slots;
  for (const Mutation& m : batch.mutations()) {
    if (m.kind != Mutation::Kind::kDeleteRange) slots.push_back(KeySlot(m.key));
  }
  for (const Precondition& p : batch.preconditions()) slots.push_back(KeySlot(p.key));
  return slots;
}

}  // namespace

NodeStore::NodeStore(Store* under, std::function<void(Task)> run)
    : under_(under),
      under_capabilities_(under->capabilities()),
      capabilities_(NodeCapabilities(under_capabilities_)),
      run_(std::move(run)),
      slots_(std::make_shared<SlotTable>()),
      outbox_(std::make_shared<Outbox>(under)) {}

NodeStore::~NodeStore() {
  std::vector<HeldWrite> held;
  {
    MutexLock lock(&held_mu_);
    held.swap(held_);
  }
  FailHeld(std::move(held));
  {
    MutexLock lock(&submitted_mu_);
    while (submitted_ > 0) none_submitted_.Wait(&submitted_mu_);
  }
  outbox_.Share()->Close();
}

void NodeStore::MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                         ReadResults* results) {
  if (options.snapshot != nullptr) {
    return results->Fail(keys.size(), NoSnapshots());
  }
  samples_.Add(keys.size(), [&](size_t i) { return keys[i]; });
  while (true) {
    uint16_t held = 0;
    {
      InFlight::Guard guard(slots_->calls());
      bool all_here = !options.stamp;
      for (const absl::string_view key : keys) {
        all_here = all_here && slots_->Serves(KeySlot(key));
      }
      if (ABSL_PREDICT_TRUE(all_here)) return under_->MultiGet(keys, options, results);
      if (ReadClosely(keys, options, results, &held)) return;
    }
    if (!slots_->AwaitNotHeld(held, false)) return results->Fail(keys.size(), ClosedError());
  }
}

bool NodeStore::ReadClosely(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                            ReadResults* results, uint16_t* held) {
  struct Seen {
    uint16_t slot;
    SlotState state;
    uint64_t mask;
  };
  // Before the store is read: a slot that comes to be served in between was read too early.
  absl::InlinedVector<Seen, 8> seen;
  for (const absl::string_view key : keys) {
    const uint16_t slot = KeySlot(key);
    const SlotState state = slots_->state(slot);
    if (state == SlotState::kHeld && !options.no_wait) {
      *held = slot;
      return false;
    }
    seen.push_back({slot, state, options.stamp ? slots_->StampMask(slot) : 0});
  }
  under_->MultiGet(keys, options, results);
  for (size_t i = 0; i < keys.size(); ++i) {
    ReadResult& result = results->mutable_result(i);
    if (seen[i].state >= SlotState::kServing) {
      result.stamp.low ^= seen[i].mask;
      continue;
    }
    // What is there is a copy that is not the node's.
    result.Clear();
    result.status = seen[i].state == SlotState::kHeld ? absl::UnavailableError("the slot is held")
                                                      : slots_->WhyNot(seen[i].slot, seen[i].state);
  }
  return true;
}

NodeStore::Look NodeStore::LookAt(const WriteBatch& batch, bool was_held) const {
  Look look;
  int one = -1;
  bool is_plain = !was_held && !slots_->has_held_writes();
  const auto add = [&](absl::string_view key) {
    const uint16_t slot = KeySlot(key);
    look.has_several = look.has_several || (one >= 0 && one != slot);
    one = slot;
    is_plain = is_plain && slots_->state(slot) == SlotState::kServing;
  };
  for (const Mutation& m : batch.mutations()) {
    if (ABSL_PREDICT_FALSE(m.kind == Mutation::Kind::kDeleteRange)) {
      look.has_ranges = true;
    } else {
      add(m.key);
    }
  }
  for (const Precondition& p : batch.preconditions()) {
    is_plain = is_plain && p.kind != Precondition::Kind::kUnchanged;
    add(p.key);
  }
  if (ABSL_PREDICT_FALSE(!is_plain)) LookClosely(batch, was_held, &look);
  return look;
}

void NodeStore::LookClosely(const WriteBatch& batch, bool was_held, Look* look) const {
  const auto look_at = [&](uint16_t slot) {
    const SlotState state = was_held ? slots_->state_behind_hold(slot) : slots_->state(slot);
    look->states.push_back(state);
    if (state == SlotState::kHeld || (!was_held && slots_->has_held_writes(slot))) {
      look->held = slot;
    }
    if (state < SlotState::kHeld) look->has_away = true;
    return state;
  };
  for (const Mutation& m : batch.mutations()) {
    if (m.kind == Mutation::Kind::kDeleteRange) {
      look->states.push_back(SlotState::kServing);
    } else if (look_at(KeySlot(m.key)) == SlotState::kCopying) {
      look->copied.push_back(m.key);
    }
  }
  for (const Precondition& p : batch.preconditions()) {
    const uint16_t slot = KeySlot(p.key);
    look_at(slot);
    look->masks.push_back(slots_->StampMask(slot));
    look->has_stamps = look->has_stamps || p.kind == Precondition::Kind::kUnchanged;
  }
  if (!look->copied.empty()) look->outbox = outbox_.Share();
}

void NodeStore::SetStates(absl::Span<const uint16_t> slots, SlotState state) {
  const auto is_held = [this](uint16_t slot) { return slots_->state(slot) == SlotState::kHeld; };
  if (state == SlotState::kHeld || std::none_of(slots.begin(), slots.end(), is_held)) {
    return slots_->SetStates(slots, state);
  }
  for (const uint16_t slot : slots) {
    is_held(slot) ? slots_->Release(slot, state) : slots_->SetState(slot, state);
  }
  std::vector<HeldWrite> waiting;
  while (true) {
    std::vector<HeldWrite> held;
    {
      MutexLock lock(&held_mu_);
      held.swap(held_);
      if (held.empty()) {
        // Inside the lock: who finds the slot held after this waits for another release.
        slots_->SetStates(slots, state);
        if (!closed_) held_.swap(waiting);
        break;
      }
    }
    Resubmit(std::move(held), &waiting);
  }
  FailHeld(std::move(waiting));
  slots_->Wake();
}

void NodeStore::Resubmit(std::vector<HeldWrite> held, std::vector<HeldWrite>* waiting) {
  std::vector<bool> taken(kSlots);  // slots of writes that wait on
  for (const HeldWrite& write : *waiting) {
    for (const uint16_t slot : SlotsOf(*write.batch)) taken[slot] = true;
  }
  for (HeldWrite& write : held) {
    // Looked up first: when the write has ended, its bytes may be gone.
    const std::vector<uint16_t> slots = SlotsOf(*write.batch);
    const bool overtakes =
        std::any_of(slots.begin(), slots.end(), [&](uint16_t slot) { return taken[slot]; });
    if (overtakes || !TryToSubmit(&write, true)) {
      for (const uint16_t slot : slots) taken[slot] = true;
      waiting->push_back(std::move(write));
    } else {
      for (const uint16_t slot : slots) slots_->RemoveHeldWrite(slot);
    }
  }
}

void NodeStore::FailHeld(std::vector<HeldWrite> held) {
  for (HeldWrite& write : held) {
    for (const uint16_t slot : SlotsOf(*write.batch)) slots_->RemoveHeldWrite(slot);
    write.done(FailWrite(*write.batch, ClosedError(), write.results));
  }
}

void NodeStore::CountSubmitted(int more) {
  MutexLock lock(&submitted_mu_);
  submitted_ += more;
  if (submitted_ == 0) none_submitted_.SignalAll();
}

bool NodeStore::DeletesByKey() const {
  return slots_->foreign() > 0 || slots_->count(SlotState::kHeld) > 0 ||
         slots_->count(SlotState::kCopying) > 0;
}

// By keys, through the front door: what it deletes is in no slot but the node's, and is copied
// where the slot is being copied.
absl::Status NodeStore::DeleteRange(const Mutation& mutation, const WriteOptions& options) {
  KVARTS_RETURN_IF_ERROR(CheckMutation(mutation, capabilities_));
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

NodeStore::Part NodeStore::TakePart(const WriteBatch& batch, bool atomic, const Look& look) const {
  Part part;
  const size_t mutations = batch.mutations().size();
  part.all.results.resize(mutations);
  const auto refuse = [&](absl::string_view key, SlotState state) {
    const absl::Status why = slots_->WhyNot(KeySlot(key), state);
    if (part.refused.ok()) part.refused = why;
    return why;
  };
  for (size_t i = 0; i < mutations; ++i) {
    const Mutation& m = batch.mutations()[i];
    if (look.states[i] >= SlotState::kServing) {
      part.batch.Add(m);
      part.places.push_back(i);
    } else {
      part.all.results[i].status = refuse(m.key, look.states[i]);
    }
  }
  for (size_t i = 0; i < batch.preconditions().size(); ++i) {
    Precondition p = batch.preconditions()[i];
    if (look.states[mutations + i] < SlotState::kServing) {
      refuse(p.key, look.states[mutations + i]).IgnoreError();  // kept in `refused`
    }
    p.stamp.low ^= look.masks[i];
    part.batch.Add(p);
  }
  if (atomic && !part.refused.ok()) {
    part.batch.Clear();
    part.places.clear();
    for (WriteResult& result : part.all.results) result.status = part.refused;
  }
  return part;
}

absl::Status NodeStore::Finish(Part* part, const absl::Status& status, WriteResults* results) {
  for (size_t i = 0; i < part->places.size(); ++i) {
    part->all.results[part->places[i]] = part->written.results[i];
  }
  part->all.failed_precondition = part->written.failed_precondition;
  absl::Status first;
  for (const WriteResult& result : part->all.results) {
    if (!first.ok()) break;
    first = result.status;
  }
  if (first.ok()) first = status.ok() ? part->refused : status;
  if (results != nullptr) *results = std::move(part->all);
  return first;
}

absl::Status NodeStore::Write(const WriteBatch& batch, const WriteOptions& options,
                              WriteResults* results) {
  samples_.Add(batch.mutations().size(), [&](size_t i) { return batch.mutations()[i].key; });
  while (true) {
    InFlight::Guard guard(slots_->calls());
    Look look = LookAt(batch, false);
    const absl::Status checked = Check(look, batch, options);
    if (ABSL_PREDICT_FALSE(!checked.ok())) return FailWrite(batch, checked, results);
    if (ABSL_PREDICT_FALSE(look.held >= 0)) {
      guard.Release();
      if (slots_->AwaitNotHeld(static_cast<uint16_t>(look.held), true)) continue;
      return FailWrite(batch, ClosedError(), results);
    }
    if (ABSL_PREDICT_FALSE(look.has_ranges && DeletesByKey())) {
      guard.Release();
      return WriteWithRanges(batch, options, results);
    }
    if (ABSL_PREDICT_TRUE(!look.has_away && !look.has_stamps)) {
      const absl::Status status = under_->Write(batch, options, results);
      if (ABSL_PREDICT_TRUE(look.copied.empty())) return status;
      look.outbox->Add(look.copied);
      guard.Release();
      look.outbox->WaitForRoom();
      return status;
    }
    Part part = TakePart(batch, options.atomic, look);
    absl::Status status;
    if (!part.batch.empty()) status = under_->Write(part.batch, options, &part.written);
    status = Finish(&part, status, results);
    if (!look.copied.empty()) {
      look.outbox->Add(look.copied);
      guard.Release();
      look.outbox->WaitForRoom();
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
  samples_.Add(batch.mutations().size(), [&](size_t i) { return batch.mutations()[i].key; });
  HeldWrite write{&batch, options, results, std::move(done)};
  while (!TryToSubmit(&write, false)) {
    MutexLock lock(&held_mu_);
    if (closed_) break;
    // It may have been released since; inside the lock that is known, and whoever releases it after
    // this finds the write here.
    if (LookAt(batch, false).held < 0) continue;
    for (const uint16_t slot : SlotsOf(batch)) slots_->AddHeldWrite(slot);
    held_.push_back(std::move(write));
    return;
  }
  if (write.done != nullptr) write.done(FailWrite(batch, ClosedError(), results));
}

bool NodeStore::TryToSubmit(HeldWrite* write, bool was_held) {
  InFlight::Guard guard(slots_->calls());
  const WriteBatch& batch = *write->batch;
  Look look = LookAt(batch, was_held);
  absl::Status refused = Check(look, batch, write->options);
  if (ABSL_PREDICT_FALSE(look.held >= 0 && refused.ok())) return false;
  WriteDone done = std::move(write->done);
  write->done = nullptr;
  if (look.has_ranges && refused.ok() && DeletesByKey()) {
    refused = absl::UnavailableError("slots are moving: a range cannot be deleted without waiting");
  }
  if (ABSL_PREDICT_FALSE(!refused.ok())) {
    done(FailWrite(batch, refused, write->results));
    return true;
  }
  std::shared_ptr<Part> part;
  if (ABSL_PREDICT_FALSE(look.has_away || look.has_stamps)) {
    part = std::make_shared<Part>(TakePart(batch, write->options.atomic, look));
    if (part->batch.empty()) {
      done(Finish(part.get(), absl::OkStatus(), write->results));
      return true;
    }
  }
  const WriteBatch& here = part == nullptr ? batch : part->batch;
  WriteResults* const results = part == nullptr ? write->results : &part->written;
  if (!under_capabilities_.may_block) {
    absl::Status status = under_->Write(here, write->options, results);
    if (part != nullptr) status = Finish(part.get(), status, write->results);
    if (ABSL_PREDICT_TRUE(look.copied.empty())) {
      guard.Release();
      done(std::move(status));
      return true;
    }
    look.outbox->Add(look.copied);
    guard.Release();
    look.outbox->WhenRoom([done = std::move(done), status]() mutable { done(std::move(status)); });
    return true;
  }
  CountSubmitted(1);
  auto end = [this, guard = std::move(guard), part, all = write->results, outbox = look.outbox,
              copied = std::move(look.copied),
              done = std::move(done)](absl::Status status) mutable {
    if (part != nullptr) status = Finish(part.get(), status, all);
    part.reset();  // it shares the errors with who is told of the end
    if (ABSL_PREDICT_TRUE(copied.empty())) {
      guard.Release();
      done(std::move(status));
      CountSubmitted(-1);
      return;
    }
    // Here the store must not be called.
    run_([this, guard = std::move(guard), outbox = std::move(outbox), copied = std::move(copied),
          done = std::move(done), status = std::move(status)]() mutable {
      outbox->Add(copied);
      guard.Release();
      outbox->WhenRoom([done = std::move(done), status = std::move(status)]() mutable {
        done(std::move(status));
      });
      CountSubmitted(-1);
    });
  };
  under_->Submit(here, write->options, results, std::move(end));
  return true;
}

absl::Status NodeStore::Modify(absl::string_view key, const WriteOptions& options,
                               Modifier function) {
  samples_.Add(1, [&](size_t) { return key; });
  const uint16_t slot = KeySlot(key);
  while (true) {
    InFlight::Guard guard(slots_->calls());
    const SlotState state = slots_->state(slot);
    if (ABSL_PREDICT_FALSE(state == SlotState::kHeld || slots_->has_held_writes(slot))) {
      guard.Release();
      if (slots_->AwaitNotHeld(slot, true)) continue;
      return ClosedError();
    }
    if (ABSL_PREDICT_FALSE(state < SlotState::kHeld)) return slots_->WhyNot(slot, state);
    const absl::Status status = under_->Modify(key, options, function);
    if (ABSL_PREDICT_FALSE(state == SlotState::kCopying)) {
      const std::shared_ptr<Outbox> outbox = outbox_.Share();
      outbox->Add(absl::MakeConstSpan(&key, 1));
      guard.Release();
      outbox->WaitForRoom();
    }
    return status;
  }
}

absl::StatusOr<std::unique_ptr<Cursor>> NodeStore::NewCursor(const ScanOptions& options) {
  KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
  if (options.snapshot != nullptr) return NoSnapshots();
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Cursor> under, under_->NewCursor(options));
  return std::make_unique<SlotCursor>(std::move(under), options.slots, slots_,
                                      SlotCursor::Holds::kWaits);
}

void NodeStore::AddGiven(StoreStats* stats) const {
  const HistogramCounts holds = given_.holds_ns.Collect();
  if (holds.count() == 0) return;
  const auto add = [stats](absl::string_view name, auto value) {
    stats->details.emplace_back(name, absl::StrCat(value));
  };
  add("slots_given", given_.slots.load(std::memory_order_relaxed));
  add("slots_given_sent_bytes", given_.bytes.load(std::memory_order_relaxed));
  add("slots_given_holds", holds.count());
  add("slots_given_hold_median_us", holds.Quantile(0.5) / 1000);
  add("slots_given_hold_longest_us", holds.max() / 1000);
}

void NodeStore::AddBusy(StoreStats* stats) const {
  const std::vector<BusySlot> busy =
      samples_.Busiest(kBusiestTold, [this](uint16_t slot) { return slots_->Serves(slot); });
  if (!busy.empty()) stats->details.emplace_back(kBusySlotsDetail, BusySlotsToText(busy));
}

absl::StatusOr<StoreStats> NodeStore::Stats() {
  KVARTS_ASSIGN_OR_RETURN(StoreStats stats, under_->Stats());
  AddGiven(&stats);
  AddBusy(&stats);
  const int foreign = slots_->foreign();
  if (foreign == 0) return stats;
  if (stats.entries <= kMostCounted && capabilities_.has(capabilities_.scan)) {
    ScanOptions scan;
    scan.keys_only = true;
    KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Cursor> under, under_->NewCursor(scan));
    // A slot that is held is counted where it was served before: how many there are does not wait.
    SlotCursor counted(std::move(under), {}, slots_, SlotCursor::Holds::kIgnores);
    stats.entries = 0;
    stats.entries_exact = true;
    ScanPage page;
    do {
      KVARTS_RETURN_IF_ERROR(counted.Next(PageLimits(), &page));
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
  std::vector<HeldWrite> held;
  {
    MutexLock lock(&held_mu_);
    closed_ = true;
    held.swap(held_);
  }
  slots_->Close();
  FailHeld(std::move(held));
  return under_->Close();
}

}  // namespace cluster
}  // namespace kvarts
