#include "cluster/resp_client/node_cursor.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "cluster/client/routes.h"
#include "cluster/client/scan_position.h"
#include "cluster/resp_client/node_replies.h"
#include "net/resp/client/store_cursor.h"
#include "net/waiting.h"

namespace kvarts {
namespace resp_cluster {
namespace {

using cluster_client::ScanPosition;
using resp_client::ServerCursor;

// What ScanPosition::at begins with, before the position of the node's own scan.
constexpr char kOwner = 'o';     // the slots are the node's
constexpr char kImporter = 'i';  // ... on their way to it, and their owner was scanned

// Not thread-safe. Goes over one node after the other by SCAN, which gives all keys that a node
// has; those of slots that the scan is not there for are left out. Why no key is missed that is
// there from first page to last:
//
// 1. When a node's scan is over, the node itself says which slots it holds. Those that it gave away
//    meanwhile are left again, for their new owner, which has all their keys by then.
// 2. Of a slot that is on its way, keys go one by one from its owner to the node that imports it.
//    Where that is so when the owner's scan is over, the importer is scanned for the slot next:
//    what was not seen at the owner had gone there.
// 3. The importer's scan counts where the slot is then still on its way to it, or is its own; else
//    the slot is left again.
//
// A slot that goes away and comes back while its owner is scanned is not noticed: a key that was
// away when SCAN came past its place is missed.
class NodeCursor final : public Cursor {
 public:
  NodeCursor(std::shared_ptr<Nodes> nodes, const ScanOptions& options, ScanPosition position)
      : nodes_(std::move(nodes)),
        options_(options),
        now_(std::move(position)),
        at_start_(options.resume_after.empty()) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    if (nodes_->InLoop()) return OnLoopError();
    Tries tries(nodes_.get(), options_.timeout);
    RoutePtr route = nodes_->route();
    restarted_ = false;
    absl::Status last;
    do {
      wants_map_ = false;
      while (!wants_map_) {
        if (now_.node.empty() && !now_.Has(ScanPosition::kLeft)) return absl::OkStatus();
        last = Step(route, limits, tries.left(), page);
        if (!page->empty()) return absl::OkStatus();
        if (!last.ok() && !absl::IsUnavailable(last)) return last;
        if (!last.ok()) wants_map_ = true;
      }
    } while (tries.Again(&route, knows_.get()));
    return cluster_client::GiveUp(last);
  }

  std::string position() const override {
    return at_start_ ? std::string() : now_.Encode(options_);
  }

 private:
  // Fills the page, or gets nearer to that: a node is begun, or done with.
  absl::Status Step(const RoutePtr& route, const PageLimits& limits, absl::Duration timeout,
                    ScanPage* page) {
    knows_.reset();
    if (now_.node.empty() && !Begin(*route)) return cluster_client::GiveUp(absl::OkStatus());
    KVARTS_RETURN_IF_ERROR(Find(route, timeout));
    if (cursor_ == nullptr) return absl::OkStatus();
    absl::Status status = cursor_->Next(limits, page);
    if (status.ok() && page->empty()) return End(timeout);
    if (status.ok()) {
      at_start_ = false;
      now_.at = absl::StrCat(std::string(1, role()), cursor_->position());
      return status;
    }
    page->Reset();
    const bool is_lost = absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status);
    if (!is_lost || restarted_) return status;
    // The server began anew, or has forgotten the scan: so does this one, of the node.
    restarted_ = true;
    now_.at = std::string(1, role());
    cursor_.reset();
    return absl::OkStatus();
  }

  char role() const { return now_.at.empty() ? kOwner : now_.at[0]; }

  // Takes the next node that holds slots which are left. False: there is none.
  bool Begin(const Route& route) {
    int place = -1;
    for (size_t slot = 0; slot < kSlots; ++slot) {
      if (now_.slots[slot] != ScanPosition::kLeft) continue;
      const int owner = route.map.owner[slot];
      if (place < 0) place = owner;
      if (owner >= 0 && owner == place) now_.slots[slot] = ScanPosition::kAtNode;
    }
    if (place < 0) return false;
    GoTo(route.map.nodes[static_cast<size_t>(place)].id, kOwner);
    return true;
  }

  void GoTo(const std::string& node, char role) {
    now_.node = node;
    now_.at = std::string(1, role);
    node_.reset();
    cursor_.reset();
  }

  void GiveBack() {
    for (auto& state : now_.slots) {
      if (state == ScanPosition::kAtNode) state = ScanPosition::kLeft;
    }
    GoTo("", kOwner);
  }

