// Makes a cluster, and shows and changes who is in it.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/common/app.h"
#include "apps/stores.h"
#include "base/size.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "cluster/busy_slots.h"
#include "cluster/coordinator/open_coordinator.h"
#include "cluster/coordinator/waiting_coordinator.h"
#include "cluster/heavy_slots.h"
#include "cluster/node/node_file.h"
#include "cluster/node/probe.h"
#include "cluster/placement.h"
#include "cluster/table.h"
#include "gflags/gflags.h"
#include "net/cluster_map.h"
#include "net/password_file.h"
#include "net/remote/remote_store.h"
#include "net/tcp/tcp.h"
#include "net/tls/tls.h"
#include "storage/store.h"

DEFINE_string(
    coordinator, "",
    "Where the cluster's table is: file:PATH or etcd://HOST:PORT,HOST:PORT/NAME, as kv_node "
    "takes it.");
DEFINE_string(on_loss, "wait",
              "For create: what becomes of the slots of a node in memory that died. wait: they are "
              "down until kv_cluster recover --accept_loss; empty: its process, started again at "
              "the same ports, serves them empty (for caches).");
DEFINE_bool(accept_loss, false, "For recover: what was on dead nodes is given up.");
DEFINE_bool(force, false, "For remove: a node that is dead, and what was on it.");
DEFINE_bool(json, false, "For status and skew: JSON.");
DEFINE_string(cluster_password_file, "",
              "Where nodes have a password for each other: a file whose first line it is, to ask "
              "them whether they are alive.");
DEFINE_string(password_file, "",
              "Where clients of the nodes must give a password: a file whose first line it is, to "
              "count keys.");
DEFINE_string(ca, "",
              "Where nodes serve clients with TLS: the roots of their certificates, in PEM, to "
              "count keys; empty: the system's.");
DEFINE_string(cert, "",
              "Where nodes ask clients for a certificate (--tls_client_ca): the one to show them, "
              "in PEM, to count keys.");
DEFINE_string(key, "", "The private key of --cert, in PEM without a passphrase.");
DEFINE_int32(slots, 0,
             "For skew: show so many of the heaviest and of the busiest slots too. All entries are "
             "read for it.");
DEFINE_string(timeout, "60s",
              "For add, remove and rebalance: how long to wait for the moves; 0: "
              "not at all.");

namespace kvarts {
namespace {

using cluster::ClusterTable;
using cluster::Incarnation;
using cluster::NodeInfo;
using cluster::NodeState;
using cluster::SlotEntry;

constexpr char kUsage[] =
    "kv_cluster: makes a cluster, and shows and changes who is in it.\n"
    "\n"
    "usage: kv_cluster --coordinator=SPEC COMMAND\n"
    "\n"
    "  create            makes the table of a cluster; nodes come by themselves\n"
    "  status            the nodes, and what moves\n"
    "  add NODE          has a node take its share, one that was started with --manual\n"
    "  remove NODE       has a node give all its slots away, and takes it out of the table\n"
    "  rebalance         evens out, and waits until nothing moves\n"
    "  skew              how even slots, keys, memory and operations since nodes began are, by\n"
    "                    weight; --slots=N: the heaviest and busiest slots\n"
    "  recover           gives the slots of dead nodes to the others, empty (--accept_loss)\n"
    "\n"
    "NODE is the beginning of its id, or HOST:PORT of any of its ports.";

constexpr absl::Duration kProbeTime = absl::Seconds(1);
constexpr absl::Duration kPoll = absl::Milliseconds(100);

const char* ToText(NodeState state) {
  switch (state) {
    case NodeState::kRegistered:
      return "registered";
    case NodeState::kMember:
      return "member";
    case NodeState::kLeaving:
      return "leaving";
  }
  return "?";
}

std::string ShortId(const Incarnation& node) { return cluster::ToHex(node).substr(0, 12); }

// What there is, and what nodes say of themselves.
struct Seen {
  bool is_alive = false;
  std::optional<uint64_t> keys;
  uint64_t memory_bytes = 0;  // of its data; 0: not known
  uint64_t operations = 0;    // that it served since it began
  std::vector<cluster::BusySlot> busy;
};

class Commands {
 public:
  static absl::StatusOr<int> Run(const std::string& command, const std::vector<std::string>& args) {
    const std::unique_ptr<Transport> tcp = NewTcpTransport();
    absl::StatusOr<std::unique_ptr<WaitingCoordinator>> coordinator =
        WaitingCoordinator::Open(FLAGS_coordinator, tcp.get());
    if (absl::IsInvalidArgument(coordinator.status())) {
      return UsageError(absl::StrCat("--coordinator: ", coordinator.status().message()));
    }
    KVARTS_RETURN_IF_ERROR(coordinator.status());
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoops> loops, EventLoops::New(1));
    std::unique_ptr<Transport> secret;
    if (!FLAGS_cluster_password_file.empty()) {
      KVARTS_ASSIGN_OR_RETURN(const std::string password,
                              ReadPasswordFile(FLAGS_cluster_password_file));
      auto made = NewSharedSecretTransport(tcp.get(), password);
      if (!made.ok()) {
        return UsageError(absl::StrCat("--cluster_password_file=", FLAGS_cluster_password_file,
                                       ": ", made.status().message()));
      }
      secret = *std::move(made);
    }
    RemoteOptions remote;
    remote.timeout = remote.connect_timeout = kProbeTime;
    if (!FLAGS_password_file.empty()) {
      KVARTS_ASSIGN_OR_RETURN(remote.password, ReadPasswordFile(FLAGS_password_file));
    }
    Commands commands(tcp.get(), secret.get(), std::move(remote), loops->loop(0),
                      coordinator->get());
    if (command == "create") return commands.Create();
    KVARTS_RETURN_IF_ERROR(commands.ReadTable());
    if (command == "status") return commands.Status();
    if (command == "skew") return commands.Skew();
    if (command == "rebalance") return commands.Rebalance();
    if (command == "recover") return commands.Recover();
    KVARTS_ASSIGN_OR_RETURN(const Incarnation node, commands.Find(args[0]));
    return command == "add" ? commands.Add(node) : commands.Remove(node);
  }

