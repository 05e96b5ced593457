#include "cluster/node/sim/sim_cluster.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cluster/placement.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr size_t kEventsKept = 60;

// Runs work later, in any order, as a pool of threads does: each in one piece.
class LateRunner final : public StoreRunner {
 public:
  LateRunner(SimWorld* world, Store* store, absl::Duration most)
      : world_(world), store_(store), most_(most) {}

  Store* store() const override { return store_; }
  bool full() const override { return false; }
  void Run(EventLoop* loop, Task work, Task done) override {
    const absl::Duration delay =
        world_->Chance(0.5) ? absl::ZeroDuration() : world_->Between(absl::ZeroDuration(), most_);
    world_->After(delay, [loop, work = std::move(work), done = std::move(done)]() mutable {
      loop->Post([work = std::move(work), done = std::move(done)]() mutable {
        work();
        done();
      });
    });
  }

 private:
  SimWorld* const world_;
  Store* const store_;
  const absl::Duration most_;
};

}  // namespace

class SimCluster::Policy final : public CoordinatorPolicy {
 public:
  explicit Policy(SimCluster* cluster) : cluster_(cluster) { Set({}); }

  void Set(const CoordinatorFaults& faults) {
    random_ = NewRandomCoordinatorPolicy(cluster_->world_.random()->Next(), faults);
  }
  void CutOff(int place, bool is_cut) {
    if (is_cut) {
      cut_.insert(place);
    } else {
      cut_.erase(place);
    }
  }

  void Deafen(int place, bool is_deaf) { deaf_ = is_deaf ? place : -2; }
  void RefuseCommits(int place, bool refuses) { refused_ = refuses ? place : -2; }
  int refused_commits() const { return refused_commits_; }

  Fate NextCall(int client, Call call) override {
    if (PlaceOf(client) < 0) return {};  // a person
    Fate fate = random_->NextCall(client, call);
    fate.lost = fate.lost || IsCut(client);
    fate.answer_lost = fate.answer_lost || (call == Call::kCommit && PlaceOf(client) == deaf_);
    fate.invalid = call == Call::kCommit && PlaceOf(client) == refused_;
    if (fate.invalid) ++refused_commits_;
    return fate;
  }
  HintFate NextHint(int client) override {
    HintFate fate = random_->NextHint(client);
    fate.lost = fate.lost || IsCut(client);
    return fate;
  }

 private:
  int PlaceOf(int client) const { return cluster_->client_places_[static_cast<size_t>(client)]; }
  bool IsCut(int client) const { return cut_.count(PlaceOf(client)) != 0; }

  SimCluster* const cluster_;
  std::unique_ptr<CoordinatorPolicy> random_;
  std::set<int> cut_;
  int deaf_ = -2;  // clients of nobody are at -1
  int refused_ = -2;
  int refused_commits_ = 0;
};

SimCluster::SimCluster(uint64_t seed, const SimClusterOptions& options)
    : world_(seed), net_(&world_), options_(options) {
  if (const char* const slot = std::getenv("KVARTS_SIM_TRACE_SLOT")) {
    if (!absl::SimpleAtoi(slot, &trace_slot_)) trace_slot_ = -1;
  }
  coordinator_loop_ = world_.NewLoop(world_.NewProcess("coordinator"));
  policy_ = std::make_unique<Policy>(this);
  coordinator_ = std::make_unique<SimulatedCoordinator>(coordinator_loop_, policy_.get());
  ClusterTable table;
  table.cluster_id = std::string(20, 'c');
  table.empty_on_loss = true;
  Coordinator::Transaction transaction;
  table.AddCluster(&transaction);
  Tell(std::move(transaction));
}

void SimCluster::Tell(Coordinator::Transaction transaction) {
  client_places_.push_back(-1);
  const std::unique_ptr<Coordinator> client = coordinator_->NewClient(coordinator_loop_);
  client->Commit(std::move(transaction), absl::Seconds(1),
                 [](const absl::StatusOr<Coordinator::Outcome>&) {});
  world_.RunFor(absl::Milliseconds(10));
  TableMayHaveChanged();
}

