// Serves a store over the native protocol, RESP and HTTP.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/common/address.h"
#include "apps/common/app.h"
#include "apps/common/startup_benchmark.h"
#include "apps/common/stop_signal.h"
#include "apps/stores.h"
#include "base/progress_bar.h"
#include "base/status_macros.h"
#include "gflags/gflags.h"
#include "net/event_loop.h"
#include "net/http/http.h"
#include "net/metrics.h"
#include "net/metrics_history.h"
#include "net/native/session.h"
#include "net/resp/session.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/tcp/tcp.h"
#include "net/tls/tls.h"
#include "storage/fs/file_system.h"
#include "storage/store.h"

DEFINE_string(store, "", "The store to serve, in place of a DATA_FILE.");
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
              "The password that clients of the native protocol and of RESP must give: the first "
              "line of this file; empty: none.");
DEFINE_string(tls_cert, "",
              "Serve with TLS: a file in PEM of the server's certificate and those that lead to "
              "its root. Clients: tls://HOST:PORT, https://, rediss://.");
DEFINE_string(tls_key, "", "The private key of --tls_cert, in PEM without a passphrase.");
DEFINE_string(tls, "listen,resp,http",
              "With --tls_cert: which of --listen, --resp and --http are served with TLS.");
DEFINE_bool(insecure_listen, false,
            "Allow listening wider than this machine without a password. HTTP has none.");
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
    "Builds the index of a data file, DATA_FILE.bisect, where it is absent or stale.\n"
    "Prints a line that begins with \"ready\" once it serves. Over HTTP:\n"
    "  curl http://127.0.0.1:7780/v1/kv/KEY\n"
    "and a status page at /, the interface at /docs, /metrics, /livez, /readyz. Over RESP, which\n"
    "Redis clients speak:\n"
    "  redis-cli -p 7379 GET KEY\n"
    "SIGTERM and SIGINT let requests under way end. Stores:\n";

// For requests under way after a signal: below the 30 seconds that supervisors
// commonly give.
constexpr absl::Duration kDrainTime = absl::Seconds(25);
constexpr absl::Duration kBenchmarkTime = absl::Seconds(1);

void Say(absl::string_view sentence) {
  std::fputs(absl::StrCat("kv_server: ", OneLine(sentence), "\n").c_str(), stderr);
}

absl::StatusOr<std::string> ChooseStore(const std::vector<std::string>& args) {
  if (!FLAGS_store.empty()) {
    if (!args.empty()) return UsageError("expected a DATA_FILE or --store, not both");
    const absl::Status parsed = StoreSpec::Parse(FLAGS_store).status();
    if (!parsed.ok()) return UsageError(absl::StrCat("--store: ", parsed.message()));
    return FLAGS_store;
  }
  if (args.empty()) return UsageError("expected a DATA_FILE or --store");
  if (args.size() > 1) {
    return UsageError(absl::StrCat("expected one DATA_FILE, not ", args.size()));
  }
  if (args[0].empty()) return UsageError("the DATA_FILE is empty");
  return DataFileSpec(args[0]);
}

absl::Status CheckListenFlags() {
  if (FLAGS_listen.empty() && FLAGS_resp.empty() && FLAGS_http.empty()) {
    return UsageError("--listen, --resp and --http are all empty: nothing would be served");
  }
  if (FLAGS_threads < 0) return UsageError("--threads is negative");
  if (FLAGS_insecure_listen) return absl::OkStatus();
  for (const auto& [flag, address] :
       {std::make_pair("--listen=", FLAGS_listen), std::make_pair("--resp=", FLAGS_resp)}) {
    if (address.empty() || IsLocal(ToAddress(address)) || !FLAGS_password_file.empty()) continue;
    return UsageError(absl::StrCat(flag, address,
                                   " may be reached from other machines, which takes a "
                                   "--password_file or --insecure_listen"));
  }
  if (!FLAGS_http.empty() && !IsLocal(ToAddress(FLAGS_http))) {
    return UsageError(absl::StrCat("--http=", FLAGS_http,
                                   " may be reached from other machines, and HTTP asks for no "
                                   "password; that takes --insecure_listen"));
  }
  return absl::OkStatus();
}

// Whether the address of this flag is served with TLS.
bool WithTls(absl::string_view flag) {
  if (FLAGS_tls_cert.empty()) return false;
  const std::vector<absl::string_view> names = absl::StrSplit(FLAGS_tls, ',');
  return std::find(names.begin(), names.end(), flag) != names.end();
}

