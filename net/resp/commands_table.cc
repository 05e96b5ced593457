// What COMMAND and HELP say: all of it from the table.

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "net/resp/glob.h"
#include "net/resp/handlers.h"
#include "net/resp/key_slots.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxPatternBytes = 256;
// Of names in one request: a name in it may be told much about.
constexpr size_t kMaxNames = 1000;

bool IsSubcommand(const Command& command) { return absl::StrContains(command.name, '|'); }

std::vector<const Command*> TopLevel() {
  std::vector<const Command*> commands;
  for (const Command& command : Commands()) {
    if (!IsSubcommand(command)) commands.push_back(&command);
  }
  return commands;
}

std::vector<const Command*> Subcommands(const Command& container) {
  std::vector<const Command*> commands;
  if (!IsContainer(container)) return commands;
  for (const Command& command : Commands()) {
    if (absl::StartsWith(command.name, absl::StrCat(container.name, "|"))) {
      commands.push_back(&command);
    }
  }
  return commands;
}

// "get", or "client|id". Null where there is none.
const Command* FindByFullName(absl::string_view name) {
  const std::vector<absl::string_view> words = absl::StrSplit(name, absl::MaxSplits('|', 1));
  const Command* const command = FindCommand(words[0]);
  if (command == nullptr || words.size() == 1) return command;
  return FindSubcommand(*command, words[1]);
}

const char* GroupName(CommandGroup group) {
  switch (group) {
    case CommandGroup::kConnection:
      return "connection";
    case CommandGroup::kString:
      return "string";
    case CommandGroup::kBitmap:
      return "bitmap";
    case CommandGroup::kGeneric:
      return "generic";
    case CommandGroup::kTransactions:
      return "transactions";
    case CommandGroup::kScripting:
      return "scripting";
    case CommandGroup::kServer:
      return "server";
    case CommandGroup::kCluster:
      return "cluster";
  }
  return "";
}

std::vector<const char*> Flags(const Command& command) {
  std::vector<const char*> flags;
  const auto add = [&](uint32_t flag, const char* name) {
    if ((command.flags & flag) != 0) flags.push_back(name);
  };
  add(kWrites, "write");
  add(kReadOnly, "readonly");
  add(kDenyOom, "denyoom");
  add(kAdmin, "admin");
  if ((command.flags & kNeedsStore) == 0) flags.push_back("loading");
  if ((command.flags & kNeedsAuthentication) == 0) flags.push_back("no_auth");
  add(kNoScript, "noscript");
  if ((command.flags & kNotQueued) != 0) flags.push_back("no_multi");
  add(kFast, "fast");
  add(kCountedKeys, "no_mandatory_keys");
  add(kCountedKeys, "movablekeys");
  return flags;
}

std::vector<const char*> Categories(const Command& command) {
  std::vector<const char*> categories;
  if ((command.flags & kWrites) != 0) categories.push_back("@write");
  if ((command.flags & kReadOnly) != 0) categories.push_back("@read");
  if (command.group == CommandGroup::kString) categories.push_back("@string");
  if (command.group == CommandGroup::kBitmap) categories.push_back("@bitmap");
  if (command.group == CommandGroup::kGeneric) categories.push_back("@keyspace");
  if (command.group == CommandGroup::kScripting) categories.push_back("@scripting");
  if (command.group == CommandGroup::kConnection) categories.push_back("@connection");
  if (command.group == CommandGroup::kTransactions) categories.push_back("@transaction");
  if ((command.flags & kAdmin) != 0) categories.push_back("@admin");
  categories.push_back((command.flags & kFast) != 0 ? "@fast" : "@slow");
  return categories;
}

void AnswerWords(const std::vector<const char*>& words, ReplyWriter* reply) {
  reply->Set(words.size());
  for (const char* word : words) reply->Simple(word);
}

// Name, arity, flags, first key, last key, step, categories, tips, key
// specifications, subcommands.
void AnswerInfo(const Command* command, ReplyWriter* reply) {
  if (command == nullptr) return reply->Null();
  reply->Array(10);
  reply->Bulk(command->name);
  reply->Integer(command->arity);
  AnswerWords(Flags(*command), reply);
  reply->Integer(command->first_key);
  reply->Integer(command->last_key);
  reply->Integer(command->key_step);
  AnswerWords(Categories(*command), reply);
  reply->Set(0);
  reply->Set(0);
  const std::vector<const Command*> subcommands = Subcommands(*command);
  reply->Set(subcommands.size());
  for (const Command* subcommand : subcommands) AnswerInfo(subcommand, reply);
}

