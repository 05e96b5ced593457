#ifndef KVARTS_NET_RESP_KEY_SLOTS_H_
#define KVARTS_NET_RESP_KEY_SLOTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/slot.h"
#include "net/resp/commands.h"
#include "net/resp/transaction.h"
#include "storage/store.h"

namespace kvarts {
namespace resp {

inline constexpr char kCrossSlot[] = "CROSSSLOT Keys in request don't hash to the same slot";

// The arguments that are keys, as the command's row says where they stand. None where their number
// is wrong.
std::vector<absl::string_view> KeysOf(const Command& command,
                                      absl::Span<const absl::string_view> args);

// The slot of some keys, and whether they have more than one.
class KeySlots {
 public:
  void Add(absl::string_view key) {
    const uint16_t slot = KeySlot(key);
    several_ = several_ || (any_ && slot != slot_);
    any_ = true;
    slot_ = slot;
  }
  // The keys of a command, as its row says where they stand.
  void Add(const Command& command, absl::Span<const absl::string_view> args);
  void Add(const QueuedCommand& queued);

  bool any() const { return any_; }
  bool several() const { return several_; }
  uint16_t slot() const { return slot_; }  // REQUIRES: any() and not several()

 private:
  bool any_ = false;
  bool several_ = false;
  uint16_t slot_ = 0;
};

// Whether a store of these capabilities takes `batch`, of puts and deletes, as an atomic one.
bool IsWithinScope(const Capabilities& capabilities, const WriteBatch& batch);

// The reply where a key is not this node's: of IsMoved() and IsSlotDown(), as Redis writes them.
bool IsElsewhere(const absl::Status& status);
std::string ElsewhereText(const absl::Status& status);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_KEY_SLOTS_H_