absl::Status CheckTlsFlags() {
  if (FLAGS_tls_cert.empty() != FLAGS_tls_key.empty()) {
    return UsageError("--tls_cert and --tls_key are given together");
  }
  for (const absl::string_view name : absl::StrSplit(FLAGS_tls, ',')) {
    if (name != "listen" && name != "resp" && name != "http") {
      return UsageError(
          absl::StrCat("--tls=", FLAGS_tls, ": expected a list of listen, resp and http"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Server>> StartServer(absl::string_view flag,
                                                    absl::string_view address, EventLoops* loops,
                                                    Transport* transport, ProtocolMetrics* metrics,
                                                    SessionFactory factory) {
  std::vector<EventLoop*> all;
  for (int i = 0; i < loops->size(); ++i) all.push_back(loops->loop(i));
  ServerOptions options;
  options.listen.reuse_port = FLAGS_reuse_port;
  options.metrics = metrics;
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(transport, all, ToAddress(address), options, std::move(factory));
  if (server.ok()) return server;
  const std::string message =
      absl::StrCat("--", flag, "=", address, ": ", server.status().message());
  if (absl::IsInvalidArgument(server.status())) return UsageError(message);
  return absl::Status(server.status().code(), message);
}

// The native protocol, of which the listener may be there before the store:
// connections that come so early are closed, and clients try again.
class NativeService {
 public:
  void SetReady(SessionFactory sessions) {
    sessions_ = std::move(sessions);
    ready_.store(true, std::memory_order_release);
  }
  std::unique_ptr<Session> NewSession(std::unique_ptr<Stream> stream) {
    return ready_.load(std::memory_order_acquire) ? sessions_(std::move(stream)) : nullptr;
  }

 private:
  std::atomic<bool> ready_{false};
  SessionFactory sessions_;  // constant once ready_
};

// All that serves, in the order in which it is let go.
struct Serving {
  Serving(int threads, const std::string& spec, const RespOptions& resp_options)
      : http(HttpSettings(this, spec)), resp(resp_options), loops(EventLoops::New(threads)) {
    history.Start(loops->loop(0));
  }
  ~Serving() {
    native_server.reset();
    resp_server.reset();
    http_server.reset();
    runner.reset();
    if (store != nullptr) store->Close().IgnoreError();
    store.reset();
    loops->Stop();
  }

  void Drain() {
    std::vector<std::thread> drains;
    for (Server* server : {native_server.get(), resp_server.get(), http_server.get()}) {
      if (server != nullptr) drains.emplace_back([server] { server->Drain(kDrainTime); });
    }
    for (std::thread& drain : drains) drain.join();
  }

  // What the address of this flag is listened to with.
  Transport* TransportOf(absl::string_view flag) { return WithTls(flag) ? tls.get() : tcp.get(); }

  static HttpOptions HttpSettings(Serving* serving, const std::string& spec) {
    HttpOptions options;
    options.served = spec;
    options.metrics = &serving->metrics;
    options.history = &serving->history;
    return options;
  }

  Metrics metrics;
  HttpService http;
  RespService resp;
  NativeService native;
  const std::unique_ptr<Transport> tcp = NewTcpTransport();
  std::unique_ptr<Transport> tls;  // null without --tls_cert
  const std::unique_ptr<EventLoops> loops;
  MetricsHistory history{&metrics};
  std::unique_ptr<Store> store;
  std::unique_ptr<StoreRunner> runner;
  std::unique_ptr<Server> http_server;
  std::unique_ptr<Server> resp_server;
  std::unique_ptr<Server> native_server;
};

absl::Status StartHttp(Serving* serving) {
  if (FLAGS_http.empty()) return absl::OkStatus();
  KVARTS_ASSIGN_OR_RETURN(
      serving->http_server,
      StartServer("http", FLAGS_http, serving->loops.get(), serving->TransportOf("http"),
                  serving->metrics.protocol("http"), [serving](std::unique_ptr<Stream> stream) {
                    return serving->http.NewSession(std::move(stream));
                  }));
  return absl::OkStatus();
}

absl::Status StartResp(Serving* serving) {
  if (FLAGS_resp.empty()) return absl::OkStatus();
  KVARTS_ASSIGN_OR_RETURN(
      serving->resp_server,
      StartServer("resp", FLAGS_resp, serving->loops.get(), serving->TransportOf("resp"),
                  serving->metrics.protocol("resp"), [serving](std::unique_ptr<Stream> stream) {
                    return serving->resp.NewSession(std::move(stream));
                  }));
  return absl::OkStatus();
}

absl::Status StartNative(Serving* serving) {
  if (FLAGS_listen.empty()) return absl::OkStatus();
  KVARTS_ASSIGN_OR_RETURN(
      serving->native_server,
      StartServer("listen", FLAGS_listen, serving->loops.get(), serving->TransportOf("listen"),
                  serving->metrics.protocol("native"), [serving](std::unique_ptr<Stream> stream) {
                    return serving->native.NewSession(std::move(stream));
                  }));
  return absl::OkStatus();
}

// Ends the process while the store is being opened. There is nothing to let end:
// an index that was half built is not there.
[[noreturn]] void LeaveAtOnce(Serving* serving) {
  serving->native_server.reset();  // they remove their sockets' files
  serving->resp_server.reset();
  serving->http_server.reset();
  std::fflush(stdout);
  std::_Exit(0);
}

// Opens the store on a thread of its own, for a signal to be heard meanwhile.
absl::Status OpenStore(const StoreFactories& stores, const std::string& spec, StopSignal* stop,
                       Serving* serving) {
  absl::StatusOr<std::unique_ptr<Store>> opened;
  std::thread opener([&] {
    opened = stores.Open(spec);
    stop->Wake();
  });
  if (stop->Wait()) LeaveAtOnce(serving);
  opener.join();
  if (opened.ok()) {
    serving->store = *std::move(opened);
    return absl::OkStatus();
  }
  if (!absl::IsInvalidArgument(opened.status())) return opened.status();
  return UsageError(absl::StrCat("--store: ", opened.status().message()));
}

absl::Status PrintBenchmark(Store* store, absl::Duration opening) {
  KVARTS_ASSIGN_OR_RETURN(const std::string lines, RunStartupBenchmark(store, kBenchmarkTime));
  absl::PrintF("index: %.3f s\n%s", absl::ToDoubleSeconds(opening), lines);
  return absl::OkStatus();
}

std::string ReadyLine(const Serving& serving) {
  std::string line = "ready";
  if (serving.native_server != nullptr) {
    absl::StrAppend(&line, " native=", serving.native_server->address());
  }
  if (serving.resp_server != nullptr) {
    absl::StrAppend(&line, " resp=", WithoutTcp(serving.resp_server->address()));
  }
  if (serving.http_server != nullptr) {
    absl::StrAppend(&line, " http=", WithoutTcp(serving.http_server->address()));
  }
  return line + "\n";
}

absl::StatusOr<int> Main(const std::vector<std::string>& args) {
  KVARTS_ASSIGN_OR_RETURN(const std::string spec, ChooseStore(args));
  KVARTS_RETURN_IF_ERROR(CheckListenFlags());
  KVARTS_RETURN_IF_ERROR(CheckTlsFlags());
  NativeServerOptions native_options;
  if (!FLAGS_password_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(native_options.password, ReadPasswordFile(FLAGS_password_file));
  }
  RespOptions resp_options;
  resp_options.password = native_options.password;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int threads = FLAGS_threads > 0 ? FLAGS_threads : std::max(cores, 1);

  StopSignal stop;
  Serving serving(threads, spec, resp_options);
  if (!FLAGS_tls_cert.empty()) {
    TlsOptions tls;
    tls.certificate_file = FLAGS_tls_cert;
    tls.key_file = FLAGS_tls_key;
    KVARTS_ASSIGN_OR_RETURN(serving.tls, NewTlsTransport(serving.tcp.get(), tls));
  }
  const std::unique_ptr<ProgressBar> bar = ProgressBar::OnStderr();
  StoresOptions stores_options;
  stores_options.transport = serving.tcp.get();
  stores_options.build_indexes = true;
  stores_options.skip_malformed = FLAGS_skip_malformed;
  stores_options.progress = bar.get();
  stores_options.say = [&bar](absl::string_view sentence) {
    bar->Finish();
    Say(sentence);
  };
  const StoreFactories stores = AllStores(stores_options);

  // Listening comes first: /livez answers while an index is built, RESP says that
  // it loads, and an address that is taken is an error now, not in some minutes. A
  // process that shares its ports does not take connections that it cannot serve
  // yet.
  KVARTS_RETURN_IF_ERROR(StartHttp(&serving));
  if (!FLAGS_reuse_port) {
    KVARTS_RETURN_IF_ERROR(StartNative(&serving));
    KVARTS_RETURN_IF_ERROR(StartResp(&serving));
  }
  const absl::Time start = absl::Now();
  const absl::Status opened = OpenStore(stores, spec, &stop, &serving);
  bar->Finish();
  KVARTS_RETURN_IF_ERROR(opened);
  if (FLAGS_startup_benchmark) {
    KVARTS_RETURN_IF_ERROR(PrintBenchmark(serving.store.get(), absl::Now() - start));
  }
  serving.runner = StoreRunner::New(serving.store.get(), threads);
  serving.native.SetReady(NewNativeSessions(serving.runner.get(), native_options));
  serving.resp.SetReady(serving.runner.get());
  serving.http.SetReady(serving.runner.get());
  if (FLAGS_reuse_port) {
    KVARTS_RETURN_IF_ERROR(StartNative(&serving));
    KVARTS_RETURN_IF_ERROR(StartResp(&serving));
  }
  std::fputs(ReadyLine(serving).c_str(), stdout);
  std::fflush(stdout);

  stop.Wait();
  serving.Drain();
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
