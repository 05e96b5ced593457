#ifndef KVARTS_NET_METRICS_H_
#define KVARTS_NET_METRICS_H_

#include "base/language.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/histogram.h"
#include "base/mutex.h"

namespace kvarts {

// What a session has done since it last said so. A value.
struct RequestCounts {
  uint64_t requests = 0;
  uint64_t errors = 0;  // requests that were refused or failed; an absent key is none
  uint64_t hits = 0;    // keys that were asked for and found
  uint64_t misses = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
};

// One protocol's counters at one time. A value.
struct ProtocolStats {
  std::string name;     // "http"
  std::string address;  // where it listens; empty: nowhere yet
  int max_clients = 0;
  int64_t open = 0;  // connections
  int64_t accepted = 0;
  int64_t refused = 0;
  RequestCounts counts;
  HistogramCounts latency;  // nanoseconds
};

// Thread-safe, lock-free where it counts. What one protocol's servers and
// sessions report. A session collects a RequestCounts of its own and adds it
// once for all requests that it answered together, about 15 ns:
//
//   counts_.requests += n; ...
//   metrics->Add(&counts_);                       // and clears it
//   metrics->RecordLatency(nanoseconds, n);       // of each of the n
class ProtocolMetrics {
 public:
  explicit ProtocolMetrics(absl::string_view name);
  ~ProtocolMetrics();

  // Adds and clears `counts`.
  void Add(RequestCounts* counts);
  // From the arrival of a request's last byte until its answer was handed over.
  void RecordLatency(uint64_t nanoseconds, uint64_t requests = 1);

  // What a protocol counts beyond what all do: appends whole families in Prometheus' text format.
  // Called by AppendMore(), by one thread at a time; null: nothing, also no longer once this
  // returns.
  using More = std::function<void(std::string* out)>;
  void SetMore(More more);
  void AppendMore(std::string* out) const;

  // Called by Server.
  void Listening(absl::string_view address, int max_clients);
  void Accepted();
  void Closed();
  void Refused();

  ProtocolStats Collect() const;
  // Collect().counts, without the rest.
  RequestCounts Counts() const;
  // Requests that were not refused and did not fail: Collect() without the rest.
  uint64_t Served() const;
  // Fields of it, without the rest.
  int64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  int max_clients() const;
  std::string address() const;

 private:
  // What one thread counts: it alone writes, so that no instruction locks. 19 KB,
  // made when a thread first counts. Threads beyond the first kPlaces share the
  // last one.
  static constexpr size_t kPlaces = 64;
  struct Place;

  Place* MyPlace(bool* alone);

  const std::string name_;
  std::array<std::atomic<Place*>, kPlaces> places_{};
  std::atomic<int64_t> open_{0};
  std::atomic<int64_t> accepted_{0};
  std::atomic<int64_t> refused_{0};

  mutable Mutex mu_;
  std::string address_ ABSL_GUARDED_BY(mu_);
  int max_clients_ ABSL_GUARDED_BY(mu_) = 0;

  mutable Mutex more_mu_;  // held in its calls
  More more_ ABSL_GUARDED_BY(more_mu_);
};

// Thread-safe. The protocols of a process.
class Metrics {
 public:
  // That of `name`; made at the first call. Lives as long as this.
  ProtocolMetrics* protocol(absl::string_view name);
  // All, in the order in which they were made.
  std::vector<const ProtocolMetrics*> protocols() const;
  // ProtocolMetrics::Served() of all of them.
  uint64_t Served() const;

 private:
  mutable Mutex mu_;
  std::vector<std::pair<std::string, std::unique_ptr<ProtocolMetrics>>> protocols_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_NET_METRICS_H_
