// Puts a load on any store, and says how it did.

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/common/app.h"
#include "apps/common/record_reader.h"
#include "apps/stores.h"
#include "base/progress_bar.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "bench/cluster_connection.h"
#include "bench/connection_run.h"
#include "bench/load.h"
#include "bench/native_connection.h"
#include "bench/report.h"
#include "bench/resp_connection.h"
#include "bench/run.h"
#include "gflags/gflags.h"
#include "net/tcp/tcp.h"
#include "storage/fs/file_system.h"
#include "storage/spec.h"
#include "storage/store.h"

DEFINE_string(store, "tcp://127.0.0.1:7700", "The store to load.");
DEFINE_string(mix, "get:100",
              "What requests do, and how often: get, mget (a batch of keys), put, insert (a new "
              "key), delete, scan, as OPERATION:WEIGHT,...");
DEFINE_uint64(records, 1000000,
              "Of the data set: its keys are UUIDs made from the numbers below it, its values "
              "too.");
DEFINE_string(keys, "",
              "Take the keys from this data file instead; values are not checked then. At most "
              "256 MiB of keys are kept: of more, every second, every fourth and so on.");
DEFINE_string(value_bytes, "64", "The size of a value, 0 to 64MiB.");
DEFINE_string(distribution, "uniform",
              "Which keys: uniform; zipf: few of them most of the time; latest: zipf, the newest "
              "most often.");
DEFINE_double(theta, 0.99, "Of zipf and latest: the higher, the fewer. 0 to 10.");
DEFINE_double(miss, 0, "This part of the keys read, 0 to 1, is not in the data set.");
DEFINE_uint64(batch, 64, "Keys of an mget.");
DEFINE_uint64(scan_entries, 100, "Entries of a scan.");
DEFINE_bool(load, false, "Put all records into the store first.");
DEFINE_int32(threads, 1,
             "Of a store in this process: threads, with one request each at a time. Of a server: "
             "event loops, among which connections are dealt out.");
DEFINE_int32(connections, 1,
             "Of a store behind a network: connections; of a cluster: to each of its nodes.");
DEFINE_int32(pipeline, 1, "Of a store behind a network: requests at a time on each connection.");
DEFINE_double(rate, 0,
              "An open loop of so many requests a second, in which latency counts from when a "
              "request was due; 0: a closed loop, in which the next request waits for the answer.");
DEFINE_string(arrivals, "poisson", "Of an open loop: poisson or fixed.");
DEFINE_double(warmup, 1, "Seconds before requests are counted.");
DEFINE_double(duration, 10,
              "Seconds in which they are; 0: none, as after --load. Without a limit where only "
              "--requests is given.");
DEFINE_uint64(requests, 0, "Requests that are counted, at most; 0: as many as there are.");
DEFINE_double(interval, 0,
              "Seconds: latencies are shown by intervals of it, too, each with the requests that "
              "began in it; 0: all at once.");
DEFINE_double(timeout, 10, "Seconds that a request may take.");
DEFINE_bool(verify, true, "Compare each value read with what it should be.");
DEFINE_bool(sync, true, "Writes to a durable store wait for the disk.");
DEFINE_uint64(seed, 1, "What is random follows from it.");
DEFINE_bool(json, false, "Print one JSON object.");
DEFINE_string(write_data, "",
              "Write a data file of --records to this path, and do nothing else: for kv_build and "
              "kv_server.");

