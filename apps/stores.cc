#include "apps/stores.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/percent.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "cluster/client/cluster_seeds.h"
#include "cluster/client/cluster_store.h"
#include "cluster/resp_client/resp_cluster_store.h"
#include "net/password_file.h"
#include "net/remote/remote_store.h"
#include "net/resp/client/resp_store.h"
#include "net/tls/tls.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/dict/dict.h"
#include "storage/fs/file_system.h"
#include "storage/memory/memory.h"
#include "storage/null/null.h"
#include "storage/sstable/sstable.h"

namespace kvarts {
namespace {

using OpenResult = absl::StatusOr<std::unique_ptr<Store>>;

// Says that an index is built once it is, and what came of it.
class Announcer final : public ProgressSink {
 public:
  Announcer(const std::string& data_path, const StoresOptions& options)
      : data_path_(data_path), options_(options) {}

  // On the building thread.
  void Report(absl::string_view phase, absl::string_view unit, uint64_t done,
              uint64_t total) override {
    if (!announced_.exchange(true)) Say("building the index");
    if (options_.progress != nullptr) options_.progress->Report(phase, unit, done, total);
  }

  // A sentence about the data file.
  void Say(absl::string_view sentence) const {
    if (options_.say) options_.say(absl::StrCat(data_path_, ": ", sentence));
  }
  void SayBuilt(absl::Duration time, absl::string_view where, uint64_t keys, uint64_t bytes,
                const std::vector<std::string>& warnings) const {
    Say(absl::StrFormat("built the index in %.2f s (%s): %d keys, %s", absl::ToDoubleSeconds(time),
                        where, keys, FormatSize(bytes)));
    if (!options_.say) return;
    for (const std::string& warning : warnings) options_.say(warning);
  }

