#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/checksum.h"
#include "net/http/batch_write_request.h"
#include "net/http/handlers.h"
#include "net/http/json.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace {

// Each byte is looked at, on the loop: longer ones would hold up other requests, and are for
// programs.
constexpr size_t kMaxShownText = size_t{64} << 10;

// What a browser shows as it is meant: UTF-8 without bytes that control a terminal.
bool IsShownAsText(absl::string_view value) {
  return value.size() <= kMaxShownText && IsUtf8(value) &&
         std::none_of(value.begin(), value.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
         });
}

// Above it a value is sent from where it lies, below it is copied behind its
// head: one piece less to write.
constexpr size_t kLendBytes = 16 << 10;

constexpr absl::string_view kWritingMethods = "GET, HEAD, PUT, DELETE";
constexpr absl::string_view kReadingMethods = "GET, HEAD";

// The condition that a request makes on what is there.
struct Conditions {
  const absl::optional<std::string> if_match;
  const absl::optional<std::string> if_none_match;

  explicit Conditions(const HttpRequest& request)
      : if_match(request.List("If-Match")), if_none_match(request.List("If-None-Match")) {}

  bool any() const { return if_match.has_value() || if_none_match.has_value(); }
  // RFC 9110, section 13.1: If-Match compares strongly, If-None-Match weakly.
  bool Matches(bool found, absl::string_view etag) const {
    return !if_match.has_value() || (found && EtagInList(*if_match, etag, /*weak=*/false));
  }
  bool NoneMatches(bool found, absl::string_view etag) const {
    return !if_none_match.has_value() || !found || !EtagInList(*if_none_match, etag, /*weak=*/true);
  }
};

void PreconditionFailed(HttpResponse* response) {
  SetHttpError(412, "the value is not what If-Match or If-None-Match asks for", response);
}

void AddExpiry(int64_t expires_at_ms, HttpResponse* response) {
  if (expires_at_ms == 0) return;
  absl::StrAppend(&response->fields, "X-Expires-At-Ms: ", expires_at_ms, "\r\n");
}

// `owner` holds the value's bytes; taken where they are lent on.
void AnswerValue(const ReadResult& result, ReadResults* owner, HttpCall* call) {
  HttpResponse* const response = &call->response;
  if (!result.status.ok()) {
    *response = KeyError(result.status, call->request);
    return;
  }
  const Conditions conditions(call->request);
  if (!result.found) {
    ++call->misses;
    if (conditions.if_match.has_value()) return PreconditionFailed(response);
    return SetHttpError(404, "there is no such key", response, "no_such_key");
  }
  ++call->hits;
  const std::string etag = ValueEtag(result.value);
  response->AddField("ETag", etag);
  AddExpiry(result.expires_at_ms, response);
  if (conditions.any()) {
    if (!conditions.Matches(true, etag)) return PreconditionFailed(response);
    if (!conditions.NoneMatches(true, etag)) {
      response->status = 304;
      return;
    }
  }
  // A browser must not take a value for a page or a script of this server.
  response->fields.append("X-Content-Type-Options: nosniff\r\n");
  if (result.content_type.empty()) {
    // A browser shows the one, and saves the other as a file.
    response->content_type =
        IsShownAsText(result.value) ? "text/plain; charset=utf-8" : "application/octet-stream";
  } else {
    response->content_type.assign(result.content_type.data(), result.content_type.size());
    response->fields.append("Content-Security-Policy: default-src 'none'; sandbox\r\n");
  }
  if (result.value.size() >= kLendBytes) {
    response->has_lent = true;
    response->lent = result.value;
    response->owner = std::move(*owner);
    return;
  }
  response->body.assign(result.value.data(), result.value.size());
  if (!owner->intact()) {
    *response = StoreError(absl::DataLossError("the value was lost while it was read"));
  }
}

