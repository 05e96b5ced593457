// RENAME, RENAMENX, COPY, MOVE: what gives a value another key.

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// Of other writers of the same keys in a row; a store that cannot keep up.
constexpr int kMaxTries = 1000;
constexpr char kSameObject[] = "ERR source and destination objects are the same";

enum class Outcome : unsigned char { kDone, kNoSource, kTaken };

// Puts what `source` has to `destination`, in one step with what it read.
absl::StatusOr<Outcome> PutCopy(CommandCall* call, absl::string_view source,
                                absl::string_view destination, bool replace, bool keep_source) {
  Store* const store = call->store();
  ReadOptions options;
  options.stamp = true;
  ReadResults results;
  for (int i = 0; i < kMaxTries; ++i) {
    store->Read(source, options, &results);
    const ReadResult& from = results[0];
    if (!from.status.ok()) return from.status;
    if (!from.found) return Outcome::kNoSource;
    call->work += from.value.size() >> 10;
    Metadata metadata;
    if (from.expires_at_ms != 0) {
      metadata.expiry = Metadata::Change::kSet;
      metadata.expires_at_ms = from.expires_at_ms;
    }
    if (!from.content_type.empty()) {
      metadata.content_type = Metadata::Change::kSet;
      metadata.type = from.content_type;
    }
    WriteBatch batch;
    batch.RequireUnchanged(source, from.stamp);
    if (!replace) batch.RequireAbsent(destination);
    batch.Put(destination, from.value, metadata);
    if (!keep_source) batch.Delete(source);
    WriteOptions write;
    write.atomic = true;
    WriteResults written;
    const absl::Status status = store->Write(batch, write, &written);
    if (written.failed_precondition == 1) return Outcome::kTaken;
    if (written.failed_precondition == 0) continue;
    if (!status.ok()) return status;
    return Outcome::kDone;
  }
  return absl::UnavailableError("other writers changed the key at every try");
}

// True, or else the reply is written.
bool CheckDatabase(CommandCall* call, absl::string_view text) {
  int64_t index = 0;
  const char* error = nullptr;
  if (!ParseInteger(text, &index)) {
    error = kNotAnInteger;
  } else if (index < std::numeric_limits<int32_t>::min() ||
             index > std::numeric_limits<int32_t>::max()) {
    error = kNotAnInt32;
  } else if (index != 0) {
    error = "ERR DB index is out of range";
  }
  if (error != nullptr) call->reply->Error(error);
  return error == nullptr;
}

// The outcome, where it is no error.
bool RenameAs(CommandCall* call, bool replace, Outcome* outcome) {
  const absl::string_view source = call->args[1];
  const absl::string_view destination = call->args[2];
  absl::StatusOr<Outcome> done;
  if (source == destination) {
    ReadOptions options;
    options.value = false;
    ReadResults* const results = call->scratch->results.get();
    call->store()->Read(source, options, results);
    const ReadResult& there = (*results)[0];
    done = Outcome::kTaken;
    if (!there.found) done = Outcome::kNoSource;
    if (!there.status.ok()) done = there.status;
  } else {
    done = PutCopy(call, source, destination, replace, false);
  }
  if (!done.ok()) {
    call->reply->Error(ErrorText(done.status()));
  } else if (*done == Outcome::kNoSource) {
    call->reply->Error("ERR no such key");
  } else {
    *outcome = *done;
    return true;
  }
  return false;
}

}  // namespace

void Rename(CommandCall* call) {
  Outcome outcome = Outcome::kDone;
  if (RenameAs(call, true, &outcome)) call->reply->Ok();
}

void RenameNx(CommandCall* call) {
  Outcome outcome = Outcome::kDone;
  if (RenameAs(call, false, &outcome)) call->reply->Integer(outcome == Outcome::kDone ? 1 : 0);
}

// COPY source destination [DB index] [REPLACE]
void Copy(CommandCall* call) {
  const auto args = call->args;
  bool replace = false;
  for (size_t i = 3; i < args.size(); ++i) {
    if (absl::EqualsIgnoreCase(args[i], "REPLACE")) {
      replace = true;
    } else if (absl::EqualsIgnoreCase(args[i], "DB") && i + 1 < args.size()) {
      if (!CheckDatabase(call, args[++i])) return;
    } else {
      return call->reply->Error(kSyntaxError);
    }
  }
  if (args[1] == args[2]) return call->reply->Error(kSameObject);
  const absl::StatusOr<Outcome> outcome = PutCopy(call, args[1], args[2], replace, true);
  if (!outcome.ok()) return call->reply->Error(ErrorText(outcome.status()));
  call->reply->Integer(*outcome == Outcome::kDone ? 1 : 0);
}

void Move(CommandCall* call) {
  if (CheckDatabase(call, call->args[2])) call->reply->Error(kSameObject);
}

}  // namespace resp
}  // namespace kvarts