 private:
  const std::string data_path_;
  const StoresOptions& options_;
  std::atomic<bool> announced_{false};
};

absl::Status EnsureIndex(const std::string& data_path, const std::string& index_path,
                         const StoresOptions& options) {
  Announcer announcer(data_path, options);
  BuildOptions build;
  build.index_path = index_path;
  build.skip_malformed = options.skip_malformed;
  build.progress = &announcer;
  build.on_wait = [&announcer] {
    announcer.Say("another process builds the index; waiting for it");
  };
  KVARTS_ASSIGN_OR_RETURN(const BuildReport report, EnsureBisect(data_path, build));
  if (report.built) {
    announcer.SayBuilt(report.time, report.reason, report.entries, report.index_bytes,
                       report.warnings);
  }
  return absl::OkStatus();
}

// A malformed line is the file's fault, not the spec's.
absl::Status FileFault(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? absl::FailedPreconditionError(status.message()) : status;
}

absl::Status CheckDataPath(const StoreSpec& spec) {
  if (!spec.target().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("store \"", spec.text(), "\": expected the path of a data file"));
}

// Adds the command that builds the index to an error about it.
absl::Status WithCommand(const absl::Status& status, const std::string& data_path,
                         const std::string& index_path) {
  if (status.code() != absl::StatusCode::kNotFound &&
      status.code() != absl::StatusCode::kFailedPrecondition &&
      status.code() != absl::StatusCode::kDataLoss) {
    return status;
  }
  // The data file itself may be what is not there.
  KVARTS_RETURN_IF_ERROR(FileSystem::Posix()->OpenForRead(data_path).status());
  const absl::string_view why = status.code() == absl::StatusCode::kNotFound
                                    ? absl::string_view("there is no index")
                                    : status.message();
  std::string command = absl::StrCat("kv_build ", ShellQuote(data_path));
  if (!index_path.empty()) absl::StrAppend(&command, " --index=", ShellQuote(index_path));
  return absl::Status(status.code(),
                      absl::StrCat(data_path, ": ", why, "; build it with: ", command));
}

// Adds what else can be done to the error of an index that may not be written, or not be
// read, where its folder is, say, read-only.
absl::Status WithOtherPlaces(const absl::Status& status, const std::string& data_path) {
  if (!absl::IsPermissionDenied(status)) return status;
  // The data file itself may be what may not be read.
  KVARTS_RETURN_IF_ERROR(FileSystem::Posix()->OpenForRead(data_path).status());
  const std::string spec = DataFileSpec(data_path);
  const absl::string_view path = absl::StripPrefix(spec, "bisect:");
  return absl::Status(
      status.code(),
      absl::StrCat(data_path, ": there is no index to serve it by, and none can be written: ",
                   status.message(),
                   "; put it elsewhere: --store=", ShellQuote(absl::StrCat(spec, "?index=PATH")),
                   "; or have it in memory: --store=", ShellQuote(absl::StrCat("dict:", path))));
}

OpenResult OpenBisectSpec(const StoresOptions& options, StoreSpec& spec) {
  BisectOptions bisect;
  bisect.index_path = spec.Take("index");
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  KVARTS_RETURN_IF_ERROR(CheckDataPath(spec));
  const std::string& data_path = spec.target();
  if (options.build_indexes) {
    KVARTS_RETURN_IF_ERROR(
        WithOtherPlaces(FileFault(EnsureIndex(data_path, bisect.index_path, options)), data_path));
  }
  OpenResult store = OpenBisect(data_path, bisect);
  if (store.ok()) return store;
  return WithCommand(store.status(), data_path, bisect.index_path);
}

OpenResult OpenDictSpec(const StoresOptions& options, StoreSpec& spec) {
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  KVARTS_RETURN_IF_ERROR(CheckDataPath(spec));
  Announcer announcer(spec.target(), options);
  DictOptions dict;
  dict.skip_malformed = options.skip_malformed;
  dict.progress = &announcer;
  DictReport report;
  OpenResult store = OpenDict(spec.target(), dict, &report);
  if (!store.ok()) return FileFault(store.status());
  announcer.SayBuilt(report.time, "in memory", report.entries, report.table_bytes, report.warnings);
  return store;
}

OpenResult OpenMemorySpec(const StoresOptions& options, StoreSpec& spec) {
  MemoryOptions memory;
  KVARTS_ASSIGN_OR_RETURN(memory.max_memory, spec.TakeBytes("max_memory", 0));
  const std::string evict = spec.Take("evict");
  memory.snapshot_path = spec.Take("snapshot");
  KVARTS_ASSIGN_OR_RETURN(memory.save_on_close, spec.TakeBool("save_on_exit", false));
  memory.progress = options.progress;
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  if (evict == "s3fifo") {
    memory.evict = MemoryOptions::Evict::kS3Fifo;
  } else if (!evict.empty() && evict != "none") {
    return absl::InvalidArgumentError(absl::StrCat("store \"", spec.text(),
                                                   "\": the option \"evict\" is \"", evict,
                                                   "\"; expected s3fifo or none"));
  }
  if (memory.evict != MemoryOptions::Evict::kNone && memory.max_memory == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("store \"", spec.text(), "\": \"evict\" needs \"max_memory\""));
  }
  if (!spec.target().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("store \"", spec.text(), "\": a memory store has no name"));
  }
  if (memory.save_on_close && memory.snapshot_path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "store \"", spec.text(), "\": save_on_exit takes the path of a snapshot: snapshot=PATH"));
  }
  return OpenMemoryStore(memory);
}

// Takes an option that is one of `choices`, the first where it is not given, and returns which.
absl::StatusOr<size_t> TakeChoice(StoreSpec& spec, absl::string_view name,
                                  const std::vector<std::string>& choices) {
  const std::string value = spec.Take(name, choices.front());
  const auto it = std::find(choices.begin(), choices.end(), value);
  if (it != choices.end()) return static_cast<size_t>(it - choices.begin());
  return absl::InvalidArgumentError(absl::StrCat("store \"", spec.text(), "\": the option \"", name,
                                                 "\" is \"", value, "\"; expected ",
                                                 absl::StrJoin(choices, ", ")));
}