void SetContentType(const HttpContext& context, const HttpRequest& request, Metadata* metadata) {
  const std::string* const type = request.Find("Content-Type");
  if (type == nullptr || type->empty()) return;
  const Capabilities has = context.store->capabilities();
  if (!has.has(has.content_type)) return;
  metadata->content_type = Metadata::Change::kSet;
  metadata->type = *type;
}

absl::Status ReadExpiry(const HttpContext& context, const HttpCall& call, Metadata* metadata) {
  const std::string* const at = call.Query("expires_at_ms");
  const std::string* const ttl = call.Query("ttl_ms");
  if (at == nullptr && ttl == nullptr) return absl::OkStatus();
  if (at != nullptr && ttl != nullptr) {
    return absl::InvalidArgumentError("the query has expires_at_ms and ttl_ms at once");
  }
  int64_t number = 0;
  if (!absl::SimpleAtoi(at != nullptr ? *at : *ttl, &number) || number < 1 || number > kMaxTimeMs) {
    return absl::InvalidArgumentError(absl::StrCat(at != nullptr ? "expires_at_ms" : "ttl_ms",
                                                   ": expected a number from 1 to ", kMaxTimeMs));
  }
  metadata->expiry = Metadata::Change::kSet;
  metadata->expires_at_ms =
      at != nullptr ? number : absl::ToUnixMillis(context.info->clock->Now()) + number;
  return absl::OkStatus();
}

// --- Lists of entity tags (RFC 9110, section 8.8.3) ---------------------------

// Takes what stands before the next element of a list away. False: there is none.
bool SkipToElement(absl::string_view* list) {
  list->remove_prefix(std::min(list->find_first_not_of(" \t,"), list->size()));
  return !list->empty();
}

// Takes the tag at the front away, with its quotes; empty where it is not one.
absl::string_view TakeEtag(absl::string_view* list, bool* is_weak) {
  *is_weak = absl::ConsumePrefix(list, "W/");
  // Tags are quoted and may hold commas.
  const size_t end = absl::StartsWith(*list, "\"") ? list->find('"', 1) : absl::string_view::npos;
  if (end == absl::string_view::npos) return {};
  const absl::string_view tag = list->substr(0, end + 1);
  list->remove_prefix(end + 1);
  return tag;
}

enum class WriteOutcome { kAnswered, kExisted, kWasAbsent };

// Makes `mutation` under the request's conditions. Answers where it fails.
WriteOutcome WriteUnderConditions(const HttpContext& context, HttpCall* call,
                                  const Mutation& mutation) {
  const Conditions conditions(call->request);
  WriteOptions options;
  options.atomic = true;
  WriteBatch batch;
  WriteResults written;
  ReadOptions read;
  read.stamp = true;
  ReadResults results;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    context.store->Read(call->parameter, read, &results);
    const ReadResult& current = results[0];
    absl::Status status = current.status;
    if (status.ok()) {
      const std::string etag = current.found ? ValueEtag(current.value) : "";
      if (!conditions.Matches(current.found, etag) ||
          !conditions.NoneMatches(current.found, etag)) {
        PreconditionFailed(&call->response);
        return WriteOutcome::kAnswered;
      }
      batch.Clear();
      batch.RequireUnchanged(call->parameter, current.stamp);
      batch.Add(mutation);
      status = context.store->Write(batch, options, &written);
      if (status.ok()) return current.found ? WriteOutcome::kExisted : WriteOutcome::kWasAbsent;
    }
    if (written.failed_precondition < 0) {
      call->response = KeyError(status, call->request);
      return WriteOutcome::kAnswered;
    }
    written = WriteResults();  // somebody else wrote it in between
  }
  AnswerBusy(call);
  return WriteOutcome::kAnswered;
}

// The first step of a request that writes what is in `write`.
HttpSteps::Next BeginWrite(const HttpContext& context, HttpCall* call, StoreWrite* write) {
  const Capabilities has = context.store->capabilities();
  if (!has.has(has.write)) {
    call->response = ReadOnlyAnswer(kReadingMethods);
    return HttpSteps::Next::kAnswered;
  }
  if (Conditions(call->request).any()) return HttpSteps::Next::kHandle;
  write->options.report_existed = true;
  return HttpSteps::Next::kSubmit;
}