 private:
  // `secret`: to nodes that have a password for each other; may be null.
  Commands(Transport* transport, Transport* secret, RemoteOptions remote, EventLoop* loop,
           WaitingCoordinator* coordinator)
      : transport_(transport),
        secret_(secret),
        remote_(std::move(remote)),
        loop_(loop),
        coordinator_(coordinator) {}

  absl::Status ReadTable() {
    KVARTS_ASSIGN_OR_RETURN(const Coordinator::Contents contents, coordinator_->Read());
    KVARTS_ASSIGN_OR_RETURN(table_, ClusterTable::Parse(contents));
    if (table_.cluster_revision != 0) return CheckSecret();
    return absl::FailedPreconditionError(
        absl::StrCat(ShownCoordinator(FLAGS_coordinator),
                     ": there is no cluster; make one with kv_cluster create"));
  }

  // Nodes with a password answer nobody who has none, and would all be taken for dead.
  absl::Status CheckSecret() const {
    if (secret_ != nullptr) return absl::OkStatus();
    for (const auto& [node, info] : table_.nodes) {
      if (!info.internal_secret) continue;
      return UsageError(absl::StrCat("node ", ShortId(node),
                                     " has a password for other nodes: expected "
                                     "--cluster_password_file=PATH, as kv_node has it"));
    }
    return absl::OkStatus();
  }

  // Tries `change` on the newest table until nobody changes it meanwhile.
  template <typename Change>
  absl::Status Commit(Change change) {
    for (int i = 0; i < 20; ++i) {
      if (i > 0) KVARTS_RETURN_IF_ERROR(ReadTable());
      Coordinator::Transaction transaction;
      KVARTS_RETURN_IF_ERROR(change(&transaction));
      if (transaction.changes.empty()) return absl::OkStatus();
      KVARTS_ASSIGN_OR_RETURN(const Coordinator::Outcome outcome,
                              coordinator_->Commit(std::move(transaction)));
      if (outcome.succeeded) return ReadTable();
    }
    return absl::UnavailableError("the table changed at every try");
  }

