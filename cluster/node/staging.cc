#include "cluster/node/staging.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/size.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster {
namespace {

// How long this node waits for the word of the one before. That one holds its requests meanwhile.
constexpr absl::Duration kPatience = absl::Milliseconds(100);
constexpr absl::Duration kTableWait = absl::Seconds(2);

absl::Status NotSo(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("not by this node's table: ", what));
}

// Of a node that is not registered any more.
bool IsOfNobody(const ClusterTable& table, uint16_t number) {
  return number != 0 && table.nodes.count(table.NameOf(number)) == 0;
}

// What a stage's payload is cut into. It owns the bytes.
struct StagedBatch {
  std::string payload;
  WriteBatch batch;
  WriteResults results;
};

absl::Status ReadBatch(const PeerStage& stage, StagedBatch* staged) {
  const absl::Status bad = absl::InvalidArgumentError("sizes of copies that do not add up");
  const int n = stage.key_sizes_size();
  const auto absent_or_all = [n](int size) { return size == 0 || size == n; };
  if (stage.value_sizes_size() != n || !absent_or_all(stage.type_sizes_size()) ||
      !absent_or_all(stage.expires_at_ms_size())) {
    return bad;
  }
  absl::string_view left = staged->payload;
  const auto cut = [&left](size_t size, absl::string_view* piece) {
    if (size > left.size()) return false;
    *piece = left.substr(0, size);
    left.remove_prefix(size);
    return true;
  };
  for (int i = 0; i < n; ++i) {
    absl::string_view key;
    absl::string_view value;
    absl::string_view type;
    const uint32_t value_size = stage.value_sizes(i);
    const uint32_t type_size = stage.type_sizes_size() == 0 ? 0 : stage.type_sizes(i);
    if (!cut(stage.key_sizes(i), &key) || !cut(value_size == 0 ? 0 : value_size - 1, &value) ||
        !cut(type_size, &type)) {
      return bad;
    }
    if (value_size == 0) {
      staged->batch.Delete(key);
    } else {
      const int64_t expires = stage.expires_at_ms_size() == 0 ? 0 : stage.expires_at_ms(i);
      staged->batch.Put(key, value, Metadata::Of(expires, type));
    }
  }
  return left.empty() ? absl::OkStatus() : bad;
}

}  // namespace

Staging::Staging(NodeParts* parts, Leftovers* leftovers)
    : parts_(*parts), leftovers_(leftovers), adopt_timer_(parts->loop->NewTimer()) {}

void Staging::Stop() {
  *alive_ = false;
  adopt_timer_->Cancel();
}

void Staging::Begin(const std::shared_ptr<Sender>& sender, const PeerBegin& begin, Done done) {
  std::vector<uint16_t> slots;
  if (!ReadRanges(begin.slots(), &slots)) {
    return done(absl::InvalidArgumentError("slots that are no sorted runs"));
  }
  uint64_t& newest = newest_jobs_[sender->from];
  newest = std::max(newest, begin.job());
  parts_.keeper->WaitFor(
      begin.revision(), kTableWait,
      [this, sender, job = begin.job(), bytes = begin.bytes(), slots = std::move(slots),
       done = std::move(done), alive = std::weak_ptr<bool>(alive_)](bool there) mutable {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (!there) return done(absl::UnavailableError("no newer table yet"));
        // This node's table may be from before the newer job's switch: what that one has brought
        // would be removed, as what an earlier try had left.
        if (job < newest_jobs_[sender->from]) return done(NotSo("a newer job has begun"));
        BeginNow(sender, std::move(slots), bytes, std::move(done));
      });
}

void Staging::BeginNow(const std::shared_ptr<Sender>& sender, std::vector<uint16_t> slots,
                       uint64_t bytes, Done done) {
  const ClusterTable& table = parts_.table();
  const uint16_t me = table.FindNumber(parts_.me);
  const uint16_t from = table.FindNumber(sender->from);
  for (const uint16_t slot : slots) {
    const SlotEntry& entry = table.slots[slot];
    if (me == 0 || from == 0 || entry.primary != from || entry.joining != me) {
      return done(NotSo(absl::StrCat("slot ", slot, " does not move here")));
    }
  }
  // From here on what an earlier connection still has in its pipe is refused.
  sender->generation = next_generation_++;
  sender->slots = slots;
  for (const uint16_t slot : slots) generations_[slot] = sender->generation;
  const std::weak_ptr<bool> alive = alive_;
  auto mark = [this, sender, slots, bytes, done = std::move(done),
               alive](const absl::Status& status) mutable {
    const std::shared_ptr<bool> here = alive.lock();
    if (here == nullptr || !*here) return;
    if (!status.ok()) return done(status);
    // The table may have dropped the plan meanwhile, and what cleans up after it has been asked
    // for.
    if (!MayStage(*sender, slots)) return done(NotSo("the slots do not move here any more"));
    if (const absl::Status room = CheckRoom(bytes); !room.ok()) return done(room);
    for (const uint16_t slot : slots) last_generations_[slot] = sender->generation;
    parts_.begin_anew(slots);
    leftovers_->Mark(slots, std::move(done));
  };
  // What was on its way into the store must be there before it is removed.
  WhenWritten(slots, [this, sender, slots, mark = std::move(mark)]() mutable {
    const bool dirty = std::any_of(slots.begin(), slots.end(),
                                   [this](uint16_t slot) { return leftovers_->is_marked(slot); });
    if (!dirty || !MayStage(*sender, slots)) return mark(absl::OkStatus());
    leftovers_->Clean(slots, std::move(mark));
  });
}

