#include "cluster/node/node.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cluster/node/leftovers.h"
#include "cluster/node/mover.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/peer_connection.h"
#include "cluster/node/peer_session.h"
#include "cluster/node/peer_watch.h"
#include "cluster/node/staging.h"
#include "cluster/node/table_keeper.h"
#include "cluster/placement.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(500);
// A table that has just changed is left to whoever changes it.
constexpr absl::Duration kSettled = absl::Seconds(2);
constexpr int64_t kMostClockSkewMs = 1000;
constexpr absl::Duration kProbeSilence = absl::Seconds(1);

absl::Status NoPlace(absl::string_view what) { return absl::FailedPreconditionError(what); }

int PortOf(absl::string_view address) {
  int port = 0;
  const size_t colon = address.rfind(':');
  if (colon != absl::string_view::npos) {
    if (!absl::SimpleAtoi(address.substr(colon + 1), &port)) port = 0;
  }
  return port;
}

// Whether both are addresses of one place, which one process can have at a time.
bool IsSamePlace(const NodeInfo& a, const NodeInfo& b) {
  const auto same_port = [](int x, int y) { return x != 0 && x == y; };
  return a.host == b.host &&
         (same_port(a.resp_port, b.resp_port) || same_port(a.native_port, b.native_port));
}

}  // namespace

class Node::Impl {
 public:
  Impl(Transport* transport, EventLoop* loop, StoreRunner* runner, NodeStore* store,
       Coordinator* coordinator, NodeOptions options)
      : options_(std::move(options)),
        keeper_(
            coordinator, loop, [this] { TableChanged(); }, options_.say) {
    parts_.loop = loop;
    parts_.transport = transport;
    parts_.runner = runner;
    parts_.store = store;
    parts_.keeper = &keeper_;
    parts_.me = options_.incarnation;
    parts_.copy_limits = options_.copy_limits;
    parts_.openings = options_.info.openings;
    parts_.memory_limit = options_.info.memory_limit;
    parts_.hello = [this](const Incarnation& to) { return Hello(to); };
    parts_.internal_address = [this](const Incarnation& node) { return AddressOf(node); };
    parts_.is_alive = [this](const Incarnation& node) { return watch_->IsAlive(node); };
    parts_.is_leaving = [this](uint16_t slot) { return mover_->Owns(slot); };
    parts_.begin_anew = [this](const std::vector<uint16_t>& slots) { mover_->Forget(slots); };
    parts_.gave_away = [this](uint16_t slot) { return mover_->GaveAway(slot); };
    parts_.publish = [this] { Publish(); };
    parts_.say = options_.say;
    host_.check = [this](const PeerHello& hello) { return CheckHello(hello); };
    host_.heard = [this](int64_t revision) { keeper_.Heard(revision); };
    host_.revision = [this] { return keeper_.last_change(); };
  }

  void Start(absl::AnyInvocable<void(absl::Status)> done) {
    started_ = std::move(done);
    started_at_ = changed_at_ = parts_.loop->Now();
    Leftovers::Save save = options_.save_marked;
    if (save == nullptr) {
      save = [](const std::vector<uint16_t>&, absl::AnyInvocable<void(absl::Status)> saved) {
        saved(absl::OkStatus());
      };
    }
    leftovers_ = std::make_unique<Leftovers>(&parts_, std::move(save));
    leftovers_->Init(options_.marked_slots);
    staging_ = std::make_unique<Staging>(&parts_, leftovers_.get());
    mover_ = std::make_unique<Mover>(&parts_, leftovers_.get());
    watch_ = std::make_unique<PeerWatch>(&parts_, [this] {
      Publish();
      Plan();
    });
    host_.staging = staging_.get();
    timer_ = parts_.loop->NewTimer();
    EventLoop* const loop = parts_.loop;
    absl::StatusOr<std::unique_ptr<Listener>> listener = parts_.transport->Listen(
        absl::MakeConstSpan(&loop, 1), options_.internal_address, ListenOptions(),
        [this](std::unique_ptr<Stream> stream) { Accept(std::move(stream)); });
    if (!listener.ok()) return EndStart(listener.status());
    listener_ = *std::move(listener);
    if (options_.info.internal_port == 0) {
      options_.info.internal_port = PortOf(listener_->address());
    }
    keeper_.Start();
    Tick();
  }

