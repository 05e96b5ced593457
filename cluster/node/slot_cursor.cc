#include "cluster/node/slot_cursor.h"

#include <cstdint>

#include "base/status_macros.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster {

absl::Status SlotCursor::Next(const PageLimits& limits, ScanPage* page) {
  page->Reset();
  while (true) {
    {
      InFlight::Guard guard(slots_->calls());
      KVARTS_RETURN_IF_ERROR(CheckAsked());
      if (!waits_ || !asked_.empty() || slots_->count(SlotState::kHeld) == 0) {
        const uint64_t before = slots_->changes();
        KVARTS_RETURN_IF_ERROR(under_->Next(limits, page));
        if (page->empty()) return absl::OkStatus();
        // Looked at after the page was read: what came to be foreign meanwhile may be in it.
        if (slots_->foreign() > 0 || slots_->changes() != before) {
          page->Retain([&](const ScanEntry& entry) {
            return slots_->HasOwnedSince(KeySlot(entry.key), before);
          });
        }
        if (!page->empty()) return absl::OkStatus();
        continue;  // an empty page would be the end
      }
    }
    if (!slots_->AwaitNoneHeld()) return ClosedError();
  }
}

absl::Status SlotCursor::CheckAsked() const {
  for (const SlotRange& range : asked_) {
    for (int i = range.first; i <= range.last; ++i) {
      const auto slot = static_cast<uint16_t>(i);
      const SlotState state = slots_->state(slot);
      if (state >= SlotState::kServing) continue;
      return state == SlotState::kHeld ? absl::UnavailableError("a slot is about to move")
                                       : slots_->WhyNot(slot, state);
    }
  }
  return absl::OkStatus();
}

}  // namespace cluster
}  // namespace kvarts
