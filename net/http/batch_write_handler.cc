#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "net/http/batch_write_request.h"
#include "net/http/handlers.h"
#include "net/http/read_pace.h"

namespace kvarts {
namespace {

// Of the values that one request has read and hashed for its conditions, again where others
// wrote: it may run on the thread that serves other connections too.
constexpr size_t kMaxBytesRead = 1 << 30;

// The stamps of the keys that are to be unchanged, in the places of their conditions; what
// comes back is the condition whose key has another value, or -1. Adds to `*bytes_read`.
absl::StatusOr<int> ReadStamps(Store* store, const BatchWriteRequest& request,
                               std::vector<Stamp>* stamps, size_t* bytes_read) {
  std::vector<size_t> wanted;
  for (size_t i = 0; i < request.conditions.size(); ++i) {
    if (request.conditions[i].kind == Precondition::Kind::kUnchanged) wanted.push_back(i);
  }
  ReadOptions read;
  read.stamp = true;
  ReadResults results;
  ReadPace pace;
  std::vector<absl::string_view> keys;
  for (size_t first = 0; first < wanted.size(); first += keys.size()) {
    keys.clear();
    for (size_t i = first; i < wanted.size() && keys.size() < pace.keys(); ++i) {
      keys.push_back(request.conditions[wanted[i]].key);
    }
    store->MultiGet(keys, read, &results);
    for (size_t i = 0; i < keys.size(); ++i) {
      const ReadResult& result = results[i];
      KVARTS_RETURN_IF_ERROR(result.status);
      *bytes_read += result.value.size();
      if (*bytes_read > kMaxBytesRead) {
        return absl::InvalidArgumentError(
            "if: the values that are to be unchanged are more than 1 GiB to read");
      }
      const size_t at = wanted[first + i];
      if (!result.found || ValueEtag(result.value) != request.conditions[at].etag) {
        if (!results.intact()) break;
        return static_cast<int>(at);
      }
      (*stamps)[at] = result.stamp;
    }
    if (!results.intact()) return absl::DataLossError("a value was lost while it was read");
    pace.Learn(results);
  }
  return -1;
}

void AnswerConditionFailed(const BatchWriteRequest& request, int failed, HttpCall* call) {
  absl::string_view why;
  switch (request.conditions[static_cast<size_t>(failed)].kind) {
    case Precondition::Kind::kAbsent:
      why = "the key is there";
      break;
    case Precondition::Kind::kPresent:
      why = "the key is absent";
      break;
    case Precondition::Kind::kUnchanged:
      why = "the value has another ETag, or is gone";
      break;
  }
  HttpResponse* const response = &call->response;
  response->status = 412;
  response->content_type = "application/json";
  absl::StrAppend(&response->body, "{\"error\":\"if[", failed, "] does not hold: ", why,
                  "\",\"code\":\"", HttpErrorCode(412), "\",\"failed\":", failed, "}\n");
}

// The status that a request for this mutation alone would have.
int StatusOf(const BatchWriteRequest::Change& change, const WriteResult& result) {
  if (!result.status.ok()) return StoreError(result.status).status;
  if (change.kind == Mutation::Kind::kPut) return result.existed ? 204 : 201;
  return result.existed ? 204 : 404;
}

void AnswerWritten(const BatchWriteRequest& request, const WriteResults& written, HttpCall* call) {
  HttpResponse* const response = &call->response;
  response->content_type = "application/json";
  std::string* const out = &response->body;
  out->append("{\"results\":[");
  for (size_t i = 0; i < request.mutations.size(); ++i) {
    const BatchWriteRequest::Change& change = request.mutations[i];
    const WriteResult& result = written.results[i];
    absl::StrAppend(out, i == 0 ? "\n" : ",\n", "{\"status\":", StatusOf(change, result));
    if (!result.status.ok()) {
      absl::StrAppend(out, ",\"error\":", JsonQuote(StoreErrorText(result.status)), ",\"code\":\"",
                      StoreErrorCode(result.status), "\"}");
      continue;
    }
    absl::StrAppend(out, ",\"existed\":", result.existed ? "true" : "false");
    if (change.kind == Mutation::Kind::kPut) {
      absl::StrAppend(out, ",\"etag\":", JsonQuote(ValueEtag(change.value)));
    }
    const bool is_there = result.existed || change.kind == Mutation::Kind::kPut;
    if (is_there && change.metadata.expiry == Metadata::Change::kSet) {
      absl::StrAppend(out, ",\"expires_at_ms\":", change.metadata.expires_at_ms);
    }
    out->append("}");
  }
  out->append("]}\n");
}

void AddTo(WriteBatch* batch, const BatchWriteRequest& request, const std::vector<Stamp>& stamps) {
  batch->Clear();
  for (const BatchWriteRequest::Change& change : request.mutations) {
    Metadata metadata = change.metadata;
    metadata.type = change.content_type;
    batch->Add(Mutation{change.kind, change.key, change.value, metadata});
  }
  for (size_t i = 0; i < request.conditions.size(); ++i) {
    batch->Add(Precondition{request.conditions[i].kind, request.conditions[i].key, stamps[i]});
  }
}

// True where no mutation was applied.
bool AllFailed(const WriteResults& written) {
  for (const WriteResult& result : written.results) {
    if (result.status.ok()) return false;
  }
  return true;
}

WriteOptions Options(const BatchWriteRequest& request) {
  WriteOptions options;
  options.atomic = request.atomic;
  options.report_existed = true;
  return options;
}

// A larger body is taken apart where it does not hold the loop's other connections up.
constexpr size_t kBodyOnLoop = 256 << 10;

// Takes the body apart, once. Null after an answer that says why not.
std::shared_ptr<const BatchWriteRequest> TakeRequest(const HttpContext& context, HttpCall* call) {
  if (call->batch_write != nullptr) return call->batch_write;
  if (!HasJsonType(call->request)) {
    SetHttpError(415, "expected a body with Content-Type: application/json", &call->response);
    return nullptr;
  }
  absl::StatusOr<BatchWriteRequest> request =
      ParseBatchWrite(call->request.body, absl::ToUnixMillis(context.info->clock->Now()));
  if (!request.ok()) {
    SetHttpError(400, request.status().message(), &call->response);
    return nullptr;
  }
  call->request.body = std::string();  // lets go of its memory
  const Capabilities has = context.store->capabilities();
  if (!has.has(has.write)) {
    call->response = ReadOnlyAnswer("");
    return nullptr;
  }
  if (request->atomic && has.batch_scope == BatchScope::kNone) {
    SetHttpError(501, "the store has no atomic batches", &call->response);
    return nullptr;
  }
  return call->batch_write = std::make_shared<const BatchWriteRequest>(*std::move(request));
}

void AnswerBatch(const BatchWriteRequest& request, const WriteResults& written,
                 const absl::Status& status, HttpCall* call) {
  if (!status.ok() && AllFailed(written)) {
    call->response = StoreError(status);
  } else {
    AnswerWritten(request, written, call);
  }
}

HttpSteps::Next BeginWriteMany(const HttpContext& context, absl::Span<HttpCall> calls,
                               StoreWrite* write) {
  using Next = HttpSteps::Next;
  if (calls[0].request.body.size() > kBodyOnLoop) return Next::kHandle;
  const std::shared_ptr<const BatchWriteRequest> request = TakeRequest(context, &calls[0]);
  if (request == nullptr) return Next::kAnswered;
  if (!request->conditions.empty()) return Next::kHandle;
  AddTo(&write->batch, *request, {});
  write->options = Options(*request);
  return Next::kSubmit;
}

void EndWriteMany(HttpCall* call, const StoreWrite& write, const absl::Status& status) {
  AnswerBatch(*call->batch_write, write.results, status, call);
  call->batch_write = nullptr;
}

}  // namespace

bool HasJsonType(const HttpRequest& request) {
  const std::string* const field = request.Find("Content-Type");
  if (field == nullptr) return false;
  const absl::string_view type = absl::string_view(*field).substr(0, field->find(';'));
  return absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(type), "application/json");
}

