#include "cluster/client/routes.h"

#include <unordered_map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace cluster_client {

absl::Status GiveUp(const absl::Status& last) {
  if (last.ok()) return SlotDownError("no node that serves it until the deadline");
  if (absl::IsUnavailable(last) && absl::StartsWith(last.message(), "CLUSTERDOWN")) {
    return SlotDownError();
  }
  if (absl::IsUnavailable(last)) return SlotDownError(last.message());
  return SlotDownError(absl::StrCat("it moved until the deadline: ", last.message()));
}

std::vector<uint32_t> MayBeSentAgain(absl::Span<const Mutation> mutations,
                                     absl::Span<const uint32_t> places,
                                     std::vector<uint32_t> undone, WriteResults* results) {
  if (undone.empty()) return undone;
  std::unordered_map<std::string, uint32_t> last_done;
  auto next = undone.begin();
  for (const uint32_t place : places) {
    if (next != undone.end() && *next == place) {
      ++next;
    } else {
      last_done[std::string(mutations[place].key)] = place;
    }
  }
  const auto is_overtaken = [&](uint32_t place) {
    const auto done = last_done.find(std::string(mutations[place].key));
    if (done == last_done.end() || done->second < place) return false;
    results->results[place].status = absl::UnavailableError(
        "not done: a later mutation of the key was done while its slot moved");
    return true;
  };
  undone.erase(std::remove_if(undone.begin(), undone.end(), is_overtaken), undone.end());
  return undone;
}

}  // namespace cluster_client
}  // namespace kvarts
