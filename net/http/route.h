#ifndef KVARTS_NET_HTTP_ROUTE_H_
#define KVARTS_NET_HTTP_ROUTE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "net/cluster_map.h"
#include "net/http/message.h"
#include "net/metrics.h"
#include "net/metrics_history.h"
#include "net/store_runner.h"
#include "storage/store.h"

namespace kvarts {

struct BatchWriteRequest;
struct HttpRoute;
class Leases;

// What the pages and metrics tell beyond the store. Constant while requests run.
struct HttpServerInfo {
  std::string served;  // the store's spec: "bisect:/data/words.data"
  std::vector<std::pair<std::string, std::string>> limits;  // name and value, for people
  const Metrics* metrics = nullptr;
  const MetricsHistory* history = nullptr;  // null: none is kept
  const ClusterView* cluster = nullptr;     // null: no cluster
  const Clock* clock = Clock::Real();
  absl::Time started;
};

// What a handler sees. Constant while it runs.
struct HttpContext {
  Store* store = nullptr;  // null until the server is ready
  const HttpServerInfo* info = nullptr;
  const HttpRoute* route = nullptr;
  Leases* leases = nullptr;
};

// One request on its way. Not thread-safe: the loop and a pool thread have it
// in turn.
struct HttpCall {
  HttpRequest request;
  // What the body of a batch of writes says, once it was parsed.
  std::shared_ptr<const BatchWriteRequest> batch_write;
  std::string parameter;  // what stands for {key} in the path, decoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  HttpResponse response;
  // Set by a handler that was given several: handle this one by itself when its
  // turn comes, because its answer is large.
  bool alone = false;
  uint64_t hits = 0;  // keys found, of those asked for
  uint64_t misses = 0;

  // Null where the query has no such parameter.
  const std::string* Query(absl::string_view name) const {
    for (const auto& [key, value] : query) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

// --- The description of a route: all constants ------------------------------
// Schemas are JSON, as OpenAPI 3.1 has them. If-Match and If-None-Match are parameters of
// the routes that carry them out: others refuse them, see request_fields.h.

struct HttpParameter {
  enum class In : unsigned char { kPath, kQuery, kHeader };
  const char* name;
  In in;
  const char* schema;
  const char* description;
};

struct HttpAnswer {
  int status;
  const char* description;
  const char* content_type = nullptr;  // null: no body
  const char* schema = nullptr;
};

struct HttpBody {
  const char* content_type = nullptr;  // null: the method has no body
  const char* schema = nullptr;
  const char* description = nullptr;
};

enum class StoreUse : unsigned char {
  kNone,     // runs on the loop, and must not wait
  kIfReady,  // runs where the store's calls run once there is a store, before on the loop
  kNeeded,   // runs where the store's calls run; 503 before there is a store
  // As kNeeded, after its steps' `begin` on the loop; on a thread beside all calls, for work that
  // takes long. 409 while other such work is under way.
  kAside,
};

// What a route does on the loop: for a store that says how not to wait (see
// StoreRunner::no_wait()), and of StoreUse::kAside. Else, and where this says so, its `handle`
// runs where it may wait.
struct HttpSteps {
  enum class Next : unsigned char {
    kAnswered,  // all calls are
    kSubmit,    // `write` is to be given to the store, then `end` to be called
    kHandle,    // nothing was answered: `handle` must
  };
  // `write` borrows from the calls.
  Next (*begin)(const HttpContext& context, absl::Span<HttpCall> calls, StoreWrite* write);
  // `status`: of the write. Null where `begin` never says kSubmit.
  void (*end)(HttpCall* call, const StoreWrite& write, const absl::Status& status);
};

// One method of one path. The table of all of them (routes.cc) is the one source
// for the dispatch, the checks of a request that come before its handler, the
// Allow field, the OpenAPI document and the list on the fallback page of /docs.
struct HttpRoute {
  const char* method;  // "GET" answers HEAD too
  const char* path;    // "/livez"; "{...}" at the end takes the rest, slashes too
  const char* id;      // for generated clients: "getValue"
  const char* tag;
  const char* summary;
  const char* description;
  StoreUse store;
  bool open;     // answered without a password
  bool writes;   // 405 where the store is read-only
  bool batches;  // `handle` takes several pipelined requests at once
  uint64_t max_body;
  absl::Span<const HttpParameter> parameters;
  HttpBody body;
  absl::Span<const HttpAnswer> answers;  // beside those that any route may give
  void (*handle)(const HttpContext& context, absl::Span<HttpCall> calls);
  const HttpSteps* steps = nullptr;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_ROUTE_H_