// What comes must not push out what this node has, nor end at its limit half-way.
absl::Status Staging::CheckRoom(uint64_t bytes) const {
  if (parts_.memory_limit == 0) return absl::OkStatus();
  KVARTS_ASSIGN_OR_RETURN(const StoreStats stats, parts_.under()->Stats());
  if (stats.memory_bytes + bytes <= parts_.memory_limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("it has no room for about ", FormatSize(bytes),
                                                   ": ", FormatSize(stats.memory_bytes), " of its ",
                                                   FormatSize(parts_.memory_limit), " are in use"));
}

bool Staging::MayStage(const Sender& sender, const std::vector<uint16_t>& slots) const {
  return std::all_of(slots.begin(), slots.end(),
                     [&](uint16_t slot) { return generations_[slot] == sender.generation; });
}

void Staging::WhenWritten(const std::vector<uint16_t>& slots, Task go_on) {
  std::set<uint64_t> generations;
  for (const uint16_t slot : slots) {
    if (writing_.count(last_generations_[slot]) != 0) generations.insert(last_generations_[slot]);
  }
  if (generations.empty()) return go_on();
  waiting_.push_back({std::move(generations), std::move(go_on)});
}

void Staging::Drop(const std::vector<uint16_t>& slots) {
  WhenWritten(slots, [this, slots] {
    std::vector<uint16_t> still;
    for (const uint16_t slot : slots) {
      // One that is to come again meanwhile has been, or will be, cleaned for that.
      if (generations_[slot] == 0 && !pending_[slot] && !parts_.store->slots()->Serves(slot)) {
        still.push_back(slot);
      }
    }
    if (!still.empty()) leftovers_->Clean(still, [](const absl::Status&) {});
  });
}

void Staging::Stage(const std::shared_ptr<Sender>& sender, const PeerStage& stage,
                    absl::string_view payload, Done done) {
  const auto staged = std::make_shared<StagedBatch>();
  staged->payload = std::string(payload);
  absl::Status status = ReadBatch(stage, staged.get());
  for (const Mutation& m : staged->batch.mutations()) {
    if (!status.ok()) break;
    if (sender->generation == 0 || generations_[KeySlot(m.key)] != sender->generation) {
      status = NotSo("a copy of a slot that this connection does not move");
    }
  }
  if (!status.ok()) return done(status);
  ++writing_[sender->generation];
  const auto written = std::make_shared<absl::Status>();
  parts_.OnStore(
      [store = parts_.under(), staged, written] {
        WriteOptions options;
        options.sync = true;  // the sender takes the answer for "it is there for good"
        *written = store->Write(staged->batch, options, &staged->results);
      },
      [this, written, generation = sender->generation, done = std::move(done),
       alive = std::weak_ptr<bool>(alive_)]() mutable {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (--writing_[generation] == 0) {
          writing_.erase(generation);
          std::vector<Waiting> waiting;
          waiting.swap(waiting_);
          for (Waiting& one : waiting) {
            one.generations.erase(generation);
            if (one.generations.empty()) {
              one.go_on();
            } else {
              waiting_.push_back(std::move(one));
            }
          }
        }
        done(*written);
      });
}

