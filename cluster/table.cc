#include "cluster/table.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cluster/table.pb.h"
#include "net/cluster_map.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr uint32_t kVersion = 1;
constexpr char kClusterName[] = "cluster";
constexpr absl::string_view kNodePrefix = "node/";
constexpr absl::string_view kSlotsPrefix = "slots/";
constexpr size_t kIncarnationBytes = 20;

// Once a name: parts of one transaction may rest on the same record.
void Compare(const std::string& name, int64_t revision, Coordinator::Transaction* transaction) {
  for (const auto& compare : transaction->compares) {
    if (compare.name == name) return;
  }
  transaction->compares.push_back({name, revision});
}

std::string NodeName(const Incarnation& node) { return absl::StrCat(kNodePrefix, ToHex(node)); }
std::string GroupName(int group) { return absl::StrFormat("slots/%02d", group); }

absl::Status Damaged(absl::string_view name, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat("the coordinator's record \"", name, "\" is damaged: ", what));
}

template <typename Message>
absl::Status ParseMessage(absl::string_view name, const std::string& bytes, Message* message) {
  if (message->ParseFromString(bytes)) return absl::OkStatus();
  return Damaged(name, "it cannot be parsed");
}

absl::Status ReadCluster(const Coordinator::Value& value, ClusterTable* table) {
  ClusterRecord record;
  KVARTS_RETURN_IF_ERROR(ParseMessage(kClusterName, value.bytes, &record));
  if (record.version() != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cluster's table is of version ", record.version(),
                     ", and this program reads version ", kVersion));
  }
  if (record.cluster_id().size() != kIncarnationBytes) return Damaged(kClusterName, "its id");
  table->cluster_revision = value.revision;
  table->cluster_id = record.cluster_id();
  table->empty_on_loss = record.on_loss() == 1;
  table->lost_slots = record.lost_slots();
  table->capabilities = record.capabilities();
  return absl::OkStatus();
}

absl::Status ReadNode(absl::string_view name, const Coordinator::Value& value,
                      ClusterTable* table) {
  NodeRecord record;
  KVARTS_RETURN_IF_ERROR(ParseMessage(name, value.bytes, &record));
  std::string hex(absl::StripPrefix(name, kNodePrefix));
  const Incarnation node = absl::HexStringToBytes(hex);
  if (hex.size() != 2 * kIncarnationBytes || ToHex(node) != hex) {
    return Damaged(name, "its name is no incarnation");
  }
  if (record.state() > static_cast<uint32_t>(NodeState::kLeaving))
    return Damaged(name, "its state");
  NodeInfo info;
  info.state = static_cast<NodeState>(record.state());
  info.host = record.host();
  info.native_port = static_cast<int>(record.native_port());
  info.resp_port = static_cast<int>(record.resp_port());
  info.http_port = static_cast<int>(record.http_port());
  info.internal_host = record.internal_host();
  info.internal_port = static_cast<int>(record.internal_port());
  info.native_host = record.native_host();
  info.http_host = record.http_host();
  info.native_tls = record.native_tls();
  info.resp_tls = record.resp_tls();
  info.http_tls = record.http_tls();
  info.internal_secret = record.internal_secret();
  info.durable = record.durable();
  info.openings = record.openings();
  info.memory_limit = record.memory_limit();
  const bool has_weight = record.weight() > 0 && std::isfinite(record.weight());
  info.weight = has_weight ? record.weight() : 1;
  info.registered_ms = record.registered_ms();
  info.store = record.store();
  info.revision = value.revision;
  table->nodes.emplace(node, std::move(info));
  return absl::OkStatus();
}

// Whether `group` was read from this very record, and its nodes have the same numbers now.
bool IsOf(const SlotGroup& group, const Coordinator::Value& value, ClusterTable* table) {
  const SlotGroup::Source* const source = group.source.get();
  if (source == nullptr || source->revision != value.revision || source->bytes != value.bytes) {
    return false;
  }
  for (size_t i = 0; i < source->nodes.size(); ++i) {
    const uint16_t number = source->numbers[i];
    const bool is_there =
        number <= table->names.size() && table->NameOf(number) == source->nodes[i];
    if (!is_there && table->NumberOf(source->nodes[i]) != number) return false;
  }
  return true;
}

