#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/percent.h"
#include "net/http/handlers.h"
#include "net/http/routes.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using In = HttpParameter::In;

// `target` without scheme and host, split at "?"; an empty path where it has none.
void Split(absl::string_view target, absl::string_view* path, absl::string_view* query) {
  *path = *query = {};
  for (const absl::string_view scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t end = target.find_first_of("/?#");
    if (end == absl::string_view::npos) {
      *path = "/";
      return;
    }
    if (target[end] != '/') *path = "/";
    target.remove_prefix(end);
    break;
  }
  if (path->empty() && !absl::StartsWith(target, "/")) return;
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  if (path->empty()) *path = target.substr(0, question);
  if (question != absl::string_view::npos) *query = target.substr(question + 1);
}

// True where `path` is one of the route's; `*parameter` is what stands for {...}.
bool PathMatches(const HttpRoute& route, absl::string_view path, absl::string_view* parameter) {
  absl::string_view fixed = route.path;
  const size_t brace = fixed.find('{');
  if (brace == absl::string_view::npos) return path == fixed;
  fixed = fixed.substr(0, brace);
  if (!absl::StartsWith(path, fixed)) return false;
  *parameter = path.substr(fixed.size());
  return true;
}

bool MethodMatches(const HttpRoute& route, absl::string_view method) {
  return method == route.method || (method == "HEAD" && absl::string_view(route.method) == "GET");
}

void Fail(int status, absl::string_view message, HttpMatch* match) {
  match->route = nullptr;
  match->error = HttpError(status, message);
}

bool TakesQuery(const HttpRoute& route, absl::string_view name) {
  for (const HttpParameter& parameter : route.parameters) {
    if (parameter.in == In::kQuery && name == parameter.name) return true;
  }
  return false;
}

std::string QueryNames(const HttpRoute& route) {
  std::vector<absl::string_view> names;
  for (const HttpParameter& parameter : route.parameters) {
    if (parameter.in == In::kQuery) names.push_back(parameter.name);
  }
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

// A part of a query. "+" is a space there, as forms and their encoders write it
// (application/x-www-form-urlencoded); a plus is "%2B".
absl::StatusOr<std::string> DecodeQuery(absl::string_view text) {
  return PercentDecode(absl::StrReplaceAll(text, {{"+", " "}}));
}

// Decodes what stands for {...}: percent-encoding, and base64 inside it where the
// query says so.
void ReadParameter(absl::string_view text, HttpMatch* match) {
  const bool is_key = absl::EndsWith(match->route->path, "{key}");
  bool base64 = false;
  for (const auto& [name, value] : match->query) {
    if (name != "key_encoding") continue;
    base64 = value == "base64";
    if (!base64 && value != "percent") {
      return Fail(400, "key_encoding: expected percent or base64", match);
    }
  }
  if (text.find('%') == absl::string_view::npos) {
    match->parameter.assign(text.data(), text.size());
  } else {
    absl::StatusOr<std::string> decoded = PercentDecode(text);
    if (!decoded.ok()) {
      return Fail(400, absl::StrCat("the key: ", decoded.status().message()), match);
    }
    match->parameter = *std::move(decoded);
  }
  if (!is_key) return;
  if (base64) {
    std::string bytes;
    if (!DecodeBase64(match->parameter, &bytes)) {
      return Fail(400, "the key: expected base64, as key_encoding says", match);
    }
    match->parameter = std::move(bytes);
  } else if (match->parameter.empty()) {
    // Clients make this path of "/v1/kv/." and "/v1/kv/a/..": not their key.
    return Fail(400,
                "the key is empty: the empty key needs ?key_encoding=base64, and so do the keys "
                "\".\" and \"..\", which clients take out of a path",
                match);
  }
  if (match->parameter.size() > kMaxKeyBytes) {
    Fail(414, CheckKey(match->parameter).message(), match);
  }
}

}  // namespace

absl::Status AddQuery(const HttpRoute& route, absl::string_view text, absl::string_view what,
                      std::vector<std::pair<std::string, std::string>>* query) {
  for (const absl::string_view pair : absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    absl::StatusOr<std::string> name = DecodeQuery(parts.first);
    absl::StatusOr<std::string> value = DecodeQuery(parts.second);
    if (!name.ok() || !value.ok()) {
      const absl::Status& status = name.ok() ? value.status() : name.status();
      return absl::InvalidArgumentError(absl::StrCat(what, ": ", status.message()));
    }
    // Pages do not mind what others add to their address.
    if (!TakesQuery(route, *name)) {
      if (!absl::StartsWith(route.path, "/v1/")) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(what, " has \"", *name, "\"; known here: ", QueryNames(route)));
    }
    for (const auto& [known, unused] : *query) {
      if (known != *name) continue;
      return absl::InvalidArgumentError(absl::StrCat(what, " has \"", *name, "\" twice"));
    }
    query->emplace_back(*std::move(name), *std::move(value));
  }
  return absl::OkStatus();
}

std::string AllowedMethods(absl::Span<const HttpRoute> routes, absl::string_view path,
                           bool reads_only) {
  std::vector<absl::string_view> methods;
  for (const HttpRoute& route : routes) {
    if (path != route.path || (reads_only && route.writes)) continue;
    methods.push_back(route.method);
    if (methods.back() == "GET") methods.push_back("HEAD");
  }
  return absl::StrJoin(methods, ", ");
}

void MatchRoute(absl::Span<const HttpRoute> routes, absl::string_view method,
                absl::string_view target, HttpMatch* match) {
  match->route = nullptr;
  match->parameter.clear();
  match->query.clear();
  match->error.reset();
  absl::string_view path;
  absl::string_view query;
  Split(target, &path, &query);
  if (path.empty()) return Fail(400, "expected a target that begins with a slash", match);
  const HttpRoute* other = nullptr;  // the path, with another method
  absl::string_view parameter;
  for (const HttpRoute& route : routes) {
    if (!PathMatches(route, path, &parameter)) continue;
    if (MethodMatches(route, method)) {
      match->route = &route;
      break;
    }
    other = &route;
  }
  if (match->route != nullptr) {
    const absl::Status read = AddQuery(*match->route, query, "the query", &match->query);
    if (!read.ok()) return Fail(400, read.message(), match);
    return ReadParameter(parameter, match);
  }
  if (other == nullptr) {
    return Fail(404, absl::StrCat("there is no such path; /docs lists those there are"), match);
  }
  const std::string allowed = AllowedMethods(routes, other->path, /*reads_only=*/false);
  Fail(405, absl::StrCat("the methods here are ", allowed), match);
  match->error->AddField("Allow", allowed);
}

}  // namespace kvarts
