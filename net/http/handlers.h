#ifndef KVARTS_NET_HTTP_HANDLERS_H_
#define KVARTS_NET_HTTP_HANDLERS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/cluster_map.h"
#include "net/http/route.h"
#include "storage/cursor.h"

namespace kvarts {

// What the routes do. Each fills in the response of its call; descriptions are
// in the table, routes.cc.

// kv_handlers.cc
void GetValues(const HttpContext& context, absl::Span<HttpCall> calls);
void PutValue(const HttpContext& context, HttpCall* call);
void DeleteKey(const HttpContext& context, HttpCall* call);
extern const HttpSteps kGetSteps;
extern const HttpSteps kPutSteps;
extern const HttpSteps kDeleteSteps;

// batch_handler.cc
void GetBatch(const HttpContext& context, HttpCall* call);

// batch_write_handler.cc
void WriteMany(const HttpContext& context, HttpCall* call);
extern const HttpSteps kWriteManySteps;

// scan_handler.cc
void ScanKeys(const HttpContext& context, HttpCall* call);
void ScanKeysOfForm(const HttpContext& context, HttpCall* call);
void DeleteKeys(const HttpContext& context, HttpCall* call);

// snapshot_handlers.cc
void MakeSnapshot(const HttpContext& context, HttpCall* call);
void ReleaseSnapshot(const HttpContext& context, HttpCall* call);

// admin_handlers.cc
void FlushStore(const HttpContext& context, HttpCall* call);
void CompactStore(const HttpContext& context, HttpCall* call);
void VerifyStore(const HttpContext& context, HttpCall* call);
void MakeCheckpoint(const HttpContext& context, HttpCall* call);
extern const HttpSteps kAdminSteps;

// status_handlers.cc
void Livez(const HttpContext& context, HttpCall* call);
void Readyz(const HttpContext& context, HttpCall* call);
void StoreStatistics(const HttpContext& context, HttpCall* call);
void ServerStatus(const HttpContext& context, HttpCall* call);
void PrometheusMetrics(const HttpContext& context, HttpCall* call);

// page_handlers.cc
void StatusPage(const HttpContext& context, HttpCall* call);
void DocsPage(const HttpContext& context, HttpCall* call);
void PageFile(const HttpContext& context, HttpCall* call);
void DocsFile(const HttpContext& context, HttpCall* call);
void OpenApi(const HttpContext& context, HttpCall* call);

// cluster_handlers.cc
void DescribeCluster(const HttpContext& context, HttpCall* call);

// --- What handlers share -----------------------------------------------------

// What a store's error is over HTTP: 400 for a bad argument, 501 for what the
// store does not have, 421 for keys that another node of a cluster holds, 504 for a
// deadline, 507 where there is no room, else 503: the store fails, or nobody serves
// the keys' slot now (with Retry-After).
HttpResponse StoreError(const absl::Status& status);
// The same of a request for one key: 307 to the node that holds it, where that serves HTTP.
HttpResponse KeyError(const absl::Status& status, const HttpRequest& request);
// What they say; of a key elsewhere, which node holds it.
std::string StoreErrorText(const absl::Status& status);
// Their "code".
absl::string_view StoreErrorCode(const absl::Status& status);

// A map as JSON. Without the runs of slots only their number is said of each node.
std::string ClusterJson(const ClusterMap& map, bool with_runs);

// The answer of a store that takes no writes, 405 with Allow: `allowed`, or none.
HttpResponse ReadOnlyAnswer(absl::string_view allowed);

// The ETag of a value: a hash of its bytes, in quotes.
std::string ValueEtag(absl::string_view value);
// Whether `etag` is in a list as If-Match and If-None-Match have it; "*" is all.
// `weak`: "W/" does not count.
bool EtagInList(absl::string_view list, absl::string_view etag, bool weak);
// Whether `list` is "*" or one tag or more, as their grammar has them.
bool IsEtagList(absl::string_view list);

// Pages of other sites may send text or a form here without asking first, not JSON:
// the media type is what keeps them from writing (Fetch, "CORS-safelisted request-header").
bool HasJsonType(const HttpRequest& request);

// Answers with what the source gives: as a whole where its first part is all.
void AnswerFrom(std::unique_ptr<HttpBodySource> source, HttpCall* call,
                absl::string_view content_type = "application/json");

// Times that a conditional write is tried again because others were faster. After them
// it is AnswerBusy(), 503.
inline constexpr int kMaxTries = 100;
void AnswerBusy(HttpCall* call);

// A parameter of the query, "true" or "false"; where it is not there `*flag` stays.
absl::Status ReadFlag(const HttpCall& call, const char* name, bool* flag);
// The parameter "bytes": whether all keys and values are to be base64 in JSON.
absl::Status ReadBytesForm(const HttpCall& call, bool* base64);

// The parameter "snapshot": the state to read, kept for a further lease. False, and the call is
// answered: it is no longer lent.
bool ReadSnapshot(const HttpContext& context, HttpCall* call,
                  std::shared_ptr<const Snapshot>* snapshot);

// Base64 of a URL, in either alphabet, padded or not; without white space.
bool DecodeBase64(absl::string_view text, std::string* bytes);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_HANDLERS_H_
