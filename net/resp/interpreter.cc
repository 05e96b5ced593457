#include "net/resp/interpreter.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/key_slots.h"

namespace kvarts {
namespace resp {
namespace {

// Commands, keys and entries of a turn: less than a millisecond.
constexpr size_t kWorkPerTurn = 4000;
constexpr size_t kMaxKeysAtOnce = 256;
// Of the values of one call to the store: above it fewer keys are asked together.
constexpr size_t kManyBytes = 1 << 20;
// Memory of a larger request is not kept for the next.
constexpr size_t kMaxKept = 4 << 10;

// Whether a handler may call the store.
bool MayWait(const Command& command) {
  if (command.group == CommandGroup::kConnection) return false;
  return command.group != CommandGroup::kCluster || (command.flags & kNeedsStore) != 0;
}

// The arguments as SLOWLOG may show them: passwords are left out.
std::vector<absl::string_view> WithoutSecrets(const Command& command,
                                              absl::Span<const absl::string_view> args) {
  constexpr absl::string_view kRedacted = "(redacted)";
  std::vector<absl::string_view> shown(args.begin(), args.end());
  size_t secrets = command.name == "auth" ? shown.size() : 0;  // of what follows
  for (size_t i = 1; i < shown.size(); ++i) {
    if (secrets > 0) {
      shown[i] = kRedacted;
      --secrets;
    } else if (command.name == "hello" && absl::EqualsIgnoreCase(shown[i], "AUTH")) {
      secrets = 2;
    }
  }
  return shown;
}

template <typename T>
void Reuse(std::vector<T>* vector) {
  if (vector->capacity() > kMaxKept) {
    *vector = {};
  } else {
    vector->clear();
  }
}

}  // namespace

Interpreter::Interpreter(ServerState* state, std::shared_ptr<Client> client) : state_(state) {
  connection_.client = std::move(client);
  connection_.authenticated = state->options.password.empty();
}

Interpreter::Outcome Interpreter::Run(const Serving* serving, absl::string_view why_not,
                                      Scratch* scratch, size_t room, bool on_loop, Output* output,
                                      int64_t now) {
  serving_ = serving;
  why_not_ = why_not;
  scratch_ = scratch;
  submits_ = serving != nullptr && serving->no_wait;
  on_loop_ = submits_ && on_loop;
  is_loop_ = on_loop;
  all_nodes_ = state_->all_nodes.load(std::memory_order_acquire);
  asks_all_ = serving != nullptr && serving == all_nodes_;
  reply_.set_output(output);
  work_ = 0;
  counts_ = {};
  place_ = state_->command_stats.MyPlace();
  if (!is_out_) {
    since_ = Micros();
    row_since_ = now != 0 ? now : PreciseNanos();
  }
  UpdateGate();
  Outcome outcome = Resume() ? RunAll(room) : outcome_;
  // Nothing is left to flush behind what ends a connection, or waits itself.
  if (!Flush()) outcome = outcome_;
  if (counts_.commands > 0) {
    place_->AddTotals(counts_);
    connection_.client->Touch(state_->options.clock->Now());
    connection_.client->set_command(last_command_);
  }
  Tell();
  if (ABSL_PREDICT_FALSE(state_->rates.IsDue(row_since_))) {
    state_->rates.Sample(row_since_, state_->Counted());
  }
  return outcome;
}

void Interpreter::UpdateGate() {
  gate_ = 0;
  if (!connection_.authenticated) gate_ |= kNeedsAuthentication;
  if (serving_ == nullptr) {
    gate_ |= kNeedsStore;
  } else if (!serving_->capabilities.has(serving_->capabilities.write)) {
    gate_ |= kWrites;
  }
  RequestLimits limits;
  if (!connection_.authenticated) limits = RequestLimits::BeforeAuthentication();
  limits.max_bulk_bytes = std::min(limits.max_bulk_bytes, state_->options.max_value_bytes);
  limits.max_request_bytes = std::min(limits.max_request_bytes, state_->options.max_request_bytes);
  parser_.SetLimits(limits);
}

bool Interpreter::Resume() {
  if (ABSL_PREDICT_FALSE(is_out_)) {
    is_out_ = false;
    AnswerWrites(writing_.results.results);
    Reuse(&writing_.results.results);
  }
  return pending_.empty() || FlushReads();
}

Interpreter::Outcome Interpreter::RunAll(size_t room) {
  while (true) {
    if (ABSL_PREDICT_FALSE(again_)) {
      again_ = false;
    } else {
      if (reply_.output()->size() >= room) return Outcome::kFull;
      if (work_ >= kWorkPerTurn) return Outcome::kBusy;
      switch (failed_ ? RequestParser::Result::kError : parser_.Next()) {
        case RequestParser::Result::kRequest:
          break;
        case RequestParser::Result::kNeedMore:
          return Outcome::kStarved;
        case RequestParser::Result::kError:
          failed_ = true;
          if (!Flush()) return outcome_;
          if (connection_.replies == Connection::Replies::kOn) {
            Fail(absl::StrCat("ERR ", parser_.error()));
          }
          return Outcome::kEnd;
      }
      ++counts_.commands;
      ++work_;
    }
    const bool goes_on = ABSL_PREDICT_TRUE(connection_.replies == Connection::Replies::kOn)
                             ? Take(parser_.args())
                             : TakeSilently(parser_.args());
    if (!goes_on) return outcome_;
    if (ABSL_PREDICT_FALSE(asks_all_)) return Outcome::kBusy;
  }
}

bool Interpreter::Take(absl::Span<const absl::string_view> args) {
  const Command* command = FindCommand(args[0]);
  if (ABSL_PREDICT_FALSE(command == nullptr)) return TakeUnknown(args);
  if (ABSL_PREDICT_FALSE(IsContainer(*command) && args.size() > 1) &&
      (command->group != CommandGroup::kCluster || state_->options.cluster != nullptr)) {
    const Command* const subcommand = FindSubcommand(*command, args[1]);
    if (subcommand == nullptr) {
      return Refuse(nullptr, absl::StrCat("ERR unknown subcommand '", Shown(args[1]), "'. Try ",
                                          absl::AsciiStrToUpper(command->name), " HELP."));
    }
    command = subcommand;
  }
  last_command_ = command->name.data();
  if (ABSL_PREDICT_FALSE(!ArityHolds(*command, args.size()))) {
    return Refuse(command, ArityError(*command));
  }
  if (const uint32_t unmet = command->flags & gate_; ABSL_PREDICT_FALSE(unmet != 0)) {
    return Refuse(command, WhyRefused(unmet));
  }
  if (ABSL_PREDICT_FALSE(state_->options.cluster != nullptr) && HasKeys(*command)) {
    KeySlots slots;
    slots.Add(*command, args);
    if (slots.several() && MaySplit(*command)) {
      if (!asks_all_) return AskAllNodes(*command);
    } else {
      const std::string error = WhyElsewhere(*command, args, slots);
      if (!error.empty()) return Refuse(command, error);
    }
  }
  if (queues() && (command->flags & kImmediate) == 0) return Queue(*command, args);
  return CarryOut(*command, args);
}

bool Interpreter::CarryOut(const Command& command, absl::Span<const absl::string_view> args) {
  if (command.read != nullptr && (command.handler == nullptr || args.size() <= kMaxKeysAtOnce ||
                                  serving_->capabilities.atomic_multi_get)) {
    return GatherRead(command, args);
  }
  if (command.write != nullptr) {
    const bool is_apart = command.write->is_batch || batch_is_pending();
    if (ABSL_PREDICT_FALSE(is_apart) && !FlushWrites()) return TakeAgain();
    if (AddWrite(command, args)) return FlushReads() && FlushFullWrites();
  }
  if (!Flush()) return TakeAgain();
  if (ABSL_PREDICT_FALSE(on_loop_) && MayWait(command)) {
    outcome_ = Outcome::kWaits;
    return TakeAgain();
  }
  if (ABSL_PREDICT_FALSE(is_loop_) && MayTakeLong(command)) {
    outcome_ = Outcome::kTakesLong;
    return TakeAgain();
  }
  connection_.client->set_command(command.name.data());
  if (ABSL_PREDICT_FALSE((command.flags & kTells) != 0)) Tell();
  CommandCall call{command, args, state_, &connection_, serving_, scratch_, &reply_, is_loop_};
  Begin(command);
  command.handler(&call);
  if (ABSL_PREDICT_FALSE(call.too_long)) {
    outcome_ = Outcome::kTakesLong;
    return TakeAgain();
  }
  TookTime(command, args);
  work_ += call.work;
  if ((command.flags & kNeedsAuthentication) == 0) UpdateGate();  // it may have changed that
  if (ABSL_PREDICT_FALSE(call.execute)) {
    Execute();
    Begin(command);
  }
  ++row_.calls;
  outcome_ = Outcome::kEnd;
  return !call.end;
}

bool Interpreter::AskAllNodes(const Command& command) {
  if (all_nodes_->runner->full()) return Refuse(&command, kOverloaded);
  if (Flush()) outcome_ = Outcome::kAsksAll;
  return TakeAgain();
}

bool Interpreter::IsForAllNodes(absl::Span<const absl::string_view> args) const {
  const Command* const command = FindCommand(args[0]);
  if (command == nullptr || !MaySplit(*command)) return false;
  KeySlots slots;
  slots.Add(*command, args);
  return slots.several();
}

// A command without a reply.
bool Interpreter::TakeSilently(absl::Span<const absl::string_view> args) {
  using Replies = Connection::Replies;
  if (!Flush()) return TakeAgain();
  if (!asks_all_ && IsForAllNodes(args)) {
    outcome_ = Outcome::kAsksAll;
    return TakeAgain();
  }
  if (on_loop_) {
    outcome_ = Outcome::kWaits;
    return TakeAgain();
  }
  // Here the command does all of its work: between the marks nothing can be put off.
  const bool submits = std::exchange(submits_, false);
  const Output::Mark mark = reply_.output()->mark();
  if (connection_.replies == Replies::kSkipNext) connection_.replies = Replies::kSkip;
  const bool goes_on = Take(args);
  Flush();
  submits_ = submits;
  if (again_) return goes_on;  // elsewhere, and then it is over
  if (connection_.replies != Replies::kOn) reply_.output()->Rewind(mark);
  if (connection_.replies == Replies::kSkip) connection_.replies = Replies::kOn;
  return goes_on;
}

// Web pages can make a browser send requests here.
bool Interpreter::TakeUnknown(absl::Span<const absl::string_view> args) {
  if (absl::EqualsIgnoreCase(args[0], "POST") || absl::EqualsIgnoreCase(args[0], "Host:")) {
    if (!Flush()) return TakeAgain();
    outcome_ = Outcome::kDrop;
    return false;
  }
  std::string text =
      absl::StrCat("ERR unknown command '", Shown(args[0]), "', with args beginning with: ");
  const size_t end = text.size() + 128;
  for (size_t i = 1; i < args.size() && text.size() < end; ++i) {
    absl::StrAppend(&text, "'", Shown(args[i], end - text.size()), "' ");
  }
  return Refuse(nullptr, text);
}

bool Interpreter::GatherRead(const Command& command, absl::Span<const absl::string_view> args) {
  if (!FlushWrites()) return TakeAgain();
  const size_t last = LastKey(command, args.size());
  const size_t first_key = keys_.size();
  for (size_t i = static_cast<size_t>(command.first_key); i <= last;
       i += static_cast<size_t>(command.key_step)) {
    keys_.push_back(args[i]);
  }
  const size_t keys = keys_.size() - first_key;
  const bool more = args.size() > keys + 1;
  pending_.push_back(
      {&command, args[0].data(), first_key, kept_args_.size(), more ? args.size() : 0});
  if (more) kept_args_.insert(kept_args_.end(), args.begin(), args.end());
  values_wanted_ = values_wanted_ || (command.flags & kNeedsValues) != 0;
  work_ += keys - 1;
  return keys_.size() < keys_at_once_ || FlushReads();
}

bool Interpreter::FlushReads() {
  if (pending_.empty()) return true;
  Begin(*pending_[0].command);
  ReadResults* const results = scratch_->results.get();
  ReadOptions options;
  options.value = values_wanted_;
  options.no_wait = on_loop_;
  if (keys_.size() == 1) {
    serving_->store->Read(keys_[0], options, results);
  } else {
    serving_->store->MultiGet(keys_, options, results);
  }
  if (ABSL_PREDICT_FALSE(on_loop_) &&
      std::any_of(results->begin(), results->end(), [](const ReadResult& r) {
        // A slot that nobody serves is on no disk either.
        return absl::IsUnavailable(r.status) && !IsElsewhere(r.status);
      })) {
    outcome_ = Outcome::kWaits;
    return false;
  }
  bool lent = false;
  const auto all = absl::MakeConstSpan(results->begin(), results->size());
  const size_t before = reply_.output()->size();
  size_t row = 0;  // the first of those of one command
  for (size_t i = 0; i < pending_.size(); ++i) {
    const size_t end = i + 1 < pending_.size() ? pending_[i + 1].first_key : keys_.size();
    if (ABSL_PREDICT_FALSE(pending_[i].command != pending_[row].command)) {
      row_.calls += i - std::exchange(row, i);
      Share(*pending_[i].command);
    }
    AnswerRead(pending_[i], all.subspan(pending_[i].first_key, end - pending_[i].first_key), &lent);
  }
  row_.calls += pending_.size() - row;
  EndShared();
  if (!results->intact()) reply_.output()->MarkLost();
  if (lent) {
    reply_.output()->Keep(std::shared_ptr<ReadResults>(std::move(scratch_->results)));
    scratch_->results = std::make_unique<ReadResults>();
  }
  if (reply_.output()->size() - before > kManyBytes) {
    keys_at_once_ = std::max<size_t>(keys_at_once_ / 4, 1);
  } else {
    keys_at_once_ = std::min(keys_at_once_ * 2, kMaxKeysAtOnce);
  }
  const int64_t micros = SlowMicros();
  if (ABSL_PREDICT_FALSE(micros >= 0)) NoteSlowReads(micros);
  pending_.clear();
  Reuse(&keys_);
  Reuse(&kept_args_);
  values_wanted_ = false;
  return true;
}

void Interpreter::AnswerRead(const PendingRead& read, absl::Span<const ReadResult> results,
                             bool* lent) {
  for (const ReadResult& result : results) {
    if (ABSL_PREDICT_FALSE(!result.status.ok())) return reply_.Error(ErrorText(result.status));
    result.found ? ++counts_.hits : ++counts_.misses;
  }
  if (read.command->read({*read.command,
                          absl::MakeConstSpan(kept_args_).subspan(read.first_arg, read.args),
                          results, state_, &reply_})) {
    *lent = true;
  }
}

void Interpreter::NoteSlow(int64_t micros, const Command& command,
                           absl::Span<const absl::string_view> args, size_t more) {
  const absl::Time now = state_->options.clock->Now();
  const bool fast = (command.flags & kFast) != 0;
  if (state_->latency_log.IsSpike(micros)) {
    state_->latency_log.Add(fast, absl::ToUnixSeconds(now), micros / 1000);
  }
  if (!state_->slow_log.IsSlow(micros)) return;
  state_->slow_log.Add(now, micros, WithoutSecrets(command, args), more,
                       std::string(connection_.client->address()), connection_.client->name());
}

void Interpreter::NoteSlowReads(int64_t micros) {
  const PendingRead& first = pending_[0];
  std::vector<absl::string_view> args;
  if (first.args > 0) {
    args.assign(kept_args_.begin(), kept_args_.begin() + static_cast<std::ptrdiff_t>(first.args));
  } else {
    args.emplace_back(first.name, first.command->name.size());
    const size_t keys = pending_.size() > 1 ? pending_[1].first_key : keys_.size();
    args.insert(args.end(), keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(keys));
  }
  NoteSlow(micros, *first.command, args, pending_.size() - 1);
}

void Interpreter::Share(const Command& command) {
  row_.failed = std::min(reply_.errors() - errors_before_, row_.calls);
  if (row_.calls > 0) shared_.push_back(row_);
  errors_before_ = reply_.errors();
  row_ = {&command};
}

void Interpreter::EndRow() {
  const uint64_t errors = reply_.errors();
  if (row_.calls > 0 && !is_retry_) {
    const auto add = [this](const Row& row, int64_t nanos) {
      place_->Add(static_cast<size_t>(row.command - Commands().data()), row.calls, row.failed,
                  nanos);
    };
    const int64_t now = PreciseNanos();
    int64_t nanos = now - row_since_;
    row_.failed = std::min(errors - errors_before_, row_.calls);
    uint64_t calls = row_.calls;
    for (const Row& row : shared_) calls += row.calls;
    for (const Row& row : shared_) {
      const int64_t part = nanos * static_cast<int64_t>(row.calls) / static_cast<int64_t>(calls);
      add(row, part);
      nanos -= part;
      calls -= row.calls;
    }
    add(row_, nanos);
    row_since_ = now;
  }
  shared_.clear();
  errors_before_ = errors;
  row_ = {};
}

void Interpreter::Tell() {
  EndRow();
  if (ABSL_PREDICT_FALSE(reply_.errors() > 0)) {
    counts_.errors += reply_.errors();
    state_->error_stats.Add(reply_.error_codes());
    reply_.set_error_codes({});
    errors_before_ = 0;
  }
  const Transaction* const transaction = connection_.transaction.get();
  ClientQuery query;
  if (transaction != nullptr && transaction->open) {
    query.queued = static_cast<int>(transaction->queue.size());
  }
  query.queued_bytes = queued_bytes();
  query.bytes = parser_.buffered();
  query.free_bytes = parser_.free_bytes();
  query.capacity = parser_.capacity();
  query.argument_bytes = parser_.argument_bytes();
  connection_.client->SetQuery(query);
}

absl::string_view Interpreter::WhyRefused(uint32_t unmet) {
  if ((unmet & kNeedsAuthentication) != 0) return "NOAUTH Authentication required.";
  if ((unmet & kNeedsStore) != 0) return why_not_;
  return kReadOnlyError;
}

bool Interpreter::Fail(absl::string_view error) {
  if (!Flush()) return TakeAgain();
  // It is no call's.
  EndRow();
  reply_.Error(error);
  errors_before_ = reply_.errors();
  return true;
}

}  // namespace resp
}  // namespace kvarts
