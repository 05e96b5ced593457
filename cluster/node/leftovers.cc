#include "cluster/node/leftovers.h"

#include <algorithm>
#include <utility>

#include "base/slot.h"
#include "base/status_macros.h"

namespace kvarts {
namespace cluster {
namespace {

// Deletions between which others have their turn.
constexpr size_t kKeysAtOnce = 512;

// Removes what the next page holds. True at the end.
absl::StatusOr<bool> CleanPage(Store* store, Cursor* cursor) {
  ScanPage page;
  PageLimits limits;
  limits.entries = kKeysAtOnce;
  KVARTS_RETURN_IF_ERROR(cursor->Next(limits, &page));
  if (page.empty()) {
    // What was removed must not come back once nobody looks for it.
    KVARTS_RETURN_IF_ERROR(store->Sync());
    return true;
  }
  WriteBatch batch;
  for (const ScanEntry& entry : page) batch.Delete(entry.key);
  WriteOptions options;
  options.sync = false;  // what comes back in a crash before the end is cleaned again
  KVARTS_RETURN_IF_ERROR(store->Write(batch, options, nullptr));
  return false;
}

}  // namespace

void Leftovers::Init(const std::vector<uint16_t>& slots) {
  for (const uint16_t slot : slots) marked_.set(slot);
  CountForeign();
}

void Leftovers::Settle() {
  settled_ = true;
  CountForeign();
}

void Leftovers::CountForeign() {
  parts_.store->slots()->SetForeign(settled_ ? static_cast<int>((marked_ | suspected_).count())
                                             : kSlots);
}

void Leftovers::Suspect(const std::vector<uint16_t>& slots) {
  for (const uint16_t slot : slots) suspected_.set(slot);
  CountForeign();
  ScanOptions scan;
  scan.keys_only = true;
  const auto look = std::make_shared<Look>();
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = parts_.under()->NewCursor(scan);
  if (!cursor.ok()) return;
  look->cursor = *std::move(cursor);
  GoOnLooking(look);
}

// Where it fails they stay suspected, which hides all that may be there.
void Leftovers::GoOnLooking(const std::shared_ptr<Look>& look) {
  parts_.OnStore(
      [look] {
        ScanPage page;
        PageLimits limits;
        limits.entries = kKeysAtOnce;
        const absl::Status status = look->cursor->Next(limits, &page);
        for (const ScanEntry& entry : page) look->found.set(KeySlot(entry.key));
        look->at_end = page.empty();
        if (!status.ok()) look->at_end = status;
      },
      [this, look, alive = std::weak_ptr<bool>(alive_)] {
        const std::shared_ptr<bool> here = alive.lock();
        if (here == nullptr || !*here || !look->at_end.ok()) return;
        if (!*look->at_end) return GoOnLooking(look);
        // The others have been removed, or have come, since the pass began.
        marked_ |= look->found & suspected_;
        suspected_.reset();
        Changed([](const absl::Status&) {});
      });
}

void Leftovers::Changed(absl::AnyInvocable<void(absl::Status)> done) {
  CountForeign();
  to_save_.push_back(std::move(done));
  if (!saving_) SaveNow();
}

// One list at a time, so that an older one never replaces a newer one.
void Leftovers::SaveNow() {
  saving_ = true;
  std::vector<uint16_t> slots;
  for (size_t slot = marked_._Find_first(); slot < marked_.size();
       slot = marked_._Find_next(slot)) {
    slots.push_back(static_cast<uint16_t>(slot));
  }
  auto waiting = std::make_shared<std::vector<absl::AnyInvocable<void(absl::Status)>>>();
  waiting->swap(to_save_);
  save_(slots, [this, waiting, alive = std::weak_ptr<bool>(alive_)](const absl::Status& status) {
    const std::shared_ptr<bool> here = alive.lock();
    if (here == nullptr || !*here) return;
    saving_ = false;
    for (auto& done : *waiting) {
      done(status);
      if (!*here) return;
    }
    if (!saving_ && !to_save_.empty()) SaveNow();
  });
}

void Leftovers::Mark(const std::vector<uint16_t>& slots,
                     absl::AnyInvocable<void(absl::Status)> done) {
  for (const uint16_t slot : slots) marked_.set(slot);
  Changed(std::move(done));
}

void Leftovers::Unmark(const std::vector<uint16_t>& slots) {
  for (const uint16_t slot : slots) {
    marked_.reset(slot);
    suspected_.reset(slot);
  }
  // What a crash keeps of the old list does no harm: a slot that is the node's is not cleaned.
  Changed([](const absl::Status&) {});
}

bool Leftovers::WillClean(uint16_t slot) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [slot](const Job& job) {
    return std::binary_search(job.slots.begin(), job.slots.end(), slot);
  });
}

void Leftovers::Clean(const std::vector<uint16_t>& slots,
                      absl::AnyInvocable<void(absl::Status)> done) {
  jobs_.push_back({slots, std::move(done), nullptr});
  if (jobs_.size() == 1 && !ending_) Step();
}

void Leftovers::Step() {
  Job& job = jobs_.front();
  if (job.cursor == nullptr) {
    ScanOptions scan;
    scan.keys_only = true;
    scan.slots = ToRanges(job.slots);
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = parts_.under()->NewCursor(scan);
    if (!cursor.ok()) return EndJob(cursor.status());
    job.cursor = *std::move(cursor);
  }
  const auto ended = std::make_shared<absl::StatusOr<bool>>(false);
  parts_.OnStore([store = parts_.under(), cursor = job.cursor,
                  ended] { *ended = CleanPage(store, cursor.get()); },
                 [this, ended, alive = std::weak_ptr<bool>(alive_)] {
                   const std::shared_ptr<bool> here = alive.lock();
                   if (here == nullptr || !*here) return;
                   if (!ended->ok()) return EndJob(ended->status());
                   if (!**ended) return pace_.Next([this] { Step(); });
                   EndJob(absl::OkStatus());
                 });
}

void Leftovers::EndJob(const absl::Status& status) {
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  if (status.ok()) Unmark(job.slots);
  const std::shared_ptr<bool> here = alive_;
  // Whoever is told may ask for more, which begins below, once.
  ending_ = true;
  job.done(status);
  if (!*here) return;
  ending_ = false;
  if (!jobs_.empty()) Step();
}

}  // namespace cluster
}  // namespace kvarts