  Seen Look(const Incarnation& node, const NodeInfo& info, bool count) {
    Seen seen;
    const absl::Status probed =
        cluster::ProbeNode(info.internal_secret ? secret_ : transport_, loop_,
                           cluster::InternalAddress(info), table_.cluster_id, node, kProbeTime);
    // Somebody who answers with anything else may be the node, and is not given up.
    seen.is_alive = !absl::IsUnavailable(probed) && !absl::IsDeadlineExceeded(probed) &&
                    !absl::IsNotFound(probed);
    if (!seen.is_alive || !count || info.native_port == 0) return seen;
    const auto store = OpenStore(info);
    if (!store.ok()) return seen;
    const auto stats = (*store)->Stats();
    if (stats.ok()) {
      seen.keys = stats->entries;
      seen.memory_bytes = stats->memory_bytes;
      for (const auto& [name, value] : stats->details) {
        if (name == "requests_served" && !absl::SimpleAtoi(value, &seen.operations)) {
          seen.operations = 0;
        }
        if (name != cluster::kBusySlotsDetail) continue;
        if (auto busy = cluster::ParseBusySlots(value); busy.ok()) seen.busy = *std::move(busy);
      }
    }
    return seen;
  }

  // What one node serves. REQUIRES: it serves the native protocol.
  absl::StatusOr<std::unique_ptr<Store>> OpenStore(const NodeInfo& info) const {
    RemoteOptions remote = remote_;
    if (info.native_tls) {
      TlsOptions tls;
      tls.ca_file = FLAGS_ca;
      tls.client_certificate_file = FLAGS_cert;
      tls.client_key_file = FLAGS_key;
      KVARTS_ASSIGN_OR_RETURN(remote.own_transport, NewTlsTransport(transport_, tls));
    }
    return OpenRemoteStore(info.native_tls ? remote.own_transport.get() : transport_,
                           absl::StrCat("tcp://", NativeHostPort(info)), remote);
  }

  std::vector<Incarnation> Dead() {
    std::vector<Incarnation> dead;
    for (const auto& [node, info] : table_.nodes) {
      if (!Look(node, info, false).is_alive) dead.push_back(node);
    }
    for (const Incarnation& node : table_.names) {
      if (table_.nodes.count(node) == 0) dead.push_back(node);
    }
    return dead;
  }

  absl::StatusOr<Incarnation> Find(const std::string& name) const {
    std::vector<Incarnation> found;
    for (const auto& [node, info] : table_.nodes) {
      bool is_it = name.size() >= 4 && absl::StartsWith(cluster::ToHex(node), name);
      for (const std::string& address :
           {NativeHostPort(info), RespHostPort(info), HttpHostPort(info),
            HostPort(info.internal_host, info.internal_port)}) {
        is_it = is_it || address == name;
      }
      if (is_it) found.push_back(node);
    }
    if (found.size() == 1) return found[0];
    return absl::NotFoundError(absl::StrCat(
        "\"", name, "\": ", found.empty() ? "no node" : "more than one node",
        " of the cluster has this; expected the beginning of an id, or HOST:PORT, as status shows "
        "them"));
  }

  absl::StatusOr<int> Create() {
    if (FLAGS_on_loss != "wait" && FLAGS_on_loss != "empty") {
      return UsageError(absl::StrCat("--on_loss=", FLAGS_on_loss, ": expected wait or empty"));
    }
    KVARTS_ASSIGN_OR_RETURN(const Coordinator::Contents contents, coordinator_->Read());
    KVARTS_ASSIGN_OR_RETURN(table_, ClusterTable::Parse(contents));
    if (table_.cluster_revision != 0) {
      return absl::AlreadyExistsError(
          absl::StrCat(ShownCoordinator(FLAGS_coordinator),
                       ": there is a cluster already: ", cluster::ToHex(table_.cluster_id)));
    }
    table_.cluster_id = cluster::NewIncarnation();
    table_.empty_on_loss = FLAGS_on_loss == "empty";
    Coordinator::Transaction transaction;
    table_.AddCluster(&transaction);
    KVARTS_ASSIGN_OR_RETURN(const Coordinator::Outcome outcome,
                            coordinator_->Commit(std::move(transaction)));
    if (!outcome.succeeded) {
      return absl::AlreadyExistsError(absl::StrCat(
          ShownCoordinator(FLAGS_coordinator), ": somebody else made a cluster there just now"));
    }
    absl::PrintF("cluster %s\n", cluster::ToHex(table_.cluster_id));
    return 0;
  }

