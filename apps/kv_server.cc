// Serves a store over the native protocol, RESP and HTTP.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/common/app.h"
#include "apps/common/process_setup.h"
#include "apps/common/reloader.h"
#include "apps/common/serving.h"
#include "apps/common/startup_benchmark.h"
#include "apps/common/stop_signal.h"
#include "apps/stores.h"
#include "base/progress_bar.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "gflags/gflags.h"
#include "net/password_file.h"
#include "storage/fs/file_system.h"
#include "storage/layers/unsynced.h"
#include "storage/store.h"

DEFINE_string(store, "", "The store to serve, in place of a DATA_FILE.");
DEFINE_bool(allow_flush, false, "Allow FLUSHALL and FLUSHDB. On a memory store they always are.");
DEFINE_string(max_memory, "",
              "Of a memory store (--store=memory:): the most that its entries may take (4GiB); "
              "empty: no limit.");
DEFINE_string(
    evict, "",
    "At --max_memory: none refuses writes, s3fifo makes room by evicting entries that are "
    "asked for least; empty: none.");
DEFINE_bool(sync, true,
            "Writes to a durable store wait for the disk before they are answered. Without, what "
            "was answered last may be lost in a power cut, but not when the process ends.");
DEFINE_string(listen, "tcp://127.0.0.1:7700",
              "Where the native protocol is served: tcp://HOST:PORT or unix:PATH; empty: nowhere. "
              "Port 0 picks a free one.");
DEFINE_string(resp, "127.0.0.1:7379",
              "Where RESP is served: HOST:PORT or unix:PATH; empty: nowhere.");
DEFINE_string(http, "127.0.0.1:7780",
              "Where HTTP is served: HOST:PORT or unix:PATH; empty: nowhere.");
DEFINE_int32(threads, 0,
             "Threads that serve connections, and as many again for a store that waits for disk or "
             "network; 0: one for each core.");
DEFINE_bool(reuse_port, false, "Let several processes serve one TCP port.");
DEFINE_bool(startup_benchmark, false,
            "Print how long the store took to open and how fast lookups are without the network, "
            "then serve.");
DEFINE_string(password_file, "",
              "The password that clients must give, over every protocol: the first line of this "
              "file; empty: none.");
DEFINE_string(tls_cert, "",
              "Serve with TLS: a file in PEM of the server's certificate and those that lead to "
              "its root. Clients: tls://HOST:PORT, https://, rediss://.");
DEFINE_string(tls_key, "", "The private key of --tls_cert, in PEM without a passphrase.");
DEFINE_string(
    tls_client_ca, "",
    "With --tls_cert: let in only clients that have a certificate which those of this "
    "file, in PEM, vouch for; empty: any. Clients: ?cert=PATH&key=PATH in a store's name.");
DEFINE_string(tls, "listen,resp,http",
              "With --tls_cert: which of --listen, --resp and --http are served with TLS.");
DEFINE_bool(insecure_listen, false, "Allow listening wider than this machine without a password.");
DEFINE_int32(
    max_clients, 10000,
    "Connections of each protocol at once; further ones are closed as they come, over RESP "
    "with an error.");
DEFINE_string(idle_timeout, "0",
              "Close connections that ask for nothing for so long (90s, 10m); 0: after 10 minutes, "
              "HTTP's after 75 seconds.");
DEFINE_string(script_timeout, "5s",
              "How long a script of a RESP client (EVAL) may take; it is then ended, and nothing "
              "that it wrote is kept.");
DEFINE_string(watch, "1s",
              "How often a data file is looked at, to be served anew when it was replaced by "
              "rename; 0: only on SIGHUP.");
DEFINE_bool(skip_malformed, false,
            "Leave out malformed lines of DATA_FILE when its index is built; otherwise the first "
            "one is an error.");

