#include "net/http/routes.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/percent.h"

namespace kvarts {
namespace {

constexpr absl::string_view kParameter = "{key}";

// Above it a value is sent from where it lies, below it is copied behind its
// head: one piece less to write.
constexpr size_t kLendBytes = 16 << 10;

void GetKey(const HttpContext& context, HttpCall* call) {
  ReadResults results;
  context.store->Read(call->parameter, ReadOptions(), &results);
  const ReadResult& result = results[0];
  if (!result.status.ok()) {
    call->response = StoreError(result.status);
    return;
  }
  if (!result.found) {
    call->response = HttpError(404, "there is no such key");
    return;
  }
  HttpResponse response;
  response.content_type =
      result.content_type.empty() ? "application/octet-stream" : std::string(result.content_type);
  // A browser must not take a value for a page of this server.
  response.fields = {{"X-Content-Type-Options", "nosniff"}};
  if (result.value.size() < kLendBytes) {
    response.body = std::string(result.value);
    if (!results.intact()) {
      call->response = StoreError(absl::DataLossError("the value was lost while it was read"));
      return;
    }
  } else {
    response.has_lent = true;
    response.lent = result.value;
    response.owner = std::move(results);
  }
  call->response = std::move(response);
}

void Livez(const HttpContext&, HttpCall* call) { call->response.body = "ok\n"; }

void Readyz(const HttpContext& context, HttpCall* call) {
  if (context.store == nullptr) {
    call->response = HttpError(503, "not ready: the store is being opened");
  } else {
    call->response.body = "ok\n";
  }
}

// A GET's body means nothing, yet some clients send one.
constexpr uint64_t kIgnoredBody = 64 << 10;

constexpr HttpRoute kRoutes[] = {
    {"GET", "/v1/kv/{key}", "The value of a key.", true, kIgnoredBody, GetKey},
    {"GET", "/livez", "The process runs.", false, kIgnoredBody, Livez},
    {"GET", "/readyz", "The store answers.", false, kIgnoredBody, Readyz},
};

// The path of `target`, percent-encoded still; empty where it has none.
absl::string_view PathOf(absl::string_view target) {
  for (const absl::string_view scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t slash = target.find('/');
    target = slash == absl::string_view::npos ? "/" : target.substr(slash);
    break;
  }
  if (!absl::StartsWith(target, "/")) return {};
  return target.substr(0, target.find_first_of("?#"));
}

bool MethodMatches(const HttpRoute& route, absl::string_view method) {
  return method == route.method || (method == "HEAD" && absl::string_view(route.method) == "GET");
}

}  // namespace

absl::Span<const HttpRoute> HttpRoutes() { return kRoutes; }

HttpMatch MatchRoute(absl::Span<const HttpRoute> routes, absl::string_view method,
                     absl::string_view target) {
  HttpMatch match;
  const absl::string_view path = PathOf(target);
  if (path.empty()) {
    match.error = HttpError(400, "expected a target that begins with a slash");
    return match;
  }
  std::vector<absl::string_view> allowed;
  absl::string_view parameter;
  for (const HttpRoute& route : routes) {
    absl::string_view fixed = route.path;
    if (absl::ConsumeSuffix(&fixed, kParameter) ? !absl::StartsWith(path, fixed) : path != fixed) {
      continue;
    }
    allowed.push_back(route.method);
    if (absl::string_view(route.method) == "GET") allowed.push_back("HEAD");
    if (!MethodMatches(route, method)) continue;
    match.route = &route;
    parameter = path.substr(fixed.size());
    break;
  }
  if (allowed.empty()) {
    const auto name = [](std::string* out, const HttpRoute& route) {
      absl::StrAppend(out, route.path);
    };
    match.error = HttpError(
        404, absl::StrCat("there is no such path; known are ", absl::StrJoin(routes, ", ", name)));
    return match;
  }
  if (match.route == nullptr) {
    match.error =
        HttpError(405, absl::StrCat("the methods here are ", absl::StrJoin(allowed, ", ")));
    match.error.fields = {{"Allow", absl::StrJoin(allowed, ", ")}};
    return match;
  }
  absl::StatusOr<std::string> decoded = PercentDecode(parameter);
  if (!decoded.ok()) {
    match.route = nullptr;
    match.error = HttpError(400, absl::StrCat("the key: ", decoded.status().message()));
  } else if (decoded->size() > kMaxKeyBytes) {
    match.route = nullptr;
    match.error = HttpError(414, CheckKey(*decoded).message());
  } else {
    match.parameter = *std::move(decoded);
  }
  return match;
}

HttpResponse StoreError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return HttpError(400, status.message());
    case absl::StatusCode::kUnimplemented:
      return HttpError(501, status.message());
    case absl::StatusCode::kDeadlineExceeded:
      return HttpError(504, status.message());
    default:
      return HttpError(503, status.message());
  }
}

}  // namespace kvarts