namespace kvarts {
namespace {

constexpr char kUsage[] =
    "kv_bench: puts a load on a key-value store, and prints throughput and latencies.\n"
    "\n"
    "usage: kv_bench --write_data=FILE [--records=N] [--value_bytes=SIZE]\n"
    "       kv_bench --store=STORE [FLAGS]\n"
    "\n"
    "  kv_bench --write_data=my.data && kv_build my.data\n"
    "  kv_bench --store=bisect:my.data --mix=mget:1 --threads=2      in this process\n"
    "  kv_bench --store=tcp://HOST:7700 --connections=50 --rate=20000\n"
    "  kv_bench --store=resp://HOST:6379 --connections=50            redis-server, say\n"
    "\n"
    "Exits 1 where a request failed, a value was wrong, or nothing was found of what was read.\n"
    "Stores:\n";

// Threads of requests that wait; more gain nothing.
constexpr int kMaxInFlight = 4096;
constexpr int kMaxLoadThreads = 64;
// As many as one request of the native protocol may have, and some to spare.
constexpr double kMaxBatch = 8192;
constexpr double kMaxScanEntries = 1e6;

absl::Status FlagError(absl::string_view flag, absl::string_view what) {
  return UsageError(absl::StrCat("--", flag, ": ", what));
}

absl::Status CheckRange(absl::string_view flag, double value, double min, double max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return FlagError(flag, absl::StrCat("is ", value, "; expected ", min, " to ", max));
}

bool IsGiven(const char* flag) { return !gflags::GetCommandLineFlagInfoOrDie(flag).is_default; }

absl::StatusOr<size_t> ValueBytes() {
  KVARTS_ASSIGN_OR_RETURN(const uint64_t size, SizeFlag("value_bytes", FLAGS_value_bytes));
  if (size > kMaxValueBytes) return FlagError("value_bytes", "is more than 64MiB");
  return static_cast<size_t>(size);
}

absl::StatusOr<WorkloadOptions> WorkloadFlags() {
  WorkloadOptions out;
  const absl::StatusOr<OperationMix> mix = ParseMix(FLAGS_mix);
  if (!mix.ok()) return FlagError("mix", mix.status().message());
  out.mix = *mix;
  const absl::StatusOr<Distribution::Kind> kind = ParseDistribution(FLAGS_distribution);
  if (!kind.ok()) return FlagError("distribution", kind.status().message());
  out.distribution = *kind;
  KVARTS_RETURN_IF_ERROR(CheckRange("theta", FLAGS_theta, 0, 10));
  KVARTS_RETURN_IF_ERROR(CheckRange("miss", FLAGS_miss, 0, 1));
  KVARTS_RETURN_IF_ERROR(CheckRange("batch", static_cast<double>(FLAGS_batch), 1, kMaxBatch));
  KVARTS_RETURN_IF_ERROR(
      CheckRange("scan_entries", static_cast<double>(FLAGS_scan_entries), 1, kMaxScanEntries));
  out.theta = FLAGS_theta;
  out.miss = FLAGS_miss;
  out.batch = FLAGS_batch;
  out.scan_entries = FLAGS_scan_entries;
  out.seed = FLAGS_seed;
  KVARTS_ASSIGN_OR_RETURN(out.value_bytes, ValueBytes());
  return out;
}

absl::StatusOr<RunOptions> RunFlags() {
  RunOptions out;
  constexpr double kYear = 366 * 86400;
  KVARTS_RETURN_IF_ERROR(CheckRange("rate", FLAGS_rate, 0, 1e8));
  KVARTS_RETURN_IF_ERROR(CheckRange("warmup", FLAGS_warmup, 0, kYear));
  if (FLAGS_interval != 0) {
    // An interval takes 19 KB, for each caller.
    KVARTS_RETURN_IF_ERROR(CheckRange("interval", FLAGS_interval, 0.01, kYear));
  }
  KVARTS_RETURN_IF_ERROR(CheckRange("duration", FLAGS_duration, 0, kYear));
  KVARTS_RETURN_IF_ERROR(CheckRange("timeout", FLAGS_timeout, 0.001, 3600));
  if (FLAGS_arrivals != "poisson" && FLAGS_arrivals != "fixed") {
    return FlagError("arrivals",
                     absl::StrCat("is \"", FLAGS_arrivals, "\"; expected poisson or fixed"));
  }
  if (FLAGS_duration == 0 && !FLAGS_load) {
    return FlagError("duration", "is 0, and there is no --load: nothing would be done");
  }
  out.rate = FLAGS_rate;
  out.poisson = FLAGS_arrivals == "poisson";
  out.warmup = absl::Seconds(FLAGS_warmup);
  out.interval = absl::Seconds(FLAGS_interval);
  out.duration = absl::Seconds(FLAGS_duration);
  if (FLAGS_requests > 0) {
    out.requests = FLAGS_requests;
    if (!IsGiven("duration")) out.duration = absl::InfiniteDuration();
  }
  out.timeout = absl::Seconds(FLAGS_timeout);
  out.verify_values = FLAGS_verify;
  out.sync_writes = FLAGS_sync;
  return out;
}

// Which of --threads, --connections and --pipeline count: a store in this process is called on
// threads, connections to a server live on event loops.
absl::Status SetParallelism(bool is_here, BenchReport* report) {
  for (const char* flag : {"connections", "pipeline"}) {
    if (!is_here || !IsGiven(flag)) continue;
    return FlagError(flag,
                     "is for stores behind a network; this one is in this process, which "
                     "takes --threads");
  }
  KVARTS_RETURN_IF_ERROR(CheckRange("threads", FLAGS_threads, 1, kMaxInFlight));
  KVARTS_RETURN_IF_ERROR(CheckRange("connections", FLAGS_connections, 1, kMaxInFlight));
  KVARTS_RETURN_IF_ERROR(CheckRange("pipeline", FLAGS_pipeline, 1, kMaxInFlight));
  report->threads = FLAGS_threads;
  report->run.in_flight = FLAGS_threads;
  if (is_here) return absl::OkStatus();
  const int64_t in_flight = int64_t{FLAGS_connections} * FLAGS_pipeline;
  KVARTS_RETURN_IF_ERROR(
      CheckRange("connections times --pipeline", static_cast<double>(in_flight), 1, kMaxInFlight));
  report->connections = FLAGS_connections;
  report->pipeline = FLAGS_pipeline;
  report->run.in_flight = static_cast<int>(in_flight);
  report->threads = std::min(FLAGS_threads, FLAGS_connections);
  return absl::OkStatus();
}

absl::Status WriteDataFile(ProgressBar* bar) {
  KVARTS_ASSIGN_OR_RETURN(const size_t value_bytes, ValueBytes());
  const auto report = [bar](uint64_t done) {
    bar->Report("writing", "records", done, FLAGS_records);
  };
  if (WriteBenchData(FLAGS_write_data, FLAGS_records, value_bytes, report)) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(FLAGS_write_data, ": ", std::strerror(errno)));
}

absl::StatusOr<KeySet> Keys(ProgressBar* bar) {
  if (FLAGS_keys.empty()) return KeySet(FLAGS_records);
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader,
                          RecordReader::Open(FLAGS_keys, RecordFormat::kData));
  KeySet::Builder builder;
  Record record;
  while (true) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) break;
    builder.Add(record.key);
    if (builder.added() % 4096 == 0) {
      bar->Report("reading keys", "bytes", reader->bytes_read(), reader->size());
    }
  }
  bar->Finish();
  if (builder.added() == 0) {
    return absl::FailedPreconditionError(absl::StrCat(reader->name(), ": there are no keys in it"));
  }
  return std::move(builder).Build();
}