  void Leave(absl::AnyInvocable<void()> done) {
    left_ = std::move(done);
    is_leaving_ = true;
    Plan();
  }

  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    *alive_ = false;
    keeper_.Stop();
    if (timer_ != nullptr) timer_->Cancel();
    if (watch_ != nullptr) watch_->Stop();
    if (probe_ != nullptr) probe_->Close();
    if (mover_ != nullptr) mover_->Stop();
    if (staging_ != nullptr) staging_->Stop();
    if (leftovers_ != nullptr) leftovers_->Stop();
    for (const auto& [number, session] : sessions_) session->Close();
    sessions_.clear();
    listener_.reset();
    std::vector<uint16_t> held;
    for (int slot = 0; slot < kSlots; ++slot) {
      const auto here = static_cast<uint16_t>(slot);
      if (parts_.store->slots()->state(here) == SlotState::kHeld) held.push_back(here);
    }
    parts_.store->SetStates(held, SlotState::kDown);
  }

  NodeStatus status() const {
    NodeStatus status;
    status.is_registered = started_ == nullptr && keeper_.has_table();
    for (int slot = 0; slot < kSlots; ++slot) {
      if (parts_.store->slots()->Serves(static_cast<uint16_t>(slot))) ++status.slots;
    }
    if (mover_ != nullptr) status.is_idle = mover_->is_idle();
    return status;
  }

 private:
  void EndStart(const absl::Status& status) {
    if (started_ == nullptr) return;
    auto started = std::move(started_);
    started_ = nullptr;
    is_refused_ = !status.ok();
    started(status);
  }

  void Tick() {
    timer_->Start(kTick, [this] {
      Tick();
      if (keeper_.has_table()) CheckLeft();
      Plan();
    });
  }

  PeerHello Hello(const Incarnation& to) const {
    PeerHello hello;
    hello.set_cluster_id(keeper_.has_table() ? keeper_.table().cluster_id : "");
    hello.set_from(parts_.me);
    hello.set_to(to);
    hello.set_now_ms(absl::ToUnixMillis(options_.clock->Now()));
    return hello;
  }

  absl::Status CheckHello(const PeerHello& hello) {
    // Before it is registered it drops what an earlier life had staged: nothing new must be there.
    if (!keeper_.has_table() || started_ != nullptr) {
      return absl::UnavailableError("this node has not registered yet");
    }
    // Who is looked for is not here: as below, whoever asks may take it for gone.
    if (hello.cluster_id() != keeper_.table().cluster_id) {
      return absl::NotFoundError("meant for a node of another cluster, which was here before");
    }
    if (hello.to() != parts_.me) {
      return absl::NotFoundError("meant for another node, which was here before");
    }
    const int64_t skew = hello.now_ms() - absl::ToUnixMillis(options_.clock->Now());
    if (skew > kMostClockSkewMs || skew < -kMostClockSkewMs) {
      return NoPlace(absl::StrCat("the clocks of the two nodes differ by ", skew,
                                  " ms; expiries would come too early or too late: at most ",
                                  kMostClockSkewMs, " ms are allowed"));
    }
    if (keeper_.table().nodes.count(hello.from()) == 0) keeper_.ReadNow();
    return absl::OkStatus();
  }

  void Accept(std::unique_ptr<Stream> stream) {
    const uint64_t number = next_session_++;
    sessions_[number] = PeerSession::Start(std::move(stream), &host_,
                                           [this, number, alive = std::weak_ptr<bool>(alive_)] {
                                             const std::shared_ptr<bool> here = alive.lock();
                                             if (here != nullptr && *here) sessions_.erase(number);
                                           });
  }

  std::string AddressOf(const Incarnation& node) const {
    if (!keeper_.has_table()) return {};
    const auto it = keeper_.table().nodes.find(node);
    if (it == keeper_.table().nodes.end()) return {};
    if (options_.address_of != nullptr) return options_.address_of(it->second);
    return InternalAddress(it->second);
  }

  void TableChanged() {
    if (is_refused_) return;
    const ClusterTable& table = keeper_.table();
    // Reads alone may raise the revision of the whole: a table would never be settled.
    const std::pair<int64_t, size_t> change(table.LastChange(), table.nodes.size());
    if (change != last_change_) changed_at_ = parts_.loop->Now();
    last_change_ = change;
    if (table.cluster_revision == 0) {
      return EndStart(NoPlace("there is no cluster; make one with kv_cluster create"));
    }
    if (cluster_id_.empty()) cluster_id_ = table.cluster_id;
    if (table.cluster_id != cluster_id_) {
      return options_.say("the coordinator has another cluster now: its table is not followed");
    }
    if (started_ != nullptr) {
      if (!IsRegistered()) return Register();
      DropStrangers();
    }
    if (IsOpenedElsewhere()) return;
    mover_->TableChanged();
    GiveUpLost();
    staging_->TableChanged();
    watch_->TableChanged();
    Publish();
    leftovers_->Settle();
    EndStart(absl::OkStatus());
    if (stopped_) return;
    if (table.nodes.count(parts_.me) == 0 && !was_removed_) {
      was_removed_ = true;
      options_.say("this node was removed from the cluster");
    }
    CheckLeft();
    Plan();
  }

  // With what this process has written.
  bool IsRegistered() const {
    const auto it = keeper_.table().nodes.find(parts_.me);
    return registered_revision_ != 0 && it != keeper_.table().nodes.end() &&
           it->second.revision >= registered_revision_;
  }

  // A copy of this node's directory was opened after this one, and has its place: two may not
  // serve it.
  bool IsOpenedElsewhere() {
    const auto it = keeper_.table().nodes.find(parts_.me);
    if (it == keeper_.table().nodes.end() || it->second.openings <= options_.info.openings) {
      return false;
    }
    if (!is_refused_) {
      is_refused_ = true;
      options_.say(
          "another process has opened a copy of this node's data, and has its place in "
          "the cluster: this one serves nothing any more");
      std::vector<uint16_t> all;
      for (int slot = 0; slot < kSlots; ++slot) all.push_back(static_cast<uint16_t>(slot));
      mover_->Stop();
      parts_.store->SetStates(all, SlotState::kDown);
    }
    return true;
  }

  // Copies that a durable node had when it was stopped, and that are not its own. What is its own
  // and fresh is not served, and is removed for that.
  void DropStrangers() {
    const ClusterTable& table = keeper_.table();
    const uint16_t me = table.FindNumber(parts_.me);
    if (options_.info.openings > 1) {
      std::vector<uint16_t> suspected;
      for (int slot = 0; slot < kSlots; ++slot) {
        const SlotEntry& entry = table.slots[slot];
        if (me != 0 && ((entry.primary == me && !entry.fresh) || entry.previous == me)) continue;
        suspected.push_back(static_cast<uint16_t>(slot));
      }
      if (!suspected.empty()) leftovers_->Suspect(suspected);
    }
    std::vector<uint16_t> strange;
    for (const uint16_t slot : options_.marked_slots) {
      const SlotEntry& entry = table.slots[slot];
      if (me != 0 && (entry.primary == me || entry.previous == me)) continue;
      strange.push_back(slot);
    }
    if (!strange.empty()) leftovers_->Clean(strange, [](const absl::Status&) {});
  }

  void Register() {
    if (is_registering_) return;
    const Incarnation lost = LostPlace();
    if (!lost.empty() && lost != found_dead_) return ProbeLost(lost);
    ClusterTable next = keeper_.table();
    NodeInfo info = options_.info;
    const auto it = next.nodes.find(parts_.me);
    if (it != next.nodes.end()) {
      // A directory that was copied, or restored, has been opened less often than the table says.
      // Opened as often: this process wrote the record itself, and did not hear of it.
      const bool is_own = it->second.openings == info.openings && tried_to_register_;
      if (info.openings <= it->second.openings && !is_own) {
        return EndStart(
            NoPlace(absl::StrCat("the data were opened ", info.openings,
                                 " times, and the cluster knows of ", it->second.openings,
                                 " times: they are a copy, or were restored, and newer ones may be "
                                 "in use. To join with an empty store, give another directory")));
      }
      info.state = it->second.state;
      info.revision = it->second.revision;
    }
    info.registered_ms = absl::ToUnixMillis(options_.clock->Now());
    Coordinator::Transaction transaction;
    if (next.capabilities.empty()) {
      next.capabilities = options_.capabilities;
      next.AddCluster(&transaction);
    } else if (next.capabilities != options_.capabilities) {
      return EndStart(NoPlace(absl::StrCat("the cluster's stores are \"", next.capabilities,
                                           "\", and this one is \"", options_.capabilities, "\"")));
    }
    if (!lost.empty()) TakeLostPlace(lost, &next, &info, &transaction);
    next.nodes[parts_.me] = info;
    next.AddNode(parts_.me, &transaction);
    is_registering_ = tried_to_register_ = true;
    keeper_.Commit(
        std::move(transaction), [this](const absl::StatusOr<Coordinator::Outcome>& outcome) {
          is_registering_ = false;
          if (outcome.ok() && outcome->succeeded) {
            registered_revision_ = outcome->revision;
          }
          if (!outcome.ok() && !absl::IsDeadlineExceeded(outcome.status()) &&
              outcome.status() != refusal_) {
            refusal_ = outcome.status();
            options_.say(
                absl::StrCat("the coordinator refuses this node: ", outcome.status().message()));
          }
        });
  }

  // In a cluster whose lost slots come back empty: a node in memory whose place this process has,
  // which one process can have at a time. Empty: there is none.
  Incarnation LostPlace() const {
    if (!keeper_.table().empty_on_loss || options_.info.durable) return {};
    for (const auto& [node, other] : keeper_.table().nodes) {
      if (node != parts_.me && !other.durable && IsSamePlace(other, options_.info)) return node;
    }
    return {};
  }

  // Two live nodes may have been told to advertise one place.
  void ProbeLost(const Incarnation& node) {
    if (probe_ != nullptr) return;
    probe_ = PeerConnection::Open(
        parts_.transport, parts_.loop, AddressOf(node), Hello(node), kProbeSilence,
        [this, node, alive = std::weak_ptr<bool>(alive_)](const absl::Status& opened) {
          const std::shared_ptr<bool> here = alive.lock();
          if (here == nullptr || !*here) return;
          parts_.loop->Post([gone = std::move(probe_)] { gone->Close(); });
          probe_ = nullptr;
          if (!absl::IsNotFound(opened) && !absl::IsUnavailable(opened) &&
              !absl::IsDeadlineExceeded(opened)) {
            return EndStart(NoPlace(absl::StrCat(
                "node ", ToHex(node), " has the address that this node is told to advertise, and ",
                "is alive: each needs its own")));
          }
          found_dead_ = node;
          TableChanged();
        },
        [](const absl::Status&) {});
  }

  void TakeLostPlace(const Incarnation& node, ClusterTable* next, NodeInfo* info,
                     Coordinator::Transaction* transaction) {
    const NodeInfo& other = keeper_.table().nodes.at(node);
    const uint16_t old = next->FindNumber(node);
    const uint16_t me = next->NumberOf(parts_.me);
    info->state = other.state;
    next->RemoveNode(node, transaction);
    uint64_t lost = 0;
    for (int slot = 0; slot < kSlots && old != 0; ++slot) {
      SlotEntry& entry = next->slots.Mutable(slot);
      if (entry.primary == old) {
        entry = {};
        entry.primary = me;
        ++lost;
      } else if (entry.joining == old) {
        entry.joining = 0;
      }
      if (entry.previous == old) {
        // The node that has the slot has all of it.
        entry.previous = 0;
        entry.adopted = true;
      }
    }
    next->AddChangedGroups(keeper_.table(), transaction);
    if (lost == 0) return;
    options_.say(absl::StrCat(
        lost, " slots were lost with the process that was here before, and are empty now"));
    next->lost_slots += lost;
    const bool has_cluster =
        std::any_of(transaction->changes.begin(), transaction->changes.end(),
                    [](const Coordinator::Transaction::Change& c) { return c.name == "cluster"; });
    if (!has_cluster) next->AddCluster(transaction);
  }

  // Slots that a person has told the table to give to others, though this node is alive.
  void GiveUpLost() {
    const ClusterTable& table = keeper_.table();
    const uint16_t me = table.FindNumber(parts_.me);
    std::vector<uint16_t> lost;
    for (int group = 0; group < kSlotGroups; ++group) {
      // Looked at already, and nothing has changed since.
      const std::shared_ptr<const SlotGroup>& entries = table.slots.group(group);
      KeptGroup& kept = kept_[static_cast<size_t>(group)];
      const uint64_t changes = parts_.store->slots()->changes_of_group(group);
      if (kept.entries == entries && kept.changes == changes) continue;
      kept = {entries, changes};
      for (int i = 0; i < kSlotsPerGroup; ++i) {
        const auto slot = static_cast<uint16_t>(group * kSlotsPerGroup + i);
        const uint16_t primary = entries->entries[static_cast<size_t>(i)].primary;
        if ((me != 0 && primary == me) || !parts_.store->slots()->Serves(slot)) continue;
        // What the mover has in its hands changes its state when it lets go, and is looked at then.
        if (!mover_->Owns(slot)) lost.push_back(slot);
      }
    }
    if (lost.empty()) return;
    options_.say(absl::StrCat(lost.size(), " slots were given to other nodes by force"));
    leftovers_->Mark(lost, [](const absl::Status&) {});
    Publish();
    // Hidden, and not removed: a table alone, which may be one restored from a backup, is no reason
    // to destroy what may be the only copy.
    parts_.store->SetStates(lost, SlotState::kElsewhere);
  }

  std::vector<Incarnation> Dead() const {
    std::vector<Incarnation> dead;
    const ClusterTable& table = keeper_.table();
    for (const Incarnation& node : table.names) {
      if (!watch_->IsAlive(node)) dead.push_back(node);
    }
    for (const auto& [node, info] : table.nodes) {
      if (!watch_->IsAlive(node)) dead.push_back(node);
    }
    return dead;
  }

  // One of the members plans for all, so that they do not plan against each other.
  bool IsPlanner() const {
    for (const auto& [node, info] : keeper_.table().nodes) {
      if (info.state == NodeState::kMember && watch_->IsAlive(node)) return node == parts_.me;
    }
    return false;
  }

  void Plan() {
    if (stopped_ || is_planning_ || is_refused_ || started_ != nullptr || !keeper_.has_table())
      return;
    const ClusterTable& table = keeper_.table();
    const auto it = table.nodes.find(parts_.me);
    if (it == table.nodes.end() || table.cluster_id != cluster_id_) return;
    bool has_unassigned = false;
    for (int group = 0; group < kSlotGroups; ++group) {
      const SlotGroup& g = *table.slots.group(group);
      has_unassigned =
          has_unassigned ||
          (g.may_lack_primary && std::any_of(g.entries.begin(), g.entries.end(),
                                             [](const SlotEntry& s) { return s.primary == 0; }));
    }
    NodeState state = it->second.state;
    if (is_leaving_) {
      state = NodeState::kLeaving;
    } else if (state == NodeState::kRegistered && !options_.manual &&
               (has_unassigned || parts_.loop->Now() >= started_at_ + options_.join_delay)) {
      state = NodeState::kMember;
    }
    const bool state_changes = state != it->second.state;
    const bool is_settled = parts_.loop->Now() >= changed_at_ + kSettled;
    if (!state_changes && !has_unassigned && !(IsPlanner() && is_settled)) return;
    ClusterTable next = table;
    next.nodes[parts_.me].state = state;
    Rebalance(Dead(), &next);
    Coordinator::Transaction transaction;
    const int groups = next.AddChangedGroups(table, &transaction);
    if (groups == 0 && !state_changes) return;
    if (state_changes) {
      next.AddNode(parts_.me, &transaction);
    } else {
      next.CompareNode(parts_.me, &transaction);
    }
    is_planning_ = true;
    keeper_.Commit(std::move(transaction), [this](const absl::StatusOr<Coordinator::Outcome>&) {
      is_planning_ = false;  // where it failed, the table that is read next is planned on
    });
  }

  void CheckLeft() {
    if (left_ == nullptr || !is_leaving_) return;
    // Its registration may have taken place, or may yet: a table without it says nothing.
    if (started_ != nullptr && tried_to_register_) return;
    const ClusterTable& table = keeper_.table();
    // Plan() says first that it leaves: a copy from before may lack those who could take its slots.
    const auto it = table.nodes.find(parts_.me);
    if (it != table.nodes.end() && it->second.state != NodeState::kLeaving) return;
    const uint16_t me = table.FindNumber(parts_.me);
    bool is_needed = false;
    for (int group = 0; group < kSlotGroups && me != 0 && !is_needed; ++group) {
      const SlotGroup& g = *table.slots.group(group);
      if (!g.MayHavePrimary(me) && !g.MayHavePrevious(me) && !g.may_have_joining) continue;
      is_needed = std::any_of(g.entries.begin(), g.entries.end(), [me](const SlotEntry& s) {
        return s.primary == me || s.joining == me || s.previous == me;
      });
    }
    // One that is silent may be back in a moment, and one that is no member yet may become one:
    // whoever stops this node decides how long to wait.
    const bool has_takers =
        std::any_of(table.nodes.begin(), table.nodes.end(), [this](const auto& node) {
          return node.second.state != NodeState::kLeaving && node.first != parts_.me;
        });
    if (is_needed && has_takers) return;
    if (is_needed || table.nodes.count(parts_.me) == 0) {
      auto left = std::move(left_);
      left_ = nullptr;
      return left();
    }
    if (is_planning_) return;
    Coordinator::Transaction transaction;
    table.RemoveNode(parts_.me, &transaction);
    is_planning_ = true;
    keeper_.Commit(std::move(transaction),
                   [this](const absl::StatusOr<Coordinator::Outcome>&) { is_planning_ = false; });
  }

  void Publish() {
    if (!keeper_.has_table() || watch_ == nullptr) return;
    const ClusterTable& table = keeper_.table();
    std::vector<bool> is_alive;
    for (const auto& [node, info] : table.nodes) is_alive.push_back(watch_->IsAlive(node));
    // All that the map is made of.
    Published now = {keeper_.tables(), table.revision, mover_->owned_changes(),
                     std::move(is_alive)};
    if (now == published_) return;
    published_ = std::move(now);
    auto map = std::make_shared<ClusterMap>();
    map->cluster_id = ToHex(table.cluster_id);
    map->revision = static_cast<uint64_t>(table.revision);
    map->lost_slots = table.lost_slots;
    std::vector<int16_t> places(table.names.size() + 1, ClusterMap::kNobody);
    const auto mine = table.nodes.find(parts_.me);
    for (const auto& [node, info] : table.nodes) {
      const auto place = static_cast<int16_t>(map->nodes.size());
      const uint16_t number = table.FindNumber(node);
      if (number != 0) places[number] = place;
      if (node == parts_.me) map->myself = place;
      ClusterNode shown;
      shown.id = ToHex(node);
      shown.host = info.host;
      shown.native_port = info.native_port;
      shown.resp_port = info.resp_port;
      shown.http_port = info.http_port;
      shown.internal_port = info.internal_port;
      shown.native_host = info.native_host;
      shown.http_host = info.http_host;
      shown.native_tls = info.native_tls;
      shown.resp_tls = info.resp_tls;
      shown.http_tls = info.http_tls;
      // A place is one process's at a time. Before the silence of the one that had this place is
      // noticed, its clients would be sent back here, again and again.
      const bool was_here =
          node != parts_.me && mine != table.nodes.end() && IsSamePlace(info, mine->second);
      shown.is_alive = !was_here && watch_->IsAlive(node);
      shown.is_member = info.state == NodeState::kMember;
      shown.is_leaving = info.state == NodeState::kLeaving;
      map->nodes.push_back(std::move(shown));
    }
    const auto set_epoch = [&map](int16_t owner, uint64_t newest) {
      if (owner < 0) return;
      uint64_t& epoch = map->nodes[static_cast<size_t>(owner)].epoch;
      epoch = std::max(epoch, newest);
    };
    for (int slot = 0; slot < kSlots; ++slot) {
      const SlotGroup& group = *table.slots.group(GroupOf(slot));
      if (slot % kSlotsPerGroup == 0 && !group.may_differ && !mover_->OwnsAnyOf(GroupOf(slot))) {
        const int16_t owner = places[group.entries.front().primary];
        std::fill_n(map->owner.begin() + slot, kSlotsPerGroup, owner);
        set_epoch(owner, group.newest_epoch);
        slot += kSlotsPerGroup - 1;
        continue;
      }
      const SlotEntry& entry = group.entries[static_cast<size_t>(slot % kSlotsPerGroup)];
      // While it is not released the slot's requests still wait here.
      const bool is_here = mover_->Owns(static_cast<uint16_t>(slot)) && map->myself >= 0;
      const auto owner = is_here ? static_cast<int16_t>(map->myself) : places[entry.primary];
      // Clients take only what is newer: the map in which the switch shows must be so.
      if (owner != places[entry.primary]) map->revision = std::min(map->revision, entry.epoch - 1);
      map->owner[slot] = owner;
      set_epoch(owner, entry.epoch);
    }
    parts_.store->slots()->SetMap(std::move(map));
  }

  // Tables read, the last one's revision, changes of what the mover owns, who is alive.
  using Published = std::tuple<uint64_t, int64_t, uint64_t, std::vector<bool>>;

  // A group as it was when GiveUpLost() looked at it.
  struct KeptGroup {
    std::shared_ptr<const SlotGroup> entries;
    uint64_t changes = 0;
  };

  NodeOptions options_;
  NodeParts parts_;
  TableKeeper keeper_;
  PeerSession::Host host_;
  std::unique_ptr<Leftovers> leftovers_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<PeerWatch> watch_;
  std::shared_ptr<PeerConnection> probe_;  // of the node whose place this one has
  Incarnation found_dead_;                 // by it
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Timer> timer_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::array<KeptGroup, kSlotGroups> kept_;
  Published published_;  // by the last map
  std::map<uint64_t, std::shared_ptr<PeerSession>> sessions_;
  uint64_t next_session_ = 0;
  std::string cluster_id_;
  std::pair<int64_t, size_t> last_change_{0, 0};
  int64_t registered_revision_ = 0;
  absl::Duration started_at_;
  absl::Duration changed_at_;
  absl::AnyInvocable<void(absl::Status)> started_;  // null once it was called
  absl::AnyInvocable<void()> left_;
  bool is_refused_ = false;  // it has no place in the cluster, and serves nothing
  bool is_registering_ = false;
  bool tried_to_register_ = false;
  absl::Status refusal_;  // the last that was said
  bool is_planning_ = false;
  bool is_leaving_ = false;
  bool was_removed_ = false;
  bool stopped_ = false;
};

Node::Node(Transport* transport, EventLoop* loop, StoreRunner* runner, NodeStore* store,
           Coordinator* coordinator, NodeOptions options)
    : impl_(std::make_unique<Impl>(transport, loop, runner, store, coordinator,
                                   std::move(options))) {}
Node::~Node() = default;
void Node::Start(absl::AnyInvocable<void(absl::Status)> done) { impl_->Start(std::move(done)); }
void Node::Leave(absl::AnyInvocable<void()> done) { impl_->Leave(std::move(done)); }
void Node::Stop() { impl_->Stop(); }
NodeStatus Node::status() const { return impl_->status(); }

}  // namespace cluster
}  // namespace kvarts
