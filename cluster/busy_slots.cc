#include "cluster/busy_slots.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/percent.h"
#include "base/status_macros.h"

namespace kvarts {
namespace cluster {
namespace {

// Longer ones are not kept, for each of so many slots.
constexpr size_t kMaxTagBytes = 64;

// Of the distances between what is counted: on average kEvery, and none that a client's own
// pattern could fall in with.
uint64_t NextDistance(uint64_t* random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return 1 + (*random >> 32) % (2 * SlotSamples::kEvery - 1);
}

}  // namespace

void SlotSamples::Count(size_t keys, absl::FunctionRef<absl::string_view(size_t)> key) {
  Thread* const mine = &OfThread();
  if (mine->random == 0) {
    static std::atomic<uint64_t> threads{0};
    mine->random = (threads.fetch_add(1, std::memory_order_relaxed) + 1) * 0x9e3779b97f4a7c15;
    mine->skips = NextDistance(&mine->random) - 1;
  }
  uint64_t at = mine->skips;
  while (at < keys) {
    CountOne(key(at));
    at += NextDistance(&mine->random);
  }
  mine->skips = at - keys;
}

void SlotSamples::CountOne(absl::string_view key) {
  const uint16_t slot = KeySlot(key);
  const uint64_t before = counted_[slot].fetch_add(1, std::memory_order_relaxed);
  absl::string_view tag = HashTag(key);
  if (tag.size() > kMaxTagBytes) tag = {};
  // Most keys have none, and need no look at what is far away in memory.
  if (tag.empty() && (before & kHasVote) == 0) return;
  counted_[slot].fetch_or(kHasVote, std::memory_order_relaxed);
  MutexLock lock(&mu_);
  Vote& vote = votes_[slot];
  if (vote.votes == 0) vote.tag = std::string(tag);
  vote.tag == tag ? ++vote.votes : --vote.votes;
}

std::vector<BusySlot> SlotSamples::Busiest(size_t count,
                                           absl::FunctionRef<bool(uint16_t)> serves) const {
  std::vector<BusySlot> busy;
  for (size_t i = 0; i < kSlots; ++i) {
    const uint64_t counted = counted_[i].load(std::memory_order_relaxed) & ~kHasVote;
    const auto slot = static_cast<uint16_t>(i);
    if (counted != 0 && serves(slot)) busy.push_back({slot, counted * kEvery, {}});
  }
  const auto before = [](const BusySlot& a, const BusySlot& b) {
    return a.operations != b.operations ? a.operations > b.operations : a.slot < b.slot;
  };
  count = std::min(count, busy.size());
  std::partial_sort(busy.begin(), busy.begin() + static_cast<std::ptrdiff_t>(count), busy.end(),
                    before);
  busy.resize(count);
  MutexLock lock(&mu_);
  for (BusySlot& slot : busy) {
    const auto vote = votes_.find(slot.slot);
    if (vote == votes_.end() || vote->second.votes * 4 * kEvery < slot.operations) continue;
    slot.tag = vote->second.tag;
  }
  return busy;
}

std::string BusySlotsToText(absl::Span<const BusySlot> slots) {
  std::string text;
  for (const BusySlot& slot : slots) {
    absl::StrAppend(&text, text.empty() ? "" : ",", slot.slot, ":", slot.operations, ":",
                    PercentEncode(slot.tag, ""));
  }
  return text;
}

absl::StatusOr<std::vector<BusySlot>> ParseBusySlots(absl::string_view text) {
  std::vector<BusySlot> slots;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(part, ':');
    BusySlot slot;
    uint32_t number = 0;
    if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &number) || number >= kSlots ||
        !absl::SimpleAtoi(fields[1], &slot.operations)) {
      return absl::DataLossError(absl::StrCat("\"", part, "\" is not SLOT:OPERATIONS:TAG"));
    }
    slot.slot = static_cast<uint16_t>(number);
    KVARTS_ASSIGN_OR_RETURN(slot.tag, PercentDecode(fields[2]));
    slots.push_back(std::move(slot));
  }
  return slots;
}

}  // namespace cluster
}  // namespace kvarts
