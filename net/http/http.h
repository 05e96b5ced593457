#ifndef KVARTS_NET_HTTP_HTTP_H_
#define KVARTS_NET_HTTP_HTTP_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "net/cluster_map.h"
#include "net/metrics.h"
#include "net/metrics_history.h"
#include "net/server.h"
#include "net/store_runner.h"

namespace kvarts {

struct HttpServerInfo;
class Leases;

struct HttpOptions {
  // For the head of a request, from its first byte to its last.
  absl::Duration header_timeout = absl::Seconds(10);
  // For each 64 KiB of a body, and for each 1 MiB of an answer.
  absl::Duration transfer_timeout = absl::Seconds(30);
  // Between requests.
  absl::Duration idle_timeout = absl::Seconds(75);
  // After the last answer, for the client to close: closing at once would make
  // its system throw away what it has not read yet.
  absl::Duration linger = absl::Seconds(1);
  // Of waiting answers to pipelined requests; above it no further one is read.
  size_t max_output = 1 << 20;
  // Of requests that arrive and answers that wait, over all connections. Above it
  // large requests are refused (503), and no connection reads a further request
  // while answers of its own wait.
  size_t max_buffered = 256 << 20;
  // What clients must give, but on /livez and /readyz: in Basic authorization with
  // any user name, or as a Bearer token. Empty: nothing.
  std::string password;
  // What the status page says is served: the store's spec.
  std::string served;
  // Further limits that it shows, beside those above: name and value.
  std::vector<std::pair<std::string, std::string>> limits;
  // Where requests are counted, as protocol "http", and what the pages show. Null:
  // a registry of the service's own. `metrics` and `history` must outlive it.
  Metrics* metrics = nullptr;
  const MetricsHistory* history = nullptr;
  // How long a snapshot is lent after each request that names it, and how many at once. They hold
  // back what the store would free.
  absl::Duration snapshot_lease = absl::Seconds(60);
  size_t max_snapshots = 64;
  // Null: no cluster. Else the store is a node's, and requests for keys of other nodes are sent
  // there. Outlives the service.
  const ClusterView* cluster = nullptr;
  // For the Date field, and uptime.
  const Clock* clock = Clock::Real();
};

// Thread-safe. HTTP/1.1 over a store: see routes.cc for what it answers. Keeps
// connections alive, answers pipelined requests in order (reads of single keys
// together), and large values from where the store has them.
class HttpService {
 public:
  explicit HttpService(HttpOptions options = {});
  ~HttpService();

  // From now on requests are answered from the runner's store; before, /readyz
  // and what needs a store are 503. `runner` must outlive all sessions, and the
  // service too.
  void SetReady(StoreRunner* runner) { runner_.store(runner, std::memory_order_release); }

  // A SessionFactory. The service must outlive the session.
  std::unique_ptr<Session> NewSession(std::unique_ptr<Stream> stream);

  // For sessions.
  const HttpOptions& options() const { return options_; }
  const HttpServerInfo& info() const { return *info_; }
  StoreRunner* runner() const { return runner_.load(std::memory_order_acquire); }
  ProtocolMetrics* metrics() const { return metrics_; }
  Leases* leases() const { return leases_.get(); }
  // What all sessions hold of requests and answers, large ones only.
  std::atomic<int64_t>& buffered() { return buffered_; }

 private:
  const HttpOptions options_;
  const std::unique_ptr<Metrics> own_metrics_;
  ProtocolMetrics* const metrics_;
  const std::unique_ptr<const HttpServerInfo> info_;
  const std::unique_ptr<Leases> leases_;
  std::atomic<StoreRunner*> runner_{nullptr};
  std::atomic<int64_t> buffered_{0};
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_HTTP_H_