  // Makes the cursor at the node, where there is none. None after it: the node is gone.
  absl::Status Find(const RoutePtr& route, absl::Duration timeout) {
    if (cursor_ != nullptr && by_ == route) return absl::OkStatus();
    by_ = route;
    NodePtr node;
    for (size_t i = 0; i < route->nodes.size(); ++i) {
      if (route->map.nodes[i].id == now_.node) node = route->nodes[i];
    }
    // One that imports its first slot is not among the owners yet.
    if (node == nullptr && role() == kImporter) node = FindAny(*route, timeout);
    if (node == nullptr) {
      const bool is_importer = role() == kImporter;
      GiveBack();
      return is_importer ? absl::UnavailableError("the node that imports a slot is not known")
                         : absl::OkStatus();
    }
    if (cursor_ != nullptr && node == node_) return absl::OkStatus();
    node_ = std::move(node);
    ScanOptions of_node = options_;
    of_node.slots = now_.RangesOf(ScanPosition::kAtNode);
    of_node.resume_after = now_.at.empty() ? std::string() : now_.at.substr(1);
    resp_client::ScanPosition start;
    if (!of_node.resume_after.empty()) {
      KVARTS_ASSIGN_OR_RETURN(start, resp_client::ScanPosition::Decode(of_node.resume_after));
    }
    cursor_ = std::make_unique<ServerCursor>(node_, nodes_, of_node, std::move(start));
    return absl::OkStatus();
  }

  // By what the first owner that answers knows of all nodes.
  NodePtr FindAny(const Route& route, absl::Duration timeout) {
    for (const NodePtr& owner : route.nodes) {
      const absl::StatusOr<OwnSlots> known = AskForSlots(owner.get(), timeout);
      if (!known.ok()) continue;
      const auto found = known->addresses.find(now_.node);
      if (found == known->addresses.end() || found->second.empty()) return nullptr;
      return nodes_->At(route, found->second);
    }
    return nullptr;
  }

  static absl::StatusOr<OwnSlots> AskForSlots(Node* node, absl::Duration timeout) {
    const auto call = std::make_shared<OwnSlotsCall>();
    node->Start(call, timeout);
    KVARTS_RETURN_IF_ERROR(call->Wait());
    KVARTS_RETURN_IF_ERROR(call->status());
    return OwnSlots::Parse(call->text(), node->address());
  }

  // The node's scan is over: what of its slots is done, by what it says now.
  absl::Status End(absl::Duration timeout) {
    KVARTS_ASSIGN_OR_RETURN(const OwnSlots own, AskForSlots(node_.get(), timeout));
    const bool is_importer = role() == kImporter;
    std::string next;  // the node to which some are on their way
    for (size_t slot = 0; slot < kSlots; ++slot) {
      ScanPosition::State& state = now_.slots[slot];
      if (state != ScanPosition::kAtNode) continue;
      const bool counts = own.held[slot] || (is_importer && own.importing[slot]);
      const auto migrating = own.migrating.find(static_cast<uint16_t>(slot));
      if (own.id != now_.node || !counts) {
        state = ScanPosition::kLeft;
        wants_map_ = true;
      } else if (migrating == own.migrating.end()) {
        state = ScanPosition::kDone;
      } else {
        if (next.empty()) next = migrating->second;
        if (next != migrating->second) state = ScanPosition::kLeft;
      }
    }
    if (wants_map_) knows_ = node_;
    GoTo(next, next.empty() ? kOwner : kImporter);
    return absl::OkStatus();
  }

  const std::shared_ptr<Nodes> nodes_;
  const ScanOptions options_;
  ScanPosition now_;
  bool at_start_;  // of the whole scan: no page yet

  // The scan of now_.node; null: it is to be found.
  std::unique_ptr<ServerCursor> cursor_;
  NodePtr node_;
  RoutePtr by_;  // by which it was found

  // These are about the page that Next() fills.
  bool restarted_ = false;  // a node's scan was begun anew
  bool wants_map_ = false;
  NodePtr knows_;  // who has a newer map, where somebody has
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewNodeCursor(std::shared_ptr<Nodes> nodes,
                                                      const ScanOptions& options) {
  ScanPosition position = ScanPosition::Start(options);
  if (!options.resume_after.empty()) {
    KVARTS_ASSIGN_OR_RETURN(position, ScanPosition::Decode(options));
  }
  return std::unique_ptr<Cursor>(
      std::make_unique<NodeCursor>(std::move(nodes), options, std::move(position)));
}

}  // namespace resp_cluster
}  // namespace kvarts
