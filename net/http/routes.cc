#include "net/http/routes.h"

#include <cstdint>

#include "net/http/handlers.h"
#include "storage/store.h"

namespace kvarts {
namespace {

// A GET's body means nothing, yet some clients send one.
constexpr uint64_t kIgnoredBody = 64 << 10;
constexpr uint64_t kMaxBatchBody = 8 << 20;
constexpr uint64_t kMaxScanBody = 1 << 20;  // some keys, percent-encoded

using In = HttpParameter::In;

constexpr char kText[] = R"({"type":"string"})";
constexpr char kFlag[] = R"({"type":"boolean","default":false})";
constexpr char kValueTypes[] = "text/plain, application/octet-stream";
constexpr char kBinary[] = R"({"type":"string","format":"binary"})";
constexpr char kEncoding[] = R"({"type":"string","enum":["percent","base64"],"default":"percent"})";

constexpr HttpParameter kKeyInPath = {
    "key", In::kPath, kText,
    "The key, percent-encoded; a slash may stand as it is, and + is a plus. Any bytes: %FF is one "
    "byte. The empty key, and the keys . and .., which clients take out of a path, need "
    "key_encoding=base64; an empty key without it is 400."};
constexpr HttpParameter kKeyEncoding = {
    "key_encoding", In::kQuery, kEncoding,
    "base64: what the keys in the URL decode to is base64 (either alphabet, padded or not). In the "
    "query a plus of it is %2B."};
constexpr HttpParameter kIfMatch = {
    "If-Match", In::kHeader, kText,
    "ETags, or *: only where the key's value has one of them; else 412. Several lines are one "
    "list. What is no such list is 400 where it would write."};
constexpr HttpParameter kGetParameters[] = {
    kKeyInPath,
    kKeyEncoding,
    kIfMatch,
    {"If-None-Match", In::kHeader, kText, "ETags: 304 where the value has one of them."}};
constexpr HttpParameter kIfAbsent = {"If-None-Match", In::kHeader, kText,
                                     "*: only where the key is absent; else 412."};
constexpr HttpParameter kDeleteParameters[] = {kKeyInPath, kKeyEncoding, kIfMatch, kIfAbsent};
constexpr char kTime[] = R"({"type":"integer","minimum":1,"maximum":9007199254740991})";
constexpr HttpParameter kPutParameters[] = {
    kKeyInPath,
    kKeyEncoding,
    {"ttl_ms", In::kQuery, kTime, "The key is absent so many milliseconds from now on."},
    {"expires_at_ms", In::kQuery, kTime,
     "The key is absent from this time on, in Unix milliseconds. Without either it stays."},
    kIfMatch,
    kIfAbsent};
constexpr HttpParameter kBytesForm = {
    "bytes", In::kQuery, R"({"type":"string","enum":["auto","base64"],"default":"auto"})",
    "base64: all keys and values are {\"base64\": \"...\"}, so that their type does not change "
    "with "
    "the data."};
constexpr HttpParameter kSnapshotInQuery = {
    "snapshot", In::kQuery, kText,
    "Of the state that POST /v1/snapshots has named; each such request keeps it for a further "
    "lease."};
constexpr HttpParameter kSnapshotParameters[] = {
    {"snapshot", In::kPath, kText, "As POST /v1/snapshots has named it."}};
constexpr HttpParameter kBatchParameters[] = {
    {"values", In::kQuery, R"({"type":"boolean","default":true})",
     "false: only which keys are there, with their types and expiries."},
    {"etags", In::kQuery, kFlag, "With the ETag of each value, as /v1/batch/write takes it."},
    kBytesForm,
    kSnapshotInQuery,
};
constexpr HttpParameter kCompactParameters[] = {
    {"start", In::kQuery, kText, "The first key; without it the range has no beginning."},
    {"end", In::kQuery, kText, "The key to stop before; empty: no end."}};
constexpr HttpParameter kCheckpointParameters[] = {
    {"name", In::kQuery, kText,
     "Its name in the store's directory for checkpoints: no slash, not . or .. Without it the "
     "store makes one of the time."}};
constexpr HttpParameter kPrefix = {
    "prefix", In::kQuery, kText,
    "Only keys that begin with it. As in every query, + is a space and %2B a plus."};
constexpr HttpParameter kStart = {"start", In::kQuery, kText, "The first key, in bytewise order."};
constexpr HttpParameter kEnd = {"end", In::kQuery, kText, "The key to stop before; empty: no end."};
constexpr HttpParameter kGreater = {"gt", In::kQuery, kText, "Only keys behind this one."};
constexpr HttpParameter kUpTo = {"lte", In::kQuery, kText, "Only keys up to this one, and it too."};
constexpr HttpParameter kRangeParameters[] = {kPrefix, kStart, kEnd, kGreater, kUpTo, kKeyEncoding};
constexpr HttpParameter kScanParameters[] = {
    kPrefix,
    kStart,
    kEnd,
    kGreater,
    kUpTo,
    {"limit", In::kQuery, R"({"type":"integer","minimum":1,"maximum":10000,"default":100})",
     "Entries in one answer; of ndjson as many as one likes, and all without it."},
    {"max_bytes", In::kQuery, R"({"type":"integer","minimum":1})",
     "The answer ends with the entry that brings its keys and values to so many bytes, or before "
     "it; it has one at the least."},
    {"cursor", In::kQuery, kText,
     "The cursor of the answer before, with all other parameters as they were."},
    {"keys_only", In::kQuery, kFlag, "Without values."},
    {"backward", In::kQuery, kFlag, "From the end of the range."},
    {"etags", In::kQuery, kFlag, "With the ETag of each value."},
    {"format", In::kQuery, R"({"type":"string","enum":["json","ndjson"],"default":"json"})",
     "ndjson: each entry on a line of its own, and nothing else, so no cursor: go on with gt, or "
     "lte and end when backward. Where it fails the answer breaks off."},
    kBytesForm,
    kSnapshotInQuery,
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

constexpr HttpAnswer kGone = {410, "The snapshot was let go, or was never made.", kJson,
                              R"({"$ref":"#/components/schemas/Error"})"};

constexpr HttpAnswer kBadBody = {
    415, "The body has a Content-Encoding, or is JSON of another charset than UTF-8.", kJson,
    R"({"$ref":"#/components/schemas/Error"})"};

// Of a node of a cluster.
constexpr HttpAnswer kMoved = {
    307, "Another node of the cluster holds the key: Location is the same request there.", kJson,
    R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kMisdirected = {
    421, "Another node of the cluster holds the key, and does not serve HTTP.", kJson,
    R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kAllMisdirected = {
    421,
    "Other nodes of the cluster hold the keys, and nothing was done. The error names the first.",
    kJson, R"({"$ref":"#/components/schemas/Error"})"};

constexpr HttpAnswer kGetAnswers[] = {
    {200,
     "The value, as it is, with its content type where the store keeps one. Without one it is "
     "text/plain where it is text, and application/octet-stream else. ETag is a hash of it; "
     "X-Expires-At-Ms is there where it expires, and says when, in Unix milliseconds.",
     kValueTypes, kBinary},
    {304, "The value is the one that the client has."},
    kNoSuchKey,
    kPrecondition,
    kMoved,
    kMisdirected,
};
constexpr HttpAnswer kPutAnswers[] = {
    {201, "Stored; the key was absent."},
    {204, "Stored; the key was there."},
    {400,
     "The key, the query or a header field: with Content-Range, which names a part of a value, "
     "nothing is stored.",
     kJson, R"({"$ref":"#/components/schemas/Error"})"},
    kReadOnly,
    kPrecondition,
    kBadBody,
    kMoved,
    kMisdirected,
};
constexpr HttpAnswer kDeleteAnswers[] = {{204, "Deleted."}, kNoSuchKey, kReadOnly,
                                         kPrecondition,     kMoved,     kMisdirected};
constexpr HttpAnswer kBatchAnswers[] = {{200, "A result for each key, in the order asked.", kJson,
                                         R"({"$ref":"#/components/schemas/BatchResults"})"},
                                        kGone,
                                        kBadBody};
constexpr HttpAnswer kWriteAnswers[] = {
    {200, "A result for each mutation, in the order given.", kJson,
     R"({"$ref":"#/components/schemas/BatchWriteResults"})"},
    kReadOnly,
    kAllMisdirected,
    {412, "A condition does not hold, and nothing was written.", kJson,
     R"({"$ref":"#/components/schemas/ConditionFailed"})"},
    {415, "The Content-Type is not application/json in UTF-8, or there is a Content-Encoding.",
     kJson, R"({"$ref":"#/components/schemas/Error"})"}};
constexpr HttpAnswer kScanAnswers[] = {
    {200,
     "Entries. `cursor` is null at the end of the range; else the next request gives it. With "
     "`error` the scan broke off, and may go on at the cursor.",
     "application/json, application/x-ndjson", R"({"$ref":"#/components/schemas/ScanPage"})"},
    kGone};
constexpr HttpAnswer kSnapshotAnswers[] = {
    {201, "It is lent, until no request has named it for so long.", kJson,
     R"({"$ref":"#/components/schemas/Snapshot"})"},
    {415, "The Content-Type is not application/json.", kJson,
     R"({"$ref":"#/components/schemas/Error"})"},
    {501, "The store has no snapshots.", kJson, R"({"$ref":"#/components/schemas/Error"})"}};
constexpr HttpAnswer kReleaseAnswers[] = {{204, "It is not lent any more."}};
constexpr HttpAnswer kDeleteRangeAnswers[] = {
    {204, "None of them is there any more."},
    kReadOnly,
    {501, "The store deletes no ranges.", kJson, R"({"$ref":"#/components/schemas/Error"})"}};
constexpr HttpAnswer kStatsAnswers[] = {
    {200, "The store's own figures.", kJson, R"({"$ref":"#/components/schemas/StoreStats"})"}};
constexpr HttpAnswer kStatusAnswers[] = {
    {200, "The server's state.", kJson, R"({"$ref":"#/components/schemas/Status"})"}};
constexpr HttpAnswer kClusterAnswers[] = {{200, "The newest map that this node knows.", kJson,
                                           R"({"$ref":"#/components/schemas/Cluster"})"},
                                          {404, "The server is no node of a cluster.", kJson,
                                           R"({"$ref":"#/components/schemas/Error"})"}};
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

constexpr HttpAnswer kNoFiles = {501, "The store has no files of its own to care for.", kJson,
                                 R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kUnderWay = {409, "Other such work is under way.", kJson,
                                  R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kNoJson = {415, "The Content-Type is not application/json.", kJson,
                                R"({"$ref":"#/components/schemas/Error"})"};
constexpr HttpAnswer kFlushAnswers[] = {
    {200, "It is done.", kJson, R"({"type":"object","properties":{"flushed":{"type":"boolean"}}})"},
    kUnderWay,
    kNoJson,
    kNoFiles};
constexpr HttpAnswer kCompactAnswers[] = {
    {200, "It is done.", kJson,
     R"({"type":"object","properties":{"compacted":{"type":"boolean"}}})"},
    kUnderWay,
    kNoJson,
    kNoFiles};
constexpr HttpAnswer kVerifyAnswers[] = {
    {200, "All files are good.", kJson,
     R"({"type":"object","properties":{"files":{"type":"integer"},"bytes":{"type":"integer"},)"
     R"("entries":{"type":"integer","description":"Versions and deletions, hidden ones too."}}})"},
    kUnderWay,
    kNoJson,
    kNoFiles};
constexpr HttpAnswer kCheckpointAnswers[] = {
    {200, "It is made, and opens as a store of its own.", kJson,
     R"({"type":"object","properties":{"path":{"type":"string",)"
     R"("description":"Its directory, on the server's machine."}}})"},
    {409, "There is one of that name, or other such work is under way.", kJson,
     R"({"$ref":"#/components/schemas/Error"})"},
    kNoJson,
    kNoFiles};

constexpr HttpBody kNoBody;
constexpr HttpBody kAdminBody = {
    kJson, R"({"type":"object"})",
    "Nothing of it is read: its media type, which pages of other sites cannot send, is looked at."};
constexpr HttpBody kValueBody = {kValueTypes, kBinary,
                                 "The value. Its Content-Type is kept where the store can."};
constexpr HttpBody kBatchBody = {kJson, R"({"$ref":"#/components/schemas/BatchKeys"})",
                                 "The keys, at most 10,000."};

constexpr HttpBody kScanBody = {
    "application/x-www-form-urlencoded", R"({"type":"object"})",
    "More parameters, as a query has them: a cursor over long keys is too long for a query."};
constexpr HttpBody kWriteBody = {kJson, R"({"$ref":"#/components/schemas/BatchWrite"})",
                                 "At most 10,000 mutations and 10,000 conditions, in 8 MiB."};

// One that looks at one request at a time.
template <void (*kHandle)(const HttpContext&, HttpCall*)>
void Each(const HttpContext& context, absl::Span<HttpCall> calls) {
  for (HttpCall& call : calls) kHandle(context, &call);
}

constexpr StoreUse kNone = StoreUse::kNone;
constexpr StoreUse kIfReady = StoreUse::kIfReady;
constexpr StoreUse kNeeded = StoreUse::kNeeded;
constexpr StoreUse kAside = StoreUse::kAside;

// Fields as in HttpRoute: method, path, id, tag, summary, description; store,
// open, writes, batches, max_body; parameters, body, answers, handle, steps.
constexpr HttpRoute kRoutes[] = {
    {"GET", "/v1/kv/{key}", "getValue", "Data", "The value of a key",
     "HEAD gives the same fields without the value.",  //
     kNeeded, false, false, true, kIgnoredBody, kGetParameters, kNoBody, kGetAnswers, GetValues,
     &kGetSteps},
    {"PUT", "/v1/kv/{key}", "putValue", "Data", "Stores a value",
     "Under If-Match or If-None-Match only if nobody else was faster.",  //
     kNeeded, false, true, false, kMaxValueBytes, kPutParameters, kValueBody, kPutAnswers,
     Each<PutValue>, &kPutSteps},
    {"DELETE", "/v1/kv/{key}", "deleteKey", "Data", "Deletes a key", "",  //
     kNeeded, false, true, false, kIgnoredBody, kDeleteParameters, kNoBody, kDeleteAnswers,
     Each<DeleteKey>, &kDeleteSteps},
    {"POST", "/v1/batch/get", "getBatch", "Data", "The values of many keys",
     "Keys and values are JSON strings where they are UTF-8, else {\"base64\": \"...\"}. Where the "
     "store's capability atomic_multi_get is \"yes\" (/v1/stats) the answer is one state of the "
     "store: all of an atomic batch or nothing of it. Else each key is read for itself.",  //
     kNeeded, false, false, false, kMaxBatchBody, kBatchParameters, kBatchBody, kBatchAnswers,
     Each<GetBatch>},
    {"POST",
     "/v1/batch/write",
     "writeBatch",
     "Data",
     "Puts, deletes and touches many keys",
     "Atomic, all or nothing and seen by others at once, where it says so or has conditions; else "
     "each mutation for itself, in order, and a status for each: the one that a request for it "
     "alone would have. Where none of them could be made, the answer is the error of the first. "
     "A condition \"unchanged\" holds while the value has the ETag, as If-Match does.",  //
     kNeeded,
     false,
     true,
     false,
     kMaxBatchBody,
     {},
     kWriteBody,
     kWriteAnswers,
     Each<WriteMany>,
     &kWriteManySteps},
    {"POST",
     "/v1/admin/flush",
     "flushStore",
     "Server",
     "Writes what is in memory to the store's sorted files",
     "",  //
     kAside,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kAdminBody,
     kFlushAnswers,
     Each<FlushStore>,
     &kAdminSteps},
    {"POST", "/v1/admin/compact", "compactStore", "Server",
     "Merges the files that hold keys of a range",
     "What was overwritten, deleted or has expired gives its space back. Answered when it is done, "
     "which may take long.",  //
     kAside, false, false, false, kIgnoredBody, kCompactParameters, kAdminBody, kCompactAnswers,
     Each<CompactStore>, &kAdminSteps},
    {"POST",
     "/v1/admin/verify",
     "verifyStore",
     "Server",
     "Reads and checks all of the store's files",
     "The first that is bad is named, with the offset, in an error.",  //
     kAside,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kAdminBody,
     kVerifyAnswers,
     Each<VerifyStore>,
     &kAdminSteps},
    {"POST", "/v1/admin/checkpoint", "makeCheckpoint", "Server",
     "Makes a directory that opens as a store with all that is there now",
     "Nothing that is done to this store later changes it.",  //
     kAside, false, false, false, kIgnoredBody, kCheckpointParameters, kAdminBody,
     kCheckpointAnswers, Each<MakeCheckpoint>, &kAdminSteps},
    {"GET", "/v1/scan", "scanKeys", "Data", "The entries of a range of keys",
     "In key order where the store has one. Keys and values are JSON strings where they are "
     "UTF-8, else {\"base64\": \"...\"}. A page is read while others write, and is no state of the "
     "store: it may show half of an atomic batch. A key that is there from first page to last "
     "comes exactly once where the store's scans are ordered, else at least once.",  //
     kNeeded, false, false, false, kIgnoredBody, kScanParameters, kNoBody, kScanAnswers,
     Each<ScanKeys>},
    {"POST", "/v1/scan", "scanKeysOfForm", "Data", "The same, with parameters in a form",
     "For cursors and keys that are too long for a query.",  //
     kNeeded, false, false, false, kMaxScanBody, kScanParameters, kScanBody, kScanAnswers,
     Each<ScanKeysOfForm>},
    {"POST",
     "/v1/snapshots",
     "makeSnapshot",
     "Data",
     "Names the state of now, to be read from by several requests",
     "/v1/scan and /v1/batch/get take it: pages of one state, and batches that are one. It holds "
     "back what the store would free: delete it when it is not needed.",
     kNeeded,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kAdminBody,
     kSnapshotAnswers,
     Each<MakeSnapshot>},
    {"DELETE", "/v1/snapshots/{snapshot}", "releaseSnapshot", "Data", "Lets a snapshot go", "",
     kNeeded, false, false, false, kIgnoredBody, kSnapshotParameters, kNoBody, kReleaseAnswers,
     Each<ReleaseSnapshot>},
    {"DELETE", "/v1/scan", "deleteKeys", "Data", "Deletes all keys of a range",
     "At once where the store can (capability delete_range: native), else one after the other, "
     "while others read and write. Needs prefix, start or gt, so that none forgets to say which.",
     kNeeded, false, true, false, kIgnoredBody, kRangeParameters, kNoBody, kDeleteRangeAnswers,
     Each<DeleteKeys>},
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
     "/v1/cluster",
     "getCluster",
     "Server",
     "The nodes of the cluster, and which slots each holds",
     "A key's slot is CRC16 of it, or of what stands in its first {...}, modulo 16384, as in Redis "
     "Cluster.",  //
     kNone,
     false,
     false,
     false,
     kIgnoredBody,
     {},
     kNoBody,
     kClusterAnswers,
     Each<DescribeCluster>},
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
      !IsText(route.summary) || route.description == nullptr || route.answers.empty()) {
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

}  // namespace

absl::Span<const HttpRoute> HttpRoutes() { return kRoutes; }

}  // namespace kvarts
