// A client of any store, from the command line.

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "apps/common/app.h"
#include "apps/common/record_format.h"
#include "apps/common/record_reader.h"
#include "apps/stores.h"
#include "base/progress_bar.h"
#include "base/status_macros.h"
#include "gflags/gflags.h"
#include "net/tcp/tcp.h"
#include "storage/fs/file_system.h"
#include "storage/store.h"

DEFINE_string(store, "tcp://127.0.0.1:7700", "The store to talk to.");
DEFINE_string(prefix, "", "For scan: only keys that begin with it.");
DEFINE_string(
    format, "",
    "For scan and load: data (a key, a space, the value) or ndjson, which holds any bytes, "
    "expiries and content types. Empty: data for scan; for load as the input begins.");
DEFINE_uint64(limit, 0, "For scan: at most so many entries; 0: all.");

namespace kvarts {
namespace {

using Args = absl::Span<const std::string>;

constexpr size_t kBatchKeys = 64;
constexpr size_t kLoadRecords = 1000;
constexpr size_t kLoadBytes = 1 << 20;

void Complain(absl::string_view message) {
  std::fflush(stdout);
  std::fputs(absl::StrCat("kv_client: ", OneLine(message), "\n").c_str(), stderr);
}

// False: nobody reads any more.
bool Print(absl::string_view bytes) {
  if (bytes.empty()) return true;
  return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
}

absl::StatusOr<int> Get(Store* store, Args keys) {
  int code = 0;
  ReadResults results;
  // One read where the store shows them as they were at one time.
  const size_t at_once = store->capabilities().atomic_multi_get ? keys.size() : kBatchKeys;
  for (size_t i = 0; i < keys.size(); i += at_once) {
    const Args batch = keys.subspan(i, at_once);
    const std::vector<absl::string_view> views(batch.begin(), batch.end());
    store->MultiGet(views, ReadOptions(), &results);
    for (size_t j = 0; j < batch.size(); ++j) {
      if (!results[j].status.ok()) {
        Complain(absl::StrCat(batch[j], ": ", results[j].status.message()));
        code = 1;
      } else if (!results[j].found) {
        Complain(absl::StrCat(batch[j], ": there is no such key"));
        code = 1;
      } else if (!Print(results[j].value) || !Print("\n")) {
        return code;
      }
    }
  }
  return code;
}

// All bytes of a file, or of the standard input ("-"); a pipe will do.
absl::StatusOr<std::string> ReadValue(const std::string& path) {
  const std::string name = path == "-" ? "standard input" : path;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(nullptr, &std::fclose);
  if (path != "-") opened.reset(std::fopen(path.c_str(), "rbe"));
  std::FILE* const file = path == "-" ? stdin : opened.get();
  if (file == nullptr) return absl::ErrnoToStatus(errno, name);
  std::string value;
  char buffer[64 << 10];
  while (true) {
    const size_t got = std::fread(buffer, 1, sizeof buffer, file);
    value.append(buffer, got);
    if (value.size() > kMaxValueBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": more than the ", kMaxValueBytes, " bytes that a value may have"));
    }
    if (std::ferror(file) != 0) return absl::ErrnoToStatus(errno, name);
    if (got == 0) return value;
  }
}

absl::StatusOr<int> Put(Store* store, Args args) {
  std::string value = args[1];
  if (value == "-") {
    KVARTS_ASSIGN_OR_RETURN(value, ReadValue(value));
  } else if (absl::StartsWith(value, "@@")) {
    value.erase(0, 1);
  } else if (absl::StartsWith(value, "@")) {
    KVARTS_ASSIGN_OR_RETURN(value, ReadValue(value.substr(1)));
  }
  KVARTS_RETURN_IF_ERROR(store->Put(args[0], value));
  return 0;
}

absl::StatusOr<int> Delete(Store* store, Args keys) {
  int code = 0;
  for (const std::string& key : keys) {
    KVARTS_ASSIGN_OR_RETURN(const bool existed, store->Delete(key));
    if (existed) continue;
    Complain(absl::StrCat(key, ": there is no such key"));
    code = 1;
  }
  return code;
}

// Nothing where the flag says nothing.
absl::StatusOr<std::optional<RecordFormat>> FormatFlag() {
  if (FLAGS_format.empty()) return std::optional<RecordFormat>();
  if (FLAGS_format == "data") return std::optional<RecordFormat>(RecordFormat::kData);
  if (FLAGS_format == "ndjson") return std::optional<RecordFormat>(RecordFormat::kNdjson);
  return UsageError(absl::StrCat("--format=", FLAGS_format, ": expected data or ndjson"));
}

