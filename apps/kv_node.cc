// A node of a cluster: serves its slots of the keys over the native protocol, RESP and HTTP.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/common/address.h"
#include "apps/common/app.h"
#include "apps/common/process_setup.h"
#include "apps/common/serving.h"
#include "apps/common/stop_signal.h"
#include "apps/stores.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "cluster/client/cluster_store.h"
#include "cluster/coordinator/open_coordinator.h"
#include "cluster/node/node.h"
#include "cluster/node/node_file.h"
#include "cluster/node/node_store.h"
#include "gflags/gflags.h"
#include "net/cluster_map.h"
#include "net/password_file.h"
#include "net/store_runner.h"
#include "net/tls/tls.h"
#include "net/transport.h"
#include "net/waiting.h"
#include "storage/fs/file_system.h"
#include "storage/spec.h"
#include "storage/store.h"

DEFINE_string(coordinator, "",
              "Where the cluster's table is: file:PATH (nodes of one machine) or "
              "etcd://[USER@]HOST:PORT,HOST:PORT/NAME, with ?password_file=PATH&ca=PATH&cert=PATH&"
              "key=PATH (each optional; ca, cert or tls=true: over TLS) behind it.");
DEFINE_string(store, "memory:", "Where this node's entries are: memory: or sstable:DIR.");
DEFINE_string(listen, "127.0.0.1:0",
              "Where the native protocol is served: tcp://HOST:PORT; port 0 picks a free one.");
DEFINE_string(resp, "127.0.0.1:0", "Where RESP is served: HOST:PORT; empty: nowhere.");
DEFINE_string(http, "127.0.0.1:0", "Where HTTP is served: HOST:PORT; empty: nowhere.");
DEFINE_string(internal, "127.0.0.1:0",
              "Where other nodes reach this one: HOST:PORT; beyond this machine only with "
              "--cluster_password_file.");
DEFINE_string(cluster_password_file, "",
              "The password that the cluster's nodes prove to each other that they know, over TLS: "
              "the first line of this file, the same at all nodes, 16 bytes or more at random "
              "(openssl rand -hex 32 >FILE). Empty: none, and nodes talk on this machine only.");
DEFINE_string(advertise, "",
              "Where this node is reached, where that is not where it listens: HOST for all that "
              "clients use, and PROTOCOL=HOST or PROTOCOL=HOST:PORT for native, resp, http or "
              "internal (other nodes); a list with commas.");
DEFINE_int32(threads, 0,
             "Threads that serve connections, and as many again for a store that waits for a disk; "
             "0: one for each core.");
DEFINE_bool(manual, false, "Take no slots before kv_cluster add names this node.");
DEFINE_double(weight, 1,
              "How many slots this node has beside one of weight 1: 2 has twice as many. Nodes are "
              "within one slot of even by it.");
DEFINE_string(drain_timeout, "30s",
              "At SIGTERM, how long a node in memory may take to give its slots to others; then "
              "it tells clients for 2.5 s where they are. A durable one keeps them, and stops at "
              "once.");
DEFINE_string(join_delay, "5s",
              "How long this node is up before it takes slots from others: one that crashes again "
              "and again must not move them each time.");
DEFINE_string(password_file, "",
              "The password that clients must give, over every protocol: the first line of this "
              "file; empty: none.");
DEFINE_string(tls_cert, "",
              "Serve clients with TLS: a file in PEM with the certificate and those that lead to "
              "its root.");
DEFINE_string(tls_key, "", "The private key of --tls_cert, in PEM without a passphrase.");
DEFINE_string(
    tls_client_ca, "",
    "With --tls_cert: let in only clients that have a certificate which those of this "
    "file, in PEM, vouch for; empty: any. Clients: ?cert=PATH&key=PATH in a store's name; "
    "with --cross_slot=ask nodes show each other --tls_cert.");
DEFINE_string(tls, "listen,resp,http",
              "With --tls_cert: which of --listen, --resp and --http are served with TLS.");
DEFINE_string(
    cross_slot, "refuse",
    "What RESP's MGET, MSET, DEL, EXISTS and UNLINK do with keys of several slots: refuse "
    "(CROSSSLOT, as Redis Cluster does) or ask, the nodes that hold them, at the addresses "
    "that clients use. There is then no one moment at which all of it happens.");