// The arguments are one, which is shown as it is written in the table.
void AnswerDocs(const Command& command, ReplyWriter* reply) {
  const std::vector<const Command*> subcommands = Subcommands(command);
  reply->Bulk(command.name);
  reply->Map(2 + (command.syntax.empty() ? 0 : 1) + (subcommands.empty() ? 0 : 1));
  reply->Bulk("summary");
  reply->Bulk(command.summary);
  reply->Bulk("group");
  reply->Bulk(GroupName(command.group));
  if (!command.syntax.empty()) {
    reply->Bulk("arguments");
    reply->Array(1);
    reply->Map(2);
    reply->Bulk("name");
    reply->Bulk(command.syntax);
    reply->Bulk("type");
    reply->Bulk("string");
  }
  if (subcommands.empty()) return;
  reply->Bulk("subcommands");
  reply->Map(subcommands.size());
  for (const Command* subcommand : subcommands) AnswerDocs(*subcommand, reply);
}

}  // namespace

void CommandAll(CommandCall* call) {
  const std::vector<const Command*> commands = TopLevel();
  call->reply->Array(commands.size());
  for (const Command* command : commands) AnswerInfo(command, call->reply);
}

void CommandCount(CommandCall* call) {
  call->reply->Integer(static_cast<int64_t>(TopLevel().size()));
}

void CommandInfo(CommandCall* call) {
  const auto names = call->args.subspan(2);
  if (names.empty()) return CommandAll(call);
  if (names.size() > kMaxNames) return call->reply->Error(kTooManyNames);
  call->reply->Array(names.size());
  for (const absl::string_view name : names) AnswerInfo(FindByFullName(name), call->reply);
}

void CommandDocs(CommandCall* call) {
  std::vector<const Command*> commands;
  if (call->args.size() > kMaxNames) return call->reply->Error(kTooManyNames);
  for (const absl::string_view name : call->args.subspan(2)) {
    if (const Command* const command = FindByFullName(name)) commands.push_back(command);
  }
  if (call->args.size() == 2) commands = TopLevel();
  call->reply->Map(commands.size());
  for (const Command* command : commands) AnswerDocs(*command, call->reply);
}

// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]: subcommands too.
void CommandList(CommandCall* call) {
  const auto args = call->args;
  std::vector<const Command*> commands;
  for (const Command& command : Commands()) commands.push_back(&command);
  if (args.size() != 2) {
    if (args.size() != 5 || !absl::EqualsIgnoreCase(args[2], "FILTERBY")) {
      return call->reply->Error(kSyntaxError);
    }
    const std::string wanted = absl::AsciiStrToLower(args[4].substr(0, kMaxPatternBytes));
    std::function<bool(const Command*)> in;
    if (absl::EqualsIgnoreCase(args[3], "MODULE")) {
      in = [](const Command*) { return false; };
    } else if (absl::EqualsIgnoreCase(args[3], "ACLCAT")) {
      in = [&](const Command* command) {
        const auto categories = Categories(*command);
        return std::any_of(categories.begin(), categories.end(),
                           [&](const char* c) { return absl::string_view(c + 1) == wanted; });
      };
    } else if (absl::EqualsIgnoreCase(args[3], "PATTERN")) {
      in = [&](const Command* command) { return GlobMatches(wanted, command->name); };
    } else {
      return call->reply->Error(kSyntaxError);
    }
    commands.erase(std::remove_if(commands.begin(), commands.end(),
                                  [&](const Command* command) { return !in(command); }),
                   commands.end());
  }
  call->reply->Array(commands.size());
  for (const Command* command : commands) call->reply->Bulk(command->name);
}

void CommandGetKeys(CommandCall* call) {
  const auto args = call->args.subspan(2);
  const Command* command = FindCommand(args[0]);
  if (command != nullptr && IsContainer(*command) && args.size() > 1) {
    command = FindSubcommand(*command, args[1]);
  }
  if (command == nullptr) return call->reply->Error("ERR Invalid command specified");
  if (!HasKeys(*command)) {
    return call->reply->Error("ERR The command has no key arguments");
  }
  if (!ArityHolds(*command, args.size())) {
    return call->reply->Error("ERR Invalid number of arguments specified for command");
  }
  const std::vector<absl::string_view> keys = KeysOf(*command, args);
  call->reply->Array(keys.size());
  for (const absl::string_view key : keys) call->reply->Bulk(key);
}

void Help(CommandCall* call) {
  const std::vector<absl::string_view> words = absl::StrSplit(call->command.name, '|');
  const std::vector<const Command*> subcommands = Subcommands(*FindCommand(words[0]));
  const std::string container = absl::AsciiStrToUpper(words[0]);
  call->reply->Array(1 + 2 * subcommands.size());
  call->reply->Simple(
      absl::StrCat(container, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
  for (const Command* subcommand : subcommands) {
    const std::string name = absl::AsciiStrToUpper(subcommand->name.substr(words[0].size() + 1));
    call->reply->Simple(
        absl::StrCat(name, subcommand->syntax.empty() ? "" : " ", subcommand->syntax));
    call->reply->Simple(absl::StrCat("    ", subcommand->summary));
  }
}

}  // namespace resp
}  // namespace kvarts
