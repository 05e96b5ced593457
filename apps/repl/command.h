#ifndef KVARTS_APPS_REPL_COMMAND_H_
#define KVARTS_APPS_REPL_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {

enum class Verb : unsigned char {
  kStore = 0,
  kGet,
  kDelete,
  kScan,
  kCount,
  kLoadIndex,
  kSaveIndexSnapshot,
  kLoadIndexSnapshot,
  kFlush,
  kCompact,
  kMerge,
  kVerify,
  kCheckpoint,
  kInspect,
  kRepair,
  kIngest,
  kMergeStore,
  kStats,
  kProperties,
  kHelp,
  kExit,
};

// What is known of a command: how a line of it looks, and what help says. Constant.
struct CommandInfo {
  Verb verb;
  absl::string_view name;
  absl::string_view arguments;  // "KEY DATA", as help and errors show them
  size_t min_args;
  size_t max_args;
  absl::Span<const absl::string_view> options;  // "limit=", which takes a value; "keys"
  bool takes_keys;                              // its arguments are keys or beginnings of them
  absl::string_view summary;                    // in the list of commands
  absl::string_view details;                    // for `help COMMAND`: sentences and examples
};

// In the order of the list that help shows. "quit" is "exit".
absl::Span<const CommandInfo> AllCommands();
// Null where there is none of this name.
const CommandInfo* FindCommand(absl::string_view name);
// What `help`, and `help COMMAND`, show: lines.
std::string HelpText();
std::string HelpText(const CommandInfo& info);

// A line, understood.
struct Command {
  const CommandInfo* info = nullptr;
  std::vector<std::string> args;
  std::map<std::string, std::string, std::less<>> options;  // by name; "" of those without value

  bool Has(absl::string_view option) const { return options.find(option) != options.end(); }
  // The value of an option that was given, or `fallback`.
  std::string Option(absl::string_view option, absl::string_view fallback = "") const;
};

// Nothing for a line that is empty, or begins with "#". kInvalidArgument says in a sentence what
// was expected, behind the name of the command where that is known.
absl::StatusOr<std::optional<Command>> ParseCommand(absl::string_view line);

// Reads an option that is a number from 1 on, as `scan --limit`.
absl::StatusOr<uint64_t> CountOption(const Command& command, absl::string_view option,
                                     uint64_t fallback);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_COMMAND_H_