OpenResult OpenSstableSpec(StoreSpec& spec) {
  SstableOptions options;
  KVARTS_ASSIGN_OR_RETURN(options.memory, spec.TakeBytes("memory", options.memory));
  KVARTS_ASSIGN_OR_RETURN(options.cache, spec.TakeBytes("cache", 0));
  KVARTS_ASSIGN_OR_RETURN(const size_t log, TakeChoice(spec, "log", {"on", "off"}));
  KVARTS_ASSIGN_OR_RETURN(const size_t compression,
                          TakeChoice(spec, "compression", {"auto", "none", "lz4", "zstd"}));
  KVARTS_ASSIGN_OR_RETURN(const size_t create,
                          TakeChoice(spec, "create", {"missing", "new", "never"}));
  KVARTS_ASSIGN_OR_RETURN(options.read_only, spec.TakeBool("read_only", false));
  options.checkpoints = spec.Take("checkpoints");
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  options.log = log == 0;
  options.compress = static_cast<SstableOptions::Compress>(compression);
  options.create = static_cast<SstableOptions::Create>(create);
  const auto bad = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("store \"", spec.text(), "\": ", what));
  };
  if (spec.target().empty()) return bad("expected the path of a directory");
  if (options.memory < kMinSstableMemory) {
    return bad(absl::StrCat("\"memory\" is less than ", FormatSize(kMinSstableMemory)));
  }
  if (options.cache > options.memory / 2 + options.memory / 8) {
    return bad("\"cache\" is more than five eighths of \"memory\", which it is a part of");
  }
  return OpenSstable(spec.target(), options);
}

OpenResult OpenNullSpec(StoreSpec& spec) {
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  if (!spec.target().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("store \"", spec.text(), "\": expected nothing behind the colon"));
  }
  return NewNullStore();
}

absl::Status BadSpec(const StoreSpec& spec, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("store \"", spec.text(), "\": ", what));
}

// Of a server that is reached by TLS: which roots it is trusted by, and what it is shown.
absl::StatusOr<TlsOptions> TakeTls(StoreSpec& spec) {
  TlsOptions tls;
  tls.ca_file = spec.Take("ca");
  tls.client_certificate_file = spec.Take("cert");
  tls.client_key_file = spec.Take("key");
  if (tls.client_certificate_file.empty() != tls.client_key_file.empty()) {
    return BadSpec(spec, "\"cert\" and \"key\" are given together");
  }
  return tls;
}

constexpr int kRedisPort = 6379;

// What stands in a spec of redis: or rediss:, as redis-cli -u takes it:
// [[USER:]PASSWORD@]HOST[:PORT][/DATABASE]. No error shows a part of it, which may be the password.
absl::Status ReadRedisUrl(const StoreSpec& spec, NetworkServer* server) {
  absl::string_view host = spec.target();
  if (const size_t at = host.rfind('@'); at != absl::string_view::npos) {
    absl::string_view password = host.substr(0, at);
    host.remove_prefix(at + 1);
    const size_t colon = password.find(':');
    if (colon != absl::string_view::npos) {
      const absl::string_view user = password.substr(0, colon);
      if (!user.empty() && user != "default") {
        return BadSpec(spec, "no user but \"default\" is known: redis://:PASSWORD@HOST:PORT");
      }
      password.remove_prefix(colon + 1);
    }
    absl::StatusOr<std::string> decoded = PercentDecode(password);
    if (!decoded.ok()) return BadSpec(spec, "the password is not percent-encoded");
    server->password = *std::move(decoded);
  }
  const size_t slash = host.find('/');
  if (slash != absl::string_view::npos) {
    const absl::string_view database = host.substr(slash + 1);
    if (!database.empty() && database != "0") {
      return BadSpec(spec, "no database but 0 is a store: redis://HOST:PORT/0");
    }
    host = host.substr(0, slash);
  }
  if (host.empty()) return BadSpec(spec, "expected redis://HOST:PORT");
  // An IPv6 address ends with its bracket.
  const size_t colon = host.find(':', host.front() == '[' ? host.find(']') : 0);
  const bool has_port = colon != absl::string_view::npos;
  server->address = absl::StrCat("tcp://", host, has_port ? "" : absl::StrCat(":", kRedisPort));
  return absl::OkStatus();
}

