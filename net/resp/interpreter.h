#ifndef KVARTS_NET_RESP_INTERPRETER_H_
#define KVARTS_NET_RESP_INTERPRETER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/output.h"
#include "net/resp/commands.h"
#include "net/resp/key_slots.h"
#include "net/resp/parser.h"
#include "net/resp/reply.h"
#include "net/resp/state.h"

namespace kvarts {
namespace resp {

// Not thread-safe: one thread at a time. What a connection asks and is answered,
// without the connection: requests from its parser, replies into an output.
//
// Commands that only read their keys are gathered, over request boundaries, and
// go to the store in one call when another kind of command comes, when there are
// enough of them, or when no whole request is left. Plain writes are gathered so too.
//
// Where the store must be waited for, Run() returns with what is to be done first, and the
// next Run() goes on: behind the request at hand, or with it again.
class Interpreter {
 public:
  // `state` must outlive it.
  Interpreter(ServerState* state, std::shared_ptr<Client> client);

  RequestParser& parser() { return parser_; }
  bool authenticated() const { return connection_.authenticated; }
  Client& client() { return *connection_.client; }
  // Memory of commands that wait for EXEC.
  size_t queued_bytes() const {
    return connection_.transaction == nullptr ? 0 : connection_.transaction->bytes;
  }

  enum class Outcome : unsigned char {
    kStarved,  // no whole request is left
    kFull,     // `output` has `room` bytes or more
    kBusy,     // much was done: others should have their turn
    kEnd,      // the connection ends behind the output
    kDrop,     // it ends at once: the peer speaks another protocol
    // Of a store with Serving::no_wait only. The next Run() must have the same `serving`.
    kWaits,   // to be run again on a thread that may wait
    kWrites,  // writing() is to be given to Store::Submit() first, and to be done
    // To be run again on a thread of StoreRunner::RunLong(): the request at hand takes long.
    kTakesLong,
    // To be run again over ServerState::all_nodes, on a thread of that one's: it answers the
    // request at hand, and no other.
    kAsksAll,
  };

  // Answers requests. Without a `serving`, those that need a store are refused
  // with `why_not`. The output must be sent, or destroyed, before its bytes turn
  // bad: see Output::intact(). `on_loop`: this thread must not wait for a store that says how
  // not to. `now`: PreciseNanos(), where the caller knows it; else 0.
  Outcome Run(const Serving* serving, absl::string_view why_not, Scratch* scratch, size_t room,
              bool on_loop, Output* output, int64_t now = 0);

  // What is to be submitted: it borrows from the parser's buffer.
  StoreWrite* writing() { return &writing_; }
  // What the last Run() did, and when its last command had ended, as PreciseNanos().
  const RequestTotals& counts() const { return counts_; }
  int64_t ended_at() const { return row_since_; }

 private:
  // Microseconds: what takes at least so long is measured by the coarse clock.
  static constexpr int64_t kCoarse = 8000;

  // Reads that wait for FlushReads(): of one command.
  struct PendingRead {
    const Command* command;
    const char* name;  // as it was sent
    size_t first_key;  // in keys_
    size_t first_arg;  // in kept_args_
    size_t args;
  };

  // Writes that wait for FlushWrites(), behind the reads.
  struct PendingWrite {
    const Command* command;
    size_t first_mutation;  // in writing_.batch
  };