// A mix that the store cannot do is said before anything is done.
absl::Status CheckCapabilities(const Store& store, const Workload& workload) {
  const Capabilities has = store.capabilities();
  if ((FLAGS_load || workload.has_writes()) && !has.has(has.write)) {
    return absl::FailedPreconditionError(
        absl::StrCat(ShownSpec(FLAGS_store), ": the store is read-only, and ",
                     FLAGS_load ? "--load writes" : "the mix has writes"));
  }
  if (workload.has(Operation::kScan) && !has.has(has.scan)) {
    return absl::FailedPreconditionError(absl::StrCat(
        ShownSpec(FLAGS_store), ": the store cannot be scanned, and the mix has scans"));
  }
  return absl::OkStatus();
}

void Say(absl::string_view sentence) {
  std::fputs(absl::StrCat("kv_bench: ", OneLine(sentence), "\n").c_str(), stderr);
}

// What a person should know who looks at the figures; 1 where the run is bad.
int Remarks(const RunResult& result, bool may_miss) {
  const OperationTally total = result.tally.Total();
  if (total.wrong_values > 0) {
    Say(absl::StrCat(total.wrong_values, " of ", total.hits,
                     " values are not those of the data set; are --records and --value_bytes what "
                     "it was made with? --verify=false compares nothing"));
  }
  if (total.errors > 0) {
    Say(absl::StrCat(total.errors, " of ", total.requests,
                     " requests failed, the first with: ", result.tally.first_error().message()));
  }
  const bool found_none = total.unexpected_misses > 0 && total.hits == 0 && !may_miss;
  if (found_none) {
    Say(absl::StrCat("none of ", total.misses,
                     " keys was found: the store does not hold the data set. --load puts it there, "
                     "--keys=FILE takes the keys of a data file"));
  } else if (total.unexpected_misses > 0 && !may_miss) {
    Say(absl::StrCat(total.unexpected_misses, " of ", total.hits + total.misses,
                     " keys were not found that are in the data set; is it in the store?"));
  }
  const OperationTally* const scans = result.tally.find(Operation::kScan);
  const bool found_no_entry =
      scans != nullptr && scans->requests > scans->errors && scans->keys == 0 && !may_miss;
  if (found_no_entry) {
    Say(absl::StrCat("none of ", scans->requests, " scans found an entry; is the store empty?"));
  }
  if (total.not_sent > 0) {
    Say(absl::StrCat(total.not_sent, " requests were due and are not sent: the rate is more than ",
                     "the store, or this program, can do"));
  }
  return total.wrong_values > 0 || total.errors > 0 || found_none || found_no_entry ? 1 : 0;
}

absl::Status Named(const absl::Status& status) {
  const std::string shown = ShownSpec(FLAGS_store);
  if (absl::StartsWith(status.message(), shown)) return status;
  return absl::Status(status.code(), absl::StrCat(shown, ": ", status.message()));
}

// Bad options of a server's spec are bad usage; a file that is not there is not.
absl::StatusOr<std::optional<NetworkServer>> ServerFlag(Transport* transport,
                                                        const StoreSpec& spec) {
  absl::StatusOr<std::optional<NetworkServer>> server = FindServer(transport, spec);
  if (!absl::IsInvalidArgument(server.status())) return server;
  return FlagError("store", server.status().message());
}