  struct Counts {
    int unassigned = 0;
    int moving = 0;
    int old = 0;
    int fresh = 0;
  };
  Counts Count() const {
    Counts counts;
    for (const SlotEntry& slot : table_.slots) {
      if (slot.primary == 0) ++counts.unassigned;
      if (slot.joining != 0) ++counts.moving;
      if (slot.previous != 0) ++counts.old;
      if (slot.fresh) ++counts.fresh;
    }
    return counts;
  }

  // Slots whose primary is not registered, or dead.
  int Down(const std::vector<std::pair<Incarnation, Seen>>& seen) const {
    int down = 0;
    for (const SlotEntry& slot : table_.slots) {
      if (slot.primary == 0) continue;
      const Incarnation& name = table_.NameOf(slot.primary);
      const auto it = std::find_if(seen.begin(), seen.end(),
                                   [&](const auto& entry) { return entry.first == name; });
      if (it == seen.end() || !it->second.is_alive) ++down;
    }
    return down;
  }

  absl::StatusOr<int> Status() {
    std::vector<std::pair<Incarnation, Seen>> seen;
    for (const auto& [node, info] : table_.nodes) seen.emplace_back(node, Look(node, info, true));
    const Counts counts = Count();
    const int down = Down(seen);
    if (FLAGS_json) {
      absl::PrintF(
          "{\"cluster\":\"%s\",\"revision\":%d,\"on_loss\":\"%s\",\"slots_unassigned\":%d,"
          "\"slots_moving\":%d,\"slots_to_drop\":%d,\"slots_to_empty\":%d,\"slots_down\":%d,"
          "\"slots_lost\":%d,"
          "\"nodes\":[",
          cluster::ToHex(table_.cluster_id), table_.revision,
          table_.empty_on_loss ? "empty" : "wait", counts.unassigned, counts.moving, counts.old,
          counts.fresh, down, table_.lost_slots);
    } else {
      absl::PrintF("cluster %s, revision %d\n", cluster::ToHex(table_.cluster_id), table_.revision);
      absl::PrintF(
          "slots: %d served, %d moving, %d to be dropped, %d to be emptied, %d down, %d of nobody; "
          "lost so far: %d\n\n",
          kSlots - down - counts.unassigned - counts.fresh, counts.moving, counts.old, counts.fresh,
          down, counts.unassigned, table_.lost_slots);
      absl::PrintF("%-12s  %-10s  %-6s  %6s  %12s  %-22s  %-22s  %s\n", "node", "state", "alive",
                   "slots", "keys", "native", "resp", "store");
    }
    const char* separator = "";
    for (const auto& [node, what] : seen) {
      const NodeInfo& info = table_.nodes.at(node);
      const int slots = table_.CountOf(table_.FindNumber(node));
      const std::string native = NativeHostPort(info);
      const std::string resp = RespHostPort(info);
      const std::string http = HttpHostPort(info);
      if (FLAGS_json) {
        absl::PrintF(
            "%s{\"id\":\"%s\",\"state\":\"%s\",\"alive\":%s,\"slots\":%d,\"keys\":%s,"
            "\"native\":\"%s\",\"resp\":\"%s\",\"http\":\"%s\",\"durable\":%s}",
            separator, cluster::ToHex(node), ToText(info.state), what.is_alive ? "true" : "false",
            slots, what.keys.has_value() ? absl::StrCat(*what.keys) : "null", native, resp, http,
            info.durable ? "true" : "false");
        separator = ",";
      } else {
        absl::PrintF("%-12s  %-10s  %-6s  %6d  %12s  %-22s  %-22s  %s\n", ShortId(node),
                     ToText(info.state), what.is_alive ? "yes" : "no", slots,
                     what.keys.has_value() ? absl::StrCat(*what.keys) : "-",
                     native.empty() ? "-" : native, resp.empty() ? "-" : resp, OneLine(info.store));
      }
    }
    if (FLAGS_json) std::puts("]}");
    return 0;
  }