  // Those that return a bool: false where it ends here or must wait, see outcome_. The flushes
  // are then to be called again, after the wait.
  Outcome RunAll(size_t room);
  // True where what had to be waited for is there and answered.
  bool Resume();
  // For a request that waits itself: it is taken again.
  bool TakeAgain() {
    again_ = true;
    return false;
  }
  bool Take(absl::Span<const absl::string_view> args);
  bool TakeUnknown(absl::Span<const absl::string_view> args);
  // Whether a command of keys of several slots is one for all nodes' store.
  bool MaySplit(const Command& command) const {
    return (command.flags & kSplits) != 0 && !queues() && all_nodes_ != nullptr;
  }
  // Whether TakeSilently() must ask for that store first.
  bool IsForAllNodes(absl::Span<const absl::string_view> args) const;
  // False, once what is before it was answered: see kAsksAll. REQUIRES: not over that store.
  bool AskAllNodes(const Command& command);
  bool TakeSilently(absl::Span<const absl::string_view> args);
  bool CarryOut(const Command& command, absl::Span<const absl::string_view> args);
  // Whether it is an EXEC that may take long: it is not begun on a loop.
  bool MayTakeLong(const Command& command) const {
    return command.name == "exec" && connection_.transaction != nullptr &&
           connection_.transaction->has_scripts;
  }
  bool GatherRead(const Command& command, absl::Span<const absl::string_view> args);
  bool FlushReads();
  // interpreter_writes.cc. False: its handler must see to it.
  bool AddWrite(const Command& command, absl::Span<const absl::string_view> args);
  bool FlushFullWrites();
  // Whether what waits for FlushWrites() is one command's, to which no other may be added.
  bool batch_is_pending() const {
    return !pending_writes_.empty() && pending_writes_[0].command->write->is_batch;
  }
  bool FlushWrites();
  void AnswerWrites(absl::Span<const WriteResult> results);
  void AnswerWrite(const Command& command, absl::Span<const WriteResult> results);
  bool Flush() { return FlushReads() && FlushWrites(); }
  void AnswerRead(const PendingRead& read, absl::Span<const ReadResult> results, bool* lent);
  absl::string_view WhyRefused(uint32_t unmet);
  // Of a command that is not carried out, and fails the transaction it is in. Null: an
  // unknown one.
  // Of the clock that is fine enough for what is noted.
  int64_t Micros() const {
    const int64_t least = state_->slow_log.threshold();
    return least >= 0 && least < kCoarse ? PreciseMicros() : CoarseMicros();
  }
  // Of the time since the command before, where it was long; else negative.
  int64_t SlowMicros() {
    const int64_t now = Micros();
    const int64_t micros = now - since_;
    since_ = now;
    const bool is_slow = state_->slow_log.IsSlow(micros) || state_->latency_log.IsSpike(micros);
    return ABSL_PREDICT_FALSE(is_slow) ? micros : -1;
  }
  // Notes a command where it took long; `more` others went to the store with it.
  void TookTime(const Command& command, absl::Span<const absl::string_view> args, size_t more = 0) {
    const int64_t micros = SlowMicros();
    if (ABSL_PREDICT_FALSE(micros >= 0)) NoteSlow(micros, command, args, more);
  }
  void NoteSlow(int64_t micros, const Command& command, absl::Span<const absl::string_view> args,
                size_t more);
  // Those that wait, which were one call.
  void NoteSlowReads(int64_t micros);
  // Calls of one command in a row are counted together, and the clock is read once for them:
  //   Begin(command); ...it is carried out...; ++row_.calls;
  void Begin(const Command& command) {
    if (row_.command == &command) return;
    EndRow();
    row_.command = &command;
  }
  // Of commands that go to the store together, where another one is answered next: the time since
  // Begin() of the first is theirs in equal parts.
  //   ...; row_.calls += n; Share(another); ...; row_.calls += m; EndShared();
  void Share(const Command& command);
  void EndShared() {
    if (ABSL_PREDICT_FALSE(!shared_.empty())) EndRow();
  }
  // The errors since the end of the row before are its calls', one each at most.
  void EndRow();
  // For those who look at connections and counts: CLIENT LIST, INFO.
  void Tell();
  bool Refuse(const Command* command, absl::string_view error);
  bool Fail(absl::string_view error);

  // interpreter_transaction.cc
  bool queues() const {
    return ABSL_PREDICT_FALSE(connection_.transaction != nullptr) && connection_.transaction->open;
  }
  bool Queue(const Command& command, absl::Span<const absl::string_view> args);
  // Of a cluster: the reply where the command's keys are of several slots, or it is to be queued
  // and they are not this node's; else empty.
  std::string WhyElsewhere(const Command& command, absl::Span<const absl::string_view> args,
                           const KeySlots& slots);
  void Execute();
  void ExecuteNow();
  // False: others wrote what it read; it had no effect, and wrote no reply.
  bool TryToExecute(const Transaction& transaction, absl::Span<const WatchedKey> watched);
  void UpdateGate();

  ServerState* const state_;
  Connection connection_;
  RequestParser parser_;
  ReplyWriter reply_;

  // Of the Run() under way.
  const Serving* serving_ = nullptr;
  const Serving* all_nodes_ = nullptr;  // ServerState::all_nodes
  absl::string_view why_not_;
  Scratch* scratch_ = nullptr;
  uint32_t gate_ = 0;      // flags of commands that are refused
  bool is_loop_ = false;   // others wait for this thread
  bool on_loop_ = false;   // reads must not wait, nor may handlers call the store
  bool submits_ = false;   // writes are handed out, as kWrites
  bool asks_all_ = false;  // it is of all nodes' store, and for one request
  size_t work_ = 0;
  int64_t since_ = 0;  // when the last command had ended
  Outcome outcome_ = Outcome::kStarved;
  RequestTotals counts_;
  const char* last_command_ = "NULL";
  CommandStats::Place* place_ = nullptr;
  struct Row {
    const Command* command = nullptr;
    uint64_t calls = 0;
    uint64_t failed = 0;
  };
  Row row_;
  std::vector<Row> shared_;     // earlier rows of the same time
  int64_t row_since_ = 0;       // PreciseNanos(): when the row before had ended
  uint64_t errors_before_ = 0;  // ReplyWriter::errors(), as it was then
  bool is_retry_ = false;       // of a transaction: its commands were counted at the first try

  std::vector<PendingRead> pending_;
  std::vector<absl::string_view> keys_;
  std::vector<absl::string_view> kept_args_;
  std::vector<PendingWrite> pending_writes_;
  std::vector<absl::string_view> first_write_;  // arguments of the first of them
  StoreWrite writing_;
  bool existed_wanted_ = false;
  bool is_out_ = false;  // writing_ was handed out
  bool again_ = false;   // the parser's last request is to be taken again
  bool failed_ = false;  // the parser has
  bool values_wanted_ = false;
  // Grows while values are small: bounds what a store that copies must hold.
  size_t keys_at_once_ = 16;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_INTERPRETER_H_