bool IsRedisUrl(const StoreSpec& spec) {
  return spec.scheme() == "redis" || spec.scheme() == "rediss";
}

// Of a spec whose scheme is tcp, tls, unix, resp, redis or rediss; takes its options.
absl::StatusOr<NetworkServer> TakeServer(Transport* transport, StoreSpec& spec) {
  NetworkServer server;
  const bool is_resp = spec.scheme() == "resp" || IsRedisUrl(spec);
  if (IsRedisUrl(spec)) {
    KVARTS_RETURN_IF_ERROR(ReadRedisUrl(spec, &server));
  } else if (spec.scheme() == "unix") {
    server.address = absl::StrCat("unix:", spec.target());
  } else if (is_resp && absl::StartsWith(spec.target(), "unix:")) {
    server.address = spec.target();
  } else if (absl::StrContains(spec.target(), '@')) {
    return BadSpec(spec, is_resp ? "a password goes in password_file=PATH, or in "
                                   "redis://:PASSWORD@HOST:PORT"
                                 : "a password goes in password_file=PATH");
  } else {
    server.address = absl::StrCat("tcp://", spec.target());
  }
  const bool with_tls = spec.scheme() == "tls" || spec.scheme() == "rediss";
  TlsOptions tls;
  if (with_tls) {
    KVARTS_ASSIGN_OR_RETURN(tls, TakeTls(spec));
  }
  const std::string password_file = spec.Take("password_file");
  if (is_resp) {
    server.protocol = NetworkServer::Protocol::kResp;
    KVARTS_ASSIGN_OR_RETURN(server.expiry, spec.TakeBool("expiry", false));
  }
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  if (!password_file.empty()) {
    if (!server.password.empty()) return BadSpec(spec, "a password, and a password_file");
    KVARTS_ASSIGN_OR_RETURN(server.password, ReadPasswordFile(password_file));
  }
  if (with_tls) {
    KVARTS_ASSIGN_OR_RETURN(server.own_transport, NewTlsTransport(transport, tls));
  }
  return server;
}

OpenResult OpenNativeSpec(Transport* transport, StoreSpec& spec) {
  KVARTS_ASSIGN_OR_RETURN(const NetworkServer server, TakeServer(transport, spec));
  RemoteOptions remote;
  remote.password = server.password;
  remote.own_transport = server.own_transport;
  if (server.own_transport != nullptr) transport = server.own_transport.get();
  return OpenRemoteStore(transport, server.address, remote);
}

OpenResult OpenRespSpec(Transport* transport, StoreSpec& spec) {
  KVARTS_ASSIGN_OR_RETURN(const NetworkServer server, TakeServer(transport, spec));
  RespStoreOptions resp;
  resp.password = server.password;
  resp.expiry = server.expiry;
  resp.own_transport = server.own_transport;
  if (server.own_transport != nullptr) transport = server.own_transport.get();
  return OpenRespStore(transport, server.address, resp);
}

// The coordinator's spec of `cluster:etcd://...`: options of nodes and of etcd have the same names,
// so here etcd's begin with "etcd_".
absl::StatusOr<std::string> TakeCoordinator(StoreSpec& spec) {
  std::string coordinator = spec.target();
  KVARTS_ASSIGN_OR_RETURN(const bool with_tls, spec.TakeBool("etcd_tls", false));
  if (with_tls) coordinator = WithOption(coordinator, "tls", "true");
  for (const char* name : {"password_file", "ca", "cert", "key"}) {
    const std::string value = spec.Take(absl::StrCat("etcd_", name));
    if (!value.empty()) coordinator = WithOption(coordinator, name, value);
  }
  if (coordinator != spec.target() && !absl::StartsWith(coordinator, "etcd:")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "store \"", spec.text(), "\": options that begin with \"etcd_\" are for etcd://"));
  }
  return coordinator;
}