std::bitset<kSlots> SimCluster::GiveUpDead(std::function<void(int64_t)> done) {
  const ClusterTable& table = Table();
  std::set<Incarnation> alive;
  for (const int place : Running()) alive.insert(life(place)->incarnation);
  std::vector<Incarnation> dead;
  bool has_member = false;
  for (const Incarnation& node : table.names) {
    if (alive.count(node) == 0) dead.push_back(node);
  }
  for (const auto& [node, info] : table.nodes) {
    if (alive.count(node) != 0) {
      has_member = has_member || info.state == NodeState::kMember;
    } else if (table.FindNumber(node) == 0) {
      dead.push_back(node);
    }
  }
  std::bitset<kSlots> slots;
  if (!has_member) return slots;
  for (const Incarnation& node : dead) {
    const uint16_t number = table.FindNumber(node);
    for (int slot = 0; slot < kSlots && number != 0; ++slot) {
      if (table.slots[slot].primary == number) slots.set(static_cast<size_t>(slot));
    }
  }
  if (slots.none()) return slots;
  ClusterTable next = table;
  cluster::GiveUp(dead, dead, &next);
  Coordinator::Transaction transaction;
  next.AddCluster(&transaction);
  for (const Incarnation& node : dead) {
    if (table.nodes.count(node) != 0) next.RemoveNode(node, &transaction);
  }
  next.AddChangedGroups(table, &transaction);
  if (person_ == nullptr) {
    client_places_.push_back(-1);
    person_ = coordinator_->NewClient(coordinator_loop_);
  }
  Log(absl::StrCat(slots.count(), " slots are given up"));
  person_->Commit(
      std::move(transaction), absl::Seconds(10),
      [this, slots, done = std::move(done)](const absl::StatusOr<Coordinator::Outcome>& outcome) {
        const bool is_done = outcome.ok() && outcome->succeeded;
        if (is_done) given_up_ |= slots;
        done(is_done ? outcome->revision : 0);
      });
  return slots;
}

SimCluster::~SimCluster() {
  for (Place& place : places_) {
    if (place.life != nullptr) {
      world_.Crash(place.life->process, SimCrash::kKilled);
      End(&place);
    }
  }
}

std::string SimCluster::NameOf(int place) { return absl::StrCat("node-", place); }

std::shared_ptr<SimCluster::Life> SimCluster::life(int place) const {
  return places_[static_cast<size_t>(place)].life;
}

std::vector<int> SimCluster::Running() const {
  std::vector<int> running;
  for (int i = 0; i < places(); ++i) {
    if (life(i) != nullptr) running.push_back(i);
  }
  return running;
}

Incarnation SimCluster::NewIncarnation() {
  Incarnation incarnation;
  while (incarnation.size() < 20) {
    incarnation.push_back(static_cast<char>(world_.random()->Below(256)));
  }
  return incarnation;
}

