#include "cluster/client/nodes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "net/native/cluster_wire.h"
#include "net/native/frame.h"
#include "net/remote/calls.h"
#include "net/remote/requests.h"
#include "net/waiting.h"

namespace kvarts {
namespace cluster_client {
namespace {

// Of asking one node for the map: others may answer where it does not.
constexpr absl::Duration kMapTimeout = absl::Seconds(1);
// A node that was lost is tried again so often, at least, while somebody asks for it.
constexpr absl::Duration kMaxBackoff = absl::Milliseconds(200);
// So many nodes that know nothing newer are believed.
constexpr int kAgreeing = 2;

// What a store over nodes that can do this can do.
Capabilities OfCluster(Capabilities has) {
  has.batch_scope = std::min(has.batch_scope, BatchScope::kShard);
  if (!has.has(has.slot_scan)) has.scan = Support::kAbsent;
  has.ordered_scan = has.backward_scan = has.snapshot = Support::kAbsent;
  has.atomic_multi_get = false;
  return has;
}

}  // namespace

Node::~Node() {
  client_->loop()->Post([client = client_] { client->Shutdown(); });
}

Nodes::Nodes(Transport* transport, const std::vector<std::string>& seeds,
             const ClusterStoreOptions& options, std::unique_ptr<EventLoops> own_loops,
             EventLoop* loop)
    : own_transport_(options.own_transport),
      transport_(transport),
      seeds_(seeds),
      options_(options),
      own_loops_(std::move(own_loops)),
      loop_(loop) {}

Nodes::~Nodes() {
  if (!RunOnLoop(loop_, [this] { Shutdown(); })) Shutdown();
  // What ran there until then may have let go of nodes: behind their ends, which that posted.
  RunOnLoop(loop_, [] {});
}

void Nodes::Shutdown() {
  reading_.reset();
  timer_.reset();
  const RoutePtr route = this->route();
  if (route == nullptr) return;
  for (const std::shared_ptr<Node>& node : route->nodes) {
    if (node != nullptr) node->client().Shutdown();
  }
  SetRoute(nullptr);
}

absl::StatusOr<std::shared_ptr<Nodes>> Nodes::Open(Transport* transport,
                                                   const std::vector<std::string>& seeds,
                                                   const ClusterStoreOptions& options,
                                                   EventLoop* loop) {
  if (seeds.empty()) {
    return absl::InvalidArgumentError("a cluster is opened by the HOST:PORT of one node at least");
  }
  std::vector<std::string> addresses;
  for (const std::string& seed : seeds) addresses.push_back(absl::StrCat("tcp://", seed));
  std::unique_ptr<EventLoops> own_loops;
  if (loop == nullptr) {
    KVARTS_ASSIGN_OR_RETURN(own_loops, EventLoops::New(1));
    loop = own_loops->loop(0);
  }
  std::shared_ptr<Nodes> nodes(
      new Nodes(transport, addresses, options, std::move(own_loops), loop));
  KVARTS_RETURN_IF_ERROR(nodes->Begin());
  return nodes;
}

absl::Status Nodes::Begin() {
  absl::Status failed;
  for (const std::string& seed : seeds_) {
    auto node = std::make_shared<Node>(NewClient(seed, {}));
    StatusWaiter opened;
    node->client().Open([this, &opened](absl::StatusOr<native::ServerHello> hello) {
      const absl::Status status = hello.status();
      if (status.ok()) server_ = *std::move(hello);
      opened.Done(status);
    });
    absl::Status status = opened.Wait();
    if (status.ok()) {
      ClusterMap map;
      StatusWaiter asked;
      Ask(*node, options_.connect_timeout, [&](absl::StatusOr<ClusterMap> answer) {
        const absl::Status outcome = answer.status();
        if (outcome.ok()) map = *std::move(answer);
        asked.Done(outcome);
      });
      status = asked.Wait();
      if (status.ok()) {
        capabilities_ = OfCluster(remote::CapabilitiesOver(server_));
        SetRoute(NewRoute(std::move(map), nullptr, node));
        return absl::OkStatus();
      }
    }
    // One that answers and refuses says more than one that is not there.
    if (failed.ok() || absl::IsUnavailable(failed)) failed = status;
  }
  return failed;
}

std::shared_ptr<native::Client> Nodes::NewClient(const std::string& address,
                                                 const std::string& cluster_id) {
  native::ClientOptions options;
  // Of this connection alone: it numbers its own writes.
  options.client_id = remote::NewClientId();
  options.password = options_.password;
  options.connect_timeout = options_.connect_timeout;
  options.max_backoff = kMaxBackoff;
  options.features = {std::string(native::kClusterFeature)};
  options.cluster_id = cluster_id;
  options.waits = false;
  return native::Client::New(transport_, loop_, address, options);
}

std::shared_ptr<Node> Nodes::NewNode(const std::string& address, const std::string& cluster_id) {
  auto node = std::make_shared<Node>(NewClient(address, cluster_id));
  node->client().Open([](const absl::StatusOr<native::ServerHello>&) {});
  return node;
}

void Nodes::Ask(const Node& node, absl::Duration timeout, OnMap done) {
  auto call = std::make_shared<remote::HeaderCall>();
  call->SetRequest(remote::NewRequest(&node.client(), native::CLUSTER, timeout), {});
  call->Then([call = call.get(), done = std::move(done)](const absl::Status& status) mutable {
    const absl::StatusOr<native::Response> response = call->TakeResponse(status);
    if (!response.ok()) return done(response.status());
    done(native::FromProto(response->cluster()));
  });
  node.client().Start(std::move(call), timeout);
}

void Nodes::SetRoute(RoutePtr route) {
  MutexLock lock(&mu_);
  route_.swap(route);  // the old one is destroyed without the lock
}

RoutePtr Nodes::NewRoute(ClusterMap map, const Route* before, const std::shared_ptr<Node>& other) {
  std::map<std::string, std::shared_ptr<Node>> known;
  if (other != nullptr) known[other->address()] = other;
  if (before != nullptr) {
    for (const std::shared_ptr<Node>& node : before->nodes) {
      if (node != nullptr) known[node->address()] = node;
    }
  }
  std::vector<bool> holds(map.nodes.size());
  for (const int16_t place : map.owner) {
    if (place >= 0) holds[static_cast<size_t>(place)] = true;
  }
  auto route = std::make_shared<Route>();
  for (size_t i = 0; i < map.nodes.size(); ++i) {
    const ClusterNode& node = map.nodes[i];
    route->nodes.emplace_back();
    if (node.native_port == 0 || (!holds[i] && !node.is_member)) continue;
    const std::string address = absl::StrCat("tcp://", NativeHostPort(node));
    std::shared_ptr<Node>& at = known[address];
    if (at == nullptr) at = NewNode(address, map.cluster_id);
    route->nodes.back() = at;
  }
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const int16_t owner = map.owner[slot];
    const bool reached = owner >= 0 && route->nodes[static_cast<size_t>(owner)] != nullptr;
    route->place[slot] = reached ? owner : int16_t{-1};
  }
  route->map = std::move(map);
  return route;
}

void Nodes::Refresh(const RoutePtr& seen, const Node* first, absl::Time deadline,
                    absl::Duration pause, Next next) {
  if (!InLoop()) {
    // `first` is one of the nodes of `seen`.
    return loop_->Post([=, this, next = std::move(next)]() mutable {
      Refresh(seen, first, deadline, pause, std::move(next));
    });
  }
  if (const RoutePtr route = this->route(); route != seen) return next(route);
  waiters_.push_back({seen, deadline, pause, false, std::move(next)});
  if (reading_ == nullptr) BeginReading(seen, first, deadline);
  ArmTimer();
}

void Nodes::BeginReading(const RoutePtr& seen, const Node* first, absl::Time deadline) {
  reading_ = std::make_shared<Reading>();
  reading_->seen = seen;
  reading_->deadline = deadline;
  std::vector<std::shared_ptr<Node>>& asked = reading_->asked;
  for (const std::shared_ptr<Node>& node : seen->nodes) {
    if (node != nullptr && std::find(asked.begin(), asked.end(), node) == asked.end()) {
      asked.push_back(node);
    }
  }
  // Each time another one is the first, but the one that knows comes before all.
  if (!asked.empty()) {
    std::rotate(asked.begin(),
                asked.begin() + static_cast<std::ptrdiff_t>(readings_ % asked.size()), asked.end());
  }
  std::stable_partition(asked.begin(), asked.end(),
                        [first](const std::shared_ptr<Node>& node) { return node.get() == first; });
  AskNext();
}

void Nodes::AskNext() {
  Reading& reading = *reading_;
  const size_t known = reading.asked.size();
  const absl::Duration left = reading.deadline - absl::Now();
  // The seeds are for when all others are gone.
  const size_t all = reading.agreeing > 0 ? known : known + seeds_.size();
  if (reading.at >= all || left <= absl::ZeroDuration()) return EndReading(nullptr);
  const std::shared_ptr<Node> node =
      reading.at < known ? reading.asked[reading.at]
                         : NewNode(seeds_[reading.at - known], reading.seen->map.cluster_id);
  ++reading.at;
  Ask(*node, std::min(left, kMapTimeout),
      [this, node, is_read = std::weak_ptr<Reading>(reading_)](absl::StatusOr<ClusterMap> map) {
        if (!is_read.expired()) TakeMap(node, std::move(map));
      });
}

void Nodes::TakeMap(const std::shared_ptr<Node>& node, absl::StatusOr<ClusterMap> map) {
  const Route& seen = *reading_->seen;
  // Another cluster's node may have the address by now.
  if (!map.ok() || map->cluster_id != seen.map.cluster_id) return AskNext();
  if (map->revision > seen.map.revision) return EndReading(NewRoute(*std::move(map), &seen, node));
  if (map->revision == seen.map.revision && ++reading_->agreeing == kAgreeing) {
    return EndReading(nullptr);
  }
  AskNext();
}

void Nodes::EndReading(RoutePtr newer) {
  ++readings_;
  // Its nodes may be gone with it, when those that waited have gone on.
  const std::shared_ptr<Reading> ended = std::move(reading_);
  if (newer != nullptr) SetRoute(std::move(newer));
  Wake(true);
}

void Nodes::Wake(bool was_read) {
  const absl::Time now = absl::Now();
  const RoutePtr route = this->route();
  std::list<Waiter> going;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const auto waiter = it++;
    if (was_read && !waiter->was_read) {
      waiter->was_read = true;
      waiter->until = std::min(waiter->until, now + waiter->pause);
    }
    if (waiter->seen != route || waiter->until <= now) {
      going.splice(going.end(), waiters_, waiter);
    }
  }
  ArmTimer();
  for (Waiter& waiter : going) waiter.next(route);
}

void Nodes::ArmTimer() {
  if (waiters_.empty()) return;
  absl::Time first = absl::InfiniteFuture();
  for (const Waiter& waiter : waiters_) first = std::min(first, waiter.until);
  if (timer_ == nullptr) timer_ = loop_->NewTimer();
  timer_->Start(std::max(first - absl::Now(), absl::ZeroDuration()), [this] { Wake(false); });
}

bool IsElsewhere(const absl::Status& status) {
  return absl::IsAborted(status) ||
         (absl::IsUnavailable(status) && absl::StartsWith(status.message(), "CLUSTERDOWN"));
}

}  // namespace cluster_client
}  // namespace kvarts