// "HOST:PORT,HOST:PORT": some nodes of a cluster.
absl::StatusOr<std::vector<std::string>> SeedsOf(const StoreSpec& spec) {
  std::vector<std::string> seeds = absl::StrSplit(spec.target(), ',', absl::SkipEmpty());
  for (const std::string& seed : seeds) {
    const bool has_user = absl::StrContains(seed, '@');
    if (absl::StrContains(seed, ':') && !has_user) continue;
    // It may be a coordinator's spec, with a password, that is not well written.
    return absl::InvalidArgumentError(absl::StrCat(
        "store \"", spec.text(), "\": ", has_user ? "a node" : absl::StrCat("\"", seed, "\""),
        " is not HOST:PORT"));
  }
  if (seeds.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("store \"", spec.text(), "\": expected HOST:PORT of some of its nodes"));
  }
  return seeds;
}

// Over nodes that are named by HOST:PORT, or by a coordinator.
absl::StatusOr<NetworkServer> TakeCluster(Transport* transport, StoreSpec& spec) {
  NetworkServer cluster;
  cluster.protocol = NetworkServer::Protocol::kCluster;
  const std::string password_file = spec.Take("password_file");
  KVARTS_ASSIGN_OR_RETURN(const TlsOptions tls, TakeTls(spec));
  const bool has_tls_files = !tls.ca_file.empty() || !tls.client_certificate_file.empty();
  KVARTS_ASSIGN_OR_RETURN(const bool with_tls, spec.TakeBool("tls", has_tls_files));
  KVARTS_ASSIGN_OR_RETURN(const std::string target, TakeCoordinator(spec));
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  if (!with_tls && has_tls_files) {
    return BadSpec(spec, "\"ca\", \"cert\" and \"key\" are for TLS, and \"tls\" is false");
  }
  if (!password_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(cluster.password, ReadPasswordFile(password_file));
  }
  if (with_tls) {
    KVARTS_ASSIGN_OR_RETURN(cluster.own_transport, NewTlsTransport(transport, tls));
  }
  if (absl::StartsWith(target, "file:") || absl::StartsWith(target, "etcd:")) {
    KVARTS_ASSIGN_OR_RETURN(cluster.seeds, ClusterSeeds(target, transport));
  } else {
    KVARTS_ASSIGN_OR_RETURN(cluster.seeds, SeedsOf(spec));
  }
  return cluster;
}

OpenResult OpenClusterSpec(Transport* transport, StoreSpec& spec) {
  KVARTS_ASSIGN_OR_RETURN(const NetworkServer cluster, TakeCluster(transport, spec));
  ClusterStoreOptions options;
  options.password = cluster.password;
  options.own_transport = cluster.own_transport;
  if (cluster.own_transport != nullptr) transport = cluster.own_transport.get();
  return OpenClusterStore(transport, cluster.seeds, options);
}

// Over the nodes of a Redis cluster.
OpenResult OpenRespClusterSpec(Transport* transport, StoreSpec& spec) {
  RespStoreOptions resp;
  const std::string password_file = spec.Take("password_file");
  KVARTS_ASSIGN_OR_RETURN(resp.expiry, spec.TakeBool("expiry", false));
  KVARTS_RETURN_IF_ERROR(spec.Finish());
  KVARTS_ASSIGN_OR_RETURN(const std::vector<std::string> seeds, SeedsOf(spec));
  if (!password_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(resp.password, ReadPasswordFile(password_file));
  }
  return OpenRespClusterStore(transport, seeds, resp);
}

}  // namespace