absl::StatusOr<int> Scan(Store* store, Args) {
  KVARTS_ASSIGN_OR_RETURN(const std::optional<RecordFormat> format, FormatFlag());
  ScanOptions options;
  if (!FLAGS_prefix.empty()) options.range = KeyRange::Prefix(FLAGS_prefix);
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, store->NewCursor(options));
  uint64_t left = FLAGS_limit == 0 ? UINT64_MAX : FLAGS_limit;
  ScanPage page;
  std::string line;
  bool is_first = true;
  while (left > 0) {
    PageLimits limits;
    limits.entries = static_cast<size_t>(std::min<uint64_t>(limits.entries, left));
    KVARTS_RETURN_IF_ERROR(cursor->Next(limits, &page));
    if (page.empty()) break;
    for (const ScanEntry& entry : page) {
      line.clear();
      KVARTS_RETURN_IF_ERROR(
          AppendRecord(entry, format.value_or(RecordFormat::kData), is_first, &line));
      is_first = false;
      if (!Print(line)) return 0;
    }
    left -= std::min<uint64_t>(left, page.size());
    // Who reads the output sees each page as it comes, or is gone.
    if (std::fflush(stdout) != 0) return 0;
  }
  return 0;
}

absl::StatusOr<int> Count(Store* store, Args) {
  uint64_t count = 0;
  const absl::StatusOr<StoreStats> stats = store->Stats();
  if (stats.ok() && stats->entries_exact) {
    count = stats->entries;
  } else {
    ScanOptions options;
    options.keys_only = true;
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, store->NewCursor(options));
    ScanPage page;
    do {
      KVARTS_RETURN_IF_ERROR(cursor->Next(PageLimits(), &page));
      count += page.size();
    } while (!page.empty());
  }
  Print(absl::StrCat(count, "\n"));
  return 0;
}

// A record that outlives its line.
struct OwnRecord {
  explicit OwnRecord(const Record& record)
      : key(record.key),
        value(record.value),
        content_type(record.content_type),
        expires_at_ms(record.expires_at_ms) {}

  std::string key;
  std::string value;
  std::string content_type;
  int64_t expires_at_ms;
};

// Writes the records, which are those of the lines from `first_line` on.
absl::Status WriteRecords(Store* store, const std::string& name, uint64_t first_line,
                          const std::vector<OwnRecord>& records) {
  WriteBatch batch;
  for (const OwnRecord& record : records) {
    batch.Put(record.key, record.value, Metadata::Of(record.expires_at_ms, record.content_type));
  }
  WriteResults results;
  const absl::Status status = store->Write(batch, WriteOptions(), &results);
  if (status.ok()) return status;
  for (size_t i = 0; i < results.results.size(); ++i) {
    const absl::Status& one = results.results[i].status;
    if (one.ok()) continue;
    return absl::Status(one.code(),
                        absl::StrCat(name, ", line ", first_line + i, ": ", one.message()));
  }
  return status;
}

absl::StatusOr<int> Load(Store* store, Args args) {
  KVARTS_ASSIGN_OR_RETURN(const std::optional<RecordFormat> format, FormatFlag());
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader,
                          RecordReader::Open(args[0], format));
  const std::unique_ptr<ProgressBar> bar = ProgressBar::OnStderr();
  uint64_t loaded = 0;
  uint64_t first_line = 1;
  std::vector<OwnRecord> records;
  size_t bytes = 0;
  while (true) {
    Record record;
    KVARTS_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (more) {
      records.emplace_back(record);
      bytes += record.key.size() + record.value.size();
    }
    const bool full = records.size() >= kLoadRecords || bytes >= kLoadBytes;
    if (!records.empty() && (full || !more)) {
      KVARTS_RETURN_IF_ERROR(WriteRecords(store, reader->name(), first_line, records));
      loaded += records.size();
      first_line = reader->line() + 1;
      records.clear();
      bytes = 0;
    }
    if (reader->size() > 0) {
      bar->Report("loading", "bytes", reader->bytes_read(), reader->size());
    } else {
      bar->Report("loading", "records", loaded, 0);
    }
    if (!more) break;
  }
  bar->Finish();
  Print(absl::StrCat(loaded, " records loaded\n"));
  return 0;
}