void SimCluster::Start(int number) {
  while (places() <= number) places_.emplace_back();
  Place* const place = &places_[static_cast<size_t>(number)];
  if (!place->has_data) {
    place->has_data = true;
    place->incarnation = NewIncarnation();
    place->data = NewModelData();
    place->stamps = std::make_shared<GivenStamps>();
    place->openings = 0;
    place->marked.clear();
  }
  ++place->openings;
  const auto life = std::make_shared<Life>();
  life->number = ++lives_;
  life->place = number;
  life->incarnation = place->incarnation;
  life->process = world_.NewProcess(NameOf(number));
  life->loop = world_.NewLoop(life->process);
  ModelStoreOptions model;
  model.clock = life->process->clock();
  model.data = place->data;
  life->under = NewFewStampsStore(NewModelStore(model), place->stamps);
  life->runner = std::make_unique<LateRunner>(&world_, life->under.get(), options_.store_delay);
  life->store = std::make_unique<NodeStore>(life->under.get(), nullptr);
  life->coordinator = coordinator_->NewClient(life->loop);
  client_places_.push_back(number);

  NodeOptions options;
  options.incarnation = life->incarnation;
  options.info.host = NameOf(number);
  options.info.resp_port = 7000 + number;
  options.info.durable = options_.durable;
  options.info.openings = place->openings;
  options.info.store = "model";
  options.capabilities = "all";
  options.internal_address = absl::StrCat("sim:", NameOf(number));
  options.address_of = [](const NodeInfo& node) { return absl::StrCat("sim:", node.host); };
  options.join_delay = options_.join_delay;
  // The few keys that there are fill several pages, which wait for each other.
  options.copy_limits = {16, 512, 1024, 512};
  options.clock = life->process->clock();
  options.say = [this, number](absl::string_view what) {
    Log(absl::StrCat(NameOf(number), " says: ", what));
  };
  if (options_.durable) {
    options.marked_slots = place->marked;
    options.save_marked = [this, place, weak = std::weak_ptr<Life>(life)](
                              const std::vector<uint16_t>& slots,
                              absl::AnyInvocable<void(absl::Status)> done) {
      place->saved_until = std::max(place->saved_until, world_.Now()) +
                           world_.Between(absl::Microseconds(10), options_.store_delay);
      world_.After(place->saved_until - world_.Now(), [this, place, weak, slots,
                                                       done = std::move(done)]() mutable {
        const std::shared_ptr<Life> here = weak.lock();
        if (here == nullptr || here->process->crashed()) return;
        place->marked = slots;
        if (trace_slot_ >= 0) {
          Log(absl::StrCat(NameOf(here->place), " has ",
                           std::count(slots.begin(), slots.end(), trace_slot_) == 0 ? "un" : "",
                           "marked the slot"));
        }
        here->loop->Post([done = std::move(done)]() mutable { done(absl::OkStatus()); });
      });
    };
  }
  life->node = std::make_unique<Node>(&net_, life->loop, life->runner.get(), life->store.get(),
                                      life->coordinator.get(), std::move(options));
  place->life = life;
  Log(absl::StrCat("start ", NameOf(number), " as ", ToHex(life->incarnation).substr(0, 6)));
  life->loop->Post([this, weak = std::weak_ptr<Life>(life)] {
    const std::shared_ptr<Life> here = weak.lock();
    here->node->Start([this, weak](const absl::Status& status) {
      const std::shared_ptr<Life> started = weak.lock();
      if (started == nullptr || status.ok()) return;
      started->start_error = status;
      Log(absl::StrCat(NameOf(started->place), " did not start: ", status.message()));
    });
  });
}

void SimCluster::Crash(int number, SimCrash how) {
  Place* const place = &places_[static_cast<size_t>(number)];
  Log(absl::StrCat(how == SimCrash::kKilled ? "kill " : "power off ", NameOf(number)));
  world_.Crash(place->life->process, how);
  if (!options_.durable) {
    dead_.insert(place->incarnation);
    place->has_data = false;
  }
  End(place);
  TableMayHaveChanged();
}

void SimCluster::End(Place* place) {
  const std::shared_ptr<Life> life = std::move(place->life);
  place->life = nullptr;
  life->node->Stop();
  life->node.reset();
  life->coordinator.reset();
}

void SimCluster::Leave(int number) {
  const std::shared_ptr<Life> life = this->life(number);
  life->is_leaving = true;
  Log(absl::StrCat(NameOf(number), " begins to leave"));
  life->loop->Post([this, weak = std::weak_ptr<Life>(life)] {
    const std::shared_ptr<Life> here = weak.lock();
    if (here == nullptr || here->node == nullptr) return;
    here->node->Leave([this, weak] {
      const std::shared_ptr<Life> left = weak.lock();
      if (left == nullptr || left->process->crashed()) return;
      left->has_left = true;
      world_.After(absl::ZeroDuration(), [this, weak] {
        const std::shared_ptr<Life> gone = weak.lock();
        if (gone == nullptr || gone->process->crashed()) return;
        Place* const place = &places_[static_cast<size_t>(gone->place)];
        Log(absl::StrCat(NameOf(gone->place), " has left"));
        // Whatever it should hold still is lost with it.
        dead_.insert(place->incarnation);
        TableMayHaveChanged();
        const uint16_t number = table_.FindNumber(place->incarnation);
        // Where there is nobody else who could take them, a node that leaves takes them with it.
        const bool has_takers =
            std::any_of(table_.nodes.begin(), table_.nodes.end(), [&](const auto& node) {
              return node.second.state != NodeState::kLeaving && node.first != place->incarnation;
            });
        for (int slot = 0; slot < kSlots && number != 0; ++slot) {
          const SlotEntry entry = table_.slots[slot];
          if (entry.primary != number && entry.previous != number) continue;
          if (has_takers) {
            Violated(absl::StrCat(NameOf(gone->place), " left, and holds slots"));
            break;
          }
          taken_along_.set(static_cast<size_t>(slot));
        }
        place->has_data = false;
        world_.Crash(gone->process, SimCrash::kKilled);
        End(place);
      });
    });
  });
}

