#include "cluster/node/sim/sim_run.h"

#include <algorithm>
#include <bitset>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/node/sim/sim_clients.h"
#include "cluster/node/sim/sim_cluster.h"
#include "testing/sim/linearizability.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr int kMostPlaces = 5;
constexpr absl::Duration kSafetyPhase = absl::Minutes(2);
constexpr absl::Duration kLivenessPhase = absl::Minutes(2);

// Lets things go wrong, one after the other, and puts most of them right again after a while.
class Chaos {
 public:
  Chaos(SimCluster* cluster, SimClients* clients, const SimRunOptions& options)
      : cluster_(cluster), clients_(clients), world_(cluster->world()), options_(options) {
    const double roughness = world_->random()->Fraction();
    links_.loss = world_->Chance(0.5) ? 0 : 0.1 * roughness;
    links_.cut = world_->Chance(0.5) ? 0 : 0.3;
    links_.lose_connection = world_->Chance(0.6) ? 0 : 0.002 * roughness;
    if (world_->Chance(0.3)) links_.most_delay = absl::Milliseconds(5);
    coordinator_.delay = absl::Milliseconds(world_->Chance(0.5) ? 1 : 20);
    coordinator_.hint_lost = world_->Chance(0.5) ? 0 : 0.3;
    if (world_->Chance(0.6)) {
      coordinator_.refused = 0.05 * roughness;
      coordinator_.lost = 0.05 * roughness;
      coordinator_.answer_lost = 0.1 * roughness;
      coordinator_.late = 0.1 * roughness;
      coordinator_.late_delay = absl::Seconds(5);
    }
    pause_ = absl::Milliseconds(100) + absl::Milliseconds(1900) * world_->random()->Fraction();
    most_crashes_ = options.durable ? 1000 : static_cast<int>(world_->random()->Below(3));
  }

  void Start() {
    cluster_->net()->SetLinks(links_);
    cluster_->SetCoordinatorFaults(coordinator_);
    Next();
  }
  void Stop() {
    stopped_ = true;
    cluster_->net()->SetLinks(SimLinkOptions());
    cluster_->net()->RejoinAll();
    cluster_->SetCoordinatorFaults({});
    for (int place = 0; place < cluster_->places(); ++place) {
      cluster_->CutOff(place, false);
      const std::shared_ptr<SimCluster::Life> life = cluster_->life(place);
      if (life == nullptr) {
        // A place that was left by its node stays empty, but for one that must be there.
        if (!left_[place] || cluster_->Running().empty()) cluster_->Start(place);
      } else if (life->process->paused()) {
        world_->Resume(life->process);
      }
    }
    cluster_->AlignClocks();
  }
  uint64_t crashes() const { return static_cast<uint64_t>(crashes_); }

 private:
  void Next() {
    world_->After(world_->Between(pause_ / 4, pause_ * 2), [this] {
      if (stopped_) return;
      Act();
      Next();
    });
  }
  void Later(absl::Duration most, Task task) {
    world_->After(world_->Between(absl::Milliseconds(1), most),
                  [this, task = std::move(task)]() mutable {
                    if (!stopped_) task();
                  });
  }
  int Any() {
    const std::vector<int> running = cluster_->Running();
    return running.empty() ? -1 : running[world_->random()->Below(running.size())];
  }
  absl::Duration Some() { return world_->Chance(0.5) ? absl::Milliseconds(300) : absl::Seconds(4); }