void Staging::Release(const Incarnation& from, const PeerRelease& release, Done done) {
  std::vector<uint16_t> slots;
  if (!ReadRanges(release.slots(), &slots)) {
    return done(absl::InvalidArgumentError("slots that are no sorted runs"));
  }
  parts_.keeper->WaitFor(
      release.revision(), kTableWait,
      [this, from, slots = std::move(slots), done = std::move(done),
       alive = std::weak_ptr<bool>(alive_)](bool there) mutable {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (!there) return done(absl::UnavailableError("no newer table yet"));
        const ClusterTable& table = parts_.table();
        const uint16_t me = table.FindNumber(parts_.me);
        std::vector<uint16_t> to_serve;
        for (const uint16_t slot : slots) {
          if (me == 0 || table.slots[slot].primary != me) {
            return done(NotSo(absl::StrCat("slot ", slot, " is not this node's")));
          }
          if (pending_[slot] && table.slots[slot].previous == table.FindNumber(from)) {
            to_serve.push_back(slot);
          } else if (pending_[slot]) {
            return done(NotSo(absl::StrCat("slot ", slot, " came from another node")));
          }
        }
        Serve(to_serve);
        done(absl::OkStatus());
      });
}

void Staging::Serve(const std::vector<uint16_t>& slots) {
  if (slots.empty()) return;
  for (const uint16_t slot : slots) {
    pending_[slot] = false;
    generations_[slot] = 0;
    parts_.store->slots()->SetEpoch(slot, parts_.table().slots[slot].epoch);
  }
  leftovers_->Unmark(slots);
  // In this order: a map that names this node says so of slots that it serves, or holds.
  parts_.store->SetStates(slots, SlotState::kServing);
  parts_.publish();
}

void Staging::TableChanged() {
  const ClusterTable& table = parts_.table();
  const uint16_t me = table.FindNumber(parts_.me);
  SlotTable* const states = parts_.store->slots();
  std::vector<uint16_t> to_serve;
  std::vector<uint16_t> to_hold;
  std::vector<uint16_t> to_drop;
  std::vector<uint16_t> to_hide;
  bool has_fresh = false;
  bool waits = false;
  std::vector<bool> is_of_nobody(table.names.size() + 1, false);
  for (size_t number = 1; number < is_of_nobody.size(); ++number) {
    is_of_nobody[number] = IsOfNobody(table, static_cast<uint16_t>(number));
  }
  if (is_of_nobody != is_of_nobody_) quiet_.fill({});
  is_of_nobody_ = is_of_nobody;
  for (int i = 0; i < kSlots; ++i) {
    const std::shared_ptr<const SlotGroup>& entries = table.slots.group(GroupOf(i));
    Quiet& quiet = quiet_[static_cast<size_t>(GroupOf(i))];
    if (i % kSlotsPerGroup == 0) {
      const uint64_t changes = states->changes_of_group(GroupOf(i));
      if (quiet.entries == entries && quiet.changes == changes) {
        i += kSlotsPerGroup - 1;
        continue;
      }
      quiet = {entries, changes};
    }
    const auto slot = static_cast<uint16_t>(i);
    const SlotEntry& entry = entries->entries[static_cast<size_t>(i % kSlotsPerGroup)];
    const bool mine = me != 0 && entry.primary == me;
    const bool is_served = states->Serves(slot);
    // What it has to do for one that it serves is to forget a node that is gone, or a word that has
    // done its work.
    if (mine ? is_served && !entry.fresh && !is_of_nobody[entry.previous] &&
                   !(entry.previous == 0 && entry.adopted)
             : !pending_[slot] && (generations_[slot] == 0 || (me != 0 && entry.joining == me))) {
      continue;
    }
    quiet.entries = nullptr;
    if (parts_.is_leaving(slot)) continue;
    if (mine && entry.fresh) {
      has_fresh = true;
      if (is_served || pending_[slot]) to_hide.push_back(slot);
      pending_[slot] = false;
      generations_[slot] = 0;
      continue;
    }
    waits =
        waits || (mine && (is_of_nobody[entry.previous] || (entry.previous == 0 && entry.adopted)));
    if (mine && !is_served) {
      if (pending_[slot] || states->state(slot) == SlotState::kElsewhere ||
          states->state(slot) == SlotState::kDown) {
        const bool is_empty = entry.previous == 0 && !entry.adopted;
        if (leftovers_->WillClean(slot) || (is_empty && parts_.gave_away(slot))) {
          // What is here is removed first, and what was written would be with it.
        } else if (entry.previous == 0 && !entry.adopted && !pending_[slot] &&
                   generations_[slot] != 0) {
          // It was given out anew while its copy was on its way here: as empty, not as half of it.
          to_drop.push_back(slot);
        } else if (entry.previous == 0 || entry.adopted) {
          to_serve.push_back(slot);
        } else if (!pending_[slot]) {
          pending_[slot] = true;
          to_hold.push_back(slot);
        }
        waits = waits || pending_[slot];
      }
      continue;
    }
    if (mine || pending_[slot]) {
      if (!mine) {
        // It was taken back before it was served.
        pending_[slot] = false;
        states->SetState(slot, SlotState::kHeld);
        to_drop.push_back(slot);
      }
      continue;
    }
    if (generations_[slot] != 0 && (me == 0 || entry.joining != me)) to_drop.push_back(slot);
  }
  if (!to_hide.empty()) {
    leftovers_->Mark(to_hide, [](const absl::Status&) {});
    parts_.store->SetStates(to_hide, SlotState::kElsewhere);
  }
  if (!to_hold.empty()) parts_.store->SetStates(to_hold, SlotState::kHeld);
  Serve(to_serve);
  if (!to_drop.empty()) {
    for (const uint16_t slot : to_drop) generations_[slot] = 0;
    parts_.publish();
    parts_.store->SetStates(to_drop, SlotState::kElsewhere);
    Drop(to_drop);
  }
  if (has_fresh) EmptyFresh();
  if (waits && !adopting_) {
    adopting_ = true;
    adopt_timer_->Start(kPatience, [this] { Adopt(); });
  }
}