  absl::StatusOr<std::vector<cluster::HeavySlot>> HeaviestSlots() const {
    std::vector<std::unique_ptr<Store>> stores;
    std::vector<cluster::SlotsOfNode> nodes;
    for (const auto& [node, info] : table_.nodes) {
      const uint16_t number = table_.FindNumber(node);
      ClusterMap map;
      for (int slot = 0; slot < kSlots && number != 0; ++slot) {
        if (table_.slots[slot].primary == number) map.owner[slot] = 0;
      }
      cluster::SlotsOfNode slots;
      slots.slots = map.RunsOf(0);
      if (slots.slots.empty() || info.native_port == 0) continue;
      KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(info));
      slots.store = store.get();
      stores.push_back(std::move(store));
      nodes.push_back(std::move(slots));
    }
    return cluster::HeaviestSlots(nodes, static_cast<size_t>(FLAGS_slots));
  }

  absl::StatusOr<int> Skew() {
    uint64_t keys = 0;
    uint64_t memory = 0;
    uint64_t operations = 0;
    double weight = 0;
    int members = 0;
    std::vector<std::pair<Incarnation, Seen>> seen;
    for (const auto& [node, info] : table_.nodes) {
      if (info.state != NodeState::kMember) continue;
      seen.emplace_back(node, Look(node, info, true));
      keys += seen.back().second.keys.value_or(0);
      memory += seen.back().second.memory_bytes;
      operations += seen.back().second.operations;
      weight += info.weight;
      ++members;
    }
    if (members == 0) return absl::FailedPreconditionError("the cluster has no members");
    std::vector<cluster::HeavySlot> heavy;
    if (FLAGS_slots > 0) {
      KVARTS_ASSIGN_OR_RETURN(heavy, HeaviestSlots());
    }
    // Beside what a node of its weight would have, were all even.
    double share = 0;
    const auto of_even = [&](uint64_t part, uint64_t all) {
      return all == 0 ? 1 : static_cast<double>(part) / (static_cast<double>(all) * share);
    };
    if (FLAGS_json) {
      std::fputs(FLAGS_slots > 0 ? "{\"nodes\":[" : "[", stdout);
    } else {
      absl::PrintF("%-12s  %6s  %6s  %8s  %12s  %8s  %10s  %8s  %12s  %8s\n", "node", "weight",
                   "slots", "of even", "keys", "of even", "memory", "of even", "operations",
                   "of even");
    }
    const char* separator = "";
    for (const auto& [node, what] : seen) {
      const int slots = table_.CountOf(table_.FindNumber(node));
      const uint64_t own = what.keys.value_or(0);
      const double node_weight = table_.nodes.at(node).weight;
      share = node_weight / weight;
      if (FLAGS_json) {
        absl::PrintF(
            "%s{\"id\":\"%s\",\"weight\":%g,\"slots\":%d,\"slots_of_even\":%.4f,\"keys\":%d,"
            "\"keys_of_even\":%.4f,\"memory_bytes\":%d,\"memory_of_even\":%.4f,\"operations\":%d,"
            "\"operations_of_even\":%.4f}",
            separator, cluster::ToHex(node), node_weight, slots,
            of_even(static_cast<uint64_t>(slots), kSlots), own, of_even(own, keys),
            what.memory_bytes, of_even(what.memory_bytes, memory), what.operations,
            of_even(what.operations, operations));
        separator = ",";
      } else {
        absl::PrintF("%-12s  %6g  %6d  %8.4f  %12d  %8.4f  %10s  %8.4f  %12d  %8.4f\n",
                     ShortId(node), node_weight, slots,
                     of_even(static_cast<uint64_t>(slots), kSlots), own, of_even(own, keys),
                     FormatSize(what.memory_bytes), of_even(what.memory_bytes, memory),
                     what.operations, of_even(what.operations, operations));
      }
    }
    if (FLAGS_slots > 0) {
      ShowHeavy(heavy);
      ShowBusy(seen);
    } else if (FLAGS_json) {
      std::puts("]");
    }
    return 0;
  }

