#include "apps/repl/command.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "apps/repl/quoting.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

absl::Status ErrorOf(const CommandInfo& info, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(info.name, ": ", what));
}

absl::Status WrongNumber(const CommandInfo& info, size_t given) {
  if (info.verb == Verb::kStore && given == 1) {
    return ErrorOf(info, "expected KEY DATA; an empty DATA is ''");
  }
  if (info.arguments.empty()) return ErrorOf(info, "expected no arguments");
  if (given == 0) return ErrorOf(info, absl::StrCat("expected ", info.arguments));
  return ErrorOf(info, absl::StrCat("expected ", info.arguments, ", not ", given,
                                    given == 1 ? " argument" : " arguments"));
}

std::string OptionNames(const CommandInfo& info) {
  if (info.options.empty()) return "; there are none";
  return absl::StrCat("; known are ",
                      absl::StrJoin(info.options, " ", [](std::string* out, absl::string_view o) {
                        absl::StrAppend(out, "--", o);
                      }));
}

// `text` stands behind "--".
absl::Status AddOption(absl::string_view text, Command* command) {
  const CommandInfo& info = *command->info;
  const size_t equals = text.find('=');
  const absl::string_view name = text.substr(0, equals);
  const bool has_value = equals != absl::string_view::npos;
  for (const absl::string_view option : info.options) {
    if (absl::StripSuffix(option, "=") != name) continue;
    if (absl::EndsWith(option, "=") != has_value) {
      return ErrorOf(info, has_value
                               ? absl::StrCat("--", name, " takes no value")
                               : absl::StrCat("--", name, " needs a value: --", name, "=..."));
    }
    const absl::string_view value = has_value ? text.substr(equals + 1) : "";
    if (!command->options.emplace(std::string(name), std::string(value)).second) {
      return ErrorOf(info, absl::StrCat("--", name, " twice"));
    }
    return absl::OkStatus();
  }
  return ErrorOf(
      info, absl::StrCat("no option ", QuoteWord(absl::StrCat("--", name)), OptionNames(info)));
}

absl::Status Locate(const CommandInfo& info, const absl::Status& status) {
  return status.ok() ? status : ErrorOf(info, status.message());
}

absl::Status ReadArguments(WordReader* reader, Command* command) {
  const CommandInfo& info = *command->info;
  bool options = true;
  while (!reader->AtEnd()) {
    const bool data = info.verb == Verb::kStore && command->args.size() == 1;
    absl::StatusOr<Word> word = data ? reader->Data() : reader->Next();
    if (!word.ok()) return Locate(info, word.status());
    if (options && !data && !word->quoted && absl::StartsWith(word->bytes, "--")) {
      if (word->bytes == "--") {
        options = false;
      } else {
        KVARTS_RETURN_IF_ERROR(AddOption(absl::string_view(word->bytes).substr(2), command));
      }
      continue;
    }
    command->args.push_back(std::move(word->bytes));
  }
  const size_t given = command->args.size();
  if (given >= info.min_args && given <= info.max_args) return absl::OkStatus();
  return WrongNumber(info, given);
}

}  // namespace

std::string Command::Option(absl::string_view option, absl::string_view fallback) const {
  const auto found = options.find(option);
  return found == options.end() ? std::string(fallback) : found->second;
}

absl::StatusOr<std::optional<Command>> ParseCommand(absl::string_view line) {
  WordReader reader(line);
  if (reader.AtEnd() || line[line.find_first_not_of(" \t")] == '#') return std::nullopt;
  KVARTS_ASSIGN_OR_RETURN(const Word name, reader.Next());
  Command command;
  command.info = FindCommand(name.bytes);
  if (command.info == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown command ", QuoteWord(name.bytes.substr(0, 100)), "; help shows those there are"));
  }
  KVARTS_RETURN_IF_ERROR(ReadArguments(&reader, &command));
  return command;
}

absl::StatusOr<uint64_t> CountOption(const Command& command, absl::string_view option,
                                     uint64_t fallback) {
  if (!command.Has(option)) return fallback;
  const std::string text = command.Option(option);
  uint64_t value = 0;
  if (absl::SimpleAtoi(text, &value) && value > 0) return value;
  return ErrorOf(*command.info, absl::StrCat("--", option, "=", QuoteWord(text),
                                             ": expected a whole number from 1 on"));
}

}  // namespace kvarts
