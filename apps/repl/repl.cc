#include "apps/repl/repl.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "apps/repl/interrupts.h"
#include "apps/repl/quoting.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

absl::Status LostError() { return absl::DataLossError("a value was lost while it was read"); }

// "a=1 b=emulated, O(n) c=x" is {a, 1}, {b, "emulated, O(n)"}, {c, x}.
std::vector<std::pair<std::string, std::string>> CapabilityPairs(const Capabilities& has) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const std::string text = ToText(has);
  for (const absl::string_view piece : absl::StrSplit(text, ' ')) {
    const size_t equals = piece.find('=');
    if (equals == absl::string_view::npos) {
      absl::StrAppend(&pairs.back().second, " ", piece);
    } else {
      pairs.emplace_back(piece.substr(0, equals), piece.substr(equals + 1));
    }
  }
  return pairs;
}

// Lines that are to be seen as they are, or in an object as one text.
void ShowText(absl::string_view text, Reply* reply) {
  for (const absl::string_view line :
       absl::StrSplit(absl::StripSuffix(text, "\n"), '\n', absl::SkipEmpty())) {
    reply->Line(Shown(line));
  }
  reply->Bytes("text", text);
}

// Calls `visit` for each page. It returns false to end the scan.
absl::Status ForEachPage(Store* store, const ScanOptions& options, uint64_t limit,
                         absl::FunctionRef<absl::StatusOr<bool>(const ScanPage& page)> visit) {
  std::unique_ptr<Cursor> cursor;
  {
    const Interrupts::Waiting waiting;
    KVARTS_ASSIGN_OR_RETURN(cursor, store->NewCursor(options));
  }
  ScanPage page;
  uint64_t seen = 0;
  while (seen < limit) {
    if (Interrupts::cancelled()) {
      return absl::CancelledError(absl::StrCat("interrupted after ", seen, " keys"));
    }
    PageLimits limits;
    limits.entries = static_cast<size_t>(std::min<uint64_t>(limits.entries, limit - seen));
    {
      const Interrupts::Waiting waiting;
      KVARTS_RETURN_IF_ERROR(cursor->Next(limits, &page));
    }
    if (page.empty()) break;
    KVARTS_ASSIGN_OR_RETURN(const bool more, visit(page));
    if (!more) break;
    seen += page.size();
  }
  return absl::OkStatus();
}

KeyRange PrefixOf(const Command& command) {
  if (command.args.empty() || command.args[0].empty()) return KeyRange::All();
  return KeyRange::Prefix(command.args[0]);
}

}  // namespace

Repl::Repl(Store* store, ReplOptions options, ReplConsole* console)
    : store_(store),
      options_(std::move(options)),
      console_(console),
      queue_(store, options_.sync,
             [this](const WriteQueue::Answer& answer) { AnswerWrite(answer); }) {}

void Repl::Run(absl::string_view line, uint64_t number) {
  const absl::Time begin = absl::Now();
  absl::StatusOr<std::optional<Command>> parsed = ParseCommand(line);
  if (!parsed.ok()) return Refuse(parsed.status(), line, number);
  if (!parsed->has_value()) return;
  Command& command = **parsed;
  const Verb verb = command.info->verb;
  if (verb == Verb::kStore) {
    const Interrupts::Waiting waiting;
    return queue_.Put(number, std::move(command.args[0]), std::move(command.args[1]));
  }
  if (verb == Verb::kDelete) {
    const Interrupts::Waiting waiting;
    return queue_.Delete(number, std::move(command.args));
  }
  Wait();
  ReplyStyle style = options_.style;
  style.times = style.times && verb != Verb::kHelp && verb != Verb::kExit;
  Reply reply(command.info->name, style, console_);
  const absl::Status status = Execute(command, &reply);
  Finish(command.info->name, status, absl::Now() - begin, number, &reply);
}

void Repl::Refuse(const absl::Status& status, absl::string_view line, uint64_t number) {
  Wait();
  line = absl::StripLeadingAsciiWhitespace(line);
  ReplyStyle style = options_.style;
  style.times = false;
  Reply reply(line.substr(0, std::min<size_t>(line.find_first_of(" \t"), 100)), style, console_);
  failed_ = true;
  if (!reply.Finish(status, absl::ZeroDuration(), number)) done_ = true;
}

