#include "net/resp/commands.h"

#include <array>
#include <cstring>

#include "absl/base/optimization.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

using Group = CommandGroup;

constexpr uint32_t kOpen = kFast;  // before authentication, while loading
constexpr uint32_t kLocal = kNeedsAuthentication;
constexpr uint32_t kRead = kNeedsAuthentication | kNeedsStore | kReadOnly;
constexpr uint32_t kValue = kRead | kNeedsValues;
constexpr uint32_t kWrite = kNeedsAuthentication | kNeedsStore | kWrites;
constexpr uint32_t kGrow = kWrite | kDenyOom;

// name, arity, flags, keys (first, last, step), group, syntax, summary, handler, read
constexpr Command kCommands[] = {
    // Connection.
    {"asking", 1, kLocal | kFast, 0, 0, 0, Group::kCluster, "",
     "Announces a command to a slot that moves. Without a cluster it changes nothing.", Yes,
     nullptr},
    {"auth", -2, kOpen, 0, 0, 0, Group::kConnection, "[username] password",
     "Authenticates the connection.", Auth, nullptr},
    {"client", -2, kLocal | kContainer, 0, 0, 0, Group::kConnection, "",
     "About connections, by subcommands.", nullptr, nullptr},
    {"client|getname", 2, kLocal, 0, 0, 0, Group::kConnection, "",
     "Returns the name of the connection.", ClientGetName, nullptr},
    {"client|help", 2, kLocal, 0, 0, 0, Group::kConnection, "", "Lists the subcommands.", Help,
     nullptr},
    {"client|id", 2, kLocal, 0, 0, 0, Group::kConnection, "",
     "Returns the number of the connection.", ClientId, nullptr},
    {"client|info", 2, kLocal, 0, 0, 0, Group::kConnection, "", "Tells about the connection.",
     ClientInfo, nullptr},
    {"client|list", -2, kLocal | kAdmin, 0, 0, 0, Group::kConnection, "",
     "Tells about the first 1,000 connections.", ClientList, nullptr},
    {"client|no-evict", 3, kLocal, 0, 0, 0, Group::kConnection, "on|off",
     "Accepted: no connection is evicted.", ClientSwitch, nullptr},
    {"client|no-touch", 3, kLocal, 0, 0, 0, Group::kConnection, "on|off",
     "Accepted: reads change nothing.", ClientSwitch, nullptr},
    {"client|reply", 3, kLocal, 0, 0, 0, Group::kConnection, "on",
     "Accepts ON: every command is answered.", ClientReply, nullptr},
    {"client|setinfo", 4, kLocal, 0, 0, 0, Group::kConnection, "lib-name|lib-ver value",
     "Sets the client library's name or version.", ClientSetInfo, nullptr},
    {"client|setname", 3, kLocal, 0, 0, 0, Group::kConnection, "name", "Names the connection.",
     ClientSetName, nullptr},
    {"echo", 2, kLocal | kFast, 0, 0, 0, Group::kConnection, "message", "Returns the message.",
     Echo, nullptr},
    {"hello", -1, kOpen, 0, 0, 0, Group::kConnection,
     "[protover [AUTH username password] [SETNAME clientname]]",
     "Agrees on the protocol, and tells about the server.", Hello, nullptr},
    {"ping", -1, kLocal | kNeedsStore | kFast, 0, 0, 0, Group::kConnection, "[message]",
     "Returns PONG, or the message.", Ping, nullptr},
    {"quit", -1, kOpen, 0, 0, 0, Group::kConnection, "", "Ends the connection.", Quit, nullptr},
    {"readonly", 1, kLocal | kFast, 0, 0, 0, Group::kCluster, "", "Accepted: every read is served.",
     Yes, nullptr},
    {"readwrite", 1, kLocal | kFast, 0, 0, 0, Group::kCluster, "",
     "Accepted: the opposite of READONLY.", Yes, nullptr},
    {"reset", 1, kOpen, 0, 0, 0, Group::kConnection, "", "Makes the connection as new.", Reset,
     nullptr},
    {"select", 2, kLocal | kFast, 0, 0, 0, Group::kConnection, "index",
     "Chooses a database; there is one, 0.", Select, nullptr},

    // Strings.
    {"append", 3, kGrow | kFast, 1, 1, 1, Group::kString, "key value",
     "Appends to a value, and returns its length.", Append, nullptr},
    {"decr", 2, kGrow | kFast, 1, 1, 1, Group::kString, "key", "Takes one from a number.", Decr,
     nullptr},
    {"decrby", 3, kGrow | kFast, 1, 1, 1, Group::kString, "key decrement", "Takes from a number.",
     DecrBy, nullptr},
    {"get", 2, kValue | kFast, 1, 1, 1, Group::kString, "key", "Returns the value of a key.",
     nullptr, AnswerGet},
    {"getdel", 2, kWrite | kFast, 1, 1, 1, Group::kString, "key",
     "Returns the value of a key, and deletes it.", GetDel, nullptr},
    {"getex", -2, kWrite | kFast, 1, 1, 1, Group::kString,
     "key [EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds|PERSIST]",
     "Returns the value of a key, and sets when it expires.", GetEx, nullptr},
    {"getrange", 4, kValue, 1, 1, 1, Group::kString, "key start end", "Returns a part of a value.",
     nullptr, AnswerGetRange},
    {"getset", 3, kGrow | kFast, 1, 1, 1, Group::kString, "key value",
     "Sets a value, and returns the one before.", GetSet, nullptr},
    {"incr", 2, kGrow | kFast, 1, 1, 1, Group::kString, "key", "Adds one to a number.", Incr,
     nullptr},
    {"incrby", 3, kGrow | kFast, 1, 1, 1, Group::kString, "key increment", "Adds to a number.",
     IncrBy, nullptr},
    {"incrbyfloat", 3, kGrow | kFast, 1, 1, 1, Group::kString, "key increment",
     "Adds to a number with a fraction.", IncrByFloat, nullptr},
    {"mget", -2, kValue | kFast, 1, -1, 1, Group::kString, "key [key ...]",
     "Returns the values of keys.", MGetInParts, AnswerMGet},
    {"mset", -3, kGrow, 1, -1, 2, Group::kString, "key value [key value ...]",
     "Sets the values of keys.", MSet, nullptr},
    {"msetnx", -3, kGrow, 1, -1, 2, Group::kString, "key value [key value ...]",
     "Sets the values of keys, none of which may be there.", MSetNx, nullptr},
    {"psetex", 4, kGrow, 1, 1, 1, Group::kString, "key milliseconds value",
     "Sets a value, and in how many milliseconds it expires.", PSetEx, nullptr},
    {"set", -3, kGrow, 1, 1, 1, Group::kString,
     "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-seconds|"
     "PXAT unix-milliseconds|KEEPTTL]",
     "Sets the value of a key.", Set, nullptr},
    {"setex", 4, kGrow, 1, 1, 1, Group::kString, "key seconds value",
     "Sets a value, and in how many seconds it expires.", SetEx, nullptr},
    {"setnx", 3, kGrow | kFast, 1, 1, 1, Group::kString, "key value",
     "Sets the value of a key that is not there.", SetNx, nullptr},
    {"setrange", 4, kGrow, 1, 1, 1, Group::kString, "key offset value",
     "Overwrites a part of a value.", SetRange, nullptr},
    {"strlen", 2, kValue | kFast, 1, 1, 1, Group::kString, "key", "Returns the length of a value.",
     nullptr, AnswerStrLen},
    {"substr", 4, kValue, 1, 1, 1, Group::kString, "key start end",
     "Returns a part of a value: the old name of GETRANGE.", nullptr, AnswerGetRange},

    // Keys.
    {"del", -2, kWrite, 1, -1, 1, Group::kGeneric, "key [key ...]", "Deletes keys.", Del, nullptr},
    {"exists", -2, kRead | kFast, 1, -1, 1, Group::kGeneric, "key [key ...]",
     "Counts the keys that are there.", nullptr, AnswerExists},
    {"expire", -3, kWrite | kFast, 1, 1, 1, Group::kGeneric, "key seconds [NX|XX|GT|LT]",
     "Sets in how many seconds a key expires.", Expire, nullptr},
    {"expireat", -3, kWrite | kFast, 1, 1, 1, Group::kGeneric, "key unix-seconds [NX|XX|GT|LT]",
     "Sets the Unix time at which a key expires.", ExpireAt, nullptr},
    {"expiretime", 2, kRead | kFast, 1, 1, 1, Group::kGeneric, "key",
     "Returns the Unix time at which a key expires.", nullptr, AnswerExpireTime},
    {"keys", 2, kRead, 0, 0, 0, Group::kGeneric, "pattern",
     "Returns the keys that match; goes over at most 100,000.", Keys, nullptr},
    {"object", -2, kRead | kContainer, 0, 0, 0, Group::kGeneric, "", "About a key, by subcommands.",
     nullptr, nullptr},
    {"object|encoding", 3, kValue, 2, 2, 1, Group::kGeneric, "key",
     "Returns what clients know as a value's encoding.", nullptr, AnswerObjectEncoding},
    {"object|freq", 3, kRead, 2, 2, 1, Group::kGeneric, "key",
     "Is an error: accesses are not counted.", nullptr, AnswerObjectFreq},
    {"object|help", 2, kLocal, 0, 0, 0, Group::kGeneric, "", "Lists the subcommands.", Help,
     nullptr},
    {"object|idletime", 3, kRead, 2, 2, 1, Group::kGeneric, "key",
     "Returns 0: accesses are not noted.", nullptr, AnswerObjectIdleTime},
    {"object|refcount", 3, kRead, 2, 2, 1, Group::kGeneric, "key", "Returns 1.", nullptr,
     AnswerObjectRefCount},
    {"persist", 2, kWrite | kFast, 1, 1, 1, Group::kGeneric, "key", "Takes a key's expiry away.",
     Persist, nullptr},
    {"pexpire", -3, kWrite | kFast, 1, 1, 1, Group::kGeneric, "key milliseconds [NX|XX|GT|LT]",
     "Sets in how many milliseconds a key expires.", PExpire, nullptr},
    {"pexpireat", -3, kWrite | kFast, 1, 1, 1, Group::kGeneric,
     "key unix-milliseconds [NX|XX|GT|LT]",
     "Sets the Unix time in milliseconds at which a key expires.", PExpireAt, nullptr},
    {"pexpiretime", 2, kRead | kFast, 1, 1, 1, Group::kGeneric, "key",
     "Returns the Unix time in milliseconds at which a key expires.", nullptr, AnswerPExpireTime},
    {"pttl", 2, kRead | kFast, 1, 1, 1, Group::kGeneric, "key",
     "Returns in how many milliseconds a key expires.", nullptr, AnswerPTtl},
    {"randomkey", 1, kRead, 0, 0, 0, Group::kGeneric, "",
     "Returns some key; not each with the same probability.", RandomKey, nullptr},
    {"scan", -2, kRead, 0, 0, 0, Group::kGeneric,
     "cursor [MATCH pattern] [COUNT count] [TYPE type]", "Returns some keys, and where to go on.",
     Scan, nullptr},
    {"touch", -2, kRead | kFast, 1, -1, 1, Group::kGeneric, "key [key ...]",
     "Counts the keys that are there.", nullptr, AnswerExists},
    {"ttl", 2, kRead | kFast, 1, 1, 1, Group::kGeneric, "key",
     "Returns in how many seconds a key expires.", nullptr, AnswerTtl},
    {"type", 2, kRead | kFast, 1, 1, 1, Group::kGeneric, "key", "Returns string, or none.", nullptr,
     AnswerType},
    {"unlink", -2, kWrite | kFast, 1, -1, 1, Group::kGeneric, "key [key ...]", "Deletes keys.", Del,
     nullptr},
    {"wait", 3, kRead, 0, 0, 0, Group::kGeneric, "numreplicas timeout",
     "Returns 0: there are no replicas.", Zero, nullptr},

    // Server.
    {"cluster", -2, kLocal, 0, 0, 0, Group::kCluster, "subcommand [argument ...]",
     "Is an error: this is no cluster.", ClusterDisabled, nullptr},
    {"command", -1, kLocal | kContainer, 0, 0, 0, Group::kServer, "", "Tells about all commands.",
     CommandAll, nullptr},
    {"command|count", 2, kLocal, 0, 0, 0, Group::kServer, "", "Counts the commands.", CommandCount,
     nullptr},
    {"command|docs", -2, kLocal, 0, 0, 0, Group::kServer, "[command ...]", "Explains commands.",
     CommandDocs, nullptr},
    {"command|getkeys", -3, kLocal, 0, 0, 0, Group::kServer, "command [argument ...]",
     "Returns the keys of a command.", CommandGetKeys, nullptr},
    {"command|help", 2, kLocal, 0, 0, 0, Group::kServer, "", "Lists the subcommands.", Help,
     nullptr},
    {"command|info", -2, kLocal, 0, 0, 0, Group::kServer, "[command ...]", "Tells about commands.",
     CommandInfo, nullptr},
    {"command|list", -2, kLocal, 0, 0, 0, Group::kServer, "", "Returns the commands' names.",
     CommandList, nullptr},
    {"config", -2, kLocal | kAdmin | kContainer, 0, 0, 0, Group::kServer, "",
     "About settings, by subcommands.", nullptr, nullptr},
    {"config|get", -3, kLocal | kAdmin, 0, 0, 0, Group::kServer, "pattern [pattern ...]",
     "Returns the settings that clients ask for.", ConfigGet, nullptr},
    {"config|help", 2, kLocal, 0, 0, 0, Group::kServer, "", "Lists the subcommands.", Help,
     nullptr},
    {"config|resetstat", 2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "",
     "Is an error: counts are kept.", ConfigResetStat, nullptr},
    {"config|set", -4, kLocal | kAdmin, 0, 0, 0, Group::kServer,
     "parameter value [parameter value ...]", "Is an error: settings are flags.", ConfigSet,
     nullptr},
    {"dbsize", 1, kRead | kFast, 0, 0, 0, Group::kServer, "",
     "Returns the number of keys; of some stores an estimate.", DbSize, nullptr},
    {"flushall", -1, kWrite, 0, 0, 0, Group::kServer, "[ASYNC|SYNC]",
     "Deletes all keys, where the server allows it.", FlushAll, nullptr},
    {"flushdb", -1, kWrite, 0, 0, 0, Group::kServer, "[ASYNC|SYNC]",
     "Deletes all keys, where the server allows it.", FlushAll, nullptr},
    {"info", -1, kLocal, 0, 0, 0, Group::kServer, "[section ...]", "Tells about the server.", Info,
     nullptr},
    {"latency", -2, kLocal | kAdmin | kContainer, 0, 0, 0, Group::kServer, "",
     "About slow events, by subcommands: none are noted.", nullptr, nullptr},
    {"latency|doctor", 2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "", "Says that none are noted.",
     LatencyDoctor, nullptr},
    {"latency|help", 2, kLocal, 0, 0, 0, Group::kServer, "", "Lists the subcommands.", Help,
     nullptr},
    {"latency|history", 3, kLocal | kAdmin, 0, 0, 0, Group::kServer, "event", "Returns nothing.",
     EmptyArray, nullptr},
    {"latency|latest", 2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "", "Returns nothing.",
     EmptyArray, nullptr},
    {"latency|reset", -2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "[event ...]", "Returns 0.",
     Zero, nullptr},
    {"memory", -2, kRead | kContainer, 0, 0, 0, Group::kServer, "", "About memory, by subcommands.",
     nullptr, nullptr},
    {"memory|doctor", 2, kLocal, 0, 0, 0, Group::kServer, "", "Has nothing to report.",
     MemoryDoctor, nullptr},
    {"memory|help", 2, kLocal, 0, 0, 0, Group::kServer, "", "Lists the subcommands.", Help,
     nullptr},
    {"memory|usage", -3, kValue, 2, 2, 1, Group::kServer, "key [SAMPLES count]",
     "Returns the bytes of a key and its value.", nullptr, AnswerMemoryUsage},
    {"slowlog", -2, kLocal | kAdmin | kContainer, 0, 0, 0, Group::kServer, "",
     "About slow commands, by subcommands: none are noted.", nullptr, nullptr},
    {"slowlog|get", -2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "[count]", "Returns nothing.",
     EmptyArray, nullptr},
    {"slowlog|help", 2, kLocal, 0, 0, 0, Group::kServer, "", "Lists the subcommands.", Help,
     nullptr},
    {"slowlog|len", 2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "", "Returns 0.", Zero, nullptr},
    {"slowlog|reset", 2, kLocal | kAdmin, 0, 0, 0, Group::kServer, "", "Does nothing.", Yes,
     nullptr},
    {"time", 1, kLocal | kFast, 0, 0, 0, Group::kServer, "",
     "Returns the Unix time, in seconds and microseconds of the second.", Time, nullptr},
};