  void ShowHeavy(const std::vector<cluster::HeavySlot>& heavy) const {
    if (FLAGS_json) {
      std::fputs("],\"slots\":[", stdout);
    } else {
      absl::PrintF("\n%-6s  %-12s  %12s  %10s  %s\n", "slot", "node", "keys", "bytes",
                   "tag with the most, and its part of the bytes");
    }
    const char* separator = "";
    for (const cluster::HeavySlot& slot : heavy) {
      const uint16_t primary = table_.slots[slot.slot].primary;
      const std::string node = primary == 0 ? "" : cluster::ToHex(table_.NameOf(primary));
      if (FLAGS_json) {
        absl::PrintF(
            "%s{\"slot\":%d,\"node\":\"%s\",\"keys\":%d,\"bytes\":%d,\"tag_base64\":\"%s\","
            "\"tag_keys\":%d,\"tag_bytes\":%d}",
            separator, slot.slot, node, slot.all.keys, slot.all.bytes, absl::Base64Escape(slot.tag),
            slot.of_tag.keys, slot.of_tag.bytes);
        separator = ",";
      } else {
        const double part =
            100.0 * static_cast<double>(slot.of_tag.bytes) / static_cast<double>(slot.all.bytes);
        absl::PrintF(
            "%-6d  %-12s  %12d  %10s  %s\n", slot.slot, node.substr(0, 12), slot.all.keys,
            FormatSize(slot.all.bytes),
            slot.tag.empty() ? "-" : absl::StrFormat("{%s} %.0f %%", OneLine(slot.tag), part));
      }
    }
  }

  // The slots with the most operations, each as its node tells of it.
  void ShowBusy(const std::vector<std::pair<Incarnation, Seen>>& seen) const {
    std::vector<std::pair<std::string, const cluster::BusySlot*>> all;
    for (const auto& [node, what] : seen) {
      for (const cluster::BusySlot& slot : what.busy) {
        all.emplace_back(cluster::ToHex(node), &slot);
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.second->operations > b.second->operations;
    });
    all.resize(std::min(all.size(), static_cast<size_t>(FLAGS_slots)));
    if (FLAGS_json) {
      std::fputs("],\"busiest_slots\":[", stdout);
    } else {
      absl::PrintF("\n%-6s  %-12s  %12s  %s\n", "slot", "node", "operations",
                   absl::StrCat("tag that most of them have; one in ", cluster::SlotSamples::kEvery,
                                " is counted"));
    }
    const char* separator = "";
    for (const auto& [node, slot] : all) {
      if (FLAGS_json) {
        absl::PrintF("%s{\"slot\":%d,\"node\":\"%s\",\"operations\":%d,\"tag_base64\":\"%s\"}",
                     separator, slot->slot, node, slot->operations, absl::Base64Escape(slot->tag));
        separator = ",";
      } else {
        absl::PrintF("%-6d  %-12s  %12d  %s\n", slot->slot, node.substr(0, 12), slot->operations,
                     slot->tag.empty() ? "-" : absl::StrCat("{", OneLine(slot->tag), "}"));
      }
    }
    if (FLAGS_json) std::puts("]}");
  }

