#include "apps/repl/maintenance_commands.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/common/record_reader.h"
#include "apps/repl/interrupts.h"
#include "apps/repl/quoting.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

// What a store without files has none to do.
const char* Purpose(Verb verb) {
  switch (verb) {
    case Verb::kFlush:
      return "flush";
    case Verb::kCompact:
      return "compact";
    case Verb::kMerge:
      return "merge";
    case Verb::kVerify:
      return "verify";
    case Verb::kCheckpoint:
      return "make a checkpoint of";
    case Verb::kLoadIndex:
    case Verb::kLoadIndexSnapshot:
      return "load an index of";
    case Verb::kSaveIndexSnapshot:
      return "save an index of";
    case Verb::kIngest:
    case Verb::kMergeStore:
      return "add files to";
    default:
      return nullptr;
  }
}

absl::Status Done(const absl::Status& status, Reply* reply) {
  if (!status.ok()) return status;
  reply->Line("OK");
  reply->Flag("ok", true);
  return status;
}

absl::Status Compact(const Command& command, Maintenance* files, Reply* reply) {
  KeyRange range;
  if (!command.args.empty()) range = KeyRange::From(command.args[0]);
  if (command.args.size() == 2) range = KeyRange::FromTo(command.args[0], command.args[1]);
  if (range.empty()) return absl::InvalidArgumentError("TO must lie behind FROM");
  return Done(files->Compact(range), reply);
}

absl::Status Verify(Maintenance* files, Reply* reply) {
  KVARTS_ASSIGN_OR_RETURN(const Maintenance::VerifyReport report, files->Verify());
  reply->Line(absl::StrCat("OK: ", report.files, " files, ", report.bytes, " bytes, ",
                           report.entries, " entries"));
  reply->Number("files", report.files);
  reply->Number("bytes", report.bytes);
  reply->Number("entries", report.entries);
  return absl::OkStatus();
}

absl::Status Checkpoint(const Command& command, Maintenance* files, Reply* reply) {
  // An empty one would be taken for none.
  if (!command.args.empty() && command.args[0].empty()) {
    return absl::InvalidArgumentError("NAME is empty");
  }
  KVARTS_ASSIGN_OR_RETURN(const std::string path,
                          files->Checkpoint(command.args.empty() ? "" : command.args[0]));
  reply->ValueLine(path);
  reply->Bytes("path", path);
  return absl::OkStatus();
}

absl::Status ShowIndex(const absl::StatusOr<Maintenance::IndexReport>& report, absl::Time begin,
                       Verb verb, Reply* reply) {
  if (!report.ok()) return report.status();
  std::string line =
      absl::StrCat(report->tables, " tables, ", report->keys, " keys, ", report->bytes, " bytes, ",
                   absl::StrFormat("%.3f ms", absl::ToDoubleMilliseconds(absl::Now() - begin)));
  if (verb == Verb::kLoadIndexSnapshot) {
    absl::StrAppend(&line, ", ", report->from_file, " tables from the file");
  }
  reply->Line(line);
  reply->Number("tables", report->tables);
  reply->Number("keys", report->keys);
  reply->Number("bytes", report->bytes);
  if (verb == Verb::kLoadIndexSnapshot) reply->Number("from_file", report->from_file);
  return absl::OkStatus();
}

absl::Status ShowIngested(const absl::StatusOr<Maintenance::IngestReport>& report, Reply* reply) {
  if (!report.ok()) return report.status();
  reply->Line(absl::StrCat("OK: ", report->entries, " entries, ", report->files, " files, ",
                           report->bytes, " bytes"));
  reply->Number("entries", report->entries);
  reply->Number("files", report->files);
  reply->Number("bytes", report->bytes);
  return absl::OkStatus();
}

absl::Status Ingest(const Command& command, Maintenance* files, Reply* reply) {
  if (command.args[0] == "-") {
    return absl::InvalidArgumentError("FILE is a file; the commands come from standard input");
  }
  KVARTS_ASSIGN_OR_RETURN(const auto reader, RecordReader::Open(command.args[0], std::nullopt));
  std::optional<std::string> last;
  const auto where = [&] {
    return absl::StrCat(reader->name(), ", line ", reader->line(), ", offset ", reader->offset());
  };
  return ShowIngested(files->Ingest([&](ScanEntry* entry) -> absl::StatusOr<bool> {
    Record record;
    const absl::StatusOr<bool> more = reader->Next(&record);
    if (absl::IsInvalidArgument(more.status())) {
      return absl::InvalidArgumentError(
          absl::StrCat(more.status().message(), " (at offset ", reader->offset(), ")"));
    }
    if (!more.ok() || !*more) return more;
    if (last.has_value() && record.key <= absl::string_view(*last)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where(),
                       ": expected a key greater than that of the line before, as `group_by "
                       "--order=key` writes them, each once"));
    }
    last = std::string(record.key);
    *entry = {record.key, record.value, record.content_type, record.expires_at_ms};
    return true;
  }),
                      reply);
}

absl::Status MergeStore(const Command& command, const OpenStoreFunction& open, Maintenance* files,
                        Reply* reply) {
  if (open == nullptr) return absl::UnimplementedError("this shell opens no other stores");
  KVARTS_ASSIGN_OR_RETURN(const auto other, open(command.args[0]));
  KVARTS_ASSIGN_OR_RETURN(const SortedSource source, SortedEntriesOf(other.get()));
  return ShowIngested(files->Ingest(source), reply);
}

}  // namespace

bool IsMaintenance(Verb verb) { return Purpose(verb) != nullptr; }

absl::Status RunMaintenance(const Command& command, const OpenStoreFunction& open, Store* store,
                            Reply* reply) {
  const Verb verb = command.info->verb;
  Maintenance* const files = store->maintenance();
  if (files == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("this store has no files of its own to ", Purpose(verb)));
  }
  const Interrupts::Waiting waiting("this cannot be ended half-way; Ctrl-C again ends the shell\n");
  const absl::Time begin = absl::Now();
  switch (verb) {
    case Verb::kFlush:
      return Done(files->Flush(), reply);
    case Verb::kCompact:
      return Compact(command, files, reply);
    case Verb::kMerge:
      return Done(files->Compact(KeyRange::All()), reply);
    case Verb::kVerify:
      return Verify(files, reply);
    case Verb::kCheckpoint:
      return Checkpoint(command, files, reply);
    case Verb::kIngest:
      return Ingest(command, files, reply);
    case Verb::kMergeStore:
      return MergeStore(command, open, files, reply);
    case Verb::kLoadIndex:
      return ShowIndex(files->LoadIndex(), begin, verb, reply);
    case Verb::kSaveIndexSnapshot:
      return ShowIndex(files->SaveIndexSnapshot(command.args[0]), begin, verb, reply);
    case Verb::kLoadIndexSnapshot:
      return ShowIndex(files->LoadIndexSnapshot(command.args[0]), begin, verb, reply);
    default:
      return absl::InternalError("no command of a store's files");
  }
}

}  // namespace kvarts
