// DUMP and RESTORE: a value as the bytes that Redis has for it.

#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "net/resp/handlers.h"
#include "net/resp/modify.h"
#include "net/resp/rdb_string.h"

namespace kvarts {
namespace resp {
namespace {

constexpr char kBusyKey[] = "BUSYKEY Target key name already exists.";

// RESTORE's, behind the payload. Of the access times nothing is kept.
struct RestoreOptions {
  bool replace = false;
  bool is_absolute = false;

  // Null, or the reply.
  const char* Parse(absl::Span<const absl::string_view> args) {
    bool has_idle = false;
    bool has_frequency = false;
    for (size_t i = 4; i < args.size(); ++i) {
      const bool has_more = i + 1 < args.size();
      int64_t number = 0;
      if (absl::EqualsIgnoreCase(args[i], "REPLACE")) {
        replace = true;
      } else if (absl::EqualsIgnoreCase(args[i], "ABSTTL")) {
        is_absolute = true;
      } else if (absl::EqualsIgnoreCase(args[i], "IDLETIME") && has_more && !has_frequency) {
        if (!ParseInteger(args[++i], &number)) return kNotAnInteger;
        if (number < 0) return "ERR Invalid IDLETIME value, must be >= 0";
        has_idle = true;
      } else if (absl::EqualsIgnoreCase(args[i], "FREQ") && has_more && !has_idle) {
        if (!ParseInteger(args[++i], &number)) return kNotAnInteger;
        if (number < 0 || number > 255) return "ERR Invalid FREQ value, must be >= 0 and <= 255";
        has_frequency = true;
      } else {
        return kSyntaxError;
      }
    }
    return nullptr;
  }
};

// True: the reply is written, as the key is there or the store has an error.
bool IsTaken(CommandCall* call) {
  ReadOptions options;
  options.value = false;
  ReadResults* const results = call->scratch->results.get();
  call->store()->Read(call->args[1], options, results);
  const ReadResult& result = (*results)[0];
  if (!result.status.ok()) {
    call->reply->Error(ErrorText(result.status));
  } else if (result.found) {
    call->reply->Error(kBusyKey);
  }
  return !result.status.ok() || result.found;
}

std::string WhyRefused(const absl::Status& status, absl::string_view payload) {
  if (absl::IsInvalidArgument(status)) return "ERR DUMP payload version or checksum are wrong";
  if (absl::IsDataLoss(status)) return "ERR Bad data format";
  if (absl::IsResourceExhausted(status)) return kTooLong;
  return absl::StrCat("ERR strings are restored here, and this is a value of RDB's type ",
                      static_cast<int>(static_cast<unsigned char>(payload[0])));
}

void PutRestored(CommandCall* call, const std::string& value, int64_t expires_at_ms, bool replace) {
  const absl::string_view key = call->args[1];
  WriteBatch batch;
  if (expires_at_ms != 0 && expires_at_ms <= call->now_ms()) {
    batch.Delete(key);  // it has expired already
  } else {
    Metadata metadata;
    if (expires_at_ms != 0) {
      metadata.expiry = Metadata::Change::kSet;
      metadata.expires_at_ms = expires_at_ms;
    }
    batch.Put(key, value, metadata);
  }
  if (!replace) batch.RequireAbsent(key);
  WriteOptions options;
  options.atomic = !replace;
  WriteResults results;
  const absl::Status status = call->store()->Write(batch, options, &results);
  if (results.failed_precondition >= 0) return call->reply->Error(kBusyKey);
  AnswerStatus(status, call->reply);
}

}  // namespace

bool AnswerDump(const ReadAnswer& answer) {
  const ReadResult& result = answer.results[0];
  result.found ? answer.reply->Bulk(ToDumpPayload(result.value)) : answer.reply->Null();
  return false;
}

// RESTORE key milliseconds payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
void Restore(CommandCall* call) {
  const auto args = call->args;
  RestoreOptions options;
  if (const char* const error = options.Parse(args)) return call->reply->Error(error);
  if (!options.replace && IsTaken(call)) return;
  int64_t time = 0;
  if (!ParseInteger(args[2], &time)) return call->reply->Error(kNotAnInteger);
  if (time < 0) return call->reply->Error("ERR Invalid TTL value, must be >= 0");
  const absl::StatusOr<std::string> value =
      FromDumpPayload(args[3], call->state->options.max_value_bytes);
  if (!value.ok()) return call->reply->Error(WhyRefused(value.status(), args[3]));
  const int64_t now = call->now_ms();
  if (time != 0 && !options.is_absolute) {
    time = time > std::numeric_limits<int64_t>::max() - now ? std::numeric_limits<int64_t>::max()
                                                            : time + now;
  }
  PutRestored(call, *value, time, options.replace);
}

}  // namespace resp
}  // namespace kvarts