struct Command {
  const char* name;
  const char* arguments;
  size_t min_args;
  size_t max_args;
  absl::StatusOr<int> (*run)(Store* store, Args args);
};

constexpr Command kCommands[] = {
    {"get", "KEY...", 1, SIZE_MAX, Get},
    {"put", "KEY VALUE|@FILE|-", 2, 2, Put},
    {"delete", "KEY...", 1, SIZE_MAX, Delete},
    {"scan", "[--prefix=PREFIX] [--limit=N] [--format=data|ndjson]", 0, 0, Scan},
    {"load", "[--format=data|ndjson] FILE", 1, 1, Load},
    {"count", "", 0, 0, Count},
};

std::string Help(const StoreFactories& stores) {
  return absl::StrCat(
      "kv_client: reads and writes a key-value store.\n"
      "\n"
      "usage: kv_client [--store=STORE] get KEY...       each value, and a newline\n"
      "       kv_client [--store=STORE] put KEY VALUE\n"
      "       kv_client [--store=STORE] put KEY @FILE    the bytes of a file; \"@@\" is an \"@\"\n"
      "       kv_client [--store=STORE] put KEY -        those of the standard input\n"
      "       kv_client [--store=STORE] delete KEY...\n"
      "       kv_client [--store=STORE] scan [--prefix=PREFIX] [--limit=N] [--format=data|ndjson]\n"
      "                                                  lines of a key, a space and a value\n"
      "       kv_client [--store=STORE] load FILE        of such lines; \"-\" is standard input\n"
      "       kv_client [--store=STORE] count            the number of keys\n"
      "\n"
      "scan ends with an error at an entry that such a line cannot hold: a key with a space,\n"
      "a newline, an expiry, a content type. A dump of everything, and its restore:\n"
      "  kv_client scan --format=ndjson > DUMP\n"
      "  kv_client load DUMP\n"
      "\n"
      "Exits 1 where a key to get or delete is absent, after a line on stderr. \"--\" in\n"
      "front of keys that begin with a dash. Stores:\n",
      stores.Help());
}

absl::StatusOr<int> Main(const StoreFactories& stores, const std::vector<std::string>& args) {
  if (args.empty()) {
    return UsageError("expected a command: get, put, delete, scan, load or count");
  }
  const Command* command = nullptr;
  for (const Command& candidate : kCommands) {
    if (args[0] == candidate.name) command = &candidate;
  }
  if (command == nullptr) {
    return UsageError(absl::StrCat("unknown command \"", args[0],
                                   "\"; expected get, put, delete, scan, load or count"));
  }
  const Args rest = absl::MakeConstSpan(args).subspan(1);
  if (rest.size() < command->min_args || rest.size() > command->max_args) {
    return UsageError(absl::StrCat("expected ", command->name,
                                   command->arguments[0] == '\0' ? "" : " ", command->arguments,
                                   command->max_args == 0 ? " and no more arguments" : "", ", not ",
                                   rest.size(), rest.size() == 1 ? " argument" : " arguments"));
  }
  absl::StatusOr<StoreSpec> spec = StoreSpec::Parse(FLAGS_store);
  if (!spec.ok()) return UsageError(absl::StrCat("--store: ", spec.status().message()));
  std::string text = FLAGS_store;
  // What a Redis server holds is asked for its expiry only on request: a dump without would
  // be restored as keys that never expire.
  const bool whole = command->run == Scan || command->run == Load;
  const bool is_redis = spec->scheme() == "resp" || spec->scheme() == "resp+cluster";
  if (whole && is_redis && spec->Take("expiry", "-") == "-") {
    text = WithOption(text, "expiry", "1");
  }
  absl::StatusOr<std::unique_ptr<Store>> store = stores.Open(text);
  if (!store.ok()) {
    if (absl::IsInvalidArgument(store.status())) {
      return UsageError(absl::StrCat("--store: ", store.status().message()));
    }
    return store.status();
  }
  return command->run(store->get(), rest);
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  kvarts::InstallSigbusHandler();
  const std::unique_ptr<kvarts::Transport> transport = kvarts::NewTcpTransport();
  kvarts::StoresOptions options;
  options.transport = transport.get();
  const kvarts::StoreFactories stores = kvarts::AllStores(options);
  return kvarts::RunApp(
      argc, argv, {"kv_client", __FILE__, kvarts::Help(stores)},
      [&stores](const std::vector<std::string>& args) { return kvarts::Main(stores, args); });
}