DEFINE_string(tls_ca, "",
              "With --cross_slot=ask and --listen served with TLS: the roots that the other nodes' "
              "certificates are trusted by, a file in PEM; empty: the system's.");
DEFINE_bool(insecure_listen, false, "Allow listening wider than this machine without a password.");
DEFINE_int32(
    max_clients, 10000,
    "Connections of each protocol at once; further ones are closed as they come, over RESP "
    "with an error.");

namespace kvarts {
namespace {

constexpr char kUsage[] =
    "kv_node: a node of a cluster.\n"
    "\n"
    "usage: kv_node --coordinator=SPEC [FLAGS]\n"
    "\n"
    "Serves its share of the keys. It registers itself, and takes its share of the slots from the\n"
    "other nodes while they go on serving. Make the cluster first:\n"
    "  kv_cluster --coordinator=file:/tmp/c create\n"
    "  kv_node --coordinator=file:/tmp/c --resp=127.0.0.1:7001 &\n"
    "  kv_node --coordinator=file:/tmp/c --resp=127.0.0.1:7002 &\n"
    "  redis-cli -c -p 7001 SET greeting hello\n"
    "Prints a line that begins with \"ready\" once it is in the cluster. SIGTERM: a node in "
    "memory\n"
    "gives its slots away first (--drain_timeout); one with a durable store stops at once, and\n"
    "serves the same slots when it comes back. SIGHUP: --tls_cert and --tls_key are read again.";

// For requests under way at the end.
constexpr absl::Duration kDrainTime = absl::Seconds(25);

constexpr double kMinWeight = 0.01;
constexpr double kMaxWeight = 100;

// A command over several slots has so long for all of its parts: longer than slots wait while they
// move, short enough to tell clients of one that nobody serves.
constexpr absl::Duration kAskTime = absl::Seconds(5);

// How long a node that gave all away goes on telling clients where. Other nodes read the table at
// least every 2 s: one that has an older one sends clients here, and were this node gone, it would
// call those slots down. Clients that have requests on the way would find a connection closed.
constexpr absl::Duration kFarewell = absl::Milliseconds(2500);

void Say(absl::string_view sentence) {
  std::fputs(absl::StrCat("kv_node: ", OneLine(sentence), "\n").c_str(), stderr);
}

// Where a node's map will be, before there is a node: protocols listen first.
class LateView final : public ClusterView {
 public:
  std::shared_ptr<const ClusterMap> map() const override {
    MutexLock lock(&mu_);
    return view_ == nullptr ? empty_ : view_->map();
  }
  // Null before `view` ends.
  void Set(const ClusterView* view) {
    MutexLock lock(&mu_);
    view_ = view;
  }

