#include "cluster/client/cluster_read.h"

#include <cstddef>

#include "absl/status/status.h"
#include "base/slot.h"
#include "cluster/client/routes.h"
#include "net/remote/requests.h"

namespace kvarts {
namespace cluster_client {

void ClusterRead::Start() {
  results_->Reset(keys_.size());
  of_node_.resize(route().nodes.size());
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (absl::Status status = CheckKey(keys_[i]); status.ok()) {
      Add(static_cast<uint32_t>(i));
    } else {
      results_->mutable_result(i).status = status;
    }
  }
  AskNodes();
}

void ClusterRead::Add(uint32_t place) {
  const int owner = route().place[KeySlot(keys_[place])];
  (owner < 0 ? nobodys_ : of_node_[static_cast<size_t>(owner)]).push_back(place);
}

void ClusterRead::AskNodes() {
  Begin();
  for (size_t i = 0; i < of_node_.size(); ++i) {
    if (!of_node_[i].empty()) Ask(*route().nodes[i], of_node_[i]);
  }
  Await();
}

void ClusterRead::Ask(const Node& node, absl::Span<const uint32_t> places) {
  while (!places.empty()) {
    native::Request request = remote::NewRequest(&node.client(), native::GET, left());
    std::vector<absl::string_view> payload;
    const size_t n = remote::AddKeys(keys_, places, remote::kItemsPerRequest, nodes().server(),
                                     options_, &request, &payload);
    auto call = std::make_shared<remote::GetCall>(
        std::vector<uint32_t>(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(n)),
        options_.stamp, results_);
    call->SetRequest(request, payload);
    asked_.push_back({&node, call});
    Send(node, call);
    places.remove_prefix(n);
  }
}

void ClusterRead::Judge() {
  std::vector<uint32_t> again = std::move(nobodys_);
  const Node* at = nullptr;
  for (const Asked& one : asked_) {
    if (!one.call->has_errors()) continue;
    const bool reached = !absl::IsUnavailable(one.call->outcome());
    for (const uint32_t place : one.call->places()) {
      const absl::Status& status = (*results_)[place].status;
      if (status.ok() || (reached && !IsElsewhere(status))) continue;
      again.push_back(place);
      if (reached) at = one.node;
    }
  }
  asked_.clear();
  if (again.empty()) return done_();
  Again(at, [this, again = std::move(again)](bool in_time) {
    for (const uint32_t place : again) {
      ReadResult& result = results_->mutable_result(place);
      const absl::Status last = result.status;
      result = ReadResult();
      if (!in_time) result.status = GiveUp(last);
    }
    if (!in_time) return done_();
    nobodys_.clear();
    of_node_.assign(route().nodes.size(), {});
    for (const uint32_t place : again) Add(place);
    AskNodes();
  });
}

}  // namespace cluster_client
}  // namespace kvarts