BenchConnectionFactory ConnectionsTo(Transport* transport, const NetworkServer& server,
                                     absl::Duration timeout) {
  if (server.own_transport != nullptr) transport = server.own_transport.get();
  if (server.protocol == NetworkServer::Protocol::kCluster) {
    ClusterStoreOptions options;
    options.password = server.password;
    options.connect_timeout = std::min(options.connect_timeout, timeout);
    return ClusterConnections(transport, server.seeds, options);
  }
  const auto connections =
      server.protocol == NetworkServer::Protocol::kResp ? RespConnections : NativeConnections;
  return connections(transport, server.address, server.password, timeout);
}

absl::StatusOr<int> Main(Transport* transport, const std::vector<std::string>& args) {
  if (!args.empty()) {
    return UsageError(absl::StrCat("expected flags only, not \"", args[0], "\""));
  }
  KVARTS_RETURN_IF_ERROR(CheckRange("records", static_cast<double>(FLAGS_records), 1,
                                    static_cast<double>(KeySet::kMaxRecords)));
  const std::unique_ptr<ProgressBar> bar = ProgressBar::OnStderr();
  if (!FLAGS_write_data.empty()) {
    KVARTS_RETURN_IF_ERROR(WriteDataFile(bar.get()));
    return 0;
  }
  if (!FLAGS_keys.empty() && IsGiven("records")) {
    return UsageError("--keys and --records name two data sets; expected one of them");
  }
  BenchReport report;
  report.version = kVersion;
  report.store = ShownSpec(FLAGS_store);
  report.mix = FLAGS_mix;
  report.keys = FLAGS_keys.empty() ? "generated" : FLAGS_keys;
  KVARTS_ASSIGN_OR_RETURN(report.workload, WorkloadFlags());
  KVARTS_ASSIGN_OR_RETURN(report.run, RunFlags());
  const absl::StatusOr<StoreSpec> spec = StoreSpec::Parse(FLAGS_store);
  if (!spec.ok()) return FlagError("store", spec.status().message());
  KVARTS_ASSIGN_OR_RETURN(const std::optional<NetworkServer> server, ServerFlag(transport, *spec));
  KVARTS_RETURN_IF_ERROR(SetParallelism(!server.has_value(), &report));

  StoresOptions stores_options;
  stores_options.transport = transport;
  stores_options.progress = bar.get();
  const StoreFactories factories = AllStores(stores_options);
  KVARTS_ASSIGN_OR_RETURN(const KeySet keys, Keys(bar.get()));
  report.records = keys.size();
  Workload workload(&keys, report.workload);
  const absl::StatusOr<std::unique_ptr<Store>> store = factories.Open(FLAGS_store);
  if (absl::IsInvalidArgument(store.status())) return FlagError("store", store.status().message());
  KVARTS_RETURN_IF_ERROR(store.status());
  bar->Finish();
  KVARTS_RETURN_IF_ERROR(CheckCapabilities(**store, workload));
  Store* const pointers[] = {store->get()};

  if (FLAGS_load) {
    LoadOptions load;
    load.threads = std::min(report.run.in_flight, kMaxLoadThreads);
    load.value_bytes = report.workload.value_bytes;
    load.sync_writes = FLAGS_sync;
    load.timeout = report.run.timeout;
    const absl::Time start = absl::Now();
    const absl::Status loaded = LoadRecords(pointers, keys, load, bar.get());
    bar->Finish();
    if (!loaded.ok()) return Named(loaded);
    report.loaded = true;
    report.load_time = absl::Now() - start;
  }
  int code = 0;
  if (FLAGS_duration > 0) {
    ConnectionRunOptions options;
    options.threads = report.threads;
    options.connections = report.connections;
    absl::StatusOr<RunResult> result =
        server.has_value()
            ? RunOnConnections(ConnectionsTo(transport, *server, report.run.timeout), options,
                               &workload, report.run, BenchClock::Real(), bar.get())
            : RunOnStores(pointers, &workload, report.run, BenchClock::Real(), bar.get());
    bar->Finish();
    if (!result.ok()) return Named(result.status());
    report.result = *std::move(result);
    report.ran = true;
    code = Remarks(report.result,
                   (*store)->capabilities().discards || workload.has(Operation::kDelete));
  }
  std::fputs((FLAGS_json ? ToJson(report) : ToText(report)).c_str(), stdout);
  return code;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  kvarts::InstallSigbusHandler();
  const std::unique_ptr<kvarts::Transport> transport = kvarts::NewTcpTransport();
  const std::string help =
      absl::StrCat(kvarts::kUsage, kvarts::AllStores(kvarts::StoresOptions()).Help());
  return kvarts::RunApp(
      argc, argv, {"kv_bench", __FILE__, help},
      [&](const std::vector<std::string>& args) { return kvarts::Main(transport.get(), args); });
}
