#include "cluster/resp_client/nodes.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "cluster/resp_client/node_replies.h"
#include "net/resp/client/store_calls.h"
#include "net/waiting.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_cluster {
namespace {

using resp_client::GetCall;

// How long one node is asked for the map: others may answer where it does not.
constexpr absl::Duration kMapTimeout = absl::Seconds(1);
// So many nodes that know nothing else are believed.
constexpr int kAgreeing = 2;
// So many keys are asked for in one call.
constexpr size_t kKeysPerCall = 1024;

bool IsSameOwner(const ClusterNode* a, const ClusterNode* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->id == b->id && a->host == b->host && a->resp_port == b->resp_port;
}

bool IsSame(const ClusterMap& a, const ClusterMap& b) {
  for (int slot = 0; slot < kSlots; ++slot) {
    const auto s = static_cast<uint16_t>(slot);
    if (!IsSameOwner(a.OwnerOf(s), b.OwnerOf(s))) return false;
  }
  return true;
}

}  // namespace

Nodes::Nodes(Transport* transport, const std::vector<std::string>& seeds,
             const RespStoreOptions& options, std::unique_ptr<EventLoops> own_loops)
    : transport_(transport),
      seeds_(seeds),
      own_loops_(std::move(own_loops)),
      loop_(options.loop == nullptr ? own_loops_->loop(0) : options.loop),
      options_(options) {
  options_.loop = loop_;
}

// The last to hold a node ends its connection on the loop, which is there until then.
Nodes::~Nodes() { newest_.Set(nullptr); }

absl::StatusOr<std::shared_ptr<Nodes>> Nodes::Open(Transport* transport,
                                                   const std::vector<std::string>& seeds,
                                                   const RespStoreOptions& options) {
  if (seeds.empty()) {
    return absl::InvalidArgumentError("a cluster is opened by the HOST:PORT of one node at least");
  }
  std::vector<std::string> addresses;
  for (const std::string& seed : seeds) addresses.push_back(absl::StrCat("tcp://", seed));
  std::unique_ptr<EventLoops> own_loops;
  if (options.loop == nullptr) {
    KVARTS_ASSIGN_OR_RETURN(own_loops, EventLoops::New(1));
  }
  std::shared_ptr<Nodes> nodes(new Nodes(transport, addresses, options, std::move(own_loops)));
  KVARTS_RETURN_IF_ERROR(nodes->Begin());
  return nodes;
}

absl::Status Nodes::Begin() {
  absl::Status failed;
  for (const std::string& seed : seeds_) {
    const NodePtr node = Node::New(transport_, seed, options_);
    absl::StatusOr<ClusterMap> map = Ask(node.get(), options_.connect_timeout);
    if (!map.ok()) {
      // One that answers and refuses says more than one that is not there.
      if (failed.ok() || absl::IsUnavailable(failed)) failed = map.status();
      continue;
    }
    // Whether the servers have what reads ask them: any other error is of the key.
    ReadResults probe;
    const absl::string_view key;
    node->Read({key}, false, Timeout(absl::InfiniteDuration()), &probe);
    if (absl::IsUnimplemented(probe[0].status)) {
      return absl::UnimplementedError(absl::StrCat(seed, ": ", probe[0].status.message()));
    }
    newest_.Set(NewRoute(*std::move(map), nullptr));
    return absl::OkStatus();
  }
  return failed;
}

absl::StatusOr<ClusterMap> Nodes::Ask(Node* node, absl::Duration timeout) {
  const auto call = std::make_shared<SlotsCall>(node->address());
  node->Start(call, timeout);
  KVARTS_RETURN_IF_ERROR(call->Wait());
  if (absl::Status status = call->status(); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(node->address(), ": ", status.message()));
  }
  return std::move(call->map());
}

RoutePtr Nodes::NewRoute(ClusterMap map, const Route* before) {
  std::map<std::string, NodePtr> known;
  {
    MutexLock lock(&mu_);
    known.swap(others_);
  }
  if (before != nullptr) {
    for (const NodePtr& node : before->nodes) known[node->address()] = node;
  }
  auto route = std::make_shared<Route>();
  for (const ClusterNode& node : map.nodes) {
    const std::string address = absl::StrCat("tcp://", RespHostPort(node));
    NodePtr& at = known[address];
    if (at == nullptr) at = Node::New(transport_, address, options_);
    route->nodes.push_back(at);
  }
  route->map = std::move(map);
  return route;
}

RoutePtr Nodes::ReadMap(const RoutePtr& seen, Node* first, absl::Time deadline) {
  // Each time another one is the first, but the one that knows comes before all.
  std::vector<Node*> asked;
  for (const NodePtr& node : seen->nodes) {
    if (node.get() != first) asked.push_back(node.get());
  }
  if (!asked.empty()) {
    const auto turn = static_cast<std::ptrdiff_t>(newest_.refreshes() % asked.size());
    std::rotate(asked.begin(), asked.begin() + turn, asked.end());
  }
  if (first != nullptr) asked.insert(asked.begin(), first);
  int agreeing = 0;
  const size_t known = asked.size();
  for (size_t i = 0; i < known + seeds_.size(); ++i) {
    if (i >= known && agreeing > 0) break;  // the seeds are for when all others are gone
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    const NodePtr seed = i < known ? nullptr : Node::New(transport_, seeds_[i - known], options_);
    Node* const node = seed == nullptr ? asked[i] : seed.get();
    absl::StatusOr<ClusterMap> map = Ask(node, std::min(left, kMapTimeout));
    if (!map.ok()) continue;
    if (!IsSame(*map, seen->map)) return NewRoute(*std::move(map), seen.get());
    if (++agreeing == kAgreeing) break;
  }
  return nullptr;
}