void Repl::Wait() {
  {
    const Interrupts::Waiting waiting;
    queue_.Wait();
  }
  if (!console_->Flush()) done_ = true;
}

absl::Status Repl::Execute(const Command& command, Reply* reply) {
  if (IsMaintenance(command.info->verb)) {
    return RunMaintenance(command, options_.open, store_, reply);
  }
  switch (command.info->verb) {
    case Verb::kGet:
      return Get(command, reply);
    case Verb::kScan:
      return Scan(command, reply);
    case Verb::kCount:
      return Count(command, reply);
    case Verb::kStats:
      return Stats(reply);
    case Verb::kProperties:
      return Properties(reply);
    case Verb::kInspect:
      return Inspect(command, reply);
    case Verb::kRepair:
      return Repair(command, reply);
    case Verb::kHelp:
      return Help(command, reply);
    case Verb::kExit:
      done_ = true;
      return absl::OkStatus();
    default:
      return absl::InternalError("there is no such command");
  }
}

absl::Status Repl::Get(const Command& command, Reply* reply) {
  ReadResults results;
  {
    const Interrupts::Waiting waiting;
    store_->Read(command.args[0], ReadOptions(), &results);
  }
  KVARTS_RETURN_IF_ERROR(results[0].status);
  const bool found = results[0].found;
  const std::string value(results[0].value);
  if (!results.intact()) return LostError();
  reply->Flag("found", found);
  if (found) {
    reply->ValueLine(value);
    reply->Bytes("value", value);
  } else {
    reply->Line("(absent)");
  }
  return absl::OkStatus();
}

absl::Status Repl::Scan(const Command& command, Reply* reply) {
  KVARTS_ASSIGN_OR_RETURN(const uint64_t limit, CountOption(command, "limit", UINT64_MAX));
  ScanOptions options;
  options.range = PrefixOf(command);
  options.range = Intersect(options.range, KeyRange::From(command.Option("from")));
  if (command.Has("to")) {
    options.range = Intersect(options.range, KeyRange::FromTo("", command.Option("to")));
  }
  options.backward = command.Has("backward");
  options.keys_only = command.Has("keys");
  uint64_t count = 0;
  const absl::Status status =
      ForEachPage(store_, options, limit, [&](const ScanPage& page) -> absl::StatusOr<bool> {
        for (const ScanEntry& entry : page) {
          if (!reply->Entry(entry, options.keys_only)) return false;
        }
        if (!page.intact()) return LostError();
        count += page.size();
        // Who reads the output sees each page as it comes, or is gone.
        return reply->Flush();
      });
  reply->EndEntries(options.keys_only);
  reply->Number("count", count);
  return status;
}

absl::Status Repl::Count(const Command& command, Reply* reply) {
  ScanOptions options;
  options.range = PrefixOf(command);
  options.keys_only = true;
  uint64_t count = 0;
  absl::StatusOr<StoreStats> stats = absl::UnknownError("not asked for");
  if (options.range == KeyRange::All()) {
    const Interrupts::Waiting waiting;
    stats = store_->Stats();
  }
  if (stats.ok() && stats->entries_exact) {
    count = stats->entries;
  } else {
    KVARTS_RETURN_IF_ERROR(ForEachPage(store_, options, UINT64_MAX, [&](const ScanPage& page) {
      count += page.size();
      return true;
    }));
  }
  reply->Line(absl::StrCat(count));
  reply->Number("count", count);
  return absl::OkStatus();
}

