#ifndef KVARTS_NET_HTTP_ROUTES_H_
#define KVARTS_NET_HTTP_ROUTES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "net/http/message.h"
#include "net/http/route.h"

namespace kvarts {

// All routes.
absl::Span<const HttpRoute> HttpRoutes();

struct HttpMatch {
  const HttpRoute* route = nullptr;  // null: `error` is the answer
  std::string parameter;
  std::vector<std::pair<std::string, std::string>> query;
  // 400 bad encoding or query, 404 no such path, 405 with Allow, 414.
  absl::optional<HttpResponse> error;
};

// `target` in origin form ("/path?query") or absolute form ("http://host/path").
// The query is checked against the route's parameters: none that it does not
// have, none twice. Under key_encoding=base64 the path's parameter is that.
void MatchRoute(absl::Span<const HttpRoute> routes, absl::string_view method,
                absl::string_view target, HttpMatch* match);

// Adds the parameters of a query, "a=1&b=2", to `*query`, checked as MatchRoute() does.
// kInvalidArgument calls it `what`.
absl::Status AddQuery(const HttpRoute& route, absl::string_view text, absl::string_view what,
                      std::vector<std::pair<std::string, std::string>>* query);

// The methods of `path`, a route's: "GET, HEAD"; `reads_only` leaves out those
// that write.
std::string AllowedMethods(absl::Span<const HttpRoute> routes, absl::string_view path,
                           bool reads_only);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_ROUTES_H_
