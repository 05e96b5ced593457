#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "net/resp/handlers.h"
#include "net/store_runner.h"

namespace kvarts {
namespace resp {
namespace {

constexpr char kInProgress[] = "ERR Background save already in progress";
constexpr char kNothingToSaveTo[] =
    "ERR This store has no file to save to: see the server's --store=memory:?snapshot=PATH";

// Not call->store(): that of a transaction ends with EXEC.
Store* ServedStore(const CommandCall& call) { return call.serving->runner->store(); }

// False after an answer: the store keeps nothing, so that Sync() would be a lie.
bool CheckSaves(CommandCall* call) {
  if (call->capabilities().durable || ServedStore(*call)->maintenance() != nullptr) return true;
  const absl::StatusOr<StoreStats> stats = call->store()->Stats();
  if (!stats.ok()) {
    call->reply->Error(ErrorText(stats.status()));
    return false;
  }
  if (stats->saved_at_ms.has_value()) return true;
  call->reply->Error(kNothingToSaveTo);
  return false;
}

// A store that cares for its files makes a checkpoint: it has what was acknowledged anyway.
absl::Status SaveAll(Store* store, ServerState* state) {
  Maintenance* const maintenance = store->maintenance();
  if (maintenance == nullptr) return store->Sync();
  absl::Status status = maintenance->Checkpoint("").status();
  state->checkpoint.Note(state->options.clock->Now(), status);
  return status;
}

// A full disk is no -OOM, which clients take for the limit of memory.
std::string SaveError(const absl::Status& status) {
  return ErrorText(absl::InternalError(status.message()));
}

}  // namespace

void Save(CommandCall* call) {
  if (!CheckSaves(call)) return;
  if (call->serving->runner->is_aside()) return call->reply->Error(kInProgress);
  const absl::Status status = SaveAll(ServedStore(*call), call->state);
  if (!status.ok()) return call->reply->Error(SaveError(status));
  call->reply->Ok();
}

// BGSAVE [SCHEDULE]. There is no other work in the background that it could be scheduled
// behind.
void BgSave(CommandCall* call) {
  const auto args = call->args;
  if (args.size() > 2 || (args.size() == 2 && !absl::EqualsIgnoreCase(args[1], "SCHEDULE"))) {
    return call->reply->Error(kSyntaxError);
  }
  if (!CheckSaves(call)) return;
  // How it ended is remembered: INFO tells, and of what a store saves by itself /metrics and the
  // status page.
  const absl::StatusOr<bool> started = call->serving->runner->RunAside(
      [store = ServedStore(*call), state = call->state] { SaveAll(store, state).IgnoreError(); });
  if (!started.ok()) return call->reply->Error(SaveError(started.status()));
  if (!*started) return call->reply->Error(kInProgress);
  call->reply->Simple("Background saving started");
}

void LastSave(CommandCall* call) {
  call->reply->Integer(LastSaveSeconds(*call->state, StatsOf(*call).value_or(StoreStats())));
}

int64_t LastSaveSeconds(const ServerState& state, const StoreStats& stats) {
  const int64_t saved_at_ms = std::max(stats.saved_at_ms.value_or(0), state.checkpoint.at_ms());
  return saved_at_ms > 0 ? saved_at_ms / 1000 : absl::ToUnixSeconds(state.started);
}

}  // namespace resp
}  // namespace kvarts