void SimCluster::SetCoordinatorFaults(const CoordinatorFaults& faults) { policy_->Set(faults); }
void SimCluster::CutOff(int place, bool is_cut) { policy_->CutOff(place, is_cut); }

void SimCluster::Deafen(int place, bool is_deaf) { policy_->Deafen(place, is_deaf); }

void SimCluster::RefuseCommits(int place, bool refuses) { policy_->RefuseCommits(place, refuses); }
int SimCluster::refused_commits() const { return policy_->refused_commits(); }

void SimCluster::AlignClocks() {
  absl::Time newest = absl::InfinitePast();
  for (const int place : Running()) newest = std::max(newest, life(place)->process->clock()->Now());
  for (const int place : Running()) {
    SimProcess* const process = life(place)->process;
    process->JumpClock(newest - process->clock()->Now());
  }
}

const ClusterTable& SimCluster::Table() {
  TableMayHaveChanged();
  return table_;
}

void SimCluster::TableMayHaveChanged() {
  const Coordinator::Contents& contents = coordinator_->contents();
  if (contents.revision != table_.revision) {
    absl::StatusOr<ClusterTable> table = ClusterTable::Parse(contents, &table_);
    if (!table.ok()) return Violated(table.status().message());
    table_ = *std::move(table);
    if (trace_slot_ >= 0) {
      const SlotEntry& entry = table_.slots[trace_slot_];
      const auto name = [this](uint16_t number) {
        return number == 0 ? "-" : ToHex(table_.NameOf(number)).substr(0, 6);
      };
      const std::string line = absl::StrCat(
          "the slot: ", name(entry.primary), " joining ", name(entry.joining), " previous ",
          name(entry.previous), entry.adopted ? " adopted" : "", entry.fresh ? " fresh" : "");
      if (line != traced_) Log(absl::StrCat(line, ", revision ", table_.revision));
      traced_ = line;
    }
  } else if (dead_.size() == dead_seen_) {
    return;
  }
  dead_seen_ = dead_.size();
  std::vector<bool> is_dead(table_.names.size() + 1, false);
  bool any = false;
  for (size_t i = 0; i < table_.names.size(); ++i) {
    is_dead[i + 1] = dead_.count(table_.names[i]) != 0;
    any = any || is_dead[i + 1];
  }
  if (!any) return;
  for (int slot = 0; slot < kSlots; ++slot) {
    const SlotGroup& group = *table_.slots.group(GroupOf(slot));
    if (!group.may_differ && !is_dead[group.entries.front().primary]) {
      slot += kSlotsPerGroup - 1;
    } else if (is_dead[table_.slots[slot].primary]) {
      lost_.set(static_cast<size_t>(slot));
    }
  }
}

void SimCluster::Violated(absl::string_view what) {
  if (!violation_.empty()) return;
  violation_ = std::string(what);
  Log(absl::StrCat("VIOLATION: ", what));
}

