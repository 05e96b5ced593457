#include "cluster/resp_client/node_write.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/slot.h"
#include "cluster/client/routes.h"
#include "net/resp/client/store_calls.h"

namespace kvarts {
namespace resp_cluster {
namespace {

using resp_client::WriteCall;

// A pipeline of writes that is under way at a node.
struct Sent {
  NodePtr node;
  std::vector<uint32_t> places;
  std::shared_ptr<WriteCall> call;
};

// How many of the mutations at `places`, one at least, one pipeline takes.
size_t CountThatFit(absl::Span<const Mutation> mutations, absl::Span<const uint32_t> places) {
  size_t bytes = 0;
  size_t n = 0;
  while (n < places.size() && n < resp_client::kMutationsPerCall) {
    const Mutation& m = mutations[places[n]];
    bytes += m.key.size() + m.value.size();
    if (n > 0 && bytes > resp_client::kBytesPerCall) break;
    ++n;
  }
  return n;
}

// Where some were sent to another node by ASK, these go first and alone, so that no later mutation
// of a key gets to the key's owner before. Moves all others to `later`, also those of ASK that are
// behind another one of their key.
std::vector<Errand> TakeAsked(absl::Span<const Mutation> mutations, std::vector<Errand> errands,
                              std::vector<Errand>* later) {
  const bool some = std::any_of(errands.begin(), errands.end(),
                                [](const Errand& errand) { return !errand.ask.empty(); });
  if (!some) return errands;
  std::vector<Errand> asked;
  std::unordered_set<std::string> waiting;  // keys
  for (Errand& errand : errands) {
    const std::string key(mutations[errand.place].key);
    if (errand.ask.empty() || waiting.count(key) > 0) {
      waiting.insert(key);
      later->push_back({errand.place, {}});
    } else {
      asked.push_back(std::move(errand));
    }
  }
  return asked;
}

// One pipeline to each node that has some of `errands`, which are in the order of the batch; so is
// what is left.
Leftovers TryOnce(Nodes* nodes, const Route& route, const WriteBatch& batch, bool existed,
                  std::vector<Errand> errands, absl::Duration timeout, WriteResults* results) {
  const auto mutations = batch.mutations();
  Leftovers left(nodes, route);
  errands = TakeAsked(mutations, std::move(errands), &left.errands);
  std::vector<Errand> nobodys;
  const auto slot_of = [&](uint32_t place) { return KeySlot(mutations[place].key); };
  // One at a time: what is behind a mutation that is refused must not overtake it.
  std::vector<Sent> all;
  for (const Trip& trip : nodes->Plan(route, errands, slot_of, &nobodys)) {
    const auto end =
        trip.places.begin() + static_cast<std::ptrdiff_t>(CountThatFit(mutations, trip.places));
    Sent sent{trip.node, {trip.places.begin(), end}, nullptr};
    for (const uint32_t place : sent.places) results->results[place] = WriteResult();
    sent.call = std::make_shared<WriteCall>(mutations, sent.places, existed, results,
                                            /*asking=*/!trip.ask.empty());
    trip.node->Start(sent.call, timeout);
    all.push_back(std::move(sent));
    for (auto it = end; it != trip.places.end(); ++it) left.errands.push_back({*it, trip.ask});
  }
  left.AddNobodys(std::move(nobodys));
  std::vector<bool> reached;
  for (const Sent& sent : all) reached.push_back(!absl::IsUnavailable(sent.call->Wait()));
  for (size_t i = 0; i < all.size(); ++i) {
    const size_t before = left.errands.size();
    std::vector<uint32_t> undone;
    for (const uint32_t place : all[i].places) {
      const absl::Status& status = results->results[place].status;
      if (left.Take(place, status, reached[i], *all[i].node)) undone.push_back(place);
    }
    const std::vector<uint32_t> again =
        cluster_client::MayBeSentAgain(mutations, all[i].places, undone, results);
    if (again.size() == undone.size()) continue;
    const auto dropped = [&again](const Errand& errand) {
      return !std::binary_search(again.begin(), again.end(), errand.place);
    };
    left.errands.erase(std::remove_if(left.errands.begin() + static_cast<std::ptrdiff_t>(before),
                                      left.errands.end(), dropped),
                       left.errands.end());
  }
  std::sort(left.errands.begin(), left.errands.end(),
            [](const Errand& a, const Errand& b) { return a.place < b.place; });
  return left;
}

}  // namespace

absl::Status WriteToNodes(Nodes* nodes, const Capabilities& capabilities, const WriteBatch& batch,
                          const WriteOptions& options, WriteResults* results) {
  const auto mutations = batch.mutations();
  results->results.assign(mutations.size(), WriteResult());
  results->failed_precondition = -1;
  std::vector<Errand> errands;
  for (uint32_t i = 0; i < mutations.size(); ++i) {
    absl::Status& status = results->results[i].status;
    status = CheckMutation(mutations[i], capabilities);
    if (status.ok()) errands.push_back({i, {}});
  }
  Tries tries(nodes, options.timeout);
  RoutePtr route = nodes->route();
  while (!errands.empty()) {
    const RoutePtr by = route;
    Leftovers left = TryOnce(nodes, *by, batch, options.report_existed, std::move(errands),
                             tries.left(), results);
    errands = std::move(left.errands);
    if (errands.empty()) break;
    const bool in_time =
        left.wants_map() ? tries.Again(&route, left.at()) : tries.left() > absl::ZeroDuration();
    if (in_time) continue;
    for (const Errand& errand : errands) {
      absl::Status& status = results->results[errand.place].status;
      status = cluster_client::GiveUp(status);
    }
    break;
  }
  for (const WriteResult& result : results->results) {
    if (!result.status.ok()) return result.status;
  }
  return absl::OkStatus();
}

}  // namespace resp_cluster
}  // namespace kvarts
