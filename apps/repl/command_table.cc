#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "apps/repl/command.h"

namespace kvarts {
namespace {

constexpr absl::string_view kScanOptions[] = {"from=", "to=", "limit=", "backward", "keys"};

constexpr CommandInfo kCommands[] = {
    {Verb::kStore,
     "store",
     "KEY DATA",
     2,
     2,
     {},
     true,
     "puts DATA under KEY",
     "DATA that begins with a quote is one quoted word; else it is the rest of the line, as it\n"
     "stands. OK comes when the store has it: on the disk, unless --sync=false.\n"
     "  store user:1 Ann Smith\n"
     "  store 'a key' '  kept as it is  '\n"
     "  store pixel $'\\x89PNG\\r\\n\\x1a\\n\\0'\n"},
    {Verb::kGet,
     "get",
     "KEY",
     1,
     1,
     {},
     true,
     "shows what is under KEY, or (absent)",
     "On a terminal the value is shown as DATA of `store` would give it. Elsewhere text is\n"
     "written as it is, with its newlines; a value with other bytes, or that is empty or begins\n"
     "with a quote, as DATA.\n"
     "  get user:1\n"
     "  get $'\\0\\x01'\n"},
    {Verb::kDelete,
     "delete",
     "KEY...",
     1,
     SIZE_MAX,
     {},
     true,
     "deletes keys",
     "Answers OK, or (absent) where there was no such key, one line a key.\n"
     "  delete user:1 'a key'\n"},
    {Verb::kScan, "scan", "[PREFIX] [--from=KEY] [--to=KEY] [--limit=N] [--backward] [--keys]", 0,
     1, kScanOptions, true, "shows keys and values",
     "A line for each: the key and the value, as arguments of `store`. --from is the first key,\n"
     "--to the first one that is not shown. --keys leaves the values out. Without an order the\n"
     "store gives its own. Ctrl-C ends it.\n"
     "  scan user: --limit=10\n"
     "  scan --from=a --to=b --keys\n"
     "  scan --backward --limit=1\n"},
    {Verb::kCount,
     "count",
     "[PREFIX]",
     0,
     1,
     {},
     true,
     "counts keys",
     "All, or those that begin with PREFIX.\n"
     "  count user:\n"},
    {Verb::kLoadIndex,
     "load_index",
     "",
     0,
     0,
     {},
     false,
     "reads the index and the filter of every table",
     "Reads then need no index block and no filter block from the disk. Shows tables, their\n"
     "keys, bytes in memory, and milliseconds.\n"},
    {Verb::kSaveIndexSnapshot,
     "save_index_snapshot",
     "FILE",
     1,
     1,
     {},
     false,
     "flushes, and saves all indexes to FILE",
     "FILE is there whole, or as it was. Where it is another file than an older snapshot it "
     "stays.\n"
     "  save_index_snapshot /var/tmp/index\n"},
    {Verb::kLoadIndexSnapshot,
     "load_index_snapshot",
     "FILE",
     1,
     1,
     {},
     false,
     "takes the indexes from FILE",
     "Refused where FILE is damaged, or names a table that is gone or changed. Tables that came\n"
     "since are read themselves.\n"
     "  load_index_snapshot /var/tmp/index\n"},
    {Verb::kFlush, "flush", "", 0, 0, {}, false, "writes what is in memory to tables", ""},
    {Verb::kCompact,
     "compact",
     "[FROM [TO]]",
     0,
     2,
     {},
     true,
     "merges the tables with keys of a range",
     "From FROM up to, not including, TO; without them, all. What was overwritten, deleted or\n"
     "has expired gives its space back.\n"
     "  compact a b\n"},
    {Verb::kMerge, "merge", "", 0, 0, {}, false, "joins all tables into one sorted run", ""},
    {Verb::kVerify,
     "verify",
     "",
     0,
     0,
     {},
     false,
     "reads every file and checks it",
     "The first one that is damaged is named, with the offset.\n"},
    {Verb::kCheckpoint,
     "checkpoint",
     "[NAME]",
     0,
     1,
     {},
     false,
     "makes a directory that opens as a store of its own",
     "With all that is there now. NAME is a path, or a name in the store's directory for\n"
     "checkpoints; without it, one made of the time. Shows the path.\n"
     "  checkpoint /backup/monday\n"},
    {Verb::kInspect,
     "inspect",
     "FILE",
     1,
     1,
     {},
     false,
     "shows what is in a file of a store",
     "A table, a log, a manifest or a snapshot of the index of an sstable: store. The file need\n"
     "not be of the open store.\n"
     "  inspect store/000012.tbl\n"},
    {Verb::kRepair,
     "repair",
     "DIR",
     1,
     1,
     {},
     false,
     "puts what can be read of a damaged store into this one",
     "DIR is that of an sstable: store, which stays as it is and need not open. What its "
     "checksums\n"
     "refuse is left out and shown, a line each, with the keys that may be missing or have an\n"
     "earlier value; then the command has failed, though all else is there. In a shell on\n"
     "--store=sstable:mended:\n"
     "  repair damaged\n"},
    {Verb::kIngest,
     "ingest",
     "FILE",
     1,
     1,
     {},
     false,
     "puts all of a sorted file at once",
     "FILE is a data file, or a dump as NDJSON, whose keys go upwards by their bytes, each once:\n"
     "what `group_by --format=data --order=key` and `kv_client scan` write. Its lines become\n"
     "tables past log and memory; all of them are there, or, after an error, none.\n"
     "  ingest my.data\n"},
    {Verb::kMergeStore,
     "merge_store",
     "DIR",
     1,
     1,
     {},
     false,
     "puts all that another store holds into this one",
     "DIR is that of an sstable: store that nobody has open. What it holds replaces what is here\n"
     "under the same keys, all at once; it stays as it is.\n"
     "  merge_store /var/other\n"},
    {Verb::kStats, "stats", "", 0, 0, {}, false, "shows how much there is, and counters", ""},
    {Verb::kProperties,
     "properties",
     "",
     0,
     0,
     {},
     false,
     "shows what the store can do, and how it is set",
     ""},
    {Verb::kHelp, "help", "[COMMAND]", 0, 1, {}, false, "shows this, or more about COMMAND", ""},
    {Verb::kExit, "exit", "", 0, 0, {}, false, "ends the shell; so do quit and Ctrl-D", ""},
};

constexpr absl::string_view kQuotingHelp =
    "Words are separated by blanks. 'as it is', \"with escapes\", $'with escapes' and \\ quote\n"
    "them; escapes are \\n \\t \\r \\0 \\xHH and the like. A line that begins with # is a "
    "comment.\n"
    "\"--\" ends the options, in front of a key that begins with two dashes.\n"
    "\n"
    "  store greeting hello, world\n"
    "  get greeting\n"
    "  scan gr --limit=10\n"
    "  help store\n";

}  // namespace

absl::Span<const CommandInfo> AllCommands() { return kCommands; }

const CommandInfo* FindCommand(absl::string_view name) {
  if (name == "quit") name = "exit";
  const auto* const found =
      std::find_if(std::begin(kCommands), std::end(kCommands),
                   [name](const CommandInfo& info) { return info.name == name; });
  return found == std::end(kCommands) ? nullptr : found;
}

std::string HelpText() {
  constexpr size_t kColumn = 28;
  std::string text;
  for (const CommandInfo& info : kCommands) {
    std::string use = absl::StrCat("  ", info.name, " ", info.arguments);
    // The summary of a long one stands on a line of its own.
    if (use.size() >= kColumn) use += "\n";
    const size_t used = use.back() == '\n' ? 0 : use.size();
    absl::StrAppend(&text, use, std::string(kColumn - used, ' '), info.summary, "\n");
  }
  return absl::StrCat(text, "\n", kQuotingHelp);
}

std::string HelpText(const CommandInfo& info) {
  return absl::StrCat(info.name, info.arguments.empty() ? "" : " ", info.arguments, "\n  ",
                      info.summary, "\n", info.details.empty() ? "" : "\n", info.details);
}

}  // namespace kvarts