void SimCluster::CheckSlots() {
  for (Place& place : places_) {
    if (place.life == nullptr) continue;
    const SlotTable& slots = *place.life->store->slots();
    if (place.checked_life == place.life->number && place.checked_changes == slots.changes()) {
      continue;
    }
    // A life begins with no slot served, and no change of any.
    if (place.checked_life != place.life->number) place.checked_groups.fill(0);
    place.checked_life = place.life->number;
    place.checked_changes = slots.changes();
    for (int group = 0; group < kSlotGroups; ++group) {
      uint64_t& checked = place.checked_groups[static_cast<size_t>(group)];
      if (checked == slots.changes_of_group(group)) continue;
      checked = slots.changes_of_group(group);
      CheckGroup(group);
    }
  }
}

void SimCluster::CheckGroup(int group) {
  std::array<int, kSlotsPerGroup> servers;
  servers.fill(-1);
  for (int i = 0; i < places(); ++i) {
    const Life* const life = places_[static_cast<size_t>(i)].life.get();
    if (life == nullptr) continue;
    for (int k = 0; k < kSlotsPerGroup; ++k) {
      const auto slot = static_cast<uint16_t>(group * kSlotsPerGroup + k);
      if (!life->store->slots()->Serves(slot)) continue;
      int& server = servers[static_cast<size_t>(k)];
      if (server >= 0) {
        return Violated(
            absl::StrCat("slot ", slot, " is served by ", NameOf(server), " and ", NameOf(i)));
      }
      server = i;
    }
  }
}

bool SimCluster::RunUntil(absl::FunctionRef<bool()> done, absl::Duration most) {
  const auto check = [&] {
    if (coordinator_->contents().revision != table_.revision) TableMayHaveChanged();
    CheckSlots();
    return !violation_.empty() || done();
  };
  return world_.RunUntil(check, most) && violation_.empty();
}

void SimCluster::RunFor(absl::Duration duration) {
  RunUntil([] { return false; }, duration);
}

void SimCluster::CheckMoved(const Life& teller, uint16_t slot, int to) {
  if (to == teller.place) {
    return Violated(absl::StrCat(NameOf(to), " says that slot ", slot, " moved to itself"));
  }
  const std::shared_ptr<Life> target = to < places() ? life(to) : nullptr;
  const SlotEntry& entry = Table().slots[slot];
  if (target == nullptr || entry.primary == 0 || entry.previous == 0 || entry.adopted) return;
  if (table_.NameOf(entry.primary) != target->incarnation ||
      table_.NameOf(entry.previous) != teller.incarnation) {
    return;
  }
  // After a restart the old node does not take back, and the new one's clients wait there.
  if (places_[static_cast<size_t>(teller.place)].openings != 1) return;
  // It serves it, or did before it was started anew.
  if (target->store->slots()->Serves(slot)) {
    served_.insert({target->incarnation, slot});
  } else if (served_.count({target->incarnation, slot}) == 0 &&
             places_[static_cast<size_t>(to)].openings == 1) {
    Violated(absl::StrCat(NameOf(teller.place), " says that slot ", slot, " moved to ", NameOf(to),
                          ", which does not serve it"));
  }
}

void SimCluster::CheckScan(int place) {
  const std::shared_ptr<Life> here = life(place);
  // A scan would wait here for what this thread is to do.
  if (here->store->slots()->count(SlotState::kHeld) > 0) return;
  // It would show what it did the last time.
  Place& its = places_[static_cast<size_t>(place)];
  const std::array<uint64_t, 4> now = {here->number, its.stamps->writes,
                                       here->store->slots()->changes(),
                                       static_cast<uint64_t>(Table().revision)};
  if (std::exchange(its.scanned, now) == now) return;
  ScanOptions options;
  options.keys_only = true;
  const absl::StatusOr<std::unique_ptr<Cursor>> cursor = here->store->NewCursor(options);
  if (!cursor.ok()) return Violated(cursor.status().message());
  ScanPage page;
  while ((*cursor)->Next(PageLimits(), &page).ok() && !page.empty()) {
    for (const ScanEntry& entry : page) {
      const uint16_t slot = KeySlot(entry.key);
      // What is held or down, and is the node's own, is none of these.
      const uint16_t primary = Table().slots[slot].primary;
      if (here->store->slots()->Serves(slot) ||
          (primary != 0 && table_.NameOf(primary) == here->incarnation)) {
        continue;
      }
      return Violated(absl::StrCat("a scan of ", NameOf(place), " shows ", entry.key, " of slot ",
                                   slot, ", which it does not serve: state ",
                                   static_cast<int>(here->store->slots()->state(slot)),
                                   ", foreign ", here->store->slots()->foreign()));
    }
  }
}

