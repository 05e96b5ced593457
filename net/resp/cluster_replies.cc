#include "net/resp/cluster_replies.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "net/output.h"
#include "net/resp/reply.h"

namespace kvarts {
namespace resp {
namespace {

constexpr int kBusOffset = 10000;

// A run of slots, of the node at `owner`.
struct Run {
  SlotRange slots;
  int owner;
};

std::vector<Run> RunsOf(const ClusterMap& map) {
  std::vector<Run> runs;
  for (int slot = 0; slot < kSlots; ++slot) {
    const int owner = map.owner[static_cast<size_t>(slot)];
    const auto here = static_cast<uint16_t>(slot);
    if (slot > 0 && runs.back().owner == owner) {
      runs.back().slots.last = here;
    } else {
      runs.push_back({{here, here}, owner});
    }
  }
  return runs;
}

// What belongs to no node is at no place.
std::vector<std::vector<SlotRange>> ByNode(const ClusterMap& map, const std::vector<Run>& runs) {
  std::vector<std::vector<SlotRange>> by_node(map.nodes.size());
  for (const Run& run : runs) {
    if (run.owner >= 0) by_node[static_cast<size_t>(run.owner)].push_back(run.slots);
  }
  return by_node;
}

bool IsName(const std::string& host) {
  in6_addr address;  // has room for either kind
  return ::inet_pton(AF_INET, host.c_str(), &address) != 1 &&
         ::inet_pton(AF_INET6, host.c_str(), &address) != 1;
}

bool IsShown(const ClusterNode& node) { return node.resp_port != 0; }

// start, end, [endpoint, port, id, metadata], by slot.
void AnswerSlots(const ClusterMap& map, const std::vector<Run>& runs, ReplyWriter* reply) {
  const auto is_shown = [&](const Run& run) {
    return run.owner >= 0 && IsShown(map.nodes[static_cast<size_t>(run.owner)]);
  };
  reply->Array(static_cast<size_t>(std::count_if(runs.begin(), runs.end(), is_shown)));
  for (const Run& run : runs) {
    if (!is_shown(run)) continue;
    const ClusterNode& node = map.nodes[static_cast<size_t>(run.owner)];
    reply->Array(3);
    reply->Integer(run.slots.first);
    reply->Integer(run.slots.last);
    reply->Array(4);
    reply->Bulk(node.host);
    reply->Integer(node.resp_port);
    reply->Bulk(node.id);
    reply->Map(0);
  }
}

void AnswerShards(const ClusterMap& map, const std::vector<std::vector<SlotRange>>& by_node,
                  ReplyWriter* reply) {
  reply->Array(static_cast<size_t>(std::count_if(map.nodes.begin(), map.nodes.end(), IsShown)));
  for (size_t i = 0; i < map.nodes.size(); ++i) {
    const ClusterNode& node = map.nodes[i];
    if (!IsShown(node)) continue;
    reply->Map(2);
    reply->Bulk("slots");
    reply->Array(2 * by_node[i].size());
    for (const SlotRange& range : by_node[i]) {
      reply->Integer(range.first);
      reply->Integer(range.last);
    }
    reply->Bulk("nodes");
    reply->Array(1);
    const bool is_name = IsName(node.host);
    reply->Map(is_name ? 8 : 7);
    reply->Bulk("id");
    reply->Bulk(node.id);
    reply->Bulk(node.resp_tls ? "tls-port" : "port");
    reply->Integer(node.resp_port);
    reply->Bulk("ip");
    reply->Bulk(node.host);
    reply->Bulk("endpoint");
    reply->Bulk(node.host);
    if (is_name) {
      reply->Bulk("hostname");
      reply->Bulk(node.host);
    }
    reply->Bulk("role");
    reply->Bulk("master");
    reply->Bulk("replication-offset");
    reply->Integer(0);
    reply->Bulk("health");
    reply->Bulk(node.is_alive ? "online" : "fail");
  }
}

// id ip:port@cport[,hostname] flags master ping-sent pong-received epoch link slots
std::string NodesText(const ClusterMap& map, const std::vector<std::vector<SlotRange>>& by_node) {
  std::string text;
  for (size_t i = 0; i < map.nodes.size(); ++i) {
    const ClusterNode& node = map.nodes[i];
    if (!IsShown(node)) continue;
    const int bus = node.internal_port != 0 ? node.internal_port : node.resp_port + kBusOffset;
    // An IPv6 address has no brackets: clients look for the last colon.
    absl::StrAppend(&text, node.id, " ", node.host, ":", node.resp_port, "@", bus);
    if (IsName(node.host)) absl::StrAppend(&text, ",", node.host);
    absl::StrAppend(&text, static_cast<int>(i) == map.myself ? " myself,master" : " master",
                    node.is_alive ? "" : ",fail", " - 0 0 ", node.epoch,
                    node.is_alive ? " connected" : " disconnected");
    for (const SlotRange& range : by_node[i]) {
      absl::StrAppend(&text, " ", range.first);
      if (range.last != range.first) absl::StrAppend(&text, "-", range.last);
    }
    text += '\n';
  }
  return text;
}

std::shared_ptr<const ClusterTexts> TextsOf(std::shared_ptr<const ClusterMap> map) {
  auto texts = std::make_shared<ClusterTexts>();
  const std::vector<Run> runs = RunsOf(*map);
  const std::vector<std::vector<SlotRange>> by_node = ByNode(*map, runs);
  const std::string nodes = NodesText(*map, by_node);
  for (const int protocol : {2, 3}) {
    const auto at = static_cast<size_t>(protocol - 2);
    const auto write = [&](std::string* to, auto answer) {
      Output output;
      ReplyWriter reply;
      reply.set_protocol(protocol);
      reply.set_output(&output);
      answer(&reply);
      *to = std::move(output.bytes());
    };
    write(&texts->slots[at], [&](ReplyWriter* reply) { AnswerSlots(*map, runs, reply); });
    write(&texts->shards[at], [&](ReplyWriter* reply) { AnswerShards(*map, by_node, reply); });
    write(&texts->nodes[at], [&](ReplyWriter* reply) { reply->Verbatim(nodes); });
  }
  texts->map = std::move(map);
  return texts;
}

}  // namespace

std::shared_ptr<const ClusterTexts> ClusterReplies::Newest(const ClusterView& cluster) {
  std::shared_ptr<const ClusterMap> map = cluster.map();
  MutexLock lock(&mu_);
  // The texts keep their map, so that another one is at another address.
  if (texts_ == nullptr || texts_->map != map) texts_ = TextsOf(std::move(map));
  return texts_;
}

std::string ClusterInfoText(const ClusterMap& map) {
  int assigned = 0;
  int ok = 0;
  std::vector<bool> serves(map.nodes.size());
  for (const int16_t owner : map.owner) {
    if (owner < 0) continue;
    const auto place = static_cast<size_t>(owner);
    ++assigned;
    ok += map.nodes[place].is_alive ? 1 : 0;
    serves[place] = true;
  }
  uint64_t epoch = map.revision;
  for (const ClusterNode& node : map.nodes) epoch = std::max(epoch, node.epoch);
  const uint64_t my_epoch = map.myself < 0 ? 0 : map.nodes[static_cast<size_t>(map.myself)].epoch;
  return absl::StrCat("cluster_state:ok\r\ncluster_slots_assigned:", assigned,
                      "\r\ncluster_slots_ok:", ok,
                      "\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:", kSlots - ok,
                      "\r\ncluster_known_nodes:", map.nodes.size(),
                      "\r\ncluster_size:", std::count(serves.begin(), serves.end(), true),
                      "\r\ncluster_current_epoch:", epoch, "\r\ncluster_my_epoch:", my_epoch,
                      "\r\ncluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
                      "total_cluster_links_buffer_limit_exceeded:0\r\ncluster_slots_lost:",
                      map.lost_slots, "\r\n");
}

}  // namespace resp
}  // namespace kvarts