// All steps of one, where it may wait; `answer` is given what became of it.
void WriteWaiting(const HttpContext& context, HttpCall* call, const HttpSteps& steps,
                  void (*answer)(HttpCall* call, const Mutation& mutation, bool existed)) {
  StoreWrite write;
  switch (steps.begin(context, {call, 1}, &write)) {
    case HttpSteps::Next::kAnswered:
      return;
    case HttpSteps::Next::kSubmit: {
      const absl::Status status = context.store->Write(write.batch, write.options, &write.results);
      return steps.end(call, write, status);
    }
    case HttpSteps::Next::kHandle: {
      const Mutation& mutation = write.batch.mutations()[0];
      const WriteOutcome outcome = WriteUnderConditions(context, call, mutation);
      if (outcome == WriteOutcome::kAnswered) return;
      return answer(call, mutation, outcome == WriteOutcome::kExisted);
    }
  }
}

// The last step, with WriteWaiting()'s `answer`.
template <void (*kAnswer)(HttpCall* call, const Mutation& mutation, bool existed)>
void EndWrite(HttpCall* call, const StoreWrite& write, const absl::Status& status) {
  if (!status.ok()) {
    call->response = KeyError(status, call->request);
    return;
  }
  kAnswer(call, write.batch.mutations()[0], write.results.results[0].existed);
}

HttpSteps::Next BeginPut(const HttpContext& context, absl::Span<HttpCall> calls,
                         StoreWrite* write) {
  HttpCall* const call = &calls[0];
  Metadata metadata;
  if (const absl::Status status = ReadExpiry(context, *call, &metadata); !status.ok()) {
    SetHttpError(400, status.message(), &call->response);
    return HttpSteps::Next::kAnswered;
  }
  SetContentType(context, call->request, &metadata);
  write->batch.Put(call->parameter, call->request.body, metadata);
  return BeginWrite(context, call, write);
}

void AnswerPut(HttpCall* call, const Mutation& mutation, bool existed) {
  call->response.status = existed ? 204 : 201;
  call->response.AddField("ETag", ValueEtag(mutation.value));
  AddExpiry(mutation.metadata.expires_at_ms, &call->response);
}

HttpSteps::Next BeginDelete(const HttpContext& context, absl::Span<HttpCall> calls,
                            StoreWrite* write) {
  write->batch.Delete(calls[0].parameter);
  return BeginWrite(context, &calls[0], write);
}

void AnswerDelete(HttpCall* call, const Mutation&, bool existed) {
  if (!existed) {
    ++call->misses;
    return SetHttpError(404, "there is no such key", &call->response, "no_such_key");
  }
  call->response.status = 204;
}

// False, and nothing is answered: the store would have to wait for one of them.
bool ReadValues(const HttpContext& context, const ReadOptions& options,
                absl::Span<HttpCall> calls) {
  // Kept from call to call, as the contract advises; what the store lent is let
  // go each time, so that no idle thread holds on to a file.
  thread_local std::vector<absl::string_view> keys;
  thread_local ReadResults results;
  if (calls.size() == 1) {
    context.store->Read(calls[0].parameter, options, &results);
  } else {
    keys.clear();
    for (const HttpCall& call : calls) keys.push_back(call.parameter);
    context.store->MultiGet(keys, options, &results);
  }
  const bool waits = options.no_wait && std::any_of(results.begin(), results.end(), [](auto& r) {
                       // A slot that nobody serves is on no disk either.
                       return absl::IsUnavailable(r.status) && !IsSlotDown(r.status);
                     });
  for (size_t i = 0; !waits && i < calls.size(); ++i) {
    // A large one would take the results of all away.
    calls[i].alone =
        calls.size() > 1 && results[i].status.ok() && results[i].value.size() >= kLendBytes;
    if (!calls[i].alone) AnswerValue(results[i], &results, &calls[i]);
  }
  results.Release();
  return !waits;
}