std::string SimCluster::Unsettled() {
  const ClusterTable& table = Table();
  std::map<uint16_t, int> place_of;
  for (const int place : Running()) {
    const std::shared_ptr<Life> here = life(place);
    if (here->is_leaving) return absl::StrCat(NameOf(place), " has not left");
    const NodeStatus status = here->node->status();
    if (!status.is_registered || !here->start_error.ok()) {
      return absl::StrCat(NameOf(place), " is not registered: ", here->start_error.message());
    }
    if (!table.IsMember(here->incarnation)) return absl::StrCat(NameOf(place), " is no member");
    const uint16_t number = table.FindNumber(here->incarnation);
    if (number == 0) return absl::StrCat(NameOf(place), " has no slot");
    place_of[number] = place;
  }
  std::vector<int> counts(table.names.size() + 1, 0);
  for (int slot = 0; slot < kSlots; ++slot) {
    const SlotEntry& entry = table.slots[slot];
    const auto text = [&] { return absl::StrCat("slot ", slot, " of group ", GroupOf(slot)); };
    if (entry.joining != 0) return absl::StrCat(text(), " is joining");
    if (entry.previous != 0) return absl::StrCat(text(), " has a previous node");
    if (entry.adopted) return absl::StrCat(text(), " is adopted");
    if (entry.fresh) return absl::StrCat(text(), " is to be emptied");
    if (counts[entry.primary] == 0 && place_of.count(entry.primary) == 0)
      return absl::StrCat(text(), " is nobody's");
    ++counts[entry.primary];
  }
  const int even = kSlots / static_cast<int>(place_of.size());
  for (const auto& [number, place] : place_of) {
    const int count = counts[number];
    if (count != even && count != even + 1) {
      return absl::StrCat(NameOf(place), " has ", count, " slots");
    }
  }
  for (const auto& [number, place] : place_of) {
    const std::shared_ptr<Life> here = life(place);
    if (!here->node->status().is_idle) return absl::StrCat(NameOf(place), " is not idle");
    // What was given up is hidden where it is still there, and removed when it comes again.
    const auto foreign = static_cast<size_t>(here->store->slots()->foreign());
    if (foreign > given_up_.count()) {
      return absl::StrCat(NameOf(place), " has ", foreign, " slots marked as not its own");
    }
    for (int slot = 0; slot < kSlots; ++slot) {
      if (here->store->slots()->Serves(static_cast<uint16_t>(slot)) !=
          (table.slots[slot].primary == number)) {
        return absl::StrCat(NameOf(place), " does not serve slot ", slot, " as the table says");
      }
    }
    ScanOptions options;
    options.keys_only = true;
    const absl::StatusOr<std::unique_ptr<Cursor>> cursor = here->under->NewCursor(options);
    ScanPage page;
    while ((*cursor)->Next(PageLimits(), &page).ok() && !page.empty()) {
      for (const ScanEntry& entry : page) {
        if (table.slots[KeySlot(entry.key)].primary == number) continue;
        if (given_up_[KeySlot(entry.key)]) continue;
        return absl::StrCat(NameOf(place), " still has ", entry.key, " of slot ",
                            KeySlot(entry.key));
      }
    }
  }
  return "";
}

void SimCluster::Log(absl::string_view what) {
  events_.push_back(absl::StrCat(absl::FormatDuration(world_.Now()), " ", what));
  // The story of a slot is told from its beginning.
  if (trace_slot_ < 0 && events_.size() > kEventsKept) events_.pop_front();
}

std::string SimCluster::RecentEvents() const {
  std::string text;
  for (const std::string& event : events_) absl::StrAppend(&text, "  ", event, "\n");
  return text;
}

}  // namespace cluster
}  // namespace kvarts