const HttpSteps kWriteManySteps = {BeginWriteMany, EndWriteMany};

// An ETag names a value, a stamp a state. A value that has the ETag is read with its stamp,
// and written on condition of the stamp: nobody comes in between. Where somebody did, the
// value is looked at again.
void WriteMany(const HttpContext& context, HttpCall* call) {
  const std::shared_ptr<const BatchWriteRequest> request = TakeRequest(context, call);
  call->batch_write = nullptr;
  if (request == nullptr) return;
  const WriteOptions options = Options(*request);
  WriteBatch batch;
  WriteResults written;
  std::vector<Stamp> stamps(request->conditions.size());
  size_t bytes_read = 0;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    const absl::StatusOr<int> changed = ReadStamps(context.store, *request, &stamps, &bytes_read);
    if (!changed.ok()) {
      call->response = StoreError(changed.status());
      return;
    }
    if (*changed >= 0) return AnswerConditionFailed(*request, *changed, call);
    AddTo(&batch, *request, stamps);
    written = WriteResults();
    const absl::Status status = context.store->Write(batch, options, &written);
    if (const int failed = written.failed_precondition; failed >= 0) {
      const auto& condition = request->conditions[static_cast<size_t>(failed)];
      if (condition.kind == Precondition::Kind::kUnchanged) continue;
      return AnswerConditionFailed(*request, failed, call);
    }
    return AnswerBatch(*request, written, status, call);
  }
  AnswerBusy(call);
}

}  // namespace kvarts