NodePtr Nodes::At(const Route& route, const std::string& address) {
  for (const NodePtr& node : route.nodes) {
    if (node->address() == address) return node;
  }
  MutexLock lock(&mu_);
  NodePtr& node = others_[address];
  if (node == nullptr) node = Node::New(transport_, address, options_);
  return node;
}

std::vector<Trip> Nodes::Plan(const Route& route, const std::vector<Errand>& errands,
                              absl::FunctionRef<uint16_t(uint32_t place)> slot_of,
                              std::vector<Errand>* nobodys) {
  std::vector<Trip> trips(route.nodes.size());
  std::map<std::string, size_t> asking;  // places in `trips`, by address
  for (const Errand& errand : errands) {
    size_t trip = 0;
    if (!errand.ask.empty()) {
      const auto found = asking.emplace(errand.ask, trips.size());
      trip = found.first->second;
      if (found.second) trips.push_back({At(route, errand.ask), errand.ask, {}});
    } else {
      const int owner = route.map.owner[slot_of(errand.place)];
      if (owner < 0) {
        nobodys->push_back(errand);
        continue;
      }
      trip = static_cast<size_t>(owner);
      trips[trip].node = route.nodes[trip];
    }
    trips[trip].places.push_back(errand.place);
  }
  trips.erase(std::remove_if(trips.begin(), trips.end(),
                             [](const Trip& trip) { return trip.places.empty(); }),
              trips.end());
  return trips;
}

void Nodes::Read(absl::Span<const absl::string_view> keys, bool value, absl::Duration timeout,
                 ReadResults* results) {
  results->Reset(keys.size());
  std::vector<Errand> errands;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (absl::Status status = CheckKey(keys[i]); status.ok()) {
      errands.push_back({static_cast<uint32_t>(i), {}});
    } else {
      results->mutable_result(i).status = status;
    }
  }
  const auto slot_of = [&](uint32_t place) { return KeySlot(keys[place]); };
  Tries tries(this, timeout);
  RoutePtr route = this->route();
  while (!errands.empty()) {
    struct Asked {
      NodePtr node;
      std::shared_ptr<GetCall> call;
      bool reached = false;
    };
    std::vector<Errand> nobodys;
    std::vector<Asked> asked;
    for (const Trip& trip : Plan(*route, errands, slot_of, &nobodys)) {
      const auto form = trip.ask.empty() ? GetCall::Form::kOneByOne : GetCall::Form::kAsking;
      for (size_t at = 0; at < trip.places.size(); at += kKeysPerCall) {
        const auto some = absl::MakeConstSpan(trip.places).subspan(at, kKeysPerCall);
        asked.push_back({trip.node, std::make_shared<GetCall>(
                                        keys, std::vector<uint32_t>(some.begin(), some.end()),
                                        value, expiry(), results, form)});
        trip.node->Start(asked.back().call, tries.left());
      }
    }
    // All, before one of the results is looked at: the loop fills them in.
    for (Asked& one : asked) one.reached = !absl::IsUnavailable(one.call->Wait());
    Leftovers left(this, *route);
    left.AddNobodys(std::move(nobodys));
    for (const Asked& one : asked) {
      for (const uint32_t place : one.call->places()) {
        left.Take(place, (*results)[place].status, one.reached, *one.node);
      }
    }
    errands = std::move(left.errands);
    if (errands.empty()) return;
    const bool in_time =
        left.wants_map() ? tries.Again(&route, left.at()) : tries.left() > absl::ZeroDuration();
    for (const Errand& errand : errands) {
      ReadResult& result = results->mutable_result(errand.place);
      const absl::Status last = result.status;
      result = ReadResult();
      if (!in_time) result.status = cluster_client::GiveUp(last);
    }
    if (!in_time) return;
  }
}

bool Leftovers::Take(uint32_t place, const absl::Status& status, bool reached, const Node& node) {
  if (status.ok()) return false;
  if (!reached) {
    wants_map_ = true;
    errands.push_back({place, {}});
    return true;
  }
  const std::optional<Refusal> refusal = RefusalOf(status, node.address());
  if (!refusal.has_value()) return false;
  const bool ask = refusal->kind == Refusal::Kind::kAsk;
  errands.push_back({place, ask ? refusal->address : std::string()});
  wants_map_ = wants_map_ || !ask;
  if (refusal->kind == Refusal::Kind::kMoved) at_ = nodes_->At(route_, refusal->address);
  return true;
}

void Leftovers::AddNobodys(std::vector<Errand> nobodys) {
  wants_map_ = wants_map_ || !nobodys.empty();
  errands.insert(errands.end(), std::make_move_iterator(nobodys.begin()),
                 std::make_move_iterator(nobodys.end()));
}

}  // namespace resp_cluster
}  // namespace kvarts
