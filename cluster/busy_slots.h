#ifndef KVARTS_CLUSTER_BUSY_SLOTS_H_
#define KVARTS_CLUSTER_BUSY_SLOTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/slot.h"

namespace kvarts {
namespace cluster {

struct BusySlot {
  uint16_t slot = 0;
  uint64_t operations = 0;  // keys that were read or written, estimated
  // That most of them have: found where five in eight do, and a quarter at least; else empty.
  std::string tag;
};

// Thread-safe. Estimates how often each slot is asked for. Of the keys that a thread brings, one in
// kEvery is counted, at random distances: all other calls write to nothing that others read.
class SlotSamples {
 public:
  static constexpr uint32_t kEvery = 256;

  // So many keys are read or written; key(i) is one of them.
  template <typename KeyAt>
  void Add(size_t keys, KeyAt key) {
    uint64_t& skips = OfThread().skips;
    if (ABSL_PREDICT_TRUE(keys <= skips)) {
      skips -= keys;
    } else {
      Count(keys, key);
    }
  }

  // Those of the slots that `serves` is true of and that were counted, the busiest first, at most
  // `count` of them.
  std::vector<BusySlot> Busiest(size_t count, absl::FunctionRef<bool(uint16_t)> serves) const;

 private:
  // Of one thread, for all objects.
  struct Thread {
    uint64_t skips = 0;   // keys until the next one that is counted
    uint64_t random = 0;  // 0: it has not begun
  };
  // The tag that most were of, if there is one: a majority vote in one pass.
  struct Vote {
    std::string tag;
    uint64_t votes = 0;
  };

  static Thread& OfThread() {
    static thread_local Thread mine;
    return mine;
  }
  void Count(size_t keys, absl::FunctionRef<absl::string_view(size_t)> key);
  void CountOne(absl::string_view key);

  // In counted_: keys of the slot that had a tag were counted.
  static constexpr uint64_t kHasVote = uint64_t{1} << 63;

  std::array<std::atomic<uint64_t>, kSlots> counted_{};
  mutable Mutex mu_;
  std::unordered_map<uint16_t, Vote> votes_ ABSL_GUARDED_BY(mu_);
};

// As a node's Stats() tell of them, in text, and back: kDataLoss where it is none.
inline constexpr absl::string_view kBusySlotsDetail = "busiest_slots";
std::string BusySlotsToText(absl::Span<const BusySlot> slots);
absl::StatusOr<std::vector<BusySlot>> ParseBusySlots(absl::string_view text);

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_BUSY_SLOTS_H_