absl::Status ReadGroup(absl::string_view name, const Coordinator::Value& value,
                       const ClusterTable* before, ClusterTable* table) {
  int number = 0;
  const absl::string_view digits = absl::StripPrefix(name, kSlotsPrefix);
  if (digits.size() != 2 || !absl::ascii_isdigit(digits[0]) || !absl::ascii_isdigit(digits[1]) ||
      !absl::SimpleAtoi(digits, &number) || number >= kSlotGroups) {
    return Damaged(name, "its name is no group of slots");
  }
  table->group_revisions[number] = value.revision;
  if (before != nullptr && IsOf(*before->slots.group(number), value, table)) {
    table->slots.SetGroup(number, before->slots.group(number));
    return absl::OkStatus();
  }
  SlotsRecord record;
  KVARTS_RETURN_IF_ERROR(ParseMessage(name, value.bytes, &record));
  auto source = std::make_shared<SlotGroup::Source>();
  source->bytes = value.bytes;
  source->revision = value.revision;
  std::vector<uint16_t> numbers = {0};
  for (const std::string& node : record.nodes()) {
    if (node.size() != kIncarnationBytes) return Damaged(name, "a node's incarnation");
    numbers.push_back(table->NumberOf(node));
    source->nodes.push_back(node);
    source->numbers.push_back(numbers.back());
  }
  auto group = std::make_shared<SlotGroup>();
  group->may_lack_primary = group->may_have_joining = group->may_differ = false;
  group->primaries = group->previous = 0;
  uint32_t slot = 0;
  for (const SlotRun& run : record.runs()) {
    if (run.count() == 0 || run.count() > kSlotsPerGroup - slot ||
        run.primary() >= numbers.size() || run.joining() >= numbers.size() ||
        run.previous() >= numbers.size()) {
      return Damaged(name, "a run of slots");
    }
    SlotEntry entry;
    entry.primary = numbers[run.primary()];
    entry.joining = numbers[run.joining()];
    entry.previous = numbers[run.previous()];
    entry.adopted = run.adopted();
    entry.fresh = run.fresh();
    entry.epoch = run.epoch() != 0 ? run.epoch() : static_cast<uint64_t>(value.revision);
    for (uint32_t i = 0; i < run.count(); ++i) group->entries[slot++] = entry;
    group->may_lack_primary = group->may_lack_primary || entry.primary == 0;
    group->may_have_joining = group->may_have_joining || entry.joining != 0;
    group->primaries |= uint64_t{1} << (entry.primary % 64);
    group->previous |= uint64_t{1} << (entry.previous % 64);
    group->may_differ = group->may_differ || entry.primary != group->entries.front().primary;
    group->newest_epoch = std::max(group->newest_epoch, entry.epoch);
  }
  if (slot != kSlotsPerGroup) return Damaged(name, "its runs do not add up");
  group->source = std::move(source);
  table->slots.SetGroup(number, std::move(group));
  return absl::OkStatus();
}

}  // namespace

std::string ToHex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

std::string InternalAddress(const NodeInfo& node) {
  return absl::StrCat("tcp://", HostPort(node.internal_host, node.internal_port));
}

bool operator==(const NodeInfo& a, const NodeInfo& b) {
  const auto tie = [](const NodeInfo& n) {
    return std::tie(n.state, n.host, n.native_host, n.http_host, n.native_port, n.resp_port,
                    n.http_port, n.internal_host, n.internal_port, n.internal_secret, n.native_tls,
                    n.resp_tls, n.http_tls, n.durable, n.openings, n.memory_limit, n.weight,
                    n.registered_ms, n.store);
  };
  return tie(a) == tie(b);
}

bool operator==(const SlotEntry& a, const SlotEntry& b) {
  return a.primary == b.primary && a.joining == b.joining && a.previous == b.previous &&
         a.adopted == b.adopted && a.fresh == b.fresh && a.epoch == b.epoch;
}

SlotEntries::SlotEntries() {
  static const std::shared_ptr<const SlotGroup>* const empty = [] {
    auto group = std::make_shared<SlotGroup>();
    group->may_have_joining = group->may_differ = false;
    group->primaries = group->previous = 1;
    return new std::shared_ptr<const SlotGroup>(std::move(group));
  }();
  groups_.fill(*empty);
}

SlotEntry& SlotEntries::Mutable(int slot) {
  std::shared_ptr<const SlotGroup>& group = groups_[static_cast<size_t>(slot / kSlotsPerGroup)];
  if (group->source != nullptr || group.use_count() > 1) {
    auto copy = std::make_shared<SlotGroup>();
    copy->entries = group->entries;
    group = std::move(copy);
  }
  // Made here, and nobody else's: not constant.
  return const_cast<SlotGroup*>(group.get())->entries[static_cast<size_t>(slot % kSlotsPerGroup)];
}

absl::StatusOr<ClusterTable> ClusterTable::Parse(const Coordinator::Contents& contents,
                                                 const ClusterTable* before) {
  ClusterTable table;
  table.revision = contents.revision;
  for (const auto& [name, value] : contents.values) {
    if (name == kClusterName) {
      KVARTS_RETURN_IF_ERROR(ReadCluster(value, &table));
    } else if (absl::StartsWith(name, kNodePrefix)) {
      KVARTS_RETURN_IF_ERROR(ReadNode(name, value, &table));
    } else if (absl::StartsWith(name, kSlotsPrefix)) {
      KVARTS_RETURN_IF_ERROR(ReadGroup(name, value, before, &table));
    }
    // Other names are a coordinator's own, or of a later version that says nothing of slots there.
  }
  return table;
}

uint16_t ClusterTable::FindNumber(const Incarnation& node) const {
  const auto it = std::find(names.begin(), names.end(), node);
  return it == names.end() ? uint16_t{0} : static_cast<uint16_t>(it - names.begin() + 1);
}

