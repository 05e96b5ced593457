// CLUSTER. Every reply is of one map.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "net/cluster_map.h"
#include "net/resp/cluster_replies.h"
#include "net/resp/handlers.h"
#include "net/resp/key_slots.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kKeysPerPage = 1000;
constexpr size_t kMaxKeys = 100000;  // as of KEYS

std::shared_ptr<const ClusterMap> MapOf(const CommandCall& call) {
  return call.state->options.cluster->map();
}

void AnswerText(CommandCall* call, ClusterTexts::ByProtocol ClusterTexts::*which) {
  const std::shared_ptr<const ClusterTexts> texts =
      call->state->cluster_replies.Newest(*call->state->options.cluster);
  call->reply->output()->bytes() +=
      ((*texts).*which)[static_cast<size_t>(call->reply->protocol() - 2)];
}

// The node that made the map; null, and the reply is written, where it is not among the nodes.
const ClusterNode* Myself(CommandCall* call, const ClusterMap& map) {
  if (map.myself >= 0) return &map.nodes[static_cast<size_t>(map.myself)];
  call->reply->Error("ERR this node is not registered in the cluster yet");
  return nullptr;
}

// True where args[2] names a node, or else the reply is written.
bool IsKnownNode(CommandCall* call) {
  const absl::string_view id = call->args[2];
  const std::shared_ptr<const ClusterMap> map = MapOf(*call);
  const bool known = std::any_of(map->nodes.begin(), map->nodes.end(),
                                 [&](const ClusterNode& node) { return node.id == id; });
  if (!known) call->reply->Error(absl::StrCat("ERR Unknown node ", Shown(id)));
  return known;
}

// args[2], or else the reply is written: `error` where it is no slot.
bool TakeSlot(CommandCall* call, absl::string_view error, uint16_t* slot) {
  int64_t number = 0;
  if (!ParseInteger(call->args[2], &number)) {
    call->reply->Error(kNotAnInteger);
    return false;
  }
  if (number < 0 || number >= kSlots) {
    call->reply->Error(error);
    return false;
  }
  *slot = static_cast<uint16_t>(number);
  return true;
}

// Calls `visit` with this node's keys of a slot, until it returns false. As in Redis, a slot of
// another node has none; `visit` may have seen some where it went there meanwhile.
template <typename Visit>
absl::Status VisitSlot(CommandCall* call, uint16_t slot, Visit visit) {
  ScanOptions options;
  options.keys_only = true;
  options.slots.push_back({slot, slot});
  const auto cursor = call->store()->NewCursor(options);
  if (IsElsewhere(cursor.status())) return absl::OkStatus();
  if (!cursor.ok()) return cursor.status();
  PageLimits limits;
  limits.entries = kKeysPerPage;
  ScanPage* const page = &call->scratch->page;
  while (true) {
    absl::Status status = (*cursor)->Next(limits, page);
    if (IsElsewhere(status)) return absl::OkStatus();
    if (!status.ok() || page->empty()) return status;
    call->work += page->size();
    for (const ScanEntry& entry : *page) {
      if (!visit(entry.key)) return absl::OkStatus();
    }
  }
}

}  // namespace

void ClusterDisabled(CommandCall* call) {
  call->reply->Error("ERR This instance has cluster support disabled");
}

void ClusterSlots(CommandCall* call) { AnswerText(call, &ClusterTexts::slots); }
void ClusterShards(CommandCall* call) { AnswerText(call, &ClusterTexts::shards); }
void ClusterNodes(CommandCall* call) { AnswerText(call, &ClusterTexts::nodes); }

void ClusterInfo(CommandCall* call) { call->reply->Verbatim(ClusterInfoText(*MapOf(*call))); }

void ClusterKeySlot(CommandCall* call) { call->reply->Integer(KeySlot(call->args[2])); }

// A shard has one node, whose id is also the shard's.
void ClusterMyId(CommandCall* call) {
  const std::shared_ptr<const ClusterMap> map = MapOf(*call);
  if (const ClusterNode* const node = Myself(call, *map)) call->reply->Bulk(node->id);
}

void ClusterBumpEpoch(CommandCall* call) {
  const std::shared_ptr<const ClusterMap> map = MapOf(*call);
  if (const ClusterNode* const node = Myself(call, *map)) {
    call->reply->Simple(absl::StrCat("STILL ", node->epoch));
  }
}

void ClusterLinks(CommandCall* call) { call->reply->Array(0); }

void ClusterReplicas(CommandCall* call) {
  if (IsKnownNode(call)) call->reply->Array(0);
}

void ClusterCountFailureReports(CommandCall* call) {
  if (IsKnownNode(call)) call->reply->Integer(0);
}

void ClusterCountKeysInSlot(CommandCall* call) {
  uint16_t slot = 0;
  if (!TakeSlot(call, "ERR Invalid slot", &slot)) return;
  int64_t keys = 0;
  const absl::Status status = VisitSlot(call, slot, [&](absl::string_view) {
    ++keys;
    return true;
  });
  if (!status.ok()) return call->reply->Error(ErrorText(status));
  call->reply->Integer(keys);
}

void ClusterGetKeysInSlot(CommandCall* call) {
  constexpr char kInvalid[] = "ERR Invalid slot or number of keys";
  uint16_t slot = 0;
  int64_t most = 0;
  if (!ParseInteger(call->args[3], &most)) return call->reply->Error(kNotAnInteger);
  if (!TakeSlot(call, kInvalid, &slot)) return;
  if (most < 0) return call->reply->Error(kInvalid);
  const size_t wanted = std::min(static_cast<size_t>(most), kMaxKeys);
  std::vector<std::string> keys;
  if (wanted > 0) {
    const absl::Status status = VisitSlot(call, slot, [&](absl::string_view key) {
      keys.emplace_back(key);
      return keys.size() < wanted;
    });
    if (!status.ok()) return call->reply->Error(ErrorText(status));
  }
  call->reply->Array(keys.size());
  for (const std::string& key : keys) call->reply->Bulk(key);
}

void ClusterPlacement(CommandCall* call) {
  const absl::string_view name = call->command.name.substr(sizeof "cluster|" - 1);
  call->reply->Error(absl::StrCat("ERR CLUSTER ", absl::AsciiStrToUpper(name),
                                  " is not a client's: the cluster's coordinator places slots and "
                                  "nodes, see kv_cluster"));
}

}  // namespace resp
}  // namespace kvarts
