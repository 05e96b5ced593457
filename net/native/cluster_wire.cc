#include "net/native/cluster_wire.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/slot.h"
#include "base/status_macros.h"

namespace kvarts {
namespace native {
namespace {

constexpr size_t kIdDigits = 40;
constexpr size_t kMaxHostBytes = 255;  // of a name in DNS
constexpr uint32_t kMaxPort = 65535;
constexpr int kMaxNodes = std::numeric_limits<int16_t>::max();  // what `owner` can name

absl::Status Bad(absl::string_view what) {
  return absl::InternalError(absl::StrCat("the server's map of the cluster has ", what));
}

bool IsId(absl::string_view id) {
  return id.size() == kIdDigits && std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

// It goes into lines of text and into addresses, where a blank or a newline would end it.
bool IsHost(absl::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); });
}

uint32_t Number(int port) { return static_cast<uint32_t>(port); }

absl::StatusOr<kvarts::ClusterNode> NodeFromProto(const ClusterNode& message) {
  if (!IsId(message.id())) return Bad("a node whose id is not 40 hexadecimal digits");
  if (!IsHost(message.host()) ||
      (!message.native_host().empty() && !IsHost(message.native_host())) ||
      (!message.http_host().empty() && !IsHost(message.http_host()))) {
    return Bad("a node whose host is no name and no address");
  }
  if (std::max({message.native_port(), message.resp_port(), message.http_port(),
                message.internal_port()}) > kMaxPort) {
    return Bad("a node with a port over 65535");
  }
  kvarts::ClusterNode node;
  node.id = message.id();
  node.host = message.host();
  node.native_port = static_cast<int>(message.native_port());
  node.resp_port = static_cast<int>(message.resp_port());
  node.http_port = static_cast<int>(message.http_port());
  node.internal_port = static_cast<int>(message.internal_port());
  node.native_host = message.native_host();
  node.http_host = message.http_host();
  node.native_tls = message.native_tls();
  node.resp_tls = message.resp_tls();
  node.http_tls = message.http_tls();
  node.is_alive = message.is_alive();
  node.is_member = message.is_member();
  node.is_leaving = message.is_leaving();
  node.epoch = message.epoch();
  return node;
}

}  // namespace

ClusterMap ToProto(const kvarts::ClusterMap& map) {
  ClusterMap message;
  message.set_cluster_id(map.cluster_id);
  message.set_revision(map.revision);
  message.set_myself(static_cast<uint32_t>(map.myself + 1));
  message.set_lost_slots(map.lost_slots);
  for (const kvarts::ClusterNode& node : map.nodes) {
    ClusterNode* const out = message.add_nodes();
    out->set_id(node.id);
    out->set_host(node.host);
    out->set_native_port(Number(node.native_port));
    out->set_resp_port(Number(node.resp_port));
    out->set_http_port(Number(node.http_port));
    out->set_internal_port(Number(node.internal_port));
    out->set_native_host(node.native_host);
    out->set_http_host(node.http_host);
    out->set_native_tls(node.native_tls);
    out->set_resp_tls(node.resp_tls);
    out->set_http_tls(node.http_tls);
    out->set_is_alive(node.is_alive);
    out->set_is_member(node.is_member);
    out->set_is_leaving(node.is_leaving);
    out->set_epoch(node.epoch);
  }
  for (auto begin = map.owner.begin(); begin != map.owner.end();) {
    const int16_t owner = *begin;
    const auto end =
        std::find_if(begin, map.owner.end(), [owner](int16_t other) { return other != owner; });
    message.add_run_lengths(static_cast<uint32_t>(end - begin));
    message.add_run_owners(static_cast<uint32_t>(owner + 1));
    begin = end;
  }
  return message;
}

absl::StatusOr<kvarts::ClusterMap> FromProto(const ClusterMap& message) {
  if (!IsId(message.cluster_id())) return Bad("an id that is not 40 hexadecimal digits");
  if (message.nodes_size() > kMaxNodes) return Bad("too many nodes");
  const auto nodes = static_cast<uint32_t>(message.nodes_size());
  if (message.myself() > nodes) return Bad("a maker that is none of its nodes");
  if (message.run_lengths_size() != message.run_owners_size()) {
    return Bad("runs of slots without an owner");
  }
  kvarts::ClusterMap map;
  map.cluster_id = message.cluster_id();
  map.revision = message.revision();
  map.myself = static_cast<int>(message.myself()) - 1;
  map.lost_slots = message.lost_slots();
  map.nodes.reserve(nodes);
  for (const ClusterNode& node : message.nodes()) {
    KVARTS_ASSIGN_OR_RETURN(kvarts::ClusterNode read, NodeFromProto(node));
    map.nodes.push_back(std::move(read));
  }
  size_t slot = 0;
  for (int i = 0; i < message.run_lengths_size(); ++i) {
    const uint32_t length = message.run_lengths(i);
    const uint32_t owner = message.run_owners(i);
    if (length == 0 || length > map.owner.size() - slot) {
      return Bad("runs that do not add up to all slots");
    }
    if (owner > nodes) return Bad("slots of a node that it does not name");
    std::fill_n(map.owner.begin() + static_cast<std::ptrdiff_t>(slot), length,
                static_cast<int16_t>(static_cast<int>(owner) - 1));
    slot += length;
  }
  if (slot != map.owner.size()) return Bad("runs that do not add up to all slots");
  return map;
}

}  // namespace native
}  // namespace kvarts