namespace kvarts {
namespace {

constexpr char kUsage[] =
    "kv_server: serves a key-value store over the network.\n"
    "\n"
    "usage: kv_server [FLAGS] DATA_FILE      lines of a key, a space and a value\n"
    "       kv_server [FLAGS] --store=STORE\n"
    "\n"
    "Builds the index of a data file, DATA_FILE.bisect, where it is absent or stale. Where that\n"
    "folder may not be written: --store='bisect:DATA_FILE?index=PATH', or --store=dict:DATA_FILE.\n"
    "Prints a line that begins with \"ready\" once it serves. Over HTTP:\n"
    "  curl http://127.0.0.1:7780/v1/kv/KEY\n"
    "and a status page at /, the interface at /docs, /metrics, /livez, /readyz. Over RESP, which\n"
    "Redis clients speak:\n"
    "  redis-cli -p 7379 GET KEY\n"
    "SIGTERM, SIGINT and SIGQUIT let requests under way end; SIGHUP opens a data file again, as "
    "its\n"
    "replacement by another (mv NEW DATA_FILE) does, and reads --tls_cert and --tls_key again: no\n"
    "request fails meanwhile.\n"
    "\n"
    "Limits of a connection, beside --max_clients and --idle_timeout: requests of 80 MiB over\n"
    "RESP and the native protocol, before the password 10 arguments of 16 KiB; over HTTP targets\n"
    "of 200 KiB, 32 KiB of header fields, batches of 8 MiB. 8 MiB of answers that wait to be\n"
    "read, over HTTP 1 MiB: then it is not read from. 10 seconds to give the password or a\n"
    "request's head, 60 for the rest of a request over RESP, 30 for each 64 KiB of one over HTTP.\n"
    "\n"
    "Stores:\n";

// For requests under way after a signal: below the 30 seconds that supervisors
// commonly give.
constexpr absl::Duration kDrainTime = absl::Seconds(25);
// Between tries to save at the end; on a full disk each fills what is left of it for a moment.
constexpr absl::Duration kFirstPause = absl::Seconds(1);
constexpr absl::Duration kLongestPause = absl::Minutes(1);
constexpr absl::Duration kBenchmarkTime = absl::Seconds(1);

void Say(absl::string_view sentence) {
  std::fputs(absl::StrCat("kv_server: ", OneLine(sentence), "\n").c_str(), stderr);
}

// A memory store's spec, with the options that --max_memory and --evict are.
std::string WithLimits(std::string spec) {
  if (!FLAGS_max_memory.empty()) spec = WithOption(spec, "max_memory", FLAGS_max_memory);
  if (!FLAGS_evict.empty()) spec = WithOption(spec, "evict", FLAGS_evict);
  return spec;
}

// Checkpoints that clients ask for have a place of their own, beside the store, wherever the server
// was started.
std::string WithCheckpoints(const std::string& spec, StoreSpec parsed) {
  if (parsed.scheme() != "sstable" || !parsed.Take("checkpoints").empty()) return spec;
  return WithOption(spec, "checkpoints", absl::StrCat(parsed.target(), ".checkpoints"));
}

absl::StatusOr<std::string> ChooseStore(const std::vector<std::string>& args) {
  const bool limits = !FLAGS_max_memory.empty() || !FLAGS_evict.empty();
  if (!FLAGS_store.empty()) {
    if (!args.empty()) return UsageError("expected a DATA_FILE or --store, not both");
    const absl::StatusOr<StoreSpec> parsed = StoreSpec::Parse(FLAGS_store);
    if (!parsed.ok()) return UsageError(absl::StrCat("--store: ", parsed.status().message()));
    if (limits && parsed->scheme() == "memory") return WithLimits(FLAGS_store);
    if (!limits) return WithCheckpoints(FLAGS_store, *parsed);
  }
  if (limits) return UsageError("--max_memory and --evict are of --store=memory:");
  if (args.empty()) return UsageError("expected a DATA_FILE or --store");
  if (args.size() > 1) {
    return UsageError(absl::StrCat("expected one DATA_FILE, not ", args.size()));
  }
  if (args[0].empty()) return UsageError("the DATA_FILE is empty");
  return DataFileSpec(args[0]);
}

absl::StatusOr<ServingOptions> OptionsFromFlags(const std::string& spec) {
  ServingOptions options;
  options.listen = FLAGS_listen;
  options.resp = FLAGS_resp;
  options.http = FLAGS_http;
  if (FLAGS_threads < 0) return UsageError("--threads is negative");
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  options.threads = FLAGS_threads > 0 ? FLAGS_threads : std::max(cores, 1);
  options.reuse_port = FLAGS_reuse_port;
  if (FLAGS_max_clients < 1) return UsageError("--max_clients is less than 1");
  options.max_clients = FLAGS_max_clients;
  if (!absl::ParseDuration(FLAGS_idle_timeout, &options.idle_timeout) ||
      options.idle_timeout < absl::ZeroDuration()) {
    return UsageError(absl::StrCat("--idle_timeout=", FLAGS_idle_timeout,
                                   ": expected a time such as 90s or 10m"));
  }
  if (!absl::ParseDuration(FLAGS_script_timeout, &options.script_timeout) ||
      options.script_timeout <= absl::ZeroDuration()) {
    return UsageError(absl::StrCat("--script_timeout=", FLAGS_script_timeout,
                                   ": expected a time such as 500ms or 5s"));
  }
  if (!FLAGS_password_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(options.password, ReadPasswordFile(FLAGS_password_file));
  }
  options.tls_cert = FLAGS_tls_cert;
  options.tls_key = FLAGS_tls_key;
  options.tls = FLAGS_tls;
  options.tls_client_ca = FLAGS_tls_client_ca;
  options.insecure_listen = FLAGS_insecure_listen;
  options.served = ShownSpec(spec);
  options.allow_flush = FLAGS_allow_flush || absl::StartsWith(spec, "memory:");
  return options;
}

// Opens the store on a thread of its own, for a signal to be heard meanwhile.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreFactories& stores,
                                                 const std::string& spec, StopSignal* stop,
                                                 Serving* serving) {
  absl::StatusOr<std::unique_ptr<Store>> opened;
  KVARTS_ASSIGN_OR_RETURN(std::thread opener, StartThread([&] {
                            opened = stores.Open(spec);
                            stop->Wake();
                          }));
  if (stop->Wait()) {
    // There is nothing to let end: an index that was half built is not there.
    serving->Abandon();
    std::fflush(stdout);
    std::_Exit(0);
  }
  opener.join();
  if (!absl::IsInvalidArgument(opened.status())) return opened;
  return UsageError(absl::StrCat("--store: ", opened.status().message()));
}

// Null for stores that are of no data file.
absl::StatusOr<std::unique_ptr<Reloader>> MakeReloader(const StoreFactories& stores,
                                                       const std::string& spec) {
  ReloaderOptions options;
  if (!absl::ParseDuration(FLAGS_watch, &options.interval) ||
      options.interval < absl::ZeroDuration()) {
    return UsageError(absl::StrCat("--watch=", FLAGS_watch, ": expected a time such as 1s"));
  }
  options.data_path = ReloadableDataFile(spec);
  if (options.data_path.empty()) return std::unique_ptr<Reloader>();
  options.open = [&stores, spec] { return stores.Open(spec); };
  options.say = Say;
  return std::make_unique<Reloader>(std::move(options));
}

absl::Status PrintBenchmark(Store* store, absl::Duration opening) {
  KVARTS_ASSIGN_OR_RETURN(const std::string lines, RunStartupBenchmark(store, kBenchmarkTime));
  absl::PrintF("index: %.3f s\n%s", absl::ToDoubleSeconds(opening), lines);
  return absl::OkStatus();
}

// What SIGHUP asks for.
void ReadAgain(Serving* serving, Reloader* reloader) {
  if (reloader != nullptr) reloader->Request();
  const std::string certificate = serving->ReloadCertificate();
  if (!certificate.empty()) return Say(certificate);
  if (reloader == nullptr) Say("SIGHUP: there is no data file to be opened again");
}

absl::StatusOr<int> Main(const std::vector<std::string>& args) {
  KVARTS_ASSIGN_OR_RETURN(const std::string spec, ChooseStore(args));
  KVARTS_ASSIGN_OR_RETURN(const ServingOptions options, OptionsFromFlags(spec));
  Reloader* reloading = nullptr;
  Serving* listening = nullptr;
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignal> stop,
                          StopSignal::New([&] { ReadAgain(listening, reloading); }));
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Serving> serving, Serving::New(options));
  listening = serving.get();
  const std::unique_ptr<ProgressBar> bar = ProgressBar::OnStderr();
  StoresOptions stores_options;
  stores_options.transport = serving->transport();
  stores_options.build_indexes = true;
  stores_options.skip_malformed = FLAGS_skip_malformed;
  stores_options.progress = bar.get();
  stores_options.say = [&bar](absl::string_view sentence) {
    bar->Finish();
    Say(sentence);
  };
  const StoreFactories stores = AllStores(stores_options);
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Reloader> reloader, MakeReloader(stores, spec));
  reloading = reloader.get();

  // Listening comes first: /livez answers while an index is built, RESP says that
  // it loads, and an address that is taken is an error now, not in some minutes.
  KVARTS_RETURN_IF_ERROR(serving->Listen());
  const absl::Time start = absl::Now();
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(stores, spec, stop.get(), serving.get());
  bar->Finish();
  KVARTS_RETURN_IF_ERROR(store.status());
  if (FLAGS_startup_benchmark) {
    KVARTS_RETURN_IF_ERROR(PrintBenchmark(store->get(), absl::Now() - start));
  }
  if (!FLAGS_sync) store = NewUnsyncedStore(*std::move(store));
  if (reloader != nullptr) store = reloader->Wrap(*std::move(store));
  KVARTS_RETURN_IF_ERROR(serving->Serve(*std::move(store)));
  if (reloader != nullptr) KVARTS_RETURN_IF_ERROR(reloader->Start());
  std::puts(serving->ReadyLine().c_str());
  // Who cannot be told that it serves would wait for it.
  KVARTS_RETURN_IF_ERROR(FlushStandardOutput());

  stop->Wait();
  serving->Drain(kDrainTime);
  if (reloader != nullptr && !reloader->Stop()) {
    // A store is being opened: there is nothing of it to let end.
    serving->Abandon();
    std::fflush(stdout);
    std::_Exit(0);
  }
  // What was not saved is still in memory: until somebody says otherwise it is not given up.
  absl::Duration pause = kFirstPause;
  for (absl::Status closed = serving->Close(); !closed.ok(); closed = serving->Close()) {
    Say(absl::StrCat("the data could not be saved: ", closed.message(), "; trying again in ",
                     absl::FormatDuration(pause), ", until it works or a second SIGTERM comes"));
    absl::SleepFor(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
  return 0;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  kvarts::InstallSigbusHandler();
  const std::string help =
      absl::StrCat(kvarts::kUsage, kvarts::AllStores(kvarts::StoresOptions()).Help());
  return kvarts::RunApp(argc, argv, {"kv_server", __FILE__, help}, kvarts::Main);
}
