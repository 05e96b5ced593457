#include <algorithm>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/expiry.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// Of other writers of the same key in a row; a store that cannot keep up.
constexpr int kMaxTries = 1000;

// Deletes or touches one key. True: it was there.
absl::StatusOr<bool> WriteOne(Store* store, const Mutation& mutation, const Stamp* unchanged) {
  WriteBatch batch;
  batch.Add(mutation);
  if (unchanged != nullptr) batch.RequireUnchanged(mutation.key, *unchanged);
  WriteOptions options;
  options.atomic = unchanged != nullptr;
  options.report_existed = true;
  WriteResults results;
  absl::Status status = store->Write(batch, options, &results);
  if (results.failed_precondition >= 0) return absl::AbortedError("changed meanwhile");
  if (!status.ok()) return status;
  return results.results[0].existed;
}

// The same, of a key for which `wanted` is true, as one step.
absl::StatusOr<bool> WriteOneIf(CommandCall* call, const Mutation& mutation,
                                absl::FunctionRef<bool(const ReadResult&)> wanted) {
  ReadOptions options;
  options.value = false;
  options.stamp = true;
  for (int i = 0; i < kMaxTries; ++i) {
    ReadResults* const current = call->scratch->results.get();
    call->store()->Read(mutation.key, options, current);
    const ReadResult& result = (*current)[0];
    if (!result.status.ok()) return result.status;
    if (!result.found || !wanted(result)) return false;
    absl::StatusOr<bool> written = WriteOne(call->store(), mutation, &result.stamp);
    if (!absl::IsAborted(written.status())) return written;
  }
  return absl::UnavailableError("other writers changed the key at every try");
}

void Answer(const absl::StatusOr<bool>& done, ReplyWriter* reply) {
  if (!done.ok()) return reply->Error(ErrorText(done.status()));
  reply->Integer(*done ? 1 : 0);
}

struct Conditions {
  bool nx = false, xx = false, gt = false, lt = false;

  bool any() const { return nx || xx || gt || lt; }
  // Without an expiry a key is there for ever: nothing is greater.
  bool Hold(const ReadResult& current, int64_t wanted) const {
    const int64_t now = current.expires_at_ms;
    if (nx && now != 0) return false;
    if (xx && now == 0) return false;
    if (gt && (now == 0 || wanted <= now)) return false;
    return !lt || now == 0 || wanted < now;
  }
};

// True, or else the reply is written.
bool ParseConditions(CommandCall* call, Conditions* conditions) {
  for (const absl::string_view word : call->args.subspan(3)) {
    if (absl::EqualsIgnoreCase(word, "NX")) {
      conditions->nx = true;
    } else if (absl::EqualsIgnoreCase(word, "XX")) {
      conditions->xx = true;
    } else if (absl::EqualsIgnoreCase(word, "GT")) {
      conditions->gt = true;
    } else if (absl::EqualsIgnoreCase(word, "LT")) {
      conditions->lt = true;
    } else {
      call->reply->Error(absl::StrCat("ERR Unsupported option ", Shown(word)));
      return false;
    }
  }
  if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt)) {
    call->reply->Error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (conditions->gt && conditions->lt) {
    call->reply->Error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

void ExpireAs(CommandCall* call, ExpiryUnit unit) {
  Conditions conditions;
  if (!ParseConditions(call, &conditions)) return;
  int64_t at = 0;
  if (const char* error = ParseExpiry(*call, unit, call->args[2], &at)) {
    return call->reply->Error(ExpiryError(*call, error));
  }
  Mutation mutation;
  mutation.key = call->args[1];
  if (at <= call->now_ms()) {
    mutation.kind = Mutation::Kind::kDelete;
  } else {
    mutation.kind = Mutation::Kind::kTouch;
    mutation.metadata = Metadata::Keep();
    mutation.metadata.expiry = Metadata::Change::kSet;
    mutation.metadata.expires_at_ms = at;
  }
  if (!conditions.any()) return Answer(WriteOne(call->store(), mutation, nullptr), call->reply);
  Answer(WriteOneIf(call, mutation,
                    [&](const ReadResult& current) { return conditions.Hold(current, at); }),
         call->reply);
}

}  // namespace

void Expire(CommandCall* call) { ExpireAs(call, ExpiryUnit::kSeconds); }
void PExpire(CommandCall* call) { ExpireAs(call, ExpiryUnit::kMilliseconds); }
void ExpireAt(CommandCall* call) { ExpireAs(call, ExpiryUnit::kUnixSeconds); }
void PExpireAt(CommandCall* call) { ExpireAs(call, ExpiryUnit::kUnixMilliseconds); }

void Persist(CommandCall* call) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kTouch;
  mutation.key = call->args[1];
  mutation.metadata = Metadata::Keep();
  mutation.metadata.expiry = Metadata::Change::kClear;
  Answer(WriteOneIf(call, mutation,
                    [](const ReadResult& current) { return current.expires_at_ms != 0; }),
         call->reply);
}

const WriteGather kGatherDel = {
    [](absl::Span<const absl::string_view> args, WriteBatch* batch) {
      for (const absl::string_view key : args.subspan(1)) batch->Delete(key);
      return true;
    },
    [](absl::Span<const WriteResult> results, ReplyWriter* reply) {
      reply->Integer(std::count_if(results.begin(), results.end(),
                                   [](const WriteResult& result) { return result.existed; }));
    },
    /*needs_existed=*/true,
};

void FlushAll(CommandCall* call) {
  if (call->args.size() > 2 ||
      (call->args.size() == 2 && !absl::EqualsIgnoreCase(call->args[1], "ASYNC") &&
       !absl::EqualsIgnoreCase(call->args[1], "SYNC"))) {
    return call->reply->Error(kSyntaxError);
  }
  if (!call->state->options.allow_flush) {
    return call->reply->Error("ERR deleting all keys at once is not allowed on this server");
  }
  WriteBatch batch;
  batch.DeleteRange("", "");
  const absl::Status status = call->store()->Write(batch, WriteOptions(), nullptr);
  status.ok() ? call->reply->Ok() : call->reply->Error(ErrorText(status));
}

}  // namespace resp
}  // namespace kvarts
