#include "cluster/node/mover.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/slot.h"

namespace kvarts {
namespace cluster {
namespace {

// How long the other node may take for one request: it may have to clean up first, or to wait for a
// disk. Whether it is alive PeerWatch says sooner.
constexpr absl::Duration kSilence = absl::Seconds(10);
// What is left to be sent when requests are made to wait: some milliseconds of it.
constexpr size_t kLag = 64 << 10;
constexpr size_t kMostKeysAtOnce = 64;
// What a call of the store may read at once.
constexpr size_t kReadBytes = 256 << 10;

constexpr absl::Duration kMostHold = absl::Milliseconds(100);
constexpr absl::Duration kHoldPause = absl::Milliseconds(50);
// A transaction at the coordinator must have succeeded so lately.
constexpr absl::Duration kCoordinatorHeard = absl::Milliseconds(500);
constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kRetry = absl::Milliseconds(200);
// A node that cannot be reached for so long gets nothing: the plan is taken back.
constexpr absl::Duration kGiveUp = absl::Seconds(3);

void AppendEffects(const std::vector<Effect>& effects, PeerStage* stage, std::string* payload) {
  bool types = false;
  bool expiries = false;
  for (const Effect& effect : effects) {
    types = types || !effect.content_type.empty();
    expiries = expiries || effect.expires_at_ms != 0;
  }
  for (const Effect& effect : effects) {
    stage->add_key_sizes(static_cast<uint32_t>(effect.key.size()));
    stage->add_value_sizes(effect.found ? static_cast<uint32_t>(effect.value.size()) + 1 : 0);
    if (types) stage->add_type_sizes(static_cast<uint32_t>(effect.content_type.size()));
    if (expiries) stage->add_expires_at_ms(effect.expires_at_ms);
    absl::StrAppend(payload, effect.key, effect.found ? effect.value : "", effect.content_type);
  }
}

// Reads the keys from `*first` on into the outbox, as many as are worth a turn. On a thread that
// may wait for the store.
void ReadKeys(const std::vector<std::string>& keys, size_t ahead, Outbox* outbox, size_t* first,
              size_t* keys_at_once) {
  std::vector<absl::string_view> some;
  while (*first < keys.size() && outbox->bytes() < ahead) {
    const size_t end = std::min(keys.size(), *first + *keys_at_once);
    some.assign(keys.begin() + static_cast<ptrdiff_t>(*first),
                keys.begin() + static_cast<ptrdiff_t>(end));
    const size_t before = outbox->bytes();
    outbox->Add(some);
    const size_t after = outbox->bytes();
    // Values are of any size up to 64 MiB: as many keys as keep a reading small.
    if (after > before + kReadBytes) {
      *keys_at_once = 1;
    } else {
      *keys_at_once = std::min(*keys_at_once * 2, kMostKeysAtOnce);
    }
    *first = end;
  }
}

}  // namespace

Mover::Mover(NodeParts* parts, Leftovers* leftovers)
    : parts_(*parts),
      leftovers_(leftovers),
      pace_(*parts),
      pump_timer_(parts->loop->NewTimer()),
      drain_timer_(parts->loop->NewTimer()),
      tick_timer_(parts->loop->NewTimer()) {
  Tick();
}

Mover::~Mover() { Stop(); }

void Mover::Stop() {
  if (!*alive_) return;
  *alive_ = false;
  pace_.Stop();
  pump_timer_->Cancel();
  drain_timer_->Cancel();
  tick_timer_->Cancel();
  if (job_ != nullptr) {
    if (job_->connection != nullptr) job_->connection->Close();
    if (job_->outbox != nullptr) job_->outbox->Close();
  }
  if (asking_ != nullptr) asking_->Close();
  std::vector<uint16_t> owned;
  std::vector<uint16_t> copying;
  for (int i = 0; i < kSlots; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    if (owned_[slot]) {
      owned.push_back(slot);
    } else if (parts_.store->slots()->state(slot) == SlotState::kCopying) {
      copying.push_back(slot);
    }
  }
  parts_.store->SetStates(owned, SlotState::kDown);
  parts_.store->SetStates(copying, SlotState::kServing);
}

bool Mover::is_idle() const {
  if (job_ != nullptr || !frozen_.empty() || dropping_ || leftovers_->is_cleaning()) return false;
  if (!parts_.keeper->has_table()) return true;
  const ClusterTable& table = parts_.table();
  const uint16_t me = table.FindNumber(parts_.me);
  for (int group = 0; group < kSlotGroups && me != 0; ++group) {
    const SlotGroup& g = *table.slots.group(group);
    if (!g.MayHavePrevious(me) && !(g.may_have_joining && g.MayHavePrimary(me))) continue;
    const bool is_busy = std::any_of(g.entries.begin(), g.entries.end(), [me](const SlotEntry& s) {
      return s.previous == me || (s.primary == me && s.joining != 0);
    });
    if (is_busy) return false;
  }
  return true;
}

void Mover::Tick() {
  tick_timer_->Start(kTick, [this] {
    Tick();
    if (job_ != nullptr && !parts_.is_alive(job_->to)) {
      Abort(absl::UnavailableError("the node is not alive"));
    }
    Resolve();
    TableChanged();
    Pump();
  });
}

// The node that is to be given the most slots comes first.
bool Mover::Chosen(Incarnation* to, std::vector<uint16_t>* slots) const {
  const ClusterTable& table = parts_.table();
  const uint16_t me = table.FindNumber(parts_.me);
  if (me == 0) return false;
  std::map<uint16_t, std::vector<uint16_t>> by_target;
  uint16_t last = 0;  // neighbours mostly go to one node
  std::vector<uint16_t>* its = nullptr;
  for (int i = 0; i < kSlots; ++i) {
    const SlotGroup& group = *table.slots.group(GroupOf(i));
    if (!group.may_have_joining || !group.MayHavePrimary(me)) {
      i += kSlotsPerGroup - 1;
      continue;
    }
    const auto slot = static_cast<uint16_t>(i);
    const SlotEntry& entry = group.entries[static_cast<size_t>(i % kSlotsPerGroup)];
    if (entry.primary == me && entry.joining != 0 && entry.previous == 0 && !owned_[slot] &&
        parts_.store->slots()->state(slot) == SlotState::kServing) {
      if (its == nullptr || entry.joining != last) its = &by_target[last = entry.joining];
      its->push_back(slot);
    }
  }
  for (auto& [target, its_slots] : by_target) {
    if (its_slots.size() > slots->size()) {
      *slots = its_slots;
      *to = table.NameOf(target);
    }
  }
  return !slots->empty();
}

void Mover::TableChanged() {
  if (!*alive_ || !parts_.keeper->has_table()) return;
  DropOld();
  if (job_ != nullptr) {
    // A job whose plan the table no longer has is over. What is held is looked at when its
    // transaction has ended.
    if (job_->phase == Phase::kSwitching || job_->phase == Phase::kReleasing) return;
    const ClusterTable& table = parts_.table();
    const uint16_t me = table.FindNumber(parts_.me);
    const uint16_t to = table.FindNumber(job_->to);
    for (const std::vector<uint16_t>& group : job_->groups) {
      for (const uint16_t slot : group) {
        const SlotEntry& entry = table.slots[slot];
        if (entry.primary == me && entry.joining == to) continue;
        return Abort(absl::FailedPreconditionError("the table has another plan"));
      }
    }
    return;
  }
  if (parts_.loop->Now() < try_after_) return;
  Incarnation to;
  std::vector<uint16_t> slots;
  if (Chosen(&to, &slots)) Begin(to, std::move(slots));
}

void Mover::Begin(const Incarnation& to, std::vector<uint16_t> slots) {
  const std::string address = parts_.internal_address(to);
  job_ = std::make_unique<Job>();
  job_->to = to;
  if (!address.empty()) job_->to_revision = parts_.table().nodes.at(to).revision;
  job_->slots = std::move(slots);
  for (const uint16_t slot : job_->slots) SetConfirmed(slot, false);
  for (const uint16_t slot : job_->slots) {
    if (job_->groups.empty() || GroupOf(job_->groups.back().front()) != GroupOf(slot)) {
      job_->groups.emplace_back();
    }
    job_->groups.back().push_back(slot);
  }
  const uint64_t number = ++jobs_;
  if (address.empty()) return Abort(absl::UnavailableError("the node is not registered"));
  const auto is_current = [this, number, alive = std::weak_ptr<bool>(alive_)] {
    const std::shared_ptr<bool> here = alive.lock();
    return here != nullptr && *here && job_ != nullptr && jobs_ == number;
  };
  job_->connection = PeerConnection::Open(
      parts_.transport, parts_.loop, address, parts_.hello(to), kSilence,
      [this, is_current, number](const absl::Status& opened) {
        if (!is_current()) return;
        if (!opened.ok()) return Abort(opened);
        PeerRequest request;
        AddRanges(job_->slots, request.mutable_begin()->mutable_slots());
        request.mutable_begin()->set_revision(parts_.keeper->revision());
        // A durable node begins to count anew at each opening.
        request.mutable_begin()->set_job((parts_.openings << 32) + number);
        request.mutable_begin()->set_bytes(BytesOf(job_->slots.size()));
        job_->connection->Send(
            std::move(request), {}, [this, is_current](const absl::StatusOr<PeerResponse>& answer) {
              if (!is_current()) return;
              if (!answer.ok()) return Abort(answer.status());
              leftovers_->Mark(job_->slots, [this, is_current](const absl::Status& marked) {
                if (!is_current()) return;
                if (!marked.ok()) return Abort(marked);
                BeginCopying();
              });
            });
      },
      [this, is_current](const absl::Status& why) {
        if (is_current()) Abort(why);
      });
}

// Slots are taken to be alike.
uint64_t Mover::BytesOf(size_t slots) const {
  // One that waits for a disk has no memory to compare it with, nor is it asked on this loop.
  if (parts_.under()->capabilities().may_block) return 0;
  const absl::StatusOr<StoreStats> stats = parts_.under()->Stats();
  const size_t served = parts_.store->slots()->count(SlotState::kServing);
  if (!stats.ok() || served == 0) return 0;
  return stats->memory_bytes / std::max(served, slots) * slots;
}

void Mover::BeginCopying() {
  unreachable_.clear();
  job_->phase = Phase::kSettling;
  // The flip of a hold before must have drained, as for Hold(). Then calls that saw a job before
  // this one copying end, which would put their writes into this one's outbox.
  WaitUntilDrained([this] {
    parts_.store->slots()->calls()->Flip();
    WaitUntilDrained([this] { BeginPass(); });
  });
}

void Mover::BeginPass() {
  job_->outbox = std::make_shared<Outbox>(parts_.under());
  parts_.store->SetOutbox(job_->outbox);
  parts_.store->SetStates(job_->slots, SlotState::kCopying);
  parts_.store->slots()->calls()->Flip();
  // A write that saw kServing is in the store before the pass begins.
  WaitUntilDrained([this] {
    ScanOptions scan;
    scan.keys_only = true;
    scan.slots = ToRanges(job_->slots);
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = parts_.under()->NewCursor(scan);
    if (!cursor.ok()) return Abort(cursor.status());
    job_->cursor = *std::move(cursor);
    job_->phase = Phase::kCopying;
    Pump();
  });
}

void Mover::WaitUntilDrained(absl::AnyInvocable<void()> then) {
  if (parts_.store->slots()->calls()->Drained()) return then();
  drain_timer_->Start(absl::Microseconds(200),
                      [this, then = std::move(then), number = jobs_]() mutable {
                        if (job_ != nullptr && jobs_ == number) WaitUntilDrained(std::move(then));
                      });
}

bool Mover::SendSome() {
  std::vector<Effect> effects;
  if (job_->outbox->Take(parts_.copy_limits.message, &effects) == 0) return false;
  PeerRequest request;
  std::string payload;
  AppendEffects(effects, request.mutable_stage(), &payload);
  const size_t bytes = payload.size() + effects.size() * 16;
  job_->unacknowledged += bytes;
  parts_.store->given()->bytes += request.ByteSizeLong() + payload.size();
  job_->connection->Send(std::move(request), std::move(payload),
                         [this, bytes, number = jobs_, alive = std::weak_ptr<bool>(alive_)](
                             const absl::StatusOr<PeerResponse>& answer) {
                           const std::shared_ptr<bool> here = alive.lock();
                           if (here == nullptr || !*here) return;
                           if (job_ == nullptr || jobs_ != number) return;
                           if (!answer.ok()) return Abort(answer.status());
                           job_->unacknowledged -= bytes;
                           Pump();
                         });
  return true;
}

void Mover::Pump() {
  if (job_ == nullptr || job_->phase < Phase::kCopying || job_->phase > Phase::kHolding) return;
  const absl::Status read = job_->outbox->status();
  if (!read.ok()) return Abort(read);
  while (job_->unacknowledged < parts_.copy_limits.window && SendSome()) {
  }
  if (!job_->pass_done && !job_->pass_running && job_->outbox->bytes() < parts_.copy_limits.ahead) {
    PassStep();
  }
  // Asked before what is left is counted: a call that ends in between has put its write there.
  const bool is_drained = parts_.store->slots()->calls()->Drained();
  const size_t left = job_->outbox->bytes() + job_->unacknowledged;
  const absl::Duration now = parts_.loop->Now();
  if (job_->phase == Phase::kCopying && job_->pass_done && left < kLag && now >= job_->not_before) {
    if (parts_.keeper->silence() > kCoordinatorHeard) {
      AskCoordinator();
    } else {
      return Hold();
    }
  }
  if (job_->phase != Phase::kHolding) {
    // Writes go on adding without a word.
    if (job_->pass_done) pump_timer_->Start(absl::Milliseconds(1), [this] { Pump(); });
    return;
  }
  if (!is_drained || left > 0) {
    if (now > job_->group.held_since + kMostHold) {
      // Requests wait no longer than this; copying goes on.
      const Group group = job_->group;
      job_->group = {};
      job_->phase = Phase::kCopying;
      job_->not_before = now + kHoldPause;
      Unfreeze(group, SlotState::kCopying);
      return;
    }
    pump_timer_->Start(absl::Microseconds(200), [this] { Pump(); });
    return;
  }
  Switch();
}

void Mover::PassStep() {
  job_->pass_running = true;
  struct Step {
    std::vector<std::string> keys;
    size_t first = 0;
    size_t keys_at_once = 1;
    absl::Status status;
    bool at_end = false;
  };
  const auto step = std::make_shared<Step>();
  step->keys = std::move(job_->keys);
  step->keys_at_once = job_->keys_at_once;
  parts_.OnStore(
      [step, cursor = job_->cursor, outbox = job_->outbox, copy = parts_.copy_limits] {
        if (step->keys.empty()) {
          ScanPage page;
          PageLimits limits;
          limits.entries = copy.page_keys;
          step->status = cursor->Next(limits, &page);
          for (const ScanEntry& entry : page) step->keys.emplace_back(entry.key);
          step->at_end = step->status.ok() && page.empty();
        }
        ReadKeys(step->keys, copy.ahead, outbox.get(), &step->first, &step->keys_at_once);
      },
      [this, step, number = jobs_, alive = std::weak_ptr<bool>(alive_)] {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (job_ == nullptr || jobs_ != number) return;
        if (!step->status.ok()) return Abort(step->status);
        step->keys.erase(step->keys.begin(),
                         step->keys.begin() + static_cast<ptrdiff_t>(step->first));
        job_->keys = std::move(step->keys);
        job_->keys_at_once = step->keys_at_once;
        job_->pass_done = step->at_end;
        Pump();
        pace_.Next([this, number] {
          if (job_ == nullptr || jobs_ != number) return;
          job_->pass_running = false;
          Pump();
        });
      });
}

// By a transaction that changes nothing, whether the switch would get through.
void Mover::AskCoordinator() {
  job_->not_before = absl::InfiniteDuration();
  parts_.keeper->Commit({}, [this, number = jobs_, alive = std::weak_ptr<bool>(alive_)](
                                const absl::StatusOr<Coordinator::Outcome>& outcome) {
    const std::shared_ptr<bool> here = alive.lock();
    if (here == nullptr || !*here || job_ == nullptr || jobs_ != number) return;
    job_->not_before = parts_.loop->Now() + (outcome.ok() ? absl::ZeroDuration() : kHoldPause);
    Pump();
  });
}

void Mover::Hold() {
  // The flip of the hold before must have drained: two parities tell two states apart, not three.
  if (!parts_.store->slots()->calls()->Drained()) {
    pump_timer_->Start(absl::Microseconds(200), [this] { Pump(); });
    return;
  }
  job_->phase = Phase::kHolding;
  job_->group = {};
  job_->group.slots = job_->groups.front();
  job_->group.to = job_->to;
  job_->group.held_since = parts_.loop->Now();
  SetOwned(job_->group.slots, true);
  parts_.store->SetStates(job_->group.slots, SlotState::kHeld);
  parts_.store->slots()->calls()->Flip();
  Pump();
}

Coordinator::Transaction Mover::SwitchTransaction(const Group& group) const {
  ClusterTable next = parts_.table();
  const uint16_t me = next.FindNumber(parts_.me);
  const uint16_t to = next.FindNumber(group.to);
  Coordinator::Transaction transaction;
  for (const uint16_t slot : group.slots) {
    SlotEntry& entry = next.slots.Mutable(slot);
    if (me == 0 || to == 0 || entry.primary != me || entry.joining != to) return {};
    entry = {};
    entry.primary = to;
    entry.previous = me;
  }
  // Of a node that has gone, or was started anew and has dropped its copies, nothing is made
  // primary.
  const auto it = next.nodes.find(group.to);
  if (it == next.nodes.end() || it->second.revision != job_->to_revision) return {};
  next.CompareNode(group.to, &transaction);
  // Were this node started anew, a transaction of its life before must not come after what it
  // serves by then.
  next.CompareNode(parts_.me, &transaction);
  next.AddGroup(GroupOf(group.slots.front()), &transaction);
  return transaction;
}

void Mover::Switch() {
  Coordinator::Transaction transaction = SwitchTransaction(job_->group);
  if (transaction.changes.empty()) {
    return Abort(absl::FailedPreconditionError("the table has another plan"));
  }
  job_->phase = Phase::kSwitching;
  parts_.keeper->Commit(std::move(transaction),
                        [this, number = jobs_, alive = std::weak_ptr<bool>(alive_)](
                            absl::StatusOr<Coordinator::Outcome> outcome) {
                          const std::shared_ptr<bool> here = alive.lock();
                          if (here == nullptr || !*here) return;
                          if (job_ == nullptr || jobs_ != number) return;
                          Switched(std::move(outcome));
                        });
}

void Mover::Switched(absl::StatusOr<Coordinator::Outcome> outcome) {
  Group& group = job_->group;
  if (outcome.ok() && outcome->succeeded) {
    group.revision = outcome->revision;
    job_->phase = Phase::kReleasing;
    job_->groups.pop_front();
    return SendWord();
  }
  if (absl::IsUnavailable(outcome.status())) {
    // It was not done, and never will be.
    const Group undone = group;
    group = {};
    job_->phase = Phase::kCopying;
    job_->not_before = parts_.loop->Now() + kHoldPause;
    Unfreeze(undone, SlotState::kCopying);
    return;
  }
  // Either it is not known whether the transaction took place, or a comparison failed, perhaps
  // since an earlier try of it had taken place. The job ends here; the group is resolved by what a
  // table says that was read after another transaction.
  frozen_.push_back(std::make_shared<Group>(group));
  Abort(outcome.ok() ? absl::AbortedError("the table changed beside the switch")
                     : outcome.status());
  parts_.keeper->ReadNow();
}

void Mover::SendWord() {
  job_->group.word_sent = true;
  PeerRequest request;
  AddRanges(job_->group.slots, request.mutable_release()->mutable_slots());
  request.mutable_release()->set_revision(job_->group.revision);
  job_->connection->Send(std::move(request), {},
                         [this, number = jobs_, alive = std::weak_ptr<bool>(alive_)](
                             const absl::StatusOr<PeerResponse>& answer) {
                           const std::shared_ptr<bool> here = alive.lock();
                           if (here == nullptr || !*here) return;
                           if (job_ == nullptr || jobs_ != number) return;
                           if (!answer.ok()) return Abort(answer.status());
                           const Group group = job_->group;
                           job_->group = {};
                           job_->phase = Phase::kCopying;
                           for (const uint16_t slot : group.slots) SetConfirmed(slot, true);
                           Ended(group);
                           if (!job_->groups.empty()) return Pump();
                           job_->outbox->Close();
                           job_->connection->Close();
                           job_.reset();
                           TableChanged();
                         });
}

// The other node serves the group.
void Mover::Ended(const Group& group) {
  parts_.store->given()->slots += group.slots.size();
  // The table may be older than the switch here: what clients are told must not be. Once these are
  // not this one's alone, the map has their new owner, by the table or by nobody's.
  parts_.keeper->WaitFor(group.revision, absl::Seconds(10),
                         [this, group, alive = std::weak_ptr<bool>(alive_)](bool) {
                           const std::shared_ptr<bool> here = alive.lock();
                           if (here != nullptr && *here) Unfreeze(group, SlotState::kElsewhere);
                         });
}

void Mover::SetOwned(const std::vector<uint16_t>& slots, bool is_owned) {
  ++owned_changes_;
  for (const uint16_t slot : slots) {
    int& count = owned_of_group_[static_cast<size_t>(GroupOf(slot))];
    if (is_owned != owned_[slot]) count += is_owned ? 1 : -1;
    owned_[slot] = is_owned;
  }
}

void Mover::Unfreeze(const Group& group, SlotState state) {
  // Requests that were told CLUSTERDOWN did not wait for so long.
  if (!group.is_down) {
    parts_.store->given()->holds_ns.RecordAlone(
        static_cast<uint64_t>(absl::ToInt64Nanoseconds(parts_.loop->Now() - group.held_since)));
  }
  SetOwned(group.slots, false);
  parts_.publish();
  parts_.store->SetStates(group.slots, state);
}

void Mover::Abort(const absl::Status& why) {
  const std::unique_ptr<Job> job = std::move(job_);
  ++jobs_;
  if (job->connection != nullptr) job->connection->Close();
  std::vector<uint16_t> back;
  if (!job->group.slots.empty()) {
    const bool is_frozen = std::any_of(frozen_.begin(), frozen_.end(),
                                       [&](const auto& g) { return g->slots == job->group.slots; });
    if (job->phase == Phase::kSwitching || job->phase == Phase::kReleasing) {
      if (!is_frozen) frozen_.push_back(std::make_shared<Group>(job->group));
    } else {
      Unfreeze(job->group, SlotState::kServing);
      back = job->group.slots;
    }
  }
  // Those too that were marked, and whose copying had not begun.
  for (const uint16_t slot : job->slots) {
    if (!owned_[slot] && parts_.store->slots()->Serves(slot)) back.push_back(slot);
  }
  std::sort(back.begin(), back.end());
  back.erase(std::unique(back.begin(), back.end()), back.end());
  parts_.store->SetStates(back, SlotState::kServing);
  if (job->outbox != nullptr) job->outbox->Close();
  leftovers_->Unmark(back);
  const absl::Duration now = parts_.loop->Now();
  try_after_ = now + kRetry;
  // A node that refuses to talk, since it is another one than was meant, cannot be reached as well.
  const bool was_opening = job->phase == Phase::kOpening;
  if (!was_opening && !absl::IsUnavailable(why) && !absl::IsDeadlineExceeded(why)) {
    unreachable_.clear();
    if (!absl::IsFailedPrecondition(why) && !absl::IsAborted(why)) Tell(why.message());
    return;
  }
  if (unreachable_ != job->to) {
    unreachable_ = job->to;
    unreachable_since_ = now;
  } else if (now > unreachable_since_ + kGiveUp) {
    unreachable_.clear();
    Cancel(job->to, why);
  }
}

// A job that is tried again and again ends each time for the same reason.
void Mover::Tell(absl::string_view what) {
  if (what == told_) return;
  told_ = std::string(what);
  parts_.say(what);
}

void Mover::Cancel(const Incarnation& to, const absl::Status& why) {
  Tell(
      absl::StrCat("node ", ToHex(to), " cannot be given slots, which stay here: ", why.message()));
  ClusterTable next = parts_.table();
  const uint16_t me = next.FindNumber(parts_.me);
  const uint16_t number = next.FindNumber(to);
  for (int slot = 0; slot < kSlots; ++slot) {
    const SlotEntry& entry = next.slots[slot];
    if (entry.primary == me && entry.joining == number) next.slots.Mutable(slot).joining = 0;
  }
  Coordinator::Transaction transaction;
  if (next.AddChangedGroups(parts_.table(), &transaction) == 0) return;
  parts_.keeper->Commit(std::move(transaction), [](const absl::StatusOr<Coordinator::Outcome>&) {});
}

}  // namespace cluster
}  // namespace kvarts