HttpSteps::Next BeginGet(const HttpContext& context, absl::Span<HttpCall> calls, StoreWrite*) {
  ReadOptions options;
  options.no_wait = true;
  return ReadValues(context, options, calls) ? HttpSteps::Next::kAnswered
                                             : HttpSteps::Next::kHandle;
}

}  // namespace

const HttpSteps kGetSteps = {BeginGet, nullptr};
const HttpSteps kPutSteps = {BeginPut, EndWrite<AnswerPut>};
const HttpSteps kDeleteSteps = {BeginDelete, EndWrite<AnswerDelete>};

std::string ValueEtag(absl::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  uint64_t hash = Checksum(value);
  std::string etag(18, '"');
  for (size_t i = 16; i > 0; --i, hash >>= 4) etag[i] = kHex[hash & 15];
  return etag;
}

bool EtagInList(absl::string_view list, absl::string_view etag, bool weak) {
  while (SkipToElement(&list)) {
    if (list[0] == '*') return true;
    bool is_weak = false;
    const absl::string_view tag = TakeEtag(&list, &is_weak);
    if (tag.empty()) return false;
    if ((weak || !is_weak) && tag == etag) return true;
  }
  return false;
}

bool IsEtagList(absl::string_view list) {
  if (absl::StripAsciiWhitespace(list) == "*") return true;
  bool any = false;
  while (SkipToElement(&list)) {
    bool is_weak = false;
    if (TakeEtag(&list, &is_weak).empty()) return false;
    any = true;
    list = absl::StripLeadingAsciiWhitespace(list);
    if (!list.empty() && list[0] != ',') return false;
  }
  return any;
}

namespace {

int HttpStatusOf(const absl::Status& status) {
  if (IsMoved(status)) return 421;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kResourceExhausted:
      return 507;
    default:
      return 503;
  }
}

}  // namespace

absl::string_view StoreErrorCode(const absl::Status& status) {
  return IsSlotDown(status) ? "slot_down" : HttpErrorCode(HttpStatusOf(status));
}

HttpResponse StoreError(const absl::Status& status) {
  if (!IsSlotDown(status)) return HttpError(HttpStatusOf(status), StoreErrorText(status));
  HttpResponse response =
      HttpError(503, "nobody serves the key's slot now; try again", StoreErrorCode(status));
  response.AddField("Retry-After", "1");
  return response;
}

HttpResponse ReadOnlyAnswer(absl::string_view allowed) {
  HttpResponse response = HttpError(
      405,
      allowed.empty() ? "the store is read-only; there is nothing else here"
                      : absl::StrCat("the store is read-only; the methods here are ", allowed),
      "read_only");
  response.AddField("Allow", allowed);
  return response;
}

void AnswerBusy(HttpCall* call) {
  SetHttpError(503, "what is to be written is written by many others; try again", &call->response,
               "busy");
}

bool DecodeBase64(absl::string_view text, std::string* bytes) {
  // Abseil leaves white space out; here a space was a plus that nobody encoded.
  if (std::any_of(text.begin(), text.end(), [](char c) { return absl::ascii_isspace(c); })) {
    return false;
  }
  return absl::Base64Unescape(text, bytes) || absl::WebSafeBase64Unescape(text, bytes);
}

void GetValues(const HttpContext& context, absl::Span<HttpCall> calls) {
  ReadValues(context, ReadOptions(), calls);
}

void PutValue(const HttpContext& context, HttpCall* call) {
  WriteWaiting(context, call, kPutSteps, AnswerPut);
}

void DeleteKey(const HttpContext& context, HttpCall* call) {
  WriteWaiting(context, call, kDeleteSteps, AnswerDelete);
}

}  // namespace kvarts
