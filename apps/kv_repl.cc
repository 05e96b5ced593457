// A shell for any store: at a terminal, or for scripts.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "apps/common/app.h"
#include "apps/repl/command.h"
#include "apps/repl/shell.h"
#include "apps/stores.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "gflags/gflags.h"
#include "net/tcp/tcp.h"
#include "storage/fs/file_system.h"
#include "storage/spec.h"
#include "storage/sstable/salvage.h"
#include "storage/sstable/sstable.h"
#include "storage/store.h"

DEFINE_string(store, "", "The store to work on.");
DEFINE_bool(sync, true, "Writes to a durable store wait for the disk.");
DEFINE_bool(json, false, "Print one JSON object for each command.");

namespace kvarts {
namespace {

std::string Help(const StoreFactories& stores) {
  return absl::StrCat(
      "kv_repl: a shell for a key-value store.\n"
      "\n"
      "usage: kv_repl --store=STORE [--sync=false] [--json]     a prompt, at a terminal\n"
      "       kv_repl --store=STORE [--sync=false] [--json] < COMMANDS\n"
      "\n"
      "Commands:\n",
      HelpText(),
      "\n"
      "Tab completes commands and keys, Up and Ctrl-R recall lines, Ctrl-C ends a command, Ctrl-D\n"
      "the shell. Lines are kept in $XDG_STATE_HOME/kvarts/repl_history (without that:\n"
      "~/.local/state/kvarts/repl_history), but for those that begin with a blank.\n"
      "\n"
      "From a pipe, an error is a line on stderr with the number of its line; the commands behind\n"
      "it are run, and the exit status is 1. Writes that stand one behind the other wait for the\n"
      "disk together; the OK of each comes when it is safe. An absent key is no error.\n"
      "  printf 'store a 1\\nstore b 2\\nscan --keys\\n' | kv_repl --store=memory:\n"
      "  kv_repl --store=tcp://127.0.0.1:7700 --json < commands > answers\n"
      "\n"
      "With --json, bytes that are no UTF-8 are {\"base64\": ...}. Stores:\n",
      stores.Help());
}

absl::StatusOr<int> Main(const StoreFactories& stores, const std::vector<std::string>& args) {
  if (!args.empty()) {
    return UsageError(absl::StrCat("expected flags only, not \"", args[0],
                                   "\"; commands come from the standard input"));
  }
  if (FLAGS_store.empty()) return UsageError("expected --store=STORE");
  absl::StatusOr<std::unique_ptr<Store>> store = stores.Open(FLAGS_store);
  if (absl::IsInvalidArgument(store.status())) {
    return UsageError(absl::StrCat("--store: ", store.status().message()));
  }
  if (!store.ok()) return store.status();
  ShellOptions options;
  options.json = FLAGS_json;
  options.sync = FLAGS_sync;
  options.inspect = [](absl::string_view path, std::string* out) {
    return InspectSstableFile(FileSystem::Posix(), path, out);
  };
  options.repair = [](absl::string_view dir, Store* to, std::string* out) -> absl::Status {
    KVARTS_ASSIGN_OR_RETURN(const SstableSalvage salvage,
                            SalvageSstable(FileSystem::Posix(), std::string(dir), to));
    absl::StrAppend(out, salvage.keys, " keys of ", salvage.versions, " versions in ",
                    salvage.tables, " tables and ", salvage.logs, " logs\n");
    for (const std::string& loss : salvage.losses) absl::StrAppend(out, "lost: ", loss, "\n");
    if (salvage.losses.empty()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(
        "not all of ", dir, " could be read (", salvage.losses.size(),
        salvage.losses.size() == 1 ? " loss" : " losses", ", above); the rest is in the store"));
  };
  options.open = [](absl::string_view dir) {
    SstableOptions other;
    other.read_only = true;
    return OpenSstable(std::string(dir), other);
  };
  options.greeting = absl::StrCat("kv_repl ", kVersion, " on ", ShownSpec(FLAGS_store),
                                  "; help shows the commands");
  return RunShell(store->get(), options);
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
      argc, argv, {"kv_repl", __FILE__, kvarts::Help(stores)},
      [&stores](const std::vector<std::string>& args) { return kvarts::Main(stores, args); });
}