 private:
  const std::shared_ptr<const ClusterMap> empty_ = std::make_shared<const ClusterMap>();
  mutable Mutex mu_;
  const ClusterView* view_ ABSL_GUARDED_BY(mu_) = nullptr;
};

struct HostAndPort {
  std::string host;
  int port = 0;
};

// Of "HOST:PORT", or of "HOST", which may be an IPv6 address with brackets or, alone, without;
// nothing where the port is none.
std::optional<HostAndPort> ReadHost(absl::string_view text) {
  HostAndPort parts;
  const size_t colon = text.rfind(':');
  const bool is_v6 = text.find(':') != colon;
  const bool has_port =
      colon != absl::string_view::npos && (!is_v6 || (colon > 0 && text[colon - 1] == ']'));
  if (has_port) {
    if (!absl::SimpleAtoi(text.substr(colon + 1), &parts.port) || parts.port < 0 ||
        parts.port > 65535) {
      return std::nullopt;
    }
    text = text.substr(0, colon);
  }
  if (absl::ConsumePrefix(&text, "[") && !absl::ConsumeSuffix(&text, "]")) return std::nullopt;
  parts.host = std::string(text);
  return parts;
}

// Of an address to listen at, "tcp://HOST:PORT"; nothing of what is not served.
HostAndPort Split(absl::string_view address) {
  return ReadHost(WithoutTcp(address)).value_or(HostAndPort());
}

bool IsAnyAddress(absl::string_view host) {
  return host == "0.0.0.0" || host == "::" || host == "*" || host.empty();
}

constexpr absl::string_view kProtocols[] = {"native", "resp", "http", "internal"};

// What --advertise says: hosts and ports by protocol, and "" for all that clients use.
using Advertised = std::map<std::string, HostAndPort, std::less<>>;

absl::StatusOr<Advertised> ReadAdvertise(absl::string_view flag) {
  Advertised advertised;
  for (absl::string_view part : absl::StrSplit(flag, ',', absl::SkipEmpty())) {
    const auto bad = [&](absl::string_view expected) {
      return UsageError(
          absl::StrCat("--advertise=", flag, ": \"", part, "\": expected ", expected));
    };
    std::string protocol;
    absl::string_view address = part;
    if (const size_t equals = part.find('='); equals != absl::string_view::npos) {
      protocol = std::string(part.substr(0, equals));
      address = part.substr(equals + 1);
      if (std::find(std::begin(kProtocols), std::end(kProtocols), protocol) ==
          std::end(kProtocols)) {
        return bad("native, resp, http or internal before the \"=\"");
      }
    }
    const std::optional<HostAndPort> parts = ReadHost(address);
    if (!parts.has_value() || IsAnyAddress(parts->host)) {
      return bad("a host that can be connected to, as an address or a name");
    }
    if (protocol.empty() && parts->port != 0) {
      return bad("no port, or the protocol whose it is: resp=HOST:PORT");
    }
    if (!advertised.emplace(protocol, *parts).second) return bad("each protocol once");
  }
  return advertised;
}

// Where `protocol` is reached whose listener is at `at`. Other nodes go where this one listens for
// them, unless that is no address or they are told otherwise: clients' ways need not be theirs.
HostAndPort Reached(const Advertised& advertised, absl::string_view protocol,
                    const HostAndPort& at) {
  HostAndPort reached = at;
  const auto own = advertised.find(protocol);
  const auto all = advertised.find("");
  if (own != advertised.end()) {
    reached.host = own->second.host;
    if (own->second.port != 0) reached.port = own->second.port;
  } else if (all != advertised.end() && (protocol != "internal" || IsAnyAddress(at.host))) {
    reached.host = all->second.host;
  }
  return reached;
}

absl::StatusOr<absl::Duration> DurationFlag(absl::string_view name, const std::string& value) {
  absl::Duration duration;
  if (!absl::ParseDuration(value, &duration) || duration < absl::ZeroDuration()) {
    return UsageError(
        absl::StrCat("--", name, "=", value, ": expected a time such as 5s or 500ms"));
  }
  return duration;
}

struct Flags {
  ServingOptions serving;
  absl::Duration drain_timeout;
  absl::Duration join_delay;
  std::string node_file;      // empty: the store is in memory
  uint64_t memory_limit = 0;  // bytes of a store in memory; 0: none
  Advertised advertised;
  std::string cluster_password;  // empty: none
  bool asks_others = false;      // --cross_slot
};

absl::StatusOr<Flags> ReadFlags(const std::vector<std::string>& args) {
  if (!args.empty()) return UsageError(absl::StrCat("unexpected argument \"", args[0], "\""));
  if (FLAGS_coordinator.empty()) {
    return UsageError("--coordinator is missing; for example --coordinator=file:/tmp/cluster");
  }
  Flags flags;
  KVARTS_ASSIGN_OR_RETURN(flags.drain_timeout, DurationFlag("drain_timeout", FLAGS_drain_timeout));
  KVARTS_ASSIGN_OR_RETURN(flags.join_delay, DurationFlag("join_delay", FLAGS_join_delay));
  absl::StatusOr<StoreSpec> spec = StoreSpec::Parse(FLAGS_store);
  if (!spec.ok()) return UsageError(absl::StrCat("--store: ", spec.status().message()));
  if (spec->scheme() == "sstable") {
    flags.node_file = JoinPath(spec->target(), "NODE");
    if (spec->Take("log") == "off") {
      return UsageError(
          "--store: a node's store needs its log: after a crash without one, what "
          "was acknowledged would be missing and nobody would know");
    }
  } else if (spec->scheme() != "memory") {
    return UsageError(absl::StrCat("--store=", FLAGS_store, ": expected memory: or sstable:DIR"));
  } else if (!spec->Take("snapshot").empty()) {
    return UsageError("--store: a node in memory begins empty, and keeps no snapshot");
  } else {
    const absl::StatusOr<uint64_t> limit = spec->TakeBytes("max_memory", 0);
    if (!limit.ok()) return UsageError(absl::StrCat("--store: ", limit.status().message()));
    flags.memory_limit = *limit;
  }
  KVARTS_ASSIGN_OR_RETURN(flags.advertised, ReadAdvertise(FLAGS_advertise));
  const struct {
    const char* flag;
    const char* protocol;
    const std::string& value;
  } listeners[] = {{"listen", "native", FLAGS_listen},
                   {"resp", "resp", FLAGS_resp},
                   {"http", "http", FLAGS_http},
                   {"internal", "internal", FLAGS_internal}};
  for (const auto& [flag, protocol, value] : listeners) {
    if (absl::StartsWith(value, "unix:")) {
      return UsageError(absl::StrCat("--", flag, "=", value,
                                     ": other nodes send clients here, by host and port"));
    }
    if (value.empty() && std::string(flag) != "internal") continue;
    if (const absl::Status host = CheckHost(value); !host.ok()) {
      return UsageError(absl::StrCat("--", flag, "=", value, ": ", host.message()));
    }
    const HostAndPort at = Split(ToAddress(value));
    if (!IsAnyAddress(Reached(flags.advertised, protocol, at).host)) continue;
    return UsageError(absl::StrCat("--", flag, "=", value, " is no address that ",
                                   std::string(flag) == "internal" ? "other nodes" : "clients",
                                   " can be sent to: say by which ",
                                   "they reach this node, --advertise=",
                                   std::string(flag) == "internal" ? "internal=" : "", "HOST"));
  }
  if (!FLAGS_cluster_password_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(flags.cluster_password, ReadPasswordFile(FLAGS_cluster_password_file));
  } else if (!IsLocal(ToAddress(FLAGS_internal))) {
    return UsageError(absl::StrCat("--internal=", FLAGS_internal,
                                   " may be reached from other machines: --cluster_password_file "
                                   "says the password that nodes know each other by"));
  }
  if (FLAGS_cross_slot != "refuse" && FLAGS_cross_slot != "ask") {
    return UsageError(absl::StrCat("--cross_slot=", FLAGS_cross_slot, ": expected refuse or ask"));
  }
  flags.asks_others = FLAGS_cross_slot == "ask";
  if (flags.asks_others && (FLAGS_listen.empty() || FLAGS_resp.empty())) {
    return UsageError(
        "--cross_slot=ask is for clients at --resp, and asks nodes at their --listen: neither may "
        "be empty");
  }
  if (!(FLAGS_weight >= kMinWeight && FLAGS_weight <= kMaxWeight)) {  // nor one that is no number
    return UsageError(
        absl::StrCat("--weight=", FLAGS_weight, ": expected ", kMinWeight, " to ", kMaxWeight));
  }
  if (FLAGS_threads < 0) return UsageError("--threads is negative");
  if (FLAGS_max_clients < 1) return UsageError("--max_clients is less than 1");
  ServingOptions& serving = flags.serving;
  serving.listen = FLAGS_listen;
  serving.resp = FLAGS_resp;
  serving.http = FLAGS_http;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  serving.threads = FLAGS_threads > 0 ? FLAGS_threads : std::max(cores, 1);
  serving.max_clients = FLAGS_max_clients;
  serving.insecure_listen = FLAGS_insecure_listen;
  serving.tls_cert = FLAGS_tls_cert;
  serving.tls_key = FLAGS_tls_key;
  serving.tls = FLAGS_tls;
  serving.tls_client_ca = FLAGS_tls_client_ca;
  serving.served = FLAGS_store;
  serving.allow_flush = true;
  if (!FLAGS_password_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(serving.password, ReadPasswordFile(FLAGS_password_file));
  }
  return flags;
}

cluster::NodeInfo InfoOf(const ServingAddresses& addresses, const Flags& flags) {
  cluster::NodeInfo info;
  const auto reached = [&](absl::string_view protocol, absl::string_view address) {
    return address.empty() ? HostAndPort() : Reached(flags.advertised, protocol, Split(address));
  };
  const HostAndPort native = reached("native", addresses.native);
  const HostAndPort resp = reached("resp", addresses.resp);
  const HostAndPort http = reached("http", addresses.http);
  info.native_port = native.port;
  info.resp_port = resp.port;
  info.http_port = http.port;
  for (const HostAndPort& at : {resp, native, http}) {
    if (info.host.empty()) info.host = at.host;
  }
  if (native.host != info.host) info.native_host = native.host;
  if (http.host != info.host) info.http_host = http.host;
  const std::vector<absl::string_view> with_tls = absl::StrSplit(FLAGS_tls, ',');
  const auto has_tls = [&](absl::string_view flag) {
    return !FLAGS_tls_cert.empty() &&
           std::find(with_tls.begin(), with_tls.end(), flag) != with_tls.end();
  };
  info.native_tls = has_tls("listen");
  info.resp_tls = has_tls("resp");
  info.http_tls = has_tls("http");
  HostAndPort listens = Split(ToAddress(FLAGS_internal));
  listens.port = 0;  // the node knows it once it listens
  const HostAndPort internal = Reached(flags.advertised, "internal", listens);
  info.internal_host = internal.host;
  info.internal_port = internal.port;
  info.internal_secret = !flags.cluster_password.empty();
  info.durable = !flags.node_file.empty();
  info.memory_limit = flags.memory_limit;
  info.store = FLAGS_store;
  info.weight = FLAGS_weight;
  return info;
}

// The node's loop, what runs on it, and the order in which they end.
class RunningNode {
 public:
  // `under` must outlive this, and who serves its store.
  RunningNode(std::unique_ptr<EventLoops> loops, Store* under)
      : loops_(std::move(loops)), under_(under) {}
  ~RunningNode() { Stop(); }

