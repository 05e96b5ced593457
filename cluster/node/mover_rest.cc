// What is left of jobs that ended: groups whose switch has no known outcome, and what was given
// away and is still here.

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/node/mover.h"

namespace kvarts {
namespace cluster {
namespace {

// Of a node that is only asked, and has nothing to do for the answer.
constexpr absl::Duration kAskSilence = absl::Seconds(2);
constexpr absl::Duration kDownAfter = absl::Milliseconds(500);
constexpr absl::Duration kRetry = absl::Milliseconds(200);

}  // namespace

void Mover::Resolve() {
  // Clients wait no longer than this for a switch, or the word after it, that takes its time.
  if (job_ != nullptr && job_->phase > Phase::kHolding && !job_->group.is_down &&
      parts_.loop->Now() > job_->group.held_since + kDownAfter) {
    job_->group.is_down = true;
    parts_.store->SetStates(job_->group.slots, SlotState::kDown);
  }
  for (const std::shared_ptr<Group>& group : std::vector<std::shared_ptr<Group>>(frozen_)) {
    if (!group->is_down && parts_.loop->Now() > group->held_since + kDownAfter) {
      group->is_down = true;
      parts_.store->SetStates(group->slots, SlotState::kDown);
    }
    ResolveGroup(group);
    if (!*alive_) return;
  }
}

void Mover::ResolveGroup(const std::shared_ptr<Group>& group) {
  if (!parts_.keeper->has_table()) return;
  const ClusterTable& table = parts_.table();
  const SlotEntry& entry = table.slots[group->slots.front()];
  const uint16_t me = table.FindNumber(parts_.me);
  const uint16_t to = table.FindNumber(group->to);
  const auto end = [&](SlotState state) {
    frozen_.erase(std::remove(frozen_.begin(), frozen_.end(), group), frozen_.end());
    Unfreeze(*group, state);
  };
  const bool is_given_up =
      std::any_of(group->slots.begin(), group->slots.end(), [&](uint16_t slot) {
        const SlotEntry& its = table.slots[slot];
        return its.fresh || its.primary == 0 || (its.primary != me && its.primary != to);
      });
  if (is_given_up) {
    // Somebody gave them out anew, be it to this node or to several. What is here is lost by that;
    // what of it is this node's is served once it is removed.
    for (const uint16_t slot : group->slots) SetConfirmed(slot, false);
    end(SlotState::kElsewhere);
    return leftovers_->Clean(group->slots, [](const absl::Status&) {});
  }
  if (entry.primary != me) {
    if (group->revision == 0) group->revision = static_cast<int64_t>(entry.epoch);
    // Another one's: by the switch, or by what a person has told the table since.
    if (entry.primary != to || entry.adopted || entry.previous != me) {
      for (const uint16_t slot : group->slots) SetConfirmed(slot, entry.adopted);
      const bool is_given_out_anew = entry.previous != me;
      end(SlotState::kElsewhere);
      // Whoever gave the slots out anew has said by that that what is here is lost; nobody will ask
      // for it.
      if (is_given_out_anew) leftovers_->Clean(group->slots, [](const absl::Status&) {});
      return;
    }
    if (!group->word_sent) return TakeBack(group);
    // The word may have arrived or not: DropOld() asks until the other node says that it serves.
    if (confirmed_[group->slots.front()]) return end(SlotState::kElsewhere);
    return;
  }
  if (group->revision != 0 && table.revision < group->revision) return;
  if (group->word_sent) {
    // The other node may have served them since: what is here is old. A person has given the slots
    // out anew, and as empty.
    end(SlotState::kElsewhere);
    return leftovers_->Clean(group->slots, [](const absl::Status&) {});
  }
  // Not switched, by this table. A try that is still on its way compares what another transaction
  // changes: after that it cannot take place.
  TakeBack(group);
}

// Makes the slots this node's own without a plan, in a transaction that compares what the table
// has: it succeeds where neither the switch nor the other node's adoption came or comes between.
void Mover::TakeBack(const std::shared_ptr<Group>& group) {
  ClusterTable next = parts_.table();
  const uint16_t me = next.NumberOf(parts_.me);
  for (const uint16_t slot : group->slots) {
    SlotEntry& entry = next.slots.Mutable(slot);
    entry = {};
    entry.primary = me;
  }
  Coordinator::Transaction transaction;
  next.AddGroup(GroupOf(group->slots.front()), &transaction);
  // After a restart a node asks the other one to serve: an earlier life must not take back then.
  next.CompareNode(parts_.me, &transaction);
  parts_.keeper->Commit(
      std::move(transaction), [this, group, alive = std::weak_ptr<bool>(alive_)](
                                  const absl::StatusOr<Coordinator::Outcome>& outcome) {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (!outcome.ok() || !outcome->succeeded) return;  // Resolve() tries again
        const auto it = std::find(frozen_.begin(), frozen_.end(), group);
        if (it == frozen_.end()) return;
        frozen_.erase(it);
        for (const uint16_t slot : group->slots) {
          parts_.store->slots()->SetEpoch(slot, static_cast<uint64_t>(outcome->revision));
        }
        leftovers_->Unmark(group->slots);
        parts_.keeper->WaitFor(outcome->revision, absl::Seconds(10),
                               [this, group, weak = std::weak_ptr<bool>(alive_)](bool) {
                                 const std::shared_ptr<bool> still = weak.lock();
                                 if (still != nullptr && *still) {
                                   Unfreeze(*group, SlotState::kServing);
                                 }
                               });
      });
}

// Slots that this node had before another one, and still has the data of.
void Mover::DropOld() {
  if (dropping_) return;
  const ClusterTable& table = parts_.table();
  const uint16_t me = table.FindNumber(parts_.me);
  if (me == 0) return;
  std::vector<uint16_t> ready;
  std::map<uint16_t, std::vector<uint16_t>> unknown;
  const bool may_drop = job_ == nullptr || job_->groups.empty();
  for (int i = 0; i < kSlots; ++i) {
    const SlotGroup& group = *table.slots.group(GroupOf(i));
    const int confirmed = confirmed_of_group_[static_cast<size_t>(GroupOf(i))];
    if (i % kSlotsPerGroup == 0 &&
        (confirmed == 0 ? !group.MayHavePrevious(me) : confirmed == kSlotsPerGroup && !may_drop)) {
      i += kSlotsPerGroup - 1;
      continue;
    }
    const auto slot = static_cast<uint16_t>(i);
    const SlotEntry& entry = group.entries[static_cast<size_t>(i % kSlotsPerGroup)];
    // One that comes to this node again is the other copy, whatever was given away before.
    const bool comes =
        entry.joining == me || (entry.primary == me && (entry.previous != 0 || entry.adopted));
    if (GaveAway(slot) && entry.previous != me && !comes && !owned_[slot] &&
        !parts_.store->slots()->Serves(slot)) {
      // The other node was lost after it had said that it serves, and the slot given out anew,
      // maybe to this node: what is here is old all the same.
      ready.push_back(slot);
      continue;
    }
    if (entry.previous != me || entry.primary == me) continue;
    if ((confirmed_[slot] || entry.adopted) && !owned_[slot]) {
      ready.push_back(slot);
    } else if (!confirmed_[slot] && !entry.adopted) {
      // To ask is to release. What this node has in its hands may be taken back yet, or has been,
      // by a table newer than this copy; what its job has just switched, the job releases.
      const bool is_released =
          !owned_[slot] ||
          std::any_of(frozen_.begin(), frozen_.end(), [slot](const std::shared_ptr<Group>& g) {
            return g->word_sent && std::binary_search(g->slots.begin(), g->slots.end(), slot);
          });
      if (is_released) unknown[entry.primary].push_back(slot);
    }
  }
  if (!ready.empty() && may_drop) {
    dropping_ = true;
    leftovers_->Clean(ready, [this, ready](const absl::Status& cleaned) {
      if (!cleaned.ok()) {
        dropping_ = false;
        return parts_.say(absl::StrCat("what moved away cannot be removed: ", cleaned.message()));
      }
      CommitDrop(ready);
    });
    return;
  }
  if (unknown.empty() || asking_ != nullptr || parts_.loop->Now() < try_after_) return;
  const auto& [to, slots] = *unknown.begin();
  AskAndDrop(table.NameOf(to), slots);
}

void Mover::AskAndDrop(const Incarnation& to, const std::vector<uint16_t>& slots) {
  const std::string address = parts_.internal_address(to);
  if (address.empty()) return;
  const int64_t revision = parts_.keeper->revision();
  const auto end = [this, alive = std::weak_ptr<bool>(alive_)] {
    const std::shared_ptr<bool> here = alive.lock();
    if (here == nullptr || !*here) return;
    const std::shared_ptr<PeerConnection> asked = std::move(asking_);
    asking_ = nullptr;
    if (asked != nullptr) asked->Close();
    try_after_ = parts_.loop->Now() + kRetry;
  };
  asking_ = PeerConnection::Open(
      parts_.transport, parts_.loop, address, parts_.hello(to), kAskSilence,
      [this, slots, revision, end,
       alive = std::weak_ptr<bool>(alive_)](const absl::Status& opened) {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (!opened.ok()) return end();
        PeerRequest request;
        AddRanges(slots, request.mutable_release()->mutable_slots());
        request.mutable_release()->set_revision(revision);
        asking_->Send(std::move(request), {},
                      [this, slots, end, alive](const absl::StatusOr<PeerResponse>& answer) {
                        const std::shared_ptr<bool> still = alive.lock();
                        if (still == nullptr || !*still) return;
                        if (answer.ok()) {
                          for (const uint16_t slot : slots) SetConfirmed(slot, true);
                        }
                        end();
                        Resolve();
                      });
      },
      [end](const absl::Status&) { end(); });
}

void Mover::CommitDrop(std::vector<uint16_t> slots) {
  // One that is marked again has come back and was given away once more while this was tried: what
  // is here of it now is not removed, and its new owner may not have all of it yet.
  slots.erase(std::remove_if(slots.begin(), slots.end(),
                             [this](uint16_t slot) { return leftovers_->is_marked(slot); }),
              slots.end());
  ClusterTable next = parts_.table();
  const uint16_t me = next.FindNumber(parts_.me);
  for (const uint16_t slot : slots) {
    if (me == 0 || next.slots[slot].previous != me) continue;
    SlotEntry& entry = next.slots.Mutable(slot);
    entry.previous = 0;
    entry.adopted = false;
  }
  Coordinator::Transaction transaction;
  if (next.AddChangedGroups(parts_.table(), &transaction) == 0) {
    // An earlier try was done, and not heard of.
    for (const uint16_t slot : slots) SetConfirmed(slot, false);
    dropping_ = false;
    return;
  }
  parts_.keeper->Commit(
      std::move(transaction), [this, slots, alive = std::weak_ptr<bool>(alive_)](
                                  const absl::StatusOr<Coordinator::Outcome>& outcome) {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here) return;
        if (outcome.ok() && outcome->succeeded) {
          for (const uint16_t slot : slots) SetConfirmed(slot, false);
          dropping_ = false;
          return;
        }
        // Somebody changed a group beside it: again with the table that is read next.
        parts_.keeper->WaitFor(parts_.keeper->revision() + 1, kRetry,
                               [this, slots, weak = std::weak_ptr<bool>(alive_)](bool) {
                                 const std::shared_ptr<bool> still = weak.lock();
                                 if (still != nullptr && *still) CommitDrop(slots);
                               });
      });
}

}  // namespace cluster
}  // namespace kvarts
