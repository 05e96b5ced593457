#include "cluster/client/cluster_cursor.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "cluster/client/scan_position.h"
#include "net/remote/calls.h"
#include "net/remote/requests.h"

namespace kvarts {
namespace cluster_client {
namespace {

// Whether a node's answer to a SCAN says that it does not hold all of the slots any more.
bool HasMoved(const absl::Status& status) {
  return IsElsewhere(status) ||
         (absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), "moved"));
}

// Not thread-safe. Scans one node after the other, each for those slots that are left and that it
// holds. Why nothing is missed:
//
// 1. A node refuses a page where it does not hold each of the slots asked for: so an entry of a
//    page's part of the order was seen, if it was there.
// 2. Slots that went away under a node's scan are left again, from their start, for their new
//    owner; the scan of the others goes on where it was. Repeats are entries of such slots.
// 3. At the end of a node's scan its map is read once more, and slots are done only where it still
//    has them.
class ClusterCursor final : public Cursor {
 public:
  ClusterCursor(std::shared_ptr<Nodes> nodes, const ScanOptions& options, ScanPosition position)
      : nodes_(std::move(nodes)),
        options_(options),
        now_(std::move(position)),
        at_start_(options.resume_after.empty()) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    if (nodes_->InLoop()) {
      return absl::FailedPreconditionError("a cluster's cursor was used on the store's own loop");
    }
    Tries tries(nodes_.get(), options_.timeout);
    RoutePtr route = nodes_->route();
    while (true) {
      Narrow(route);
      if (now_.node.empty() && !Begin(*route)) {
        if (!now_.Has(ScanPosition::kLeft)) return absl::OkStatus();
        if (!tries.Again(&route, nullptr)) return GiveUp(absl::OkStatus());
        continue;
      }
      const Node* const node = Find(*route);
      if (node == nullptr) {  // it is gone, or cannot be reached
        if (!tries.Again(&route, nullptr)) return GiveUp(absl::OkStatus());
        continue;
      }
      bool reached = false;
      absl::Status status = AskForPage(node, limits, tries.left(), page, &reached);
      if (status.ok() && !page->empty()) {
        at_start_ = false;
        return status;
      }
      if (status.ok()) {
        route = nodes_->Refresh(route, node, tries.deadline());
        Narrow(route);
        End();
        continue;
      }
      page->Reset();
      if (absl::IsInvalidArgument(status) && !now_.at.empty()) {
        // A store that binds a position to the slots of its scan: these are fewer by now.
        now_.at.clear();
        continue;
      }
      const bool again = reached ? HasMoved(status) : absl::IsUnavailable(status);
      if (!again) return status;
      if (!tries.Again(&route, reached ? node : nullptr)) return GiveUp(status);
    }
  }

  std::string position() const override {
    return at_start_ ? std::string() : now_.Encode(options_);
  }

 private:
  // Takes the next node that holds slots which are left. False: there is none.
  bool Begin(const Route& route) {
    int place = -1;
    for (size_t slot = 0; slot < kSlots; ++slot) {
      if (now_.slots[slot] != ScanPosition::kLeft) continue;
      const int owner = route.PlaceOf(static_cast<uint16_t>(slot));
      if (place < 0) place = owner;
      if (owner >= 0 && owner == place) now_.slots[slot] = ScanPosition::kAtNode;
    }
    if (place < 0) return false;
    now_.node = route.map.nodes[static_cast<size_t>(place)].id;
    now_.at.clear();
    asked_ = now_.RangesOf(ScanPosition::kAtNode);
    return true;
  }

  void End() {
    std::replace(now_.slots.begin(), now_.slots.end(), ScanPosition::kAtNode, ScanPosition::kDone);
    now_.node.clear();
    now_.at.clear();
  }

  // Slots that the node does not hold by this map are left again.
  void Narrow(const RoutePtr& route) {
    if (route == narrowed_by_ || now_.node.empty()) return;
    narrowed_by_ = route;
    const auto& nodes = route->map.nodes;
    const auto found = std::find_if(nodes.begin(), nodes.end(), [this](const ClusterNode& node) {
      return node.id == now_.node;
    });
    const auto place = found == nodes.end() ? -2 : found - nodes.begin();
    bool some = false;
    for (size_t slot = 0; slot < kSlots; ++slot) {
      if (now_.slots[slot] != ScanPosition::kAtNode) continue;
      if (route->map.owner[slot] == place) {
        some = true;
      } else {
        now_.slots[slot] = ScanPosition::kLeft;
      }
    }
    asked_ = now_.RangesOf(ScanPosition::kAtNode);
    if (!some) End();
  }

  // The way to the node of the scan.
  const Node* Find(const Route& route) const {
    for (size_t i = 0; i < route.nodes.size(); ++i) {
      if (route.map.nodes[i].id == now_.node) return route.nodes[i].get();
    }
    return nullptr;
  }

  absl::Status AskForPage(const Node* node, const PageLimits& limits, absl::Duration timeout,
                          ScanPage* page, bool* reached) {
    ScanOptions of_node = options_;
    of_node.slots = asked_;
    of_node.resume_after = now_.at;
    native::Client& client = node->client();
    native::Request request = remote::NewRequest(&client, native::SCAN, timeout);
    remote::AddScan(of_node, &request);
    request.mutable_scan()->set_max_entries(std::max<uint64_t>(limits.entries, 1));
    request.mutable_scan()->set_max_bytes(std::max<uint64_t>(limits.bytes, 1));
    auto call = std::make_shared<remote::ScanCall>(page);
    call->SetRequest(request, {});
    client.Start(call, timeout);
    KVARTS_RETURN_IF_ERROR(call->Wait());
    *reached = true;
    KVARTS_RETURN_IF_ERROR(call->status());
    if (!page->empty()) now_.at = std::move(call->position());
    return absl::OkStatus();
  }

  const std::shared_ptr<Nodes> nodes_;
  const ScanOptions options_;
  ScanPosition now_;
  bool at_start_;                 // of the whole scan: no page yet
  std::vector<SlotRange> asked_;  // those of now_ that are at the node
  RoutePtr narrowed_by_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewClusterCursor(std::shared_ptr<Nodes> nodes,
                                                         const ScanOptions& options) {
  if (options.snapshot != nullptr) {
    return absl::InvalidArgumentError("a snapshot of another store");
  }
  ScanPosition position = ScanPosition::Start(options);
  if (!options.resume_after.empty()) {
    KVARTS_ASSIGN_OR_RETURN(position, ScanPosition::Decode(options));
  }
  return std::unique_ptr<Cursor>(
      std::make_unique<ClusterCursor>(std::move(nodes), options, std::move(position)));
}

}  // namespace cluster_client
}  // namespace kvarts