  absl::Status Open(Transport* transport, int threads) {
    KVARTS_ASSIGN_OR_RETURN(runner_, StoreRunner::New(under_, threads));
    owned_store_ = std::make_unique<cluster::NodeStore>(
        under_, [loop = loop(), runner = runner_.get()](Task task) {
          auto shared = std::make_shared<Task>(std::move(task));
          runner->Run(
              loop, [shared] { (*shared)(); }, [] {});
        });
    store_ = owned_store_.get();
    absl::Status opened;
    RunOnLoop(loop(), [&] {
      auto coordinator = OpenCoordinator(FLAGS_coordinator, loop(), transport);
      opened = coordinator.status();
      if (opened.ok()) coordinator_ = *std::move(coordinator);
    });
    if (absl::IsInvalidArgument(opened)) {
      return UsageError(absl::StrCat("--coordinator: ", opened.message()));
    }
    return opened;
  }

  // Returns when the node is in the cluster's table, or why it will not be.
  absl::Status Join(Transport* transport, cluster::NodeOptions options, StopSignal* stop) {
    absl::Status joined = absl::CancelledError();
    loop()->Post([&, options = std::move(options)]() mutable {
      node_ = std::make_unique<cluster::Node>(transport, loop(), runner_.get(), store_,
                                              coordinator_.get(), std::move(options));
      node_->Start([&joined, stop](const absl::Status& status) {
        joined = status;
        stop->Wake();
      });
    });
    const bool stopped = stop->Wait();
    if (stopped) Stop();
    return joined;
  }