  // Waits until nothing moves, and `node`, if there is one, has no slots.
  absl::Status WaitForMoves(const Incarnation& node) {
    absl::Duration timeout;
    if (!absl::ParseDuration(FLAGS_timeout, &timeout) || timeout < absl::ZeroDuration()) {
      return UsageError(absl::StrCat("--timeout=", FLAGS_timeout, ": expected a time such as 60s"));
    }
    if (timeout == absl::ZeroDuration()) return absl::OkStatus();
    const absl::Time deadline = absl::Now() + timeout;
    while (true) {
      KVARTS_RETURN_IF_ERROR(ReadTable());
      const Counts counts = Count();
      const uint16_t number = table_.FindNumber(node);
      const int left = number == 0 ? 0 : table_.CountOf(number);
      if (counts.moving == 0 && counts.old == 0 && left == 0) return absl::OkStatus();
      if (absl::Now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("after ", FLAGS_timeout, " ", counts.moving + left,
                         " slots have still to move; they go on, see kv_cluster status"));
      }
      absl::SleepFor(kPoll);
    }
  }

  absl::StatusOr<int> Add(const Incarnation& node) {
    if (!Look(node, table_.nodes.at(node), false).is_alive) {
      return absl::UnavailableError(absl::StrCat("node ", ShortId(node), " does not answer"));
    }
    const std::vector<Incarnation> dead = Dead();
    KVARTS_RETURN_IF_ERROR(Commit([&](Coordinator::Transaction* transaction) -> absl::Status {
      const auto it = table_.nodes.find(node);
      if (it == table_.nodes.end()) return absl::NotFoundError("the node has gone");
      ClusterTable next = table_;
      next.nodes[node].state = NodeState::kMember;
      cluster::Rebalance(dead, &next);
      next.AddChangedGroups(table_, transaction);
      if (it->second.state != NodeState::kMember) next.AddNode(node, transaction);
      return absl::OkStatus();
    }));
    KVARTS_RETURN_IF_ERROR(WaitForMoves({}));
    absl::PrintF("node %s has %d slots\n", ShortId(node), table_.CountOf(table_.FindNumber(node)));
    return 0;
  }

  absl::StatusOr<int> Rebalance() {
    const std::vector<Incarnation> dead = Dead();
    int planned = 0;
    KVARTS_RETURN_IF_ERROR(Commit([&](Coordinator::Transaction* transaction) -> absl::Status {
      ClusterTable next = table_;
      cluster::Rebalance(dead, &next);
      planned = 0;
      for (int i = 0; i < kSlots; ++i) {
        if (!(next.slots[i] == table_.slots[i])) ++planned;
      }
      next.AddChangedGroups(table_, transaction);
      return absl::OkStatus();
    }));
    KVARTS_RETURN_IF_ERROR(WaitForMoves({}));
    absl::PrintF("%d slots moved\n", planned);
    return 0;
  }

  // Whether the members that stay can hold what is in a node's memory.
  absl::Status CheckRoom(const Incarnation& node, const std::vector<Incarnation>& dead) {
    const uint64_t bytes = Look(node, table_.nodes.at(node), true).memory_bytes;
    uint64_t room = 0;
    for (const auto& [other, info] : table_.nodes) {
      if (other == node || info.state != NodeState::kMember ||
          std::find(dead.begin(), dead.end(), other) != dead.end()) {
        continue;
      }
      if (info.memory_limit == 0) return absl::OkStatus();
      const uint64_t used = Look(other, info, true).memory_bytes;
      room += info.memory_limit - std::min(used, info.memory_limit);
    }
    if (bytes <= room) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat(
        "node ", ShortId(node), " has ", FormatSize(bytes), " in memory, and the others have room ",
        "for ", FormatSize(room), " (max_memory of their --store): add a node first"));
  }

  absl::StatusOr<int> Remove(const Incarnation& node) {
    const Seen seen = Look(node, table_.nodes.at(node), false);
    if (!seen.is_alive && !FLAGS_force) {
      return absl::FailedPreconditionError(
          absl::StrCat("node ", ShortId(node),
                       " does not answer: what is on it cannot be moved. --force takes "
                       "it out all the same, and what was on it is lost"));
    }
    if (seen.is_alive && FLAGS_force) {
      return absl::FailedPreconditionError(
          absl::StrCat("node ", ShortId(node),
                       " answers: --force is for dead ones. Without it the node gives "
                       "its slots away first"));
    }
    const std::vector<Incarnation> dead = Dead();
    const bool has_other =
        std::any_of(table_.nodes.begin(), table_.nodes.end(), [&](const auto& entry) {
          return entry.first != node && entry.second.state == NodeState::kMember &&
                 std::find(dead.begin(), dead.end(), entry.first) == dead.end();
        });
    if (!has_other) {
      return absl::FailedPreconditionError(
          absl::StrCat("there is no other member to take the slots of node ", ShortId(node)));
    }
    if (!FLAGS_force) KVARTS_RETURN_IF_ERROR(CheckRoom(node, dead));
    KVARTS_RETURN_IF_ERROR(Commit([&](Coordinator::Transaction* transaction) -> absl::Status {
      const auto it = table_.nodes.find(node);
      if (it == table_.nodes.end()) return absl::OkStatus();
      ClusterTable next = table_;
      next.nodes[node].state = NodeState::kLeaving;
      if (FLAGS_force) {
        cluster::GiveUp({node}, dead, &next);
        next.AddCluster(transaction);
        next.RemoveNode(node, transaction);
      } else {
        cluster::Rebalance(dead, &next);
        if (it->second.state != NodeState::kLeaving) next.AddNode(node, transaction);
      }
      next.AddChangedGroups(table_, transaction);
      return absl::OkStatus();
    }));
    KVARTS_RETURN_IF_ERROR(WaitForMoves(FLAGS_force ? Incarnation() : node));
    KVARTS_RETURN_IF_ERROR(Commit([&](Coordinator::Transaction* transaction) -> absl::Status {
      // Who did not wait leaves it in the table until it has nothing left.
      if (table_.nodes.count(node) == 0) return absl::OkStatus();
      if (table_.CountOf(table_.FindNumber(node)) > 0 && table_.FindNumber(node) != 0) {
        return absl::OkStatus();
      }
      table_.RemoveNode(node, transaction);
      return absl::OkStatus();
    }));
    if (table_.nodes.count(node) != 0) {
      absl::PrintF("node %s gives its slots away; remove it again when it has none\n",
                   ShortId(node));
      return 0;
    }
    absl::PrintF("node %s is out of the cluster\n", ShortId(node));
    return 0;
  }

  absl::StatusOr<int> Recover() {
    const std::vector<Incarnation> dead = Dead();
    std::vector<Incarnation> lost;
    int slots = 0;
    for (const Incarnation& node : dead) {
      const uint16_t number = table_.FindNumber(node);
      const int count = number == 0 ? 0 : table_.CountOf(number);
      slots += count;
      lost.push_back(node);
      if (FLAGS_accept_loss || count == 0) continue;
      const auto it = table_.nodes.find(node);
      absl::PrintF("node %s%s is dead, with %d slots%s\n", ShortId(node),
                   it == table_.nodes.end()
                       ? ""
                       : absl::StrCat(" at ", cluster::InternalAddress(it->second)),
                   count,
                   it != table_.nodes.end() && it->second.durable
                       ? "; its data are on its disk: start it again, and nothing is lost"
                       : "");
    }
    if (slots == 0) {
      std::puts("no slots are on dead nodes");
      if (!FLAGS_accept_loss) return 0;
    } else if (!FLAGS_accept_loss) {
      return absl::FailedPreconditionError(absl::StrCat(
          slots,
          " slots are on nodes that do not answer. recover --accept_loss gives them to the "
          "others, empty: what was on those nodes is lost, and clients that still reach one of "
          "them may write to it, which is lost too"));
    }
    const bool has_member =
        std::any_of(table_.nodes.begin(), table_.nodes.end(), [&](const auto& entry) {
          return entry.second.state == NodeState::kMember &&
                 std::find(dead.begin(), dead.end(), entry.first) == dead.end();
        });
    if (!has_member) return absl::FailedPreconditionError("no member is alive to take the slots");
    KVARTS_RETURN_IF_ERROR(Commit([&](Coordinator::Transaction* transaction) -> absl::Status {
      ClusterTable next = table_;
      cluster::GiveUp(lost, dead, &next);
      next.AddCluster(transaction);
      for (const Incarnation& node : lost) {
        if (table_.nodes.count(node) != 0) next.RemoveNode(node, transaction);
      }
      next.AddChangedGroups(table_, transaction);
      return absl::OkStatus();
    }));
    absl::PrintF("%d slots were given to other nodes, empty\n", slots);
    return 0;
  }

  Transport* const transport_;
  Transport* const secret_;
  const RemoteOptions remote_;
  EventLoop* const loop_;
  WaitingCoordinator* const coordinator_;
  ClusterTable table_;
};

absl::StatusOr<int> Main(const std::vector<std::string>& args) {
  if (FLAGS_coordinator.empty()) {
    return UsageError("--coordinator is missing; for example --coordinator=file:/tmp/cluster");
  }
  if (args.empty()) {
    return UsageError("expected create, status, add, remove, rebalance, skew or recover");
  }
  const std::string& command = args[0];
  const bool takes_node = command == "add" || command == "remove";
  const std::vector<std::string> known = {"create",    "status", "add",    "remove",
                                          "rebalance", "skew",   "recover"};
  if (std::find(known.begin(), known.end(), command) == known.end()) {
    return UsageError(absl::StrCat("unknown command \"", command,
                                   "\"; expected create, status, add, remove, rebalance, skew or "
                                   "recover"));
  }
  if (args.size() != (takes_node ? 2u : 1u)) {
    return UsageError(absl::StrCat(command, takes_node ? " takes one NODE" : " takes no argument"));
  }
  return Commands::Run(command, {args.begin() + 1, args.end()});
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  return kvarts::RunApp(argc, argv, {"kv_cluster", __FILE__, kvarts::kUsage}, kvarts::Main);
}
