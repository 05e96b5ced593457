#include "cluster/client/cluster_write.h"

#include <algorithm>
#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/slot.h"
#include "net/remote/calls.h"
#include "net/remote/requests.h"

namespace kvarts {
namespace cluster_client {
namespace {

using remote::WriteCall;

// A WRITE that is under way at a node.
struct Sent {
  const Node* node;
  std::shared_ptr<WriteCall> call;
  uint64_t sequence;

  // Waits for its end. A number is never used again: at another node the same mutations are another
  // write.
  absl::Status Wait() const {
    absl::Status status = call->Wait();
    node->client().writes().End(sequence);
    return status;
  }
};

// `result_places` are the mutations' in `results`. kResourceExhausted: nothing was sent.
absl::StatusOr<Sent> Send(const Node* node, const native::ServerHello& server,
                          const WriteBatch& batch, absl::Span<const uint32_t> places,
                          std::vector<uint32_t> result_places, const WriteOptions& options,
                          absl::Duration timeout, WriteResults* results) {
  native::Client& client = node->client();
  native::Request request = remote::NewRequest(&client, native::WRITE, timeout);
  std::vector<absl::string_view> payload;
  absl::Status status = remote::AddWrite(batch, places, options, server, &request, &payload);
  if (!status.ok()) return status;
  const native::SequenceWindow::Numbers numbers = client.writes().Begin();
  request.mutable_write()->set_sequence(numbers.sequence);
  request.mutable_write()->set_first_unacknowledged(numbers.first_unacknowledged);
  Sent sent{node, std::make_shared<WriteCall>(std::move(result_places), results), numbers.sequence};
  sent.call->SetRequest(request, payload);
  client.Start(sent.call, timeout);
  return sent;
}

// Whether it was not done for a reason that another try may mend.
bool IsUndone(const WriteCall& call, const absl::Status& status) {
  return IsElsewhere(status) || (!call.was_answered() && absl::IsUnavailable(status));
}

}  // namespace

absl::Status ClusterWrite::Run() {
  const auto mutations = batch_.mutations();
  results_->results.assign(mutations.size(), WriteResult());
  results_->failed_precondition = -1;
  if (options_.atomic) return RunAtomic();
  const Capabilities& has = nodes_->capabilities();
  std::vector<uint32_t> places;
  for (uint32_t i = 0; i < mutations.size(); ++i) {
    absl::Status& status = results_->results[i].status;
    status = CheckMutation(mutations[i], has);
    if (!status.ok()) continue;
    if (mutations[i].kind != Mutation::Kind::kDeleteRange) {
      places.push_back(i);
      continue;
    }
    // What stands before a range and behind it may be of keys in it.
    RunSingly(std::exchange(places, {}));
    status = RunRange(i);
  }
  RunSingly(std::move(places));
  for (const WriteResult& result : results_->results) {
    if (!result.status.ok()) return result.status;
  }
  return absl::OkStatus();
}

absl::Status ClusterWrite::RunAtomic() {
  std::optional<uint16_t> slot;
  bool one = true;
  const auto add = [&](absl::string_view key) {
    const uint16_t next = KeySlot(key);
    one = one && slot.value_or(next) == next;
    slot = next;
  };
  std::vector<uint32_t> places;
  for (const Mutation& m : batch_.mutations()) {
    one = one && m.kind != Mutation::Kind::kDeleteRange;
    add(m.key);
    places.push_back(static_cast<uint32_t>(places.size()));
  }
  for (const Precondition& p : batch_.preconditions()) add(p.key);
  if (!one) {
    return FailWrite(batch_,
                     absl::InvalidArgumentError(
                         "an atomic batch over a cluster is of keys of one slot, and of no range"),
                     results_);
  }
  if (!slot.has_value()) return absl::OkStatus();
  absl::Status last;
  RoutePtr route = nodes_->route();
  while (true) {
    const int place = route->PlaceOf(*slot);
    const Node* const node = place < 0 ? nullptr : route->nodes[static_cast<size_t>(place)].get();
    if (node != nullptr) {
      results_->results.assign(places.size(), WriteResult());
      results_->failed_precondition = -1;
      absl::StatusOr<Sent> sent =
          Send(node, nodes_->server(), batch_, places, places, options_, tries_.left(), results_);
      if (!sent.ok()) return FailWrite(batch_, sent.status(), results_);
      last = sent->Wait();
      if (!IsUndone(*sent->call, last)) return last;
    }
    if (!tries_.Again(&route, IsElsewhere(last) ? node : nullptr)) {
      return FailWrite(batch_, GiveUp(last), results_);
    }
  }
}

void ClusterWrite::RunSingly(std::vector<uint32_t> places) {
  RoutePtr route = nodes_->route();
  while (!places.empty()) {
    bool asks_again = false;
    const Node* at = nullptr;
    places = TryOnce(*route, places, &asks_again, &at);
    if (places.empty()) return;
    const bool in_time =
        asks_again ? tries_.Again(&route, at) : tries_.left() > absl::ZeroDuration();
    if (in_time) continue;
    for (const uint32_t place : places) {
      absl::Status& status = results_->results[place].status;
      status = GiveUp(status);
    }
    return;
  }
}

std::vector<uint32_t> ClusterWrite::TryOnce(const Route& route, const std::vector<uint32_t>& places,
                                            bool* asks_again, const Node** at) {
  std::vector<std::vector<uint32_t>> of_node(route.nodes.size());
  std::vector<uint32_t> left;
  for (const uint32_t place : places) {
    const int owner = route.PlaceOf(KeySlot(batch_.mutations()[place].key));
    if (owner >= 0) {
      of_node[static_cast<size_t>(owner)].push_back(place);
    } else {
      left.push_back(place);
      *asks_again = true;
    }
  }
  // One request a node at a time: a server promises no order among several, and what is behind a
  // mutation that is refused must not overtake it.
  std::vector<Sent> all;
  for (size_t i = 0; i < of_node.size(); ++i) {
    const auto some = absl::MakeConstSpan(of_node[i]);
    if (some.empty()) continue;
    const size_t n = remote::CountThatFit(batch_, some, nodes_->server());
    std::vector<uint32_t> first(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(n));
    for (const uint32_t place : first) results_->results[place] = WriteResult();
    absl::StatusOr<Sent> sent = Send(route.nodes[i].get(), nodes_->server(), batch_, first, first,
                                     options_, tries_.left(), results_);
    if (sent.ok()) {
      all.push_back(*std::move(sent));
    } else {
      for (const uint32_t place : first) results_->results[place].status = sent.status();
    }
    left.insert(left.end(), some.begin() + static_cast<std::ptrdiff_t>(n), some.end());
  }
  for (const Sent& sent : all) sent.Wait().IgnoreError();
  for (const Sent& sent : all) {
    std::vector<uint32_t> undone;
    for (const uint32_t place : sent.call->places()) {
      const absl::Status& status = results_->results[place].status;
      if (status.ok() || !IsUndone(*sent.call, status)) continue;
      undone.push_back(place);
      if (IsElsewhere(status)) *at = sent.node;
    }
    *asks_again = *asks_again || !undone.empty();
    undone = MayBeSentAgain(batch_.mutations(), sent.call->places(), std::move(undone), results_);
    left.insert(left.end(), undone.begin(), undone.end());
  }
  std::sort(left.begin(), left.end());
  return left;
}

absl::Status ClusterWrite::RunRange(uint32_t place) {
  // Slots at whose owner the range was deleted. One that moves meanwhile may have been where it was
  // not yet, or not any more: it has to be deleted again, until nothing has moved.
  std::bitset<kSlots> covered;
  absl::Status last;
  RoutePtr route = nodes_->route();
  while (true) {
    struct Range {
      size_t node;
      Sent sent;
      std::unique_ptr<WriteResults> results;
    };
    std::vector<bool> wanted(route->nodes.size());
    for (int slot = 0; slot < kSlots; ++slot) {
      const int owner = route->PlaceOf(static_cast<uint16_t>(slot));
      if (owner >= 0 && !covered[static_cast<size_t>(slot)]) {
        wanted[static_cast<size_t>(owner)] = true;
      }
    }
    std::vector<Range> ranges;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i]) continue;
      auto results = std::make_unique<WriteResults>();
      results->results.resize(1);
      absl::StatusOr<Sent> sent = Send(route->nodes[i].get(), nodes_->server(), batch_, {&place, 1},
                                       {0}, options_, tries_.left(), results.get());
      if (!sent.ok()) return sent.status();  // the same at the first one of any try
      ranges.push_back({i, *std::move(sent), std::move(results)});
    }
    absl::Status failed;
    std::vector<bool> done(route->nodes.size());
    for (const Range& range : ranges) {
      absl::Status status = range.sent.Wait();
      if (status.ok()) {
        done[range.node] = true;
      } else if (IsUndone(*range.sent.call, status)) {
        last = std::move(status);
      } else {
        failed.Update(status);
      }
    }
    if (!failed.ok()) return failed;
    for (int slot = 0; slot < kSlots; ++slot) {
      const int owner = route->PlaceOf(static_cast<uint16_t>(slot));
      if (owner >= 0 && done[static_cast<size_t>(owner)]) covered.set(static_cast<size_t>(slot));
    }
    const RoutePtr before = route;
    if (covered.all()) {
      route = nodes_->Refresh(route, nullptr, tries_.deadline());
      if (route == before) return absl::OkStatus();
    } else if (!tries_.Again(&route, nullptr)) {
      return GiveUp(last);
    }
    for (int slot = 0; slot < kSlots; ++slot) {
      const ClusterNode* const then = before->map.OwnerOf(static_cast<uint16_t>(slot));
      const ClusterNode* const now = route->map.OwnerOf(static_cast<uint16_t>(slot));
      if (then == nullptr || now == nullptr || then->id != now->id) {
        covered.reset(static_cast<size_t>(slot));
      }
    }
  }
}

}  // namespace cluster_client
}  // namespace kvarts
