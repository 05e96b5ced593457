#ifndef KVARTS_NET_RESP_COMMANDS_H_
#define KVARTS_NET_RESP_COMMANDS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/resp/reply.h"
#include "net/resp/state.h"
#include "net/resp/transaction.h"
#include "storage/store.h"

namespace kvarts {
namespace resp {

// What one thread reuses from command to command.
struct Scratch {
  std::unique_ptr<ReadResults> results = std::make_unique<ReadResults>();
  ScanPage page;
  WriteResults written;
};

// Of one connection, beyond what others may see of it.
struct Connection {
  std::shared_ptr<Client> client;
  bool authenticated = false;
  std::unique_ptr<Transaction> transaction;  // null: neither WATCH nor MULTI
  // Of CLIENT REPLY. kSkip: this command has no reply; kSkipNext: the next.
  enum class Replies : unsigned char { kOn, kOff, kSkipNext, kSkip };
  Replies replies = Replies::kOn;
};

struct Command;

// A command that is being carried out.
struct CommandCall {
  const Command& command;
  absl::Span<const absl::string_view> args;  // the name, or container and name, first
  ServerState* state;
  Connection* connection;
  const Serving* serving;  // null while loading, for commands that need none
  Scratch* scratch;
  ReplyWriter* reply;

  // On a thread that others wait for: what would take longer than a millisecond sets `too_long`,
  // does nothing, and is called again on another thread.
  bool brief = false;
  bool too_long = false;

  // What the handler says: how many entries it went over beyond its arguments,
  // whether the connection ends behind the reply, and whether the connection's
  // transaction is to be carried out now, which writes the reply.
  size_t work = 0;
  bool end = false;
  bool execute = false;

  Store* store() const { return serving->store; }
  const Capabilities& capabilities() const { return serving->capabilities; }
  int64_t now_ms() const { return absl::ToUnixMillis(state->options.clock->Now()); }
};
using CommandHandler = void (*)(CommandCall* call);

// A command that only reads its keys: those of several commands are asked of the
// store together, and each is answered from the results.
struct ReadAnswer {
  const Command& command;
  // Of a command that has arguments beside its keys; else empty.
  absl::Span<const absl::string_view> args;
  absl::Span<const ReadResult> results;  // one a key, all of them OK
  const ServerState* state;
  ReplyWriter* reply;

  int64_t now_ms() const { return absl::ToUnixMillis(state->options.clock->Now()); }
};
// True: something of the results was lent.
using ReadAnswerer = bool (*)(const ReadAnswer& answer);

// A command that writes keys without a look at them: those of several commands go to the
// store in one Write(), each by itself, in their order.
struct WriteGather {
  // Adds what the command does to `batch`, which borrows the arguments. False, and nothing
  // added, where the arguments need the handler.
  bool (*add)(absl::Span<const absl::string_view> args, WriteBatch* batch);
  // All of `results`, one a mutation, are OK.
  void (*answer)(absl::Span<const WriteResult> results, ReplyWriter* reply);
  bool needs_existed = false;  // WriteOptions::report_existed
  // A batch of its own, and atomic where the store has atomic batches of its keys.
  bool is_batch = false;
};

enum CommandFlags : uint32_t {
  // What must be so before the command is carried out.
  kNeedsAuthentication = 1 << 0,
  kNeedsStore = 1 << 1,
  kWrites = 1 << 2,
  // What COMMAND says.
  kReadOnly = 1 << 3,
  kFast = 1 << 4,
  kAdmin = 1 << 5,
  kDenyOom = 1 << 6,
  // Asks the store for values, not only whether keys are there.
  kNeedsValues = 1 << 7,
  // Has subcommands, which follow it in the table.
  kContainer = 1 << 8,
  // Between MULTI and EXEC: carried out at once, or refused.
  kImmediate = 1 << 9,
  kNotQueued = 1 << 10,
  // What it does with one of its keys has nothing to do with the others: it may be split by slot.
  kSplits = 1 << 11,
  // Not for scripts.
  kNoScript = 1 << 12,
  // Its keys follow their number, which is its second argument.
  kCountedKeys = 1 << 13,
  // Looks at what connections tell of themselves and of what they did, its own too.
  kTells = 1 << 14,
};

enum class CommandGroup : unsigned char {
  kConnection,
  kString,
  kBitmap,
  kGeneric,
  kTransactions,
  kScripting,
  kServer,
  kCluster
};

// A row of the table: from these come dispatch, and all that COMMAND says.
struct Command {
  absl::string_view name;  // lower case; "client|setname" is a subcommand of "client"
  int arity;               // with the name; negative: at least as many
  uint32_t flags;
  int first_key;  // 0: none
  int last_key;   // negative: from the end
  int key_step;
  CommandGroup group;
  absl::string_view syntax;  // what follows the name
  absl::string_view summary;
  CommandHandler handler;  // null for a container, and where the ones below do all
  ReadAnswerer read;
  const WriteGather* write = nullptr;
};

// Each container is followed by its subcommands.
absl::Span<const Command> Commands();

// Any case. Null where there is none.
const Command* FindCommand(absl::string_view name);
// Of a container. Null where there is none of that name.
const Command* FindSubcommand(const Command& container, absl::string_view name);
inline bool IsContainer(const Command& command) { return (command.flags & kContainer) != 0; }

inline bool ArityHolds(const Command& command, size_t args) {
  const auto n = static_cast<int>(args);
  return command.arity < 0 ? n >= -command.arity : n == command.arity;
}

inline bool HasKeys(const Command& command) {
  return command.first_key != 0 || (command.flags & kCountedKeys) != 0;
}

// Index of the last key's argument. REQUIRES: its keys are not counted.
inline size_t LastKey(const Command& command, size_t args) {
  return command.last_key < 0 ? args - static_cast<size_t>(-command.last_key)
                              : static_cast<size_t>(command.last_key);
}

// "ERR wrong number of arguments for 'get' command".
std::string ArityError(const Command& command);
// The reply for a store's error.
std::string ErrorText(const absl::Status& status);

// Of an argument in an error: up to a zero byte, as other servers show it.
inline absl::string_view Shown(absl::string_view arg, size_t most = 128) {
  return arg.substr(0, std::min(arg.find('\0'), most));
}

inline constexpr char kSyntaxError[] = "ERR syntax error";
inline constexpr char kNotAnInteger[] = "ERR value is not an integer or out of range";
inline constexpr char kNotAnInt32[] =
    "ERR value is out of range, value must between -2147483648 and 2147483647";
inline constexpr char kTooManyNames[] = "ERR too many names in one request";
inline constexpr char kOverloaded[] = "ERR the server is overloaded: try again later";
inline constexpr char kReadOnlyError[] = "READONLY You can't write against a read only replica.";

// Decimal, as replies have it: no blanks, no plus, no zeros in front.
bool ParseInteger(absl::string_view text, int64_t* value);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_COMMANDS_H_
