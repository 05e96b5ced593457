#include "cluster/node/peer_watch.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(200);
constexpr absl::Duration kDeadAfter = absl::Seconds(1);
constexpr size_t kShownDigits = 12;

}  // namespace

PeerWatch::PeerWatch(NodeParts* parts, std::function<void()> changed)
    : parts_(*parts),
      changed_(std::move(changed)),
      timer_(parts->loop->NewTimer()),
      ticked_(parts->loop->Now()) {
  Tick();
}

void PeerWatch::Stop() {
  *alive_ = false;
  timer_->Cancel();
  for (auto& [node, peer] : peers_) {
    if (peer.connection != nullptr) peer.connection->Close();
  }
  peers_.clear();
}

void PeerWatch::TableChanged() {
  const ClusterTable& table = parts_.table();
  for (auto it = peers_.begin(); it != peers_.end();) {
    const std::string address = parts_.internal_address(it->first);
    if (table.nodes.count(it->first) != 0 && address == it->second.address) {
      ++it;
      continue;
    }
    if (it->second.connection != nullptr) it->second.connection->Close();
    it = peers_.erase(it);
  }
  for (const auto& [node, info] : table.nodes) {
    if (node == parts_.me || peers_.count(node) != 0) continue;
    Peer& peer = peers_[node];
    peer.address = parts_.internal_address(node);
    peer.heard = parts_.loop->Now();
    Connect(node, &peer);
  }
}

bool PeerWatch::IsAlive(const Peer& peer) const {
  return parts_.loop->Now() < peer.heard + kDeadAfter;
}

bool PeerWatch::IsAlive(const Incarnation& node) const {
  if (node == parts_.me) return true;
  const auto it = peers_.find(node);
  return it != peers_.end() && IsAlive(it->second);
}

void PeerWatch::Connect(const Incarnation& node, Peer* peer) {
  const auto find = [this, node, alive = std::weak_ptr<bool>(alive_)]() -> Peer* {
    const std::shared_ptr<bool> here = alive.lock();
    if (here == nullptr || !*here) return nullptr;
    const auto it = peers_.find(node);
    return it == peers_.end() ? nullptr : &it->second;
  };
  const auto lost = [this, find](const absl::Status& why) {
    Peer* const here = find();
    if (here == nullptr) return;
    here->why = std::string(why.message());
    here->connection = nullptr;
    here->try_after = parts_.loop->Now() + kPeriod;
  };
  peer->connection = PeerConnection::Open(
      parts_.transport, parts_.loop, peer->address, parts_.hello(node), kDeadAfter,
      [this, find, lost](const absl::Status& opened) {
        if (!opened.ok()) return lost(opened);
        if (Peer* const here = find()) here->heard = parts_.loop->Now();
      },
      lost);
}

void PeerWatch::Tick() {
  timer_->Start(kPeriod, [this] { Tick(); });
  // For so long this node itself was not run, and could hear nobody: that says nothing of others.
  const absl::Duration now = parts_.loop->Now();
  const absl::Duration late = std::max(now - ticked_ - kPeriod, absl::ZeroDuration());
  ticked_ = now;
  bool changed = false;
  for (auto& [node, peer] : peers_) {
    peer.heard = std::min(peer.heard + late, now);
    if (peer.connection == nullptr) {
      if (parts_.loop->Now() >= peer.try_after) Connect(node, &peer);
    } else if (peer.connection->is_open()) {
      peer.heard = std::max(peer.heard, peer.connection->heard());
      if (peer.connection->unanswered() == 0) {
        PeerRequest ping;
        ping.set_revision(parts_.keeper->last_change());
        peer.connection->Send(std::move(ping), {},
                              [this, alive = std::weak_ptr<bool>(alive_)](
                                  const absl::StatusOr<PeerResponse>& answer) {
                                const std::shared_ptr<bool> here = alive.lock();
                                if (here == nullptr || !*here || !answer.ok()) return;
                                parts_.keeper->Heard(answer->revision());
                              });
      }
    }
    const bool is_alive = IsAlive(peer);
    if (is_alive == peer.was_alive) continue;
    changed = true;
    peer.was_alive = is_alive;
    parts_.say(absl::StrCat(
        "node ", ToHex(node).substr(0, kShownDigits), " at ", peer.address,
        is_alive ? " answers again"
                 : absl::StrCat(" is not heard of", peer.why.empty() ? "" : ": ", peer.why)));
  }
  if (changed) changed_();
}

}  // namespace cluster
}  // namespace kvarts