  // Gives the slots away, for at most so long.
  void Leave(absl::Duration timeout) {
    StatusWaiter left;
    const auto waiter = std::make_shared<StatusWaiter*>(&left);
    const auto done = std::make_shared<bool>(false);
    std::unique_ptr<Timer> timer;
    loop()->Post([&] {
      const auto end = [waiter, done] {
        if (!*done) (*waiter)->Done(absl::OkStatus());
        *done = true;
      };
      timer = loop()->NewTimer();
      timer->Start(timeout, end);
      node_->Leave(end);
    });
    left.Wait().IgnoreError();
    RunOnLoop(loop(), [&] { timer.reset(); });
  }

  // Requests that are held go on, with an error. The store is good for those that still come.
  void Stop() {
    RunOnLoop(loop(), [this] {
      if (node_ != nullptr) node_->Stop();
      node_.reset();
      coordinator_.reset();
    });
  }

  EventLoop* loop() const { return loops_->loop(0); }
  StoreRunner* runner() const { return runner_.get(); }
  cluster::NodeStore* store() const { return store_; }
  // For who serves it, and closes it before this ends.
  std::unique_ptr<cluster::NodeStore> TakeStore() { return std::move(owned_store_); }

 private:
  const std::unique_ptr<EventLoops> loops_;
  Store* const under_;
  std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<cluster::NodeStore> owned_store_;
  cluster::NodeStore* store_ = nullptr;
  std::unique_ptr<Coordinator> coordinator_;  // the next two: on the loop
  std::unique_ptr<cluster::Node> node_;
};

// A durable node is the one it was, opened once more; one in memory is a new one.
absl::StatusOr<cluster::NodeFile> TakeIdentity(const std::string& path, Store* store) {
  cluster::NodeFile file;
  if (path.empty()) {
    file.incarnation = cluster::NewIncarnation();
    file.openings = 1;
    return file;
  }
  KVARTS_ASSIGN_OR_RETURN(const auto found, cluster::ReadNodeFile(FileSystem::Posix(), path));
  if (found.has_value()) {
    file = *found;
  } else {
    // Entries of another life would come up in slots that this node is given as empty.
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, store->NewCursor(ScanOptions()));
    ScanPage page;
    KVARTS_RETURN_IF_ERROR(cursor->Next(PageLimits(), &page));
    if (!page.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "--store=", FLAGS_store, ": holds entries, and is not a node's: there is no ", path,
          ". Begin with an empty directory, and load the entries into the cluster: kv_client "
          "--store=",
          FLAGS_store,
          " scan --format=ndjson | kv_client "
          "--store=cluster:",
          ShownCoordinator(FLAGS_coordinator), " load -"));
    }
    file.incarnation = cluster::NewIncarnation();
  }
  ++file.openings;
  // Before the cluster hears of this opening: the file is never behind what the table knows.
  KVARTS_RETURN_IF_ERROR(cluster::WriteNodeFile(FileSystem::Posix(), path, file));
  return file;
}