// A name of at most 16 bytes as three numbers that are equal for equal names, in
// any case: names are of letters, of which a bit tells the case.
struct Packed {
  uint64_t low = 0;
  uint64_t high = 0;
  size_t size = 0;

  static constexpr uint64_t kLower = 0x2020202020202020;

  static Packed Of(absl::string_view name) {
    Packed packed;
    packed.size = name.size();
    const char* const p = name.data();
    if (name.size() >= 8) {
      packed.low = Load<uint64_t>(p);
      packed.high = Load<uint64_t>(p + name.size() - 8);
    } else if (name.size() >= 4) {
      packed.low = Load<uint32_t>(p);
      packed.high = Load<uint32_t>(p + name.size() - 4);
    } else if (!name.empty()) {
      packed.low = Load<uint8_t>(p) | uint64_t{Load<uint8_t>(p + name.size() / 2)} << 8;
      packed.high = Load<uint8_t>(p + name.size() - 1);
    }
    packed.low |= kLower;
    packed.high |= kLower;
    return packed;
  }
  friend bool operator==(const Packed& a, const Packed& b) {
    return a.low == b.low && a.high == b.high && a.size == b.size;
  }
  uint64_t Hash() const {
    return ((low * 0x9e3779b97f4a7c15 ^ (high + size)) * 0xbf58476d1ce4e5b9) >> 54;
  }

