#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"
#include "net/cluster_map.h"
#include "net/resp/interpreter.h"
#include "net/resp/key_slots.h"
#include "net/resp/transaction_store.h"

namespace kvarts {
namespace resp {
namespace {

constexpr int kTries = 16;
// ... with the lock that keeps other such transactions away: only plain writers remain.
constexpr int kMoreTries = 1000;
constexpr char kDiscarded[] = "EXECABORT Transaction discarded because of: ";

}  // namespace

bool Interpreter::Refuse(const Command* command, absl::string_view error) {
  if (command != nullptr) place_->Reject(static_cast<size_t>(command - Commands().data()));
  if (command != nullptr && command->name == "exec") {
    connection_.transaction.reset();
    return Fail(absl::StrCat(kDiscarded, absl::StripPrefix(error, "ERR ")));
  }
  if (queues()) connection_.transaction->failed = true;
  return Fail(error);
}

bool Interpreter::Queue(const Command& command, absl::Span<const absl::string_view> args) {
  if ((command.flags & kNotQueued) != 0) {
    return Refuse(&command, "ERR Command not allowed inside a transaction");
  }
  Transaction* const transaction = connection_.transaction.get();
  if (transaction->failed) {  // it is never carried out
    reply_.Simple("QUEUED");
    return true;
  }
  transaction->Queue(command, args);
  transaction->has_scripts = transaction->has_scripts || command.group == CommandGroup::kScripting;
  if (transaction->bytes > state_->options.max_request_bytes) {
    transaction->queue.clear();
    return Refuse(&command, absl::StrCat("ERR the commands of a transaction are over ",
                                         state_->options.max_request_bytes, " bytes"));
  }
  reply_.Simple("QUEUED");
  return true;
}

std::string Interpreter::WhyElsewhere(const Command& command,
                                      absl::Span<const absl::string_view> args,
                                      const KeySlots& slots) {
  if (slots.several()) return kCrossSlot;
  if (!slots.any() || !queues() || (command.flags & kImmediate) != 0) return "";
  // Of a command that is not queued the store says so. Here nothing asks it before EXEC.
  const std::shared_ptr<const ClusterMap> map = state_->options.cluster->map();
  if (map->myself >= 0 && map->owner[slots.slot()] == map->myself) return "";
  if (serving_ == nullptr) return "";
  // The map may be older than what the store holds. What would wait for a disk is here.
  ReadOptions options;
  options.value = false;
  options.no_wait = serving_->no_wait;
  ReadResults results;
  serving_->store->Read(KeysOf(command, args)[0], options, &results);
  return IsElsewhere(results[0].status) ? ElsewhereText(results[0].status) : "";
}

void Interpreter::Execute() {
  // Its writes go to a store of its own, and are committed in one.
  const bool submits = std::exchange(submits_, false);
  ExecuteNow();
  is_retry_ = false;
  submits_ = submits;
}

void Interpreter::ExecuteNow() {
  const std::unique_ptr<Transaction> transaction = std::move(connection_.transaction);
  const std::vector<WatchedKey> watched = transaction->Watched();
  if (ABSL_PREDICT_FALSE(state_->options.cluster != nullptr)) {
    KeySlots slots;
    for (const QueuedCommand& queued : transaction->queue) slots.Add(queued);
    for (const WatchedKey& key : watched) slots.Add(key.key);
    if (slots.several()) return reply_.Error(kCrossSlot);
  }
  for (int i = 0; i < kTries; ++i) {
    if (TryToExecute(*transaction, watched)) return;
  }
  MutexLock lock(&state_->unlucky_transactions);
  for (int i = 0; i < kMoreTries; ++i) {
    if (TryToExecute(*transaction, watched)) return;
  }
  reply_.Error(absl::StrCat(kDiscarded, "others wrote its keys at every try"));
}

bool Interpreter::TryToExecute(const Transaction& transaction,
                               absl::Span<const WatchedKey> watched) {
  const Serving* const base = serving_;
  if (!watched.empty()) {
    const absl::StatusOr<bool> unchanged = AreUnchanged(base->store, watched);
    if (!unchanged.ok() || !*unchanged) {
      unchanged.ok() ? reply_.NullArray() : reply_.Error(ErrorText(unchanged.status()));
      return true;
    }
  }
  Output* const output = reply_.output();
  const Output::Mark mark = output->mark();
  const size_t room = output->size() + state_->options.max_answer_bytes;
  const int protocol = reply_.protocol();
  const RequestTotals counts = counts_;
  const ErrorCodes errors = reply_.error_codes();

  TransactionStore store(base->store, state_->options.clock);
  const Serving serving(base->runner, &store);
  serving_ = &serving;
  reply_.Array(transaction.queue.size());
  std::vector<absl::string_view> args;
  for (const QueuedCommand& queued : transaction.queue) {
    args.assign(queued.args.begin(), queued.args.end());
    CarryOut(*queued.command, args);
    if (output->size() > room) break;
  }
  Flush();
  Begin(*FindCommand("exec"));  // the commit is its own
  serving_ = base;
  if (output->size() > room) {
    output->Rewind(mark);
    reply_.Error(absl::StrCat(kDiscarded, "its replies are over ", state_->options.max_answer_bytes,
                              " bytes"));
    return true;
  }

  const absl::StatusOr<TransactionStore::Outcome> outcome = store.Commit(watched);
  if (outcome.ok() && *outcome == TransactionStore::Outcome::kDone) return true;
  output->Rewind(mark);
  if (!outcome.ok()) {
    const std::string error = ErrorText(outcome.status());
    // Clients follow a MOVED of EXEC itself.
    const bool is_whole =
        absl::IsDeadlineExceeded(outcome.status()) || IsElsewhere(outcome.status());
    reply_.Error(is_whole ? error : absl::StrCat(kDiscarded, absl::StripPrefix(error, "ERR ")));
    return true;
  }
  if (*outcome == TransactionStore::Outcome::kWatched) {
    reply_.NullArray();
    return true;
  }
  reply_.set_protocol(protocol);
  counts_ = counts;
  reply_.set_error_codes(errors);
  errors_before_ = errors.count;
  is_retry_ = true;
  return false;
}

}  // namespace resp
}  // namespace kvarts