// Has RESP's commands over several slots ask all nodes, this one too, as any client does.
absl::Status AskAllNodes(const ClusterMap& map, const Flags& flags, Serving* serving) {
  ClusterStoreOptions options;
  options.password = flags.serving.password;
  options.timeout = kAskTime;
  const ClusterNode& myself = map.nodes[static_cast<size_t>(map.myself)];
  if (myself.native_tls) {
    TlsOptions tls;
    tls.ca_file = FLAGS_tls_ca;
    if (!FLAGS_tls_client_ca.empty()) {
      tls.client_certificate_file = FLAGS_tls_cert;
      tls.client_key_file = FLAGS_tls_key;
    }
    KVARTS_ASSIGN_OR_RETURN(options.own_transport, NewTlsTransport(serving->transport(), tls));
  }
  KVARTS_ASSIGN_OR_RETURN(
      std::unique_ptr<Store> all,
      OpenClusterStore(
          options.own_transport == nullptr ? serving->transport() : options.own_transport.get(),
          {NativeHostPort(myself)}, options));
  return serving->ServeAllNodes(std::move(all));
}

absl::StatusOr<int> Main(const std::vector<std::string>& args) {
  KVARTS_ASSIGN_OR_RETURN(Flags flags, ReadFlags(args));
  Serving* reloading = nullptr;
  KVARTS_ASSIGN_OR_RETURN(
      const std::unique_ptr<StopSignal> stop, StopSignal::New([&reloading] {
        const std::string certificate = reloading->ReloadCertificate();
        Say(certificate.empty() ? "SIGHUP: there is nothing to be opened again" : certificate);
      }));
  absl::StatusOr<std::unique_ptr<Store>> under = absl::UnknownError("not opened");
  LateView view;
  flags.serving.cluster = &view;
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Serving> serving, Serving::New(flags.serving));
  reloading = serving.get();
  KVARTS_RETURN_IF_ERROR(serving->Listen());

  StoresOptions stores_options;
  stores_options.transport = serving->transport();
  std::unique_ptr<Transport> secret;
  if (!flags.cluster_password.empty()) {
    auto made = NewSharedSecretTransport(serving->transport(), flags.cluster_password);
    if (!made.ok()) {
      return UsageError(absl::StrCat("--cluster_password_file=", FLAGS_cluster_password_file, ": ",
                                     made.status().message()));
    }
    secret = *std::move(made);
  }
  Transport* const internal = secret != nullptr ? secret.get() : serving->transport();
  under = AllStores(stores_options).Open(FLAGS_store);
  if (absl::IsInvalidArgument(under.status())) {
    return UsageError(absl::StrCat("--store: ", under.status().message()));
  }
  KVARTS_RETURN_IF_ERROR(under.status());
  const std::string capabilities = ToText((*under)->capabilities());
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<EventLoops> loops, EventLoops::New(1));
  RunningNode node(std::move(loops), under->get());
  KVARTS_RETURN_IF_ERROR(node.Open(serving->transport(), flags.serving.threads));
  KVARTS_ASSIGN_OR_RETURN(const cluster::NodeFile file,
                          TakeIdentity(flags.node_file, under->get()));

  cluster::NodeOptions options;
  options.incarnation = file.incarnation;
  options.marked_slots = file.marked_slots;
  options.info = InfoOf(serving->addresses(), flags);
  options.info.openings = file.openings;
  options.capabilities = capabilities;
  options.internal_address = ToAddress(FLAGS_internal);
  options.manual = FLAGS_manual;
  options.join_delay = flags.join_delay;
  options.say = Say;
  if (!flags.node_file.empty()) {
    options.save_marked = [loop = node.loop(), runner = node.runner(), file,
                           path = flags.node_file](const std::vector<uint16_t>& slots,
                                                   absl::AnyInvocable<void(absl::Status)> done) {
      auto next = std::make_shared<cluster::NodeFile>(file);
      next->marked_slots = slots;
      const auto saved = std::make_shared<absl::Status>();
      runner->Run(
          loop,
          [next, saved, path] {
            *saved = cluster::WriteNodeFile(FileSystem::Posix(), path, *next);
          },
          [saved, done = std::move(done)]() mutable { done(*saved); });
    };
  }
  view.Set(node.store());
  const absl::Status joined = node.Join(internal, std::move(options), stop.get());
  if (!joined.ok()) {
    serving->Abandon();
    view.Set(nullptr);
    if (absl::IsCancelled(joined)) return 0;
    return absl::Status(joined.code(),
                        absl::StrCat("--coordinator=", ShownCoordinator(FLAGS_coordinator), ": ",
                                     joined.message()));
  }
  KVARTS_RETURN_IF_ERROR(serving->Serve(node.TakeStore()));
  absl::Status asking;
  if (flags.asks_others) {
    asking = AskAllNodes(*node.store()->map(), flags, serving.get());
    if (!asking.ok()) {
      asking = absl::Status(asking.code(), absl::StrCat("--cross_slot=ask: ", asking.message()));
    }
  }
  if (asking.ok()) {
    std::puts(serving->ReadyLine().c_str());
    KVARTS_RETURN_IF_ERROR(FlushStandardOutput());
    stop->Wait();
  }
  if (flags.node_file.empty()) {
    node.Leave(flags.drain_timeout);
    const std::shared_ptr<const ClusterMap> map = node.store()->map();
    const bool has_others =
        std::any_of(map->nodes.begin(), map->nodes.end(), [&](const ClusterNode& other) {
          return other.is_alive && &other - map->nodes.data() != map->myself;
        });
    if (has_others) absl::SleepFor(kFarewell);
  }
  // Before the sessions end: requests that are held go on, with an error.
  node.Stop();
  serving->Drain(kDrainTime);
  if (!asking.ok()) return asking;
  return serving->Close().ok() ? 0 : 1;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  kvarts::InstallSigbusHandler();
  return kvarts::RunApp(argc, argv, {"kv_node", __FILE__, kvarts::kUsage}, kvarts::Main);
}