 private:
  template <typename T>
  static T Load(const char* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
};

// The names, hashed with open addressing: of a thousand slots most are free, so that
// nearly every name is found at the first.
class NameTable {
 public:
  NameTable() {
    for (const Command& command : kCommands) {
      if (absl::StrContains(command.name, '|')) continue;
      const Packed packed = Packed::Of(command.name);
      size_t at = packed.Hash();
      while (slots_[at].command != nullptr) at = (at + 1) % slots_.size();
      slots_[at] = {packed, &command};
    }
  }

  const Command* Find(absl::string_view name) const {
    if (name.size() > 16) return nullptr;
    const Packed packed = Packed::Of(name);
    size_t at = packed.Hash();
    while (slots_[at].command != nullptr && !(slots_[at].name == packed)) {
      at = (at + 1) % slots_.size();
    }
    return slots_[at].command;
  }

 private:
  struct Slot {
    Packed name;
    const Command* command = nullptr;
  };

  std::array<Slot, 1024> slots_;
};

}  // namespace

absl::Span<const Command> Commands() { return kCommands; }

const Command* FindCommand(absl::string_view name) {
  static const NameTable& table = *new NameTable();
  return table.Find(name);
}

const Command* FindSubcommand(const Command& container, absl::string_view name) {
  const size_t prefix = container.name.size() + 1;
  for (const Command* command = &container + 1; command != std::end(kCommands); ++command) {
    if (!absl::StartsWith(command->name, container.name) || command->name.size() <= prefix ||
        command->name[prefix - 1] != '|') {
      return nullptr;
    }
    if (absl::EqualsIgnoreCase(command->name.substr(prefix), name)) return command;
  }
  return nullptr;
}

std::string ArityError(const Command& command) {
  return absl::StrCat("ERR wrong number of arguments for '", command.name, "' command");
}

std::string ErrorText(const absl::Status& status) {
  if (absl::IsFailedPrecondition(status) && status == ReadOnlyError()) return kReadOnlyError;
  if (absl::IsResourceExhausted(status)) return absl::StrCat("OOM ", status.message());
  if (absl::IsDataLoss(status)) return absl::StrCat("ERR data loss: ", status.message());
  return absl::StrCat("ERR ", status.message());
}

bool ParseInteger(absl::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text[0] == '-';
  const absl::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 19) return false;
  if (digits[0] == '0' && (digits.size() > 1 || negative)) return false;
  uint64_t sum = 0;  // of 19 digits: fits
  for (const char c : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    sum = sum * 10 + static_cast<uint64_t>(c - '0');
  }
  const uint64_t most = uint64_t{1} << 63;
  if (sum > (negative ? most : most - 1)) return false;
  *value = static_cast<int64_t>(negative ? 0 - sum : sum);
  return true;
}

}  // namespace resp
}  // namespace kvarts
