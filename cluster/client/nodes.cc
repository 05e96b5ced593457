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
             const ClusterStoreOptions& options, std::unique_ptr<EventLoops> loops)
    : own_transport_(options.own_transport),
      transport_(transport),
      seeds_(seeds),
      options_(options),
      loops_(std::move(loops)),
      loop_(loops_->loop(0)) {}

Nodes::~Nodes() {
  newest_.Set(nullptr);
  // Behind the ends of the connections, which were posted.
  RunOnLoop(loop_, [] {});
}

absl::StatusOr<std::shared_ptr<Nodes>> Nodes::Open(Transport* transport,
                                                   const std::vector<std::string>& seeds,
                                                   const ClusterStoreOptions& options) {
  if (seeds.empty()) {
    return absl::InvalidArgumentError("a cluster is opened by the HOST:PORT of one node at least");
  }
  std::vector<std::string> addresses;
  for (const std::string& seed : seeds) addresses.push_back(absl::StrCat("tcp://", seed));
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<EventLoops> loops, EventLoops::New(1));
  std::shared_ptr<Nodes> nodes(new Nodes(transport, addresses, options, std::move(loops)));
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
      absl::StatusOr<ClusterMap> map = Ask(*node, options_.connect_timeout);
      status = map.status();
      if (status.ok()) {
        capabilities_ = OfCluster(remote::CapabilitiesOver(server_));
        newest_.Set(NewRoute(*std::move(map), nullptr, node));
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

absl::StatusOr<ClusterMap> Nodes::Ask(const Node& node, absl::Duration timeout) {
  auto call = std::make_shared<remote::HeaderCall>();
  call->SetRequest(remote::NewRequest(&node.client(), native::CLUSTER, timeout), {});
  node.client().Start(call, timeout);
  KVARTS_ASSIGN_OR_RETURN(const native::Response response, call->WaitForResponse());
  return native::FromProto(response.cluster());
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
  route->map = std::move(map);
  return route;
}

RoutePtr Nodes::Read(const RoutePtr& seen, const Node* first, absl::Time deadline) {
  std::vector<std::shared_ptr<Node>> asked;
  for (const std::shared_ptr<Node>& node : seen->nodes) {
    if (node != nullptr && std::find(asked.begin(), asked.end(), node) == asked.end()) {
      asked.push_back(node);
    }
  }
  // Each time another one is the first, but the one that knows comes before all.
  if (!asked.empty()) {
    std::rotate(asked.begin(),
                asked.begin() + static_cast<std::ptrdiff_t>(newest_.refreshes() % asked.size()),
                asked.end());
  }
  std::stable_partition(asked.begin(), asked.end(),
                        [first](const std::shared_ptr<Node>& node) { return node.get() == first; });
  int agreeing = 0;
  const size_t known = asked.size();
  for (size_t i = 0; i < known + seeds_.size(); ++i) {
    if (i >= known && agreeing > 0) break;  // the seeds are for when all others are gone
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    const std::shared_ptr<Node> node =
        i < known ? asked[i] : NewNode(seeds_[i - known], seen->map.cluster_id);
    absl::StatusOr<ClusterMap> map = Ask(*node, std::min(left, kMapTimeout));
    // Another cluster's node may have the address by now.
    if (!map.ok() || map->cluster_id != seen->map.cluster_id) continue;
    if (map->revision > seen->map.revision) return NewRoute(*std::move(map), seen.get(), node);
    if (map->revision == seen->map.revision && ++agreeing == kAgreeing) break;
  }
  return nullptr;
}

bool IsElsewhere(const absl::Status& status) {
  return absl::IsAborted(status) ||
         (absl::IsUnavailable(status) && absl::StartsWith(status.message(), "CLUSTERDOWN"));
}

}  // namespace cluster_client
}  // namespace kvarts
