#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/http/handlers.h"
#include "net/leases.h"

namespace kvarts {
namespace {

constexpr size_t kIdDigits = 16;

// 0, which names none, for what is no name.
uint64_t ParseId(absl::string_view text) {
  uint64_t id = 0;
  return text.size() == kIdDigits && absl::SimpleHexAtoi(text, &id) ? id : 0;
}

}  // namespace

void MakeSnapshot(const HttpContext& context, HttpCall* call) {
  if (!HasJsonType(call->request)) {
    return SetHttpError(415, "expected Content-Type: application/json", &call->response);
  }
  absl::StatusOr<std::shared_ptr<const Snapshot>> snapshot = context.store->GetSnapshot();
  if (!snapshot.ok()) {
    call->response = StoreError(snapshot.status());
    return;
  }
  const absl::StatusOr<uint64_t> id = context.leases->Add(*std::move(snapshot));
  if (!id.ok()) {
    return SetHttpError(503, id.status().message(), &call->response, "too_many_snapshots");
  }
  call->response.status = 201;
  call->response.content_type = "application/json";
  call->response.body = absl::StrFormat("{\"snapshot\":\"%016x\",\"lease_ms\":%d}\n", *id,
                                        absl::ToInt64Milliseconds(context.leases->lease()));
}

void ReleaseSnapshot(const HttpContext& context, HttpCall* call) {
  context.leases->Release(ParseId(call->parameter));
  call->response.status = 204;
}

bool ReadSnapshot(const HttpContext& context, HttpCall* call,
                  std::shared_ptr<const Snapshot>* snapshot) {
  const std::string* const text = call->Query("snapshot");
  if (text == nullptr) return true;
  const uint64_t id = ParseId(*text);
  absl::StatusOr<std::shared_ptr<const Snapshot>> found = context.leases->Find(id);
  if (!found.ok() || !context.leases->Renew(id).ok()) {
    SetHttpError(410, "the snapshot was let go, or was never made", &call->response);
    return false;
  }
  *snapshot = *std::move(found);
  return true;
}

}  // namespace kvarts