StoreFactories AllStores(const StoresOptions& options) {
  StoreFactories stores;
  stores.Add("bisect", "bisect:DATA_FILE?index=PATH",
             [options](StoreSpec& spec) { return OpenBisectSpec(options, spec); });
  stores.Add("dict", "dict:DATA_FILE",
             [options](StoreSpec& spec) { return OpenDictSpec(options, spec); });
  stores.Add("memory", "memory:?max_memory=SIZE&evict=s3fifo&snapshot=PATH&save_on_exit=BOOL",
             [options](StoreSpec& spec) { return OpenMemorySpec(options, spec); });
  stores.Add("null", "null:", OpenNullSpec);
  const auto native = [options](StoreSpec& spec) {
    return OpenNativeSpec(options.transport, spec);
  };
  stores.Add("sstable",
             "sstable:DIR?memory=SIZE&cache=SIZE&log=on|off&compression=auto|none|lz4|zstd&"
             "create=missing|new|never&read_only=BOOL&checkpoints=DIR",
             OpenSstableSpec);
  stores.Add("tcp", "tcp://HOST:PORT?password_file=PATH", native);
  stores.Add("tls", "tls://HOST:PORT?ca=PATH&cert=PATH&key=PATH&password_file=PATH", native);
  stores.Add("unix", "unix:PATH?password_file=PATH", native);
  stores.Add("cluster",
             "cluster:HOST:PORT,HOST:PORT?password_file=PATH&tls=BOOL&ca=PATH&cert=PATH&key=PATH, "
             "cluster:file:PATH?..., "
             "cluster:etcd://[USER@]HOST:PORT,HOST:PORT/NAME?etcd_password_file=PATH&etcd_tls=BOOL&"
             "etcd_ca=PATH&etcd_cert=PATH&etcd_key=PATH&...",
             [options](StoreSpec& spec) { return OpenClusterSpec(options.transport, spec); });
  const auto resp = [options](StoreSpec& spec) { return OpenRespSpec(options.transport, spec); };
  stores.Add("resp", "resp://HOST:PORT?password_file=PATH&expiry=BOOL", resp);
  stores.Add("redis", "redis://[:PASSWORD@]HOST:PORT?password_file=PATH&expiry=BOOL", resp);
  stores.Add("rediss",
             "rediss://[:PASSWORD@]HOST:PORT?ca=PATH&cert=PATH&key=PATH&password_file=PATH&"
             "expiry=BOOL",
             resp);
  stores.Add("resp+cluster", "resp+cluster://HOST:PORT,HOST:PORT?password_file=PATH&expiry=BOOL",
             [options](StoreSpec& spec) { return OpenRespClusterSpec(options.transport, spec); });
  return stores;
}

absl::StatusOr<std::optional<NetworkServer>> FindServer(Transport* transport, StoreSpec spec) {
  const std::string& scheme = spec.scheme();
  if (scheme == "cluster") return TakeCluster(transport, spec);
  if (scheme != "tcp" && scheme != "tls" && scheme != "unix" && scheme != "resp" &&
      !IsRedisUrl(spec)) {
    return std::nullopt;
  }
  return TakeServer(transport, spec);
}

std::string DataFileSpec(absl::string_view path) {
  // A spec that begins with "//" has a host there.
  const bool two_slashes = absl::StartsWith(path, "//");
  return absl::StrCat("bisect:", two_slashes ? "%2F" : "",
                      PercentEncode(path.substr(two_slashes ? 1 : 0), "/:@+,="));
}

std::string ReloadableDataFile(absl::string_view spec) {
  const absl::StatusOr<StoreSpec> parsed = StoreSpec::Parse(spec);
  if (!parsed.ok() || (parsed->scheme() != "bisect" && parsed->scheme() != "dict")) return "";
  return parsed->target();
}

std::string ShellQuote(absl::string_view word) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::string_view("/._-+=:,@%").find(c) != absl::string_view::npos;
  };
  bool quote = word.empty();
  for (const char c : word) quote = quote || !plain(c);
  if (!quote) return std::string(word);
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

}  // namespace kvarts