  void Act() {
    const int a = Any();
    if (a < 0) return;
    const int b = Any();
    const std::string name = SimCluster::NameOf(a);
    const std::string other = SimCluster::NameOf(b);
    SimTransport* const net = cluster_->net();
    switch (world_->random()->Below(options_.gives_up ? 12 : 9)) {
      case 0:
      case 1: {
        if (crashes_ >= most_crashes_ || cluster_->life(a)->is_leaving) return;
        ++crashes_;
        cluster_->Crash(a, world_->Chance(0.7) ? SimCrash::kKilled : SimCrash::kSilent);
        Later(Some(), [this, a] {
          if (cluster_->life(a) == nullptr) cluster_->Start(a);
        });
        return;
      }
      case 2: {
        SimProcess* const process = cluster_->life(a)->process;
        if (process->paused()) return;
        cluster_->Log(absl::StrCat("pause ", name));
        world_->Pause(process);
        Later(Some(), [this, process, name] {
          if (process->crashed() || !process->paused()) return;
          cluster_->Log(absl::StrCat("resume ", name));
          world_->Resume(process);
        });
        return;
      }
      case 3:
        cluster_->Log(absl::StrCat("connections between ", name, " and ", other, " are lost"));
        net->LoseConnections(name, other);
        return;
      case 4:
        if (a == b) return;
        cluster_->Log(absl::StrCat("partition of ", name, " and ", other));
        if (world_->Chance(0.5)) {
          net->Partition(name, other);
        } else {
          net->Block(name, other);
        }
        Later(Some(), [this, net, name, other] {
          cluster_->Log(absl::StrCat("rejoin ", name, " and ", other));
          net->Rejoin(name, other);
        });
        return;
      case 5:
        cluster_->Log(absl::StrCat(name, " loses sight of the coordinator"));
        cluster_->CutOff(a, true);
        Later(Some(), [this, a, name] {
          cluster_->Log(absl::StrCat(name, " sees the coordinator again"));
          cluster_->CutOff(a, false);
        });
        return;
      case 6:
        cluster_->Log(absl::StrCat("the clock of ", name, " jumps"));
        cluster_->life(a)->process->JumpClock(
            world_->Between(absl::Milliseconds(-1500), absl::Milliseconds(1500)));
        return;
      case 7:
        if (cluster_->places() < kMostPlaces) {
          cluster_->Start(cluster_->places());
        } else {
          for (int place = 0; place < cluster_->places(); ++place) {
            if (cluster_->life(place) != nullptr || !left_[place]) continue;
            left_[place] = false;
            return cluster_->Start(place);
          }
        }
        return;
      case 9:
      case 10:
      case 11: {
        const auto number = std::make_shared<size_t>();
        const std::bitset<kSlots> slots = cluster_->GiveUpDead(
            [this, number](int64_t revision) { clients_->Lost(*number, revision); });
        if (slots.any()) *number = clients_->Lose(slots);
        return;
      }
      default: {
        int staying = 0;
        for (const int place : cluster_->Running()) {
          const std::shared_ptr<SimCluster::Life> life = cluster_->life(place);
          if (!life->is_leaving && cluster_->Table().IsMember(life->incarnation)) ++staying;
        }
        if (staying < 3 || cluster_->life(a)->is_leaving) return;
        left_[a] = true;
        cluster_->Leave(a);
      }
    }
  }

  SimCluster* const cluster_;
  SimClients* const clients_;
  SimWorld* const world_;
  const SimRunOptions options_;
  SimLinkOptions links_;
  CoordinatorFaults coordinator_;
  absl::Duration pause_;
  bool stopped_ = false;
  int crashes_ = 0;
  int most_crashes_ = 0;
  bool left_[kMostPlaces] = {};
};

}  // namespace

SimRunResult RunSeed(uint64_t seed, const SimRunOptions& options) {
  SimRunResult result;
  SimClusterOptions cluster_options;
  cluster_options.durable = options.durable;
  SimCluster cluster(seed, cluster_options);
  SimWorld* const world = cluster.world();
  const int first = 2 + static_cast<int>(world->random()->Below(2));
  for (int place = 0; place < first; ++place) cluster.Start(place);
  SimClientOptions client_options;
  client_options.operations = std::max(0, options.operations - client_options.cold_keys);
  SimClients clients(&cluster, client_options);
  Chaos chaos(&cluster, &clients, options);

  // Scans, as clients make them, while all goes on.
  absl::Duration next_scan = absl::Seconds(1);
  const auto scan = [&] {
    if (world->Now() < next_scan) return;
    next_scan = world->Now() + absl::Milliseconds(50);
    for (const int place : cluster.Running()) cluster.CheckScan(place);
    clients.Look();
  };

  cluster.RunFor(absl::Milliseconds(200));
  clients.Start();
  chaos.Start();
  cluster.RunUntil(
      [&] {
        scan();
        return clients.done();
      },
      kSafetyPhase);
  if (cluster.violation().empty() && !clients.done()) cluster.Violated("clients wait for ever");

  chaos.Stop();
  clients.SetLoss(0);
  absl::Duration next_look = world->Now() + absl::Seconds(1);
  std::string unsettled;
  const bool settled = cluster.RunUntil(
      [&] {
        if (world->Now() < next_look) return false;
        next_look = world->Now() + absl::Milliseconds(200);
        unsettled = cluster.Unsettled();
        return unsettled.empty();
      },
      kLivenessPhase);
  if (!settled) cluster.Violated(absl::StrCat("does not come to rest: ", unsettled));
  clients.Look();
  clients.ReadAll();
  cluster.RunUntil([&] { return clients.done(); }, kLivenessPhase);
  const LinearizabilityReport report = CheckLinearizability(clients.HistoryWithout(cluster.lost()));
  if (!report.text.empty()) cluster.Violated(report.text);
  if (options.durable && (cluster.lost() & ~cluster.taken_along()).any()) {
    cluster.Violated("slots were lost, and nodes keep what they have");
  }

  result.trace_hash = world->trace_hash();
  result.answered = clients.answered();
  result.moved_answers = clients.moved();
  result.crashes = chaos.crashes();
  result.lost_slots = cluster.lost().count();
  result.given_up_slots = cluster.given_up().count();
  if (!cluster.violation().empty()) {
    result.violation = absl::StrCat("seed ", seed, options.durable ? ", durable" : ", in memory",
                                    options.gives_up ? ", giving up: " : ": ", cluster.violation(),
                                    "\nthe last events:\n", cluster.RecentEvents());
  }
  return result;
}

}  // namespace cluster
}  // namespace kvarts
