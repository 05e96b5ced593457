#include "storage/slot_status.h"

#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kvarts {
namespace {

constexpr char kMovedUrl[] = "kvarts/moved";
constexpr char kDownUrl[] = "kvarts/slot_down";

}  // namespace

absl::Status MovedError(const MovedSlot& moved) {
  absl::Status status = absl::AbortedError(absl::StrCat("MOVED ", moved.slot, " ", moved.resp));
  status.SetPayload(kMovedUrl,
                    absl::Cord(absl::StrCat(moved.slot, " ", moved.resp, " ", moved.http)));
  return status;
}

bool IsMoved(const absl::Status& status) {
  return absl::IsAborted(status) && status.GetPayload(kMovedUrl).has_value();
}

std::optional<MovedSlot> MovedTo(const absl::Status& status) {
  if (!absl::IsAborted(status)) return std::nullopt;
  const auto payload = status.GetPayload(kMovedUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(std::string(*payload), ' ');
  int slot = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &slot)) return std::nullopt;
  return MovedSlot{static_cast<uint16_t>(slot), parts[1], parts[2]};
}

absl::Status SlotDownError(absl::string_view why) {
  absl::Status status = absl::UnavailableError(
      absl::StrCat("CLUSTERDOWN Hash slot not served", why.empty() ? "" : ": ", why));
  status.SetPayload(kDownUrl, absl::Cord());
  return status;
}

bool IsSlotDown(const absl::Status& status) {
  return absl::IsUnavailable(status) && status.GetPayload(kDownUrl).has_value();
}

}  // namespace kvarts
