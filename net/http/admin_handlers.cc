#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/checkpoint_name.h"
#include "net/http/handlers.h"

// The care of a served store's files. Each runs on a thread of its own, one at a time.
namespace kvarts {
namespace {

// On the loop. Pages of other sites may send a POST here, but not with this media type.
HttpSteps::Next Begin(const HttpContext& context, absl::Span<HttpCall> calls, StoreWrite*) {
  HttpResponse* const response = &calls[0].response;
  if (!HasJsonType(calls[0].request)) {
    SetHttpError(415, "expected Content-Type: application/json", response);
    return HttpSteps::Next::kAnswered;
  }
  if (context.store->maintenance() == nullptr) {
    SetHttpError(501, "the store has no files of its own to care for", response);
    return HttpSteps::Next::kAnswered;
  }
  return HttpSteps::Next::kHandle;
}

std::string QueryOr(const HttpCall& call, const char* name) {
  const std::string* const value = call.Query(name);
  return value == nullptr ? "" : *value;
}

// `body` where `status` is OK.
void Answer(const absl::Status& status, std::string body, HttpCall* call) {
  if (absl::IsAlreadyExists(status)) {
    return SetHttpError(409, status.message(), &call->response);
  }
  if (!status.ok()) {
    call->response = StoreError(status);
    return;
  }
  call->response.content_type = "application/json";
  call->response.body = std::move(body);
}

}  // namespace

const HttpSteps kAdminSteps = {Begin, nullptr};

void FlushStore(const HttpContext& context, HttpCall* call) {
  Answer(context.store->maintenance()->Flush(), "{\"flushed\":true}\n", call);
}

void CompactStore(const HttpContext& context, HttpCall* call) {
  const KeyRange range{QueryOr(*call, "start"), QueryOr(*call, "end")};
  Answer(context.store->maintenance()->Compact(range), "{\"compacted\":true}\n", call);
}

void VerifyStore(const HttpContext& context, HttpCall* call) {
  const absl::StatusOr<Maintenance::VerifyReport> report = context.store->maintenance()->Verify();
  std::string body;
  if (report.ok()) {
    body = absl::StrCat("{\"files\":", report->files, ",\"bytes\":", report->bytes,
                        ",\"entries\":", report->entries, "}\n");
  }
  Answer(report.status(), std::move(body), call);
}

void MakeCheckpoint(const HttpContext& context, HttpCall* call) {
  const std::string name = QueryOr(*call, "name");
  if (const absl::Status status = CheckCheckpointName(name); !status.ok()) {
    return SetHttpError(400, absl::StrCat("name: ", status.message()), &call->response);
  }
  const absl::StatusOr<std::string> path = context.store->maintenance()->Checkpoint(name);
  std::string body;
  if (path.ok()) body = absl::StrCat("{\"path\":", JsonQuote(*path), "}\n");
  Answer(path.status(), std::move(body), call);
}

}  // namespace kvarts
