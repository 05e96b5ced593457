#include "storage/memory/memory_cursor.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/store.h"

namespace kvarts::memory_internal {
namespace {

// A position: "mp1", eight bytes that only this table's seed gives, eight of the hash of
// the last entry.
constexpr absl::string_view kMagic = "mp1";
constexpr size_t kPositionBytes = 3 + 8 + 8;

// Not thread-safe.
class MemoryCursor final : public Cursor {
 public:
  MemoryCursor(std::shared_ptr<Table> table, const Clock* clock, const ScanOptions& options)
      : table_(std::move(table)),
        clock_(*clock),
        keys_only_(options.keys_only),
        range_(options.range),
        slots_(options.slots) {}

  absl::Status Resume(absl::string_view position) {
    if (position.empty()) return absl::OkStatus();
    if (position.size() != kPositionBytes || position.substr(0, 3) != kMagic ||
        LoadLE64(position.data() + 3) != Seal(position.substr(11))) {
      return absl::InvalidArgumentError("not a position of a scan of this store");
    }
    last_ = LoadLE64(position.data() + 11);
    has_last_ = true;
    next_ = last_ + 1;
    more_ = next_ != 0;
    return absl::OkStatus();
  }

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    if (!more_) return absl::OkStatus();
    PageLimits some = limits;
    if (some.entries == 0) some.entries = 1;
    do {
      more_ = table_->Scan(
          &next_, some, keys_only_, absl::ToUnixMillis(clock_.Now()),
          [this](absl::string_view key) { return range_.Contains(key) && InSlots(key, slots_); },
          page, &last_);
    } while (more_ && page->empty());
    has_last_ = has_last_ || !page->empty();
    return absl::OkStatus();
  }

  std::string position() const override {
    if (!has_last_) return "";
    std::string place;
    AppendLE64(&place, last_);
    std::string position(kMagic);
    AppendLE64(&position, Seal(place));
    return position + place;
  }

 private:
  uint64_t Seal(absl::string_view place) const { return table_->Hash(place); }

  const std::shared_ptr<Table> table_;
  const Clock& clock_;
  const bool keys_only_;
  const KeyRange range_;
  const std::vector<SlotRange> slots_;
  uint64_t next_ = 0;
  bool more_ = true;
  uint64_t last_ = 0;
  bool has_last_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewMemoryCursor(std::shared_ptr<Table> table,
                                                        const Clock* clock,
                                                        const ScanOptions& options) {
  if (options.snapshot != nullptr) {
    return absl::InvalidArgumentError("a snapshot of another store");
  }
  auto cursor = std::make_unique<MemoryCursor>(std::move(table), clock, options);
  KVARTS_RETURN_IF_ERROR(cursor->Resume(options.resume_after));
  return cursor;
}

}  // namespace kvarts::memory_internal