absl::Status Repl::Stats(Reply* reply) {
  absl::StatusOr<StoreStats> stats = absl::UnknownError("not asked for");
  {
    const Interrupts::Waiting waiting;
    stats = store_->Stats();
  }
  KVARTS_RETURN_IF_ERROR(stats.status());
  reply->Line(absl::StrCat("entries: ", stats->entries_exact ? "" : "about ", stats->entries));
  reply->Number("entries", stats->entries);
  reply->Flag("entries_exact", stats->entries_exact);
  for (const auto& [name, number] : {std::pair("memory_bytes", stats->memory_bytes),
                                     std::pair("disk_bytes", stats->disk_bytes)}) {
    reply->Line(absl::StrCat(name, ": ", number));
    reply->Number(name, number);
  }
  if (stats->saved_at_ms.has_value()) {
    const auto at = static_cast<uint64_t>(std::max<int64_t>(*stats->saved_at_ms, 0));
    const absl::Time time = absl::FromUnixMillis(*stats->saved_at_ms);
    reply->Line(absl::StrCat("saved_at: ", at == 0 ? "never" : absl::FormatTime(time)));
    reply->Number("saved_at_ms", at);
  }
  if (!stats->save_error.empty()) {
    reply->Line(absl::StrCat("save_error: ", QuoteData(stats->save_error)));
    reply->Bytes("save_error", stats->save_error);
  }
  reply->Pairs("details", stats->details);
  return absl::OkStatus();
}

absl::Status Repl::Properties(Reply* reply) {
  reply->Pairs("capabilities", CapabilityPairs(store_->capabilities()));
  absl::StatusOr<StoreStats> stats = absl::UnknownError("not asked for");
  {
    const Interrupts::Waiting waiting;
    stats = store_->Stats();
  }
  KVARTS_RETURN_IF_ERROR(stats.status());
  reply->Pairs("details", stats->details);
  return absl::OkStatus();
}

absl::Status Repl::Inspect(const Command& command, Reply* reply) {
  if (options_.inspect == nullptr) return absl::UnimplementedError("this shell inspects no files");
  std::string text;
  KVARTS_RETURN_IF_ERROR(options_.inspect(command.args[0], &text));
  ShowText(text, reply);
  return absl::OkStatus();
}

absl::Status Repl::Repair(const Command& command, Reply* reply) {
  if (options_.repair == nullptr) return absl::UnimplementedError("this shell repairs no stores");
  std::string text;
  const Interrupts::Waiting waiting("this cannot be ended half-way; Ctrl-C again ends the shell\n");
  const absl::Status status = options_.repair(command.args[0], store_, &text);
  ShowText(text, reply);
  return status;
}

absl::Status Repl::Help(const Command& command, Reply* reply) {
  std::string text = HelpText();
  if (!command.args.empty()) {
    const CommandInfo* const info = FindCommand(command.args[0]);
    if (info == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no command ", QuoteWord(command.args[0].substr(0, 100))));
    }
    text = HelpText(*info);
  }
  reply->Line(absl::StripSuffix(text, "\n"));
  reply->Bytes("text", text);
  return absl::OkStatus();
}

void Repl::AnswerWrite(const WriteQueue::Answer& answer) {
  const absl::string_view name = answer.is_delete ? "delete" : "store";
  Reply reply(name, options_.style, console_);
  absl::Status status;
  uint64_t deleted = 0;
  for (size_t i = 0; i < answer.results.size(); ++i) {
    const WriteResult& result = answer.results[i];
    if (result.status.ok()) {
      const bool absent = answer.is_delete && !result.existed;
      reply.Line(absent ? "(absent)" : "OK");
      deleted += answer.is_delete && result.existed ? 1 : 0;
    } else if (status.ok()) {
      status = result.status;
      if (answer.results.size() > 1) {
        status = absl::Status(status.code(),
                              absl::StrCat(QuoteWord(answer.keys[i]), ": ", status.message()));
      }
    }
  }
  reply.Flag("ok", status.ok());
  if (answer.is_delete) reply.Number("deleted", deleted);
  Finish(name, status, answer.time, answer.line, &reply);
}

void Repl::Finish(absl::string_view command, const absl::Status& status, absl::Duration time,
                  uint64_t number, Reply* reply) {
  absl::Status named = status;
  if (!status.ok()) {
    failed_ = true;
    // Some say it themselves.
    if (!absl::StartsWith(status.message(), absl::StrCat(command, ": "))) {
      named = absl::Status(status.code(), absl::StrCat(command, ": ", status.message()));
    }
  }
  if (!reply->Finish(named, time, number)) done_ = true;
}

}  // namespace kvarts
