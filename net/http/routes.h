#ifndef KVARTS_NET_HTTP_ROUTES_H_
#define KVARTS_NET_HTTP_ROUTES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/http/message.h"
#include "storage/store.h"

namespace kvarts {

// What a handler sees. Constant while it runs.
struct HttpContext {
  Store* store = nullptr;  // null until the server is ready
};

// One request on its way. Not thread-safe: the loop and a pool thread have it
// in turn.
struct HttpCall {
  HttpRequest request;
  std::string parameter;  // what stands for {key} in the path, decoded
  HttpResponse response;
};

// One method of one path. The table of all of them is the one source for the
// dispatch, the Allow field, and whatever describes the interface.
struct HttpRoute {
  const char* method;  // "GET" answers HEAD too
  const char* path;    // "/livez"; "{key}" at the end takes the rest, slashes too
  const char* summary;
  // True: `handle` calls the store, so it runs where the store's calls run, and
  // is 503 before the server is ready. False: on the loop; it must not wait.
  bool uses_store;
  uint64_t max_body;
  void (*handle)(const HttpContext& context, HttpCall* call);
};

// All routes.
absl::Span<const HttpRoute> HttpRoutes();

struct HttpMatch {
  const HttpRoute* route = nullptr;  // null: `error` is the answer
  std::string parameter;
  HttpResponse error;  // 400 bad encoding, 404 no such path, 405 with Allow, 414
};

// `target` in origin form ("/path?query") or absolute form ("http://host/path").
HttpMatch MatchRoute(absl::Span<const HttpRoute> routes, absl::string_view method,
                     absl::string_view target);

// What a store's error is over HTTP: 400 for a bad argument, 501 for what the
// store does not have, 504 for a deadline, else 503: the store fails.
HttpResponse StoreError(const absl::Status& status);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_ROUTES_H_