void Staging::EmptyFresh() {
  if (emptying_) return;
  const ClusterTable& table = parts_.table();
  const uint16_t me = table.FindNumber(parts_.me);
  std::vector<uint16_t> fresh;
  std::vector<uint16_t> dirty;
  for (int i = 0; i < kSlots; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    const SlotEntry& entry = table.slots[i];
    if (me == 0 || entry.primary != me || !entry.fresh || parts_.is_leaving(slot)) continue;
    fresh.push_back(slot);
    if (leftovers_->is_marked(slot) || leftovers_->WillClean(slot)) dirty.push_back(slot);
  }
  if (fresh.empty()) return;
  emptying_ = true;
  if (dirty.empty()) return CommitEmptied(fresh);
  WhenWritten(dirty, [this, dirty] {
    leftovers_->Clean(
        dirty, [this, alive = std::weak_ptr<bool>(alive_)](const absl::Status& cleaned) {
          const std::shared_ptr<bool> here = alive.lock();
          if (here == nullptr || !*here) return;
          emptying_ = false;
          // By the newest table, which may have given them away again.
          if (cleaned.ok()) return EmptyFresh();
          parts_.say(absl::StrCat("what is to begin empty cannot be removed: ", cleaned.message()));
        });
  });
}

void Staging::CommitEmptied(const std::vector<uint16_t>& slots) {
  ClusterTable next = parts_.table();
  for (const uint16_t slot : slots) next.slots.Mutable(slot).fresh = false;  // and keeps its epoch
  Coordinator::Transaction transaction;
  next.AddChangedGroups(parts_.table(), &transaction);
  // A life before this one must not say so of what this one has not looked at.
  next.CompareNode(parts_.me, &transaction);
  parts_.keeper->Commit(std::move(transaction),
                        [this](const absl::StatusOr<Coordinator::Outcome>&) {
                          emptying_ = false;  // the table that is read next says what came of it
                        });
}

void Staging::Adopt() {
  adopting_ = false;
  if (!parts_.keeper->has_table()) return;
  ClusterTable next = parts_.table();
  const uint16_t me = next.FindNumber(parts_.me);
  bool any = false;
  for (int slot = 0; slot < kSlots && me != 0; ++slot) {
    if (!next.slots.group(GroupOf(slot))->MayHavePrimary(me)) {
      slot += kSlotsPerGroup - 1;
      continue;
    }
    const SlotEntry& entry = next.slots[slot];
    if (entry.primary != me) continue;
    if (entry.previous == 0) {
      // What it was adopted from is gone: the word has done its work once the slot is served.
      if (entry.adopted && parts_.store->slots()->Serves(static_cast<uint16_t>(slot))) {
        next.slots.Mutable(slot).adopted = false;
        any = true;
      }
      continue;
    }
    if (pending_[slot] && !entry.adopted) {
      next.slots.Mutable(slot).adopted = true;  // and keeps its epoch: the data are the same
      any = true;
    } else if (!pending_[slot] && IsOfNobody(parts_.table(), entry.previous)) {
      // The one before is gone for good: nobody else forgets it.
      SlotEntry& changed = next.slots.Mutable(slot);
      changed.previous = 0;
      changed.adopted = false;
      any = true;
    }
  }
  if (!any) return;
  Coordinator::Transaction transaction;
  next.AddChangedGroups(parts_.table(), &transaction);
  adopting_ = true;
  parts_.keeper->Commit(std::move(transaction),
                        [this](const absl::StatusOr<Coordinator::Outcome>&) {
                          // The table that is read next says what came of it; where it still waits,
                          // it is tried again.
                          adopt_timer_->Start(kPatience, [this] { Adopt(); });
                        });
}

}  // namespace cluster
}  // namespace kvarts
