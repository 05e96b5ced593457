#include "net/http/routes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/percent.h"
#include "net/http/batch_request.h"
#include "net/http/handlers.h"

namespace kvarts {
namespace {

// --- The table ----------------------------------------------------------------

// A GET's body means nothing, yet some clients send one.
constexpr uint64_t kIgnoredBody = 64 << 10;
constexpr uint64_t kMaxBatchBody = 8 << 20;

using In = HttpParameter::In;

constexpr char kText[] = R"({"type":"string"})";
constexpr char kFlag[] = R"({"type":"boolean","default":false})";
constexpr char kBinary[] = R"({"type":"string","format":"binary"})";
constexpr char kEncoding[] = R"({"type":"string","enum":["percent","base64"],"default":"percent"})";

constexpr HttpParameter kKeyInPath = {
    "key", In::kPath, kText,
    "The key, percent-encoded; a slash may stand as it is. Any bytes: %FF is one byte."};
constexpr HttpParameter kKeyEncoding = {
    "key_encoding", In::kQuery, kEncoding,
    "base64: what the keys in the URL decode to is base64 (either alphabet, padded or not)."};
constexpr HttpParameter kIfMatch = {
    "If-Match", In::kHeader, kText,
    "ETags, or *: only where the key's value has one of them; else 412."};
constexpr HttpParameter kGetParameters[] = {
    kKeyInPath,
    kKeyEncoding,
    kIfMatch,
    {"If-None-Match", In::kHeader, kText, "ETags: 304 where the value has one of them."}};
constexpr HttpParameter kWriteParameters[] = {
    kKeyInPath,
    kKeyEncoding,
    kIfMatch,
    {"If-None-Match", In::kHeader, kText, "*: only where the key is absent; else 412."}};
constexpr HttpParameter kScanParameters[] = {
    {"prefix", In::kQuery, kText, "Only keys that begin with it."},
    {"start", In::kQuery, kText, "The first key, in bytewise order."},
    {"end", In::kQuery, kText, "The key to stop before; empty: no end."},
    {"limit", In::kQuery, R"({"type":"integer","minimum":1,"maximum":10000,"default":100})",
     "Entries in one answer."},
    {"cursor", In::kQuery, kText,
     "The cursor of the answer before, with all other parameters as they were."},
    {"keys_only", In::kQuery, kFlag, "Without values."},
    {"backward", In::kQuery, kFlag, "From the end of the range."},
    kKeyEncoding,
};
constexpr HttpParameter kStatusParameters[] = {
    {"since", In::kQuery, R"({"type":"integer","default":0})",
     "Only samples after this time, in Unix milliseconds."},
};
constexpr HttpParameter kFileParameters[] = {{"file", In::kPath, kText, "The file's name."}};

constexpr char kJson[] = "application/json";
constexpr char kPlain[] = "text/plain";
constexpr char kHtml[] = "text/html";

constexpr HttpAnswer kNoSuchKey = {404, "The key is absent.", kJson,
                                   R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kPrecondition = {412, "If-Match or If-None-Match does not hold.", kJson,
                                      R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kReadOnly = {405, "The store is read-only.", kJson,
                                  R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kNoSuchFile = {404, "There is no such file.", kJson,
                                    R"({"$ref":"#/components/schemas/Error"})"};

constexpr HttpAnswer kGetAnswers[] = {
    {200,
     "The value, as it is, with its content type where the store keeps one. ETag is a hash of it.",
     "application/octet-stream", kBinary},
    {304, "The value is the one that the client has."},
    kNoSuchKey,
    kPrecondition,
};
constexpr HttpAnswer kPutAnswers[] = {
    {201, "Stored; the key was absent."},
    {204, "Stored; the key was there."},
    kReadOnly,
    kPrecondition,
};
constexpr HttpAnswer kDeleteAnswers[] = {{204, "Deleted."}, kNoSuchKey, kReadOnly, kPrecondition};
constexpr HttpAnswer kBatchAnswers[] = {{200, "A result for each key, in the order asked.", kJson,
                                         R"({"$ref":"#/components/schemas/BatchResults"})"}};
constexpr HttpAnswer kScanAnswers[] = {
    {200,
     "Entries. `cursor` is null at the end of the range; else the next request gives it. With "
     "`error` the scan broke off, and may go on at the cursor.",
     kJson, R"({"$ref":"#/components/schemas/ScanPage"})"}};
constexpr HttpAnswer kStatsAnswers[] = {
    {200, "The store's own figures.", kJson, R"({"$ref":"#/components/schemas/StoreStats"})"}};
constexpr HttpAnswer kStatusAnswers[] = {
    {200, "The server's state.", kJson, R"({"$ref":"#/components/schemas/Status"})"}};
constexpr HttpAnswer kMetricsAnswers[] = {{200, "Prometheus text, version 0.0.4.", kPlain, kText}};
constexpr HttpAnswer kLiveAnswers[] = {{200, "It does.", kPlain, kText}};
constexpr HttpAnswer kReadyAnswers[] = {
    {200, "It does.", kPlain, kText},
    {503, "Not yet.", kJson, R"({"$ref":"#/components/schemas/Error"})"}};
constexpr HttpAnswer kDocumentAnswers[] = {
    {200, "An OpenAPI 3.1 document.", kJson, R"({"type":"object"})"}};
constexpr HttpAnswer kPageAnswers[] = {{200, "A page.", kHtml, kText},
                                       {304, "The page is the one that the client has."}};
constexpr HttpAnswer kFileAnswers[] = {
    {200, "The file.", "application/octet-stream", kBinary},
    {304, "The file is the one that the client has."},
    kNoSuchFile,
    {406, "The file is kept in gzip only, and the client does not take that.", kJson,
     R"({"$ref":"#/components/schemas/Error"})"}};

constexpr HttpBody kNoBody;
constexpr HttpBody kValueBody = {"application/octet-stream", kBinary,
                                 "The value. Its Content-Type is kept where the store can."};
constexpr HttpBody kBatchBody = {kJson, R"({"$ref":"#/components/schemas/BatchKeys"})",
                                 "The keys, at most 10,000."};

// One that looks at one request at a time.
template <void (*kHandle)(const HttpContext&, HttpCall*)>
void Each(const HttpContext& context, absl::Span<HttpCall> calls) {
  for (HttpCall& call : calls) kHandle(context, &call);
}

constexpr StoreUse kNone = StoreUse::kNone;
constexpr StoreUse kIfReady = StoreUse::kIfReady;
constexpr StoreUse kNeeded = StoreUse::kNeeded;

// Fields as in HttpRoute: method, path, id, tag, summary, description; store,
// open, writes, batches, max_body; parameters, body, answers, handle.
constexpr HttpRoute kRoutes[] = {
    {"GET", "/v1/kv/{key}", "getValue", "Data", "The value of a key",
     "HEAD gives the same fields without the value.",  //
     kNeeded, false, false, true, kIgnoredBody, kGetParameters, kNoBody, kGetAnswers, GetValues},
    {"PUT", "/v1/kv/{key}", "putValue", "Data", "Stores a value",
     "Under If-Match or If-None-Match only if nobody else was faster.",  //
     kNeeded, false, true, false, kMaxValueBytes, kWriteParameters, kValueBody, kPutAnswers,
     Each<PutValue>},
    {"DELETE", "/v1/kv/{key}", "deleteKey", "Data", "Deletes a key", "",  //
     kNeeded, false, true, false, kIgnoredBody, kWriteParameters, kNoBody, kDeleteAnswers,
     Each<DeleteKey>},
    {"POST",
     "/v1/batch/get",
     "getBatch",
     "Data",
     "The values of many keys",
     "Keys and values are JSON strings where they are UTF-8, else {\"base64\": \"...\"}.",  //
     kNeeded,
     false,
     false,
     false,
     kMaxBatchBody,
     {},
     kBatchBody,
     kBatchAnswers,
     Each<GetBatch>},
    {"GET", "/v1/scan", "scanKeys", "Data", "The entries of a range of keys",
     "In key order where the store has one. Keys and values are JSON strings where they are "
     "UTF-8, else {\"base64\": \"...\"}.",  //
     kNeeded, false, false, false, kIgnoredBody, kScanParameters, kNoBody, kScanAnswers,
     Each<ScanKeys>},
    {"GET",
     "/v1/stats",
     "getStats",
     "Server",
     "Entries, bytes and capabilities of the store",
     "",  //
     kNeeded,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kStatsAnswers,
     Each<StoreStatistics>},
    {"GET", "/v1/status", "getStatus", "Server", "What the status page shows",
     "Totals since the start, and the last five minutes by the second.",  //
     kIfReady, false, false, false, kIgnoredBody, kStatusParameters, kNoBody, kStatusAnswers,
     Each<ServerStatus>},
    {"GET",
     "/metrics",
     "getMetrics",
     "Server",
     "Metrics for Prometheus",
     "",  //
     kIfReady,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kMetricsAnswers,
     Each<PrometheusMetrics>},
    {"GET",
     "/livez",
     "getLive",
     "Server",
     "The process runs",
     "Asks for no password.",  //
     kNone,
     true,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kLiveAnswers,
     Each<Livez>},
    {"GET",
     "/readyz",
     "getReady",
     "Server",
     "The store answers",
     "Asks for no password.",  //
     kNone,
     true,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kReadyAnswers,
     Each<Readyz>},
    {"GET",
     "/openapi.json",
     "getOpenApi",
     "Pages",
     "This description",
     "",  //
     kNone,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kDocumentAnswers,
     Each<OpenApi>},
    {"GET",
     "/docs",
     "getDocs",
     "Pages",
     "This description, to read and try",
     "",  //
     kNone,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kPageAnswers,
     Each<DocsPage>},
    {"GET", "/docs/{file}", "getDocsFile", "Pages", "Files of Swagger UI", "",  //
     kNone, false, false, false, kIgnoredBody, kFileParameters, kNoBody, kFileAnswers,
     Each<DocsFile>},
    {"GET",
     "/",
     "getStatusPage",
     "Pages",
     "The status page",
     "",  //
     kNone,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kPageAnswers,
     Each<StatusPage>},
    {"GET", "/pages/{file}", "getPageFile", "Pages", "Files of the pages", "",  //
     kNone, false, false, false, kIgnoredBody, kFileParameters, kNoBody, kFileAnswers,
     Each<PageFile>},
};

// --- A route without its description does not compile ---------------------------

constexpr bool IsText(const char* text) { return text != nullptr && text[0] != '\0'; }

// Whether `path` ends in the parameter, "{name}", or has none where `name` is null.
constexpr bool EndsInParameter(const char* path, const char* name) {
  while (*path != '\0' && *path != '{') ++path;
  if (*path == '\0' || name == nullptr) return *path == '\0' && name == nullptr;
  for (++path; *name != '\0'; ++path, ++name) {
    if (*path != *name) return false;
  }
  return path[0] == '}' && path[1] == '\0';
}

constexpr bool IsDescribed(const HttpRoute& route) {
  if (!IsText(route.method) || !IsText(route.path) || !IsText(route.id) || !IsText(route.tag) ||
      !IsText(route.summary) || route.description == nullptr || route.handle == nullptr ||
      route.answers.empty()) {
    return false;
  }
  const char* in_path = nullptr;
  for (const HttpParameter& parameter : route.parameters) {
    if (!IsText(parameter.name) || !IsText(parameter.schema) || !IsText(parameter.description)) {
      return false;
    }
    if (parameter.in == In::kPath) in_path = parameter.name;
  }
  for (const HttpAnswer& answer : route.answers) {
    if (!IsText(answer.description)) return false;
    if (IsText(answer.content_type) != IsText(answer.schema)) return false;
  }
  return EndsInParameter(route.path, in_path);
}

constexpr bool AllAreDescribed() {
  for (const HttpRoute& route : kRoutes) {
    if (!IsDescribed(route)) return false;
  }
  return true;
}
static_assert(AllAreDescribed(), "a route lacks a part of its description");

// --- Matching -------------------------------------------------------------------

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

bool ReadQuery(absl::string_view query, HttpMatch* match) {
  for (const absl::string_view pair : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    absl::StatusOr<std::string> name = PercentDecode(parts.first);
    absl::StatusOr<std::string> value = PercentDecode(parts.second);
    if (!name.ok() || !value.ok()) {
      const absl::Status& status = name.ok() ? value.status() : name.status();
      Fail(400, absl::StrCat("the query: ", status.message()), match);
      return false;
    }
    // Pages do not mind what others add to their address.
    if (!TakesQuery(*match->route, *name)) {
      if (!absl::StartsWith(match->route->path, "/v1/")) continue;
      Fail(400,
           absl::StrCat("the query has \"", *name, "\"; known here: ", QueryNames(*match->route)),
           match);
      return false;
    }
    for (const auto& [known, unused] : match->query) {
      if (known != *name) continue;
      Fail(400, absl::StrCat("the query has \"", *name, "\" twice"), match);
      return false;
    }
    match->query.emplace_back(*std::move(name), *std::move(value));
  }
  return true;
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
  }
  if (match->parameter.size() > kMaxKeyBytes) {
    Fail(414, CheckKey(match->parameter).message(), match);
  }
}

}  // namespace

absl::Span<const HttpRoute> HttpRoutes() { return kRoutes; }

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
    if (ReadQuery(query, match)) ReadParameter(parameter, match);
    return;
  }
  if (other == nullptr) {
    return Fail(404, absl::StrCat("there is no such path; /docs lists those there are"), match);
  }
  const std::string allowed = AllowedMethods(routes, other->path, /*reads_only=*/false);
  Fail(405, absl::StrCat("the methods here are ", allowed), match);
  match->error->AddField("Allow", allowed);
}

}  // namespace kvarts
