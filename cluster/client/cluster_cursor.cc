#include "cluster/client/cluster_cursor.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "cluster/client/routes.h"
#include "cluster/client/tries.h"
#include "net/remote/calls.h"
#include "net/remote/requests.h"
#include "net/waiting.h"

namespace kvarts {
namespace cluster_client {
namespace {

// Whether a node's answer to a SCAN says that it does not hold all of the slots any more.
bool HasMoved(const absl::Status& status) {
  return IsElsewhere(status) ||
         (absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), "moved"));
}

}  // namespace

// One page: asks node after node, until one has entries. The cursor stays until `done_` is called.
class ClusterCursor::Page final : public Tries {
 public:
  Page(ClusterCursor* cursor, const PageLimits& limits, ScanPage* page, Done done)
      : Tries(cursor->nodes_.get(), cursor->options_.timeout),
        cursor_(cursor),
        limits_(limits),
        page_(page),
        done_(std::move(done)) {}

  void Ask() {
    cursor_->Narrow(route_ptr());
    if (cursor_->now_.node.empty() && !cursor_->Begin(route())) {
      if (!cursor_->now_.Has(ScanPosition::kLeft)) return done_(absl::OkStatus());
      return AskAgain(nullptr, absl::OkStatus());
    }
    const int place = cursor_->Find(route());
    if (place < 0) return AskAgain(nullptr, absl::OkStatus());
    asked_ = route().nodes[static_cast<size_t>(place)].get();
    ScanOptions of_node = cursor_->options_;
    of_node.slots = cursor_->asked_;
    of_node.resume_after = cursor_->now_.at;
    native::Request request = remote::NewRequest(&asked_->client(), native::SCAN, left());
    remote::AddScan(of_node, &request);
    request.mutable_scan()->set_max_entries(std::max<uint64_t>(limits_.entries, 1));
    request.mutable_scan()->set_max_bytes(std::max<uint64_t>(limits_.bytes, 1));
    call_ = std::make_shared<remote::ScanCall>(page_);
    call_->SetRequest(request, {});
    Begin();
    Send(*asked_, call_);
    Await();
  }

 private:
  void Judge() override {
    const absl::Status status = call_->status();
    ScanPosition& now = cursor_->now_;
    if (status.ok() && !page_->empty()) {
      now.at = std::move(call_->position());
      cursor_->at_start_ = false;
      return done_(status);
    }
    if (status.ok()) {
      return Refresh(asked_, absl::ZeroDuration(), [this](bool) {
        cursor_->Narrow(route_ptr());
        cursor_->End();
        Ask();
      });
    }
    page_->Reset();
    if (absl::IsInvalidArgument(status) && !now.at.empty()) {
      // A store that binds a position to the slots of its scan: these are fewer by now.
      now.at.clear();
      return Ask();
    }
    const bool reached = call_->was_answered();
    if (reached ? !HasMoved(status) : !absl::IsUnavailable(status)) return done_(status);
    AskAgain(reached ? asked_ : nullptr, status);
  }

  void AskAgain(const Node* at, const absl::Status& last) {
    Again(at, [this, last](bool in_time) { in_time ? Ask() : done_(GiveUp(last)); });
  }

  ClusterCursor* const cursor_;
  const PageLimits limits_;
  ScanPage* const page_;
  Done done_;
  const Node* asked_ = nullptr;
  std::shared_ptr<remote::ScanCall> call_;
};

ClusterCursor::ClusterCursor(std::shared_ptr<Nodes> nodes, const ScanOptions& options,
                             ScanPosition position)
    : nodes_(std::move(nodes)),
      options_(options),
      now_(std::move(position)),
      at_start_(options.resume_after.empty()) {}

absl::StatusOr<std::unique_ptr<ClusterCursor>> ClusterCursor::New(std::shared_ptr<Nodes> nodes,
                                                                  const ScanOptions& options) {
  if (options.snapshot != nullptr) {
    return absl::InvalidArgumentError("a snapshot of another store");
  }
  ScanPosition position = ScanPosition::Start(options);
  if (!options.resume_after.empty()) {
    KVARTS_ASSIGN_OR_RETURN(position, ScanPosition::Decode(options));
  }
  return std::unique_ptr<ClusterCursor>(
      new ClusterCursor(std::move(nodes), options, std::move(position)));
}

absl::Status ClusterCursor::Next(const PageLimits& limits, ScanPage* page) {
  page->Reset();
  if (nodes_->InLoop()) {
    return absl::FailedPreconditionError("a cluster's cursor was used on the store's own loop");
  }
  StatusWaiter turned;
  Start(limits, page, [&turned](const absl::Status& status) { turned.Done(status); });
  return turned.Wait();
}

void ClusterCursor::Start(const PageLimits& limits, ScanPage* page, Done done) {
  page->Reset();
  std::make_shared<Page>(this, limits, page, std::move(done))->Ask();
}

std::string ClusterCursor::position() const {
  return at_start_ ? std::string() : now_.Encode(options_);
}

bool ClusterCursor::Begin(const Route& route) {
  int place = -1;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (now_.slots[slot] != ScanPosition::kLeft) continue;
    const int owner = route.place[slot];
    if (place < 0) place = owner;
    if (owner >= 0 && owner == place) now_.slots[slot] = ScanPosition::kAtNode;
  }
  if (place < 0) return false;
  now_.node = route.map.nodes[static_cast<size_t>(place)].id;
  now_.at.clear();
  asked_ = now_.RangesOf(ScanPosition::kAtNode);
  return true;
}

void ClusterCursor::End() {
  std::replace(now_.slots.begin(), now_.slots.end(), ScanPosition::kAtNode, ScanPosition::kDone);
  now_.node.clear();
  now_.at.clear();
}

void ClusterCursor::Narrow(const RoutePtr& route) {
  if (route == narrowed_by_ || now_.node.empty()) return;
  narrowed_by_ = route;
  const auto& nodes = route->map.nodes;
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [this](const ClusterNode& node) { return node.id == now_.node; });
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

int ClusterCursor::Find(const Route& route) const {
  for (size_t i = 0; i < route.nodes.size(); ++i) {
    if (route.map.nodes[i].id != now_.node) continue;
    return route.nodes[i] == nullptr ? -1 : static_cast<int>(i);
  }
  return -1;
}

}  // namespace cluster_client
}  // namespace kvarts
