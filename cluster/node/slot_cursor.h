#ifndef KVARTS_CLUSTER_NODE_SLOT_CURSOR_H_
#define KVARTS_CLUSTER_NODE_SLOT_CURSOR_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/slot.h"
#include "cluster/node/slot_table.h"
#include "storage/cursor.h"

namespace kvarts {
namespace cluster {

// Not thread-safe. The node's own entries, out of a cursor over a store that may hold others too.
//
// 1. A page is filled under a guard: what the node owned when it began, it owns until it is full.
// 2. An entry is in it only where the node owned its slot before the page began. What was read of
//    one that came meanwhile may be a part of it, or old.
// 3. Who asks for certain slots counts them as done when the scan ends: a page is an error where
//    one of them is not served, kUnavailable where it is held.
// 4. A page of all slots begins only while none is held, if the cursor waits: another node may
//    serve a held slot already. Its entries cannot be left out, for the hold may end with nothing
//    moved, and then they were there all the while.
class SlotCursor final : public Cursor {
 public:
  enum class Holds : unsigned char { kWaits = 0, kIgnores };

  SlotCursor(std::unique_ptr<Cursor> under, std::vector<SlotRange> asked,
             std::shared_ptr<SlotTable> slots, Holds holds)
      : under_(std::move(under)),
        asked_(std::move(asked)),
        slots_(std::move(slots)),
        waits_(holds == Holds::kWaits) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override;
  std::string position() const override { return under_->position(); }

 private:
  absl::Status CheckAsked() const;

  const std::unique_ptr<Cursor> under_;
  const std::vector<SlotRange> asked_;
  const std::shared_ptr<SlotTable> slots_;
  const bool waits_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SLOT_CURSOR_H_
