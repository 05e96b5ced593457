#include "storage/bisect/bisect_cursor.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/store.h"

namespace kvarts {
namespace {

// A position: "bp1", four bytes of the key's checksum, the key.
constexpr absl::string_view kPositionMagic = "bp1";
constexpr size_t kPositionHead = 7;
// Entries whose records are fetched into cache ahead of the one at hand.
constexpr uint64_t kAhead = 16;

std::string EncodePosition(absl::string_view key) {
  std::string out(kPositionMagic);
  AppendLE32(&out, static_cast<uint32_t>(Checksum(key)));
  out.append(key.data(), key.size());
  return out;
}

absl::StatusOr<std::string> DecodePosition(absl::string_view position) {
  if (position.size() >= kPositionHead &&
      position.substr(0, kPositionMagic.size()) == kPositionMagic) {
    const absl::string_view key = position.substr(kPositionHead);
    if (LoadLE32(position.data() + kPositionMagic.size()) == static_cast<uint32_t>(Checksum(key))) {
      return std::string(key);
    }
  }
  return absl::InvalidArgumentError("not a position of a scan of this store");
}

// Not thread-safe.
class BisectCursor final : public Cursor {
 public:
  BisectCursor(std::shared_ptr<const Dataset> dataset, const ScanOptions& options)
      : dataset_(std::move(dataset)),
        backward_(options.backward),
        keys_only_(options.keys_only),
        slots_(options.slots),
        position_(options.resume_after) {}

  absl::Status Init(const ScanOptions& options) {
    KeyRange range = options.range;
    if (!options.resume_after.empty()) {
      KVARTS_ASSIGN_OR_RETURN(const std::string last, DecodePosition(options.resume_after));
      const KeyRange rest =
          backward_ ? KeyRange::FromTo("", last) : KeyRange::From(KeyRange::Point(last).end);
      range = Intersect(range, rest);
    }
    if (range.empty()) return absl::OkStatus();
    Dataset::Outcome outcome = dataset_->LowerBound(range.begin, &begin_);
    end_ = dataset_->size();
    if (outcome == Dataset::Outcome::kFound && !range.end.empty()) {
      outcome = dataset_->LowerBound(range.end, &end_);
    }
    if (outcome != Dataset::Outcome::kFound) return dataset_->Error(outcome);
    end_ = std::max(begin_, end_);
    return absl::OkStatus();
  }

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    page->bytes().AddPin(dataset_);
    size_t bytes = 0;
    uint64_t done = 0;  // of [begin_, end_), the skipped too
    const uint64_t total = end_ - begin_;
    while (done < total && page->size() < std::max<size_t>(limits.entries, 1)) {
      if (done + kAhead < total) dataset_->PrefetchRecord(Rank(done + kAhead));
      ScanEntry entry;
      const Dataset::Outcome outcome = dataset_->Record(Rank(done), &entry.key, &entry.value);
      if (outcome != Dataset::Outcome::kFound) {
        page->Reset();
        return dataset_->Error(outcome);
      }
      if (!InSlots(entry.key, slots_)) {
        ++done;
        continue;
      }
      if (keys_only_) entry.value = {};
      bytes += entry.key.size() + entry.value.size();
      if (!page->empty() && bytes > limits.bytes) break;
      page->Add(entry);
      ++done;
    }
    const std::atomic<uint32_t>& losses = dataset_->data().file()->losses();
    page->bytes().WatchLosses(losses, losses.load(std::memory_order_acquire));
    if (dataset_->poisoned()) {
      for (const ScanEntry& entry : *page) {
        Dataset::Outcome outcome = dataset_->Recheck(true, entry.key);
        if (outcome == Dataset::Outcome::kFound) outcome = dataset_->Recheck(true, entry.value);
        if (outcome == Dataset::Outcome::kFound) continue;
        page->Reset();
        return dataset_->Error(outcome);
      }
    }
    if (!page->empty()) position_ = EncodePosition((*page)[page->size() - 1].key);
    if (backward_) {
      end_ -= done;
    } else {
      begin_ += done;
    }
    return absl::OkStatus();
  }

  std::string position() const override { return position_; }

 private:
  uint64_t Rank(uint64_t step) const { return backward_ ? end_ - 1 - step : begin_ + step; }

  const std::shared_ptr<const Dataset> dataset_;
  const bool backward_;
  const bool keys_only_;
  const std::vector<SlotRange> slots_;
  std::string position_;
  // The ranks that are left.
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewBisectCursor(std::shared_ptr<const Dataset> dataset,
                                                        const ScanOptions& options) {
  auto cursor = std::make_unique<BisectCursor>(std::move(dataset), options);
  KVARTS_RETURN_IF_ERROR(cursor->Init(options));
  return std::unique_ptr<Cursor>(std::move(cursor));
}

}  // namespace kvarts
