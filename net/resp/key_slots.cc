#include "net/resp/key_slots.h"

#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace resp {
namespace {

// Calls `visit` with the number of each argument that is a key.
template <typename Args, typename Visit>
void VisitKeys(const Command& command, const Args& all, Visit visit) {
  const size_t args = all.size();
  if ((command.flags & kCountedKeys) != 0) {
    // As redis-server reads it here, up to what is no digit: the command itself is stricter.
    const auto keys = args < 3 ? 0 : std::strtoll(std::string(all[2]).c_str(), nullptr, 10);
    if (keys > static_cast<int64_t>(args) - 3) return;
    for (int64_t i = 0; i < keys; ++i) visit(static_cast<size_t>(i) + 3);
    return;
  }
  if (command.first_key == 0) return;
  const size_t last = LastKey(command, args);
  for (auto i = static_cast<size_t>(command.first_key); i <= last && i < args;
       i += static_cast<size_t>(command.key_step)) {
    visit(i);
  }
}

}  // namespace

std::vector<absl::string_view> KeysOf(const Command& command,
                                      absl::Span<const absl::string_view> args) {
  std::vector<absl::string_view> keys;
  VisitKeys(command, args, [&](size_t i) { keys.push_back(args[i]); });
  return keys;
}

void KeySlots::Add(const Command& command, absl::Span<const absl::string_view> args) {
  VisitKeys(command, args, [&](size_t i) { Add(args[i]); });
}

void KeySlots::Add(const QueuedCommand& queued) {
  VisitKeys(*queued.command, queued.args, [&](size_t i) { Add(queued.args[i]); });
}

bool IsWithinScope(const Capabilities& capabilities, const WriteBatch& batch) {
  if (capabilities.batch_scope == BatchScope::kStore) return true;
  if (capabilities.batch_scope != BatchScope::kShard) return false;
  KeySlots slots;
  for (const Mutation& mutation : batch.mutations()) slots.Add(mutation.key);
  return !slots.several();
}

bool IsElsewhere(const absl::Status& status) { return IsMoved(status) || IsSlotDown(status); }

std::string ElsewhereText(const absl::Status& status) {
  const std::optional<MovedSlot> moved = MovedTo(status);
  if (!moved.has_value()) return std::string(status.message());
  if (moved->resp.empty()) {
    return absl::StrCat("ERR slot ", moved->slot, " is held by a node that does not speak RESP");
  }
  // Clients split an IPv6 address from its port at the last colon, as Redis writes it: no brackets.
  return absl::StrCat("MOVED ", moved->slot, " ",
                      absl::StrReplaceAll(moved->resp, {{"[", ""}, {"]", ""}}));
}

}  // namespace resp
}  // namespace kvarts