uint16_t ClusterTable::NumberOf(const Incarnation& node) {
  const uint16_t number = FindNumber(node);
  if (number != 0) return number;
  names.push_back(node);
  return static_cast<uint16_t>(names.size());
}

bool ClusterTable::IsMember(const Incarnation& node) const {
  const auto it = nodes.find(node);
  return it != nodes.end() && it->second.state == NodeState::kMember;
}

int ClusterTable::CountOf(uint16_t primary) const {
  return static_cast<int>(std::count_if(
      slots.begin(), slots.end(), [primary](const SlotEntry& s) { return s.primary == primary; }));
}

int64_t ClusterTable::LastChange() const {
  int64_t last = cluster_revision;
  for (const int64_t group : group_revisions) last = std::max(last, group);
  for (const auto& [node, info] : nodes) last = std::max(last, info.revision);
  return last;
}

void ClusterTable::AddCluster(Coordinator::Transaction* transaction) const {
  ClusterRecord record;
  record.set_version(kVersion);
  record.set_cluster_id(cluster_id);
  record.set_on_loss(empty_on_loss ? 1 : 0);
  record.set_lost_slots(lost_slots);
  record.set_capabilities(capabilities);
  Compare(kClusterName, cluster_revision, transaction);
  transaction->changes.push_back({kClusterName, record.SerializeAsString()});
}

void ClusterTable::AddNode(const Incarnation& node, Coordinator::Transaction* transaction) const {
  const NodeInfo& info = nodes.at(node);
  NodeRecord record;
  record.set_state(static_cast<uint32_t>(info.state));
  record.set_host(info.host);
  record.set_native_port(static_cast<uint32_t>(info.native_port));
  record.set_resp_port(static_cast<uint32_t>(info.resp_port));
  record.set_http_port(static_cast<uint32_t>(info.http_port));
  record.set_internal_host(info.internal_host);
  record.set_internal_port(static_cast<uint32_t>(info.internal_port));
  record.set_native_host(info.native_host);
  record.set_http_host(info.http_host);
  record.set_native_tls(info.native_tls);
  record.set_resp_tls(info.resp_tls);
  record.set_http_tls(info.http_tls);
  record.set_internal_secret(info.internal_secret);
  record.set_durable(info.durable);
  record.set_openings(info.openings);
  record.set_memory_limit(info.memory_limit);
  record.set_weight(info.weight);
  record.set_registered_ms(info.registered_ms);
  record.set_store(info.store);
  Compare(NodeName(node), info.revision, transaction);
  transaction->changes.push_back({NodeName(node), record.SerializeAsString()});
}

void ClusterTable::RemoveNode(const Incarnation& node,
                              Coordinator::Transaction* transaction) const {
  Compare(NodeName(node), nodes.at(node).revision, transaction);
  transaction->changes.push_back({NodeName(node), std::nullopt});
  for (int group = 0; group < kSlotGroups; ++group) {
    Compare(GroupName(group), group_revisions[group], transaction);
  }
}

void ClusterTable::CompareNode(const Incarnation& node,
                               Coordinator::Transaction* transaction) const {
  const auto it = nodes.find(node);
  Compare(NodeName(node), it == nodes.end() ? 0 : it->second.revision, transaction);
}

void ClusterTable::AddGroup(int group, Coordinator::Transaction* transaction) const {
  SlotsRecord record;
  std::map<uint16_t, uint32_t> places = {{0, 0}};
  const auto place = [&](uint16_t number) {
    const auto [it, is_new] = places.emplace(number, static_cast<uint32_t>(places.size()));
    if (is_new) record.add_nodes(NameOf(number));
    return it->second;
  };
  const SlotEntry* before = nullptr;
  for (int slot = group * kSlotsPerGroup; slot < (group + 1) * kSlotsPerGroup; ++slot) {
    const SlotEntry& entry = slots[slot];
    if (before != nullptr && *before == entry) {
      SlotRun* const run = record.mutable_runs(record.runs_size() - 1);
      run->set_count(run->count() + 1);
      continue;
    }
    before = &entry;
    SlotRun* const run = record.add_runs();
    run->set_count(1);
    run->set_primary(place(entry.primary));
    run->set_joining(place(entry.joining));
    run->set_previous(place(entry.previous));
    run->set_fresh(entry.fresh);
    run->set_adopted(entry.adopted);
    run->set_epoch(entry.epoch);
  }
  Compare(GroupName(group), group_revisions[group], transaction);
  transaction->changes.push_back({GroupName(group), record.SerializeAsString()});
}

int ClusterTable::AddChangedGroups(const ClusterTable& before,
                                   Coordinator::Transaction* transaction) const {
  int changed = 0;
  for (int group = 0; group < kSlotGroups; ++group) {
    const SlotGroup* const now = slots.group(group).get();
    const SlotGroup* const then = before.slots.group(group).get();
    if (now == then || now->entries == then->entries) continue;
    AddGroup(group, transaction);
    ++changed;
  }
  return changed;
}

}  // namespace cluster
}  // namespace kvarts
