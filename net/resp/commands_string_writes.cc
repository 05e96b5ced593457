#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/expiry.h"
#include "net/resp/handlers.h"
#include "net/resp/key_slots.h"
#include "net/resp/modify.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxFloatText = 5 << 10;

enum class Condition : unsigned char { kNone, kAbsent, kPresent };

// Puts, unless the condition does not hold. True: done.
absl::StatusOr<bool> PutIf(CommandCall* call, absl::string_view key, absl::string_view value,
                           const Metadata& metadata, Condition condition) {
  WriteBatch batch;
  batch.Put(key, value, metadata);
  if (condition == Condition::kAbsent) batch.RequireAbsent(key);
  if (condition == Condition::kPresent) batch.RequirePresent(key);
  WriteOptions options;
  options.atomic = condition != Condition::kNone;
  WriteResults results;
  const absl::Status status = call->store()->Write(batch, options, &results);
  if (results.failed_precondition >= 0) return false;
  if (!status.ok()) return status;
  return true;
}

// Modify() that remembers the value before, which is then the reply.
template <typename Change>
void ReplaceAndAnswerOld(CommandCall* call, absl::string_view key, Change change) {
  std::optional<std::string> old;
  const absl::Status status = call->store()->Modify(
      key, WriteOptions(), [&](const ReadResult& current) -> absl::StatusOr<Modification> {
        old.reset();
        CountCopy(call, current.value.size());
        if (current.found) old.emplace(current.value);
        return change(current);
      });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  old ? call->reply->Bulk(*old) : call->reply->Null();
}

void PutAndAnswer(CommandCall* call, absl::string_view key, absl::string_view value,
                  const Metadata& metadata) {
  AnswerStatus(PutIf(call, key, value, metadata, Condition::kNone).status(), call->reply);
}

// Sets `key` to a number made of its own; absent is 0.
void AddInteger(CommandCall* call, int64_t increment) {
  int64_t sum = 0;
  const absl::Status status =
      call->store()->Modify(call->args[1], WriteOptions(),
                            [&](const ReadResult& current) -> absl::StatusOr<Modification> {
                              sum = 0;
                              if (current.found && !ParseInteger(current.value, &sum))
                                return ReplyError(kNotAnInteger);
                              if (__builtin_add_overflow(sum, increment, &sum)) {
                                return ReplyError("ERR increment or decrement would overflow");
                              }
                              return Modification::Put(absl::StrCat(sum));
                            });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  call->reply->Integer(sum);
}

// True, or else the reply is written.
bool Increment(CommandCall* call, int64_t* increment) {
  if (ParseInteger(call->args[2], increment)) return true;
  call->reply->Error(kNotAnInteger);
  return false;
}

// As other servers: digits in front of the point, and behind it as many as say
// something.
std::string FloatText(long double value) {
  char text[kMaxFloatText];
  int size = std::snprintf(text, sizeof text, "%.17Lf", value);
  while (size > 0 && text[size - 1] == '0') --size;
  if (size > 0 && text[size - 1] == '.') --size;
  const std::string trimmed(text, static_cast<size_t>(size));
  return trimmed == "-0" ? "0" : trimmed;
}

bool ParseFloat(absl::string_view text, long double* value) {
  if (text.empty() || text.size() >= kMaxFloatText) return false;
  if (absl::ascii_isspace(static_cast<unsigned char>(text[0]))) return false;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  *value = std::strtold(copy.c_str(), &end);
  if (errno == ERANGE && (std::isinf(*value) || *value == 0)) return false;
  return end == copy.c_str() + copy.size() && !std::isnan(*value);
}

}  // namespace

// SET key value [NX|XX] [GET] [EX seconds|...|KEEPTTL]
void Set(CommandCall* call) {
  const auto args = call->args;
  ReplyWriter* const reply = call->reply;
  Metadata metadata;
  Condition condition = Condition::kNone;
  bool get = false;
  bool keep = false;
  ExpiryOption expiry;
  for (size_t i = 3; i < args.size(); ++i) {
    if (absl::EqualsIgnoreCase(args[i], "NX") && condition != Condition::kPresent) {
      condition = Condition::kAbsent;
    } else if (absl::EqualsIgnoreCase(args[i], "XX") && condition != Condition::kAbsent) {
      condition = Condition::kPresent;
    } else if (absl::EqualsIgnoreCase(args[i], "GET")) {
      get = true;
    } else if (absl::EqualsIgnoreCase(args[i], "KEEPTTL") && !expiry.unit) {
      keep = true;
    } else if (keep || !expiry.Take(args, &i)) {
      return reply->Error(kSyntaxError);
    }
  }
  if (keep) metadata.expiry = Metadata::Change::kKeep;
  if (const char* error = expiry.Set(*call, &metadata)) {
    return reply->Error(ExpiryError(*call, error));
  }
  if (get) {
    return ReplaceAndAnswerOld(call, args[1], [&](const ReadResult& current) -> Modification {
      if (condition == Condition::kAbsent && current.found) return Modification::Nothing();
      if (condition == Condition::kPresent && !current.found) return Modification::Nothing();
      return {Modification::Kind::kPut, std::string(args[2]), metadata};
    });
  }
  const absl::StatusOr<bool> put = PutIf(call, args[1], args[2], metadata, condition);
  if (!put.ok()) return AnswerStatus(put.status(), reply);
  *put ? reply->Ok() : reply->Null();
}

const WriteGather kGatherSet = {
    [](absl::Span<const absl::string_view> args, WriteBatch* batch) {
      if (args.size() != 3) return false;
      batch->Put(args[1], args[2]);
      return true;
    },
    [](absl::Span<const WriteResult>, ReplyWriter* reply) { reply->Ok(); },
};

void SetNx(CommandCall* call) {
  const absl::StatusOr<bool> put =
      PutIf(call, call->args[1], call->args[2], Metadata(), Condition::kAbsent);
  if (!put.ok()) return AnswerStatus(put.status(), call->reply);
  call->reply->Integer(*put ? 1 : 0);
}

namespace {

void SetWithExpiry(CommandCall* call, ExpiryUnit unit) {
  Metadata metadata;
  if (const char* error = SetExpiry(*call, unit, call->args[2], &metadata)) {
    return call->reply->Error(ExpiryError(*call, error));
  }
  PutAndAnswer(call, call->args[1], call->args[3], metadata);
}

}  // namespace

void SetEx(CommandCall* call) { SetWithExpiry(call, ExpiryUnit::kSeconds); }
void PSetEx(CommandCall* call) { SetWithExpiry(call, ExpiryUnit::kMilliseconds); }

void GetSet(CommandCall* call) {
  ReplaceAndAnswerOld(call, call->args[1], [&](const ReadResult&) -> Modification {
    return {Modification::Kind::kPut, std::string(call->args[2]), Metadata()};
  });
}

void GetDel(CommandCall* call) {
  ReplaceAndAnswerOld(call, call->args[1], [](const ReadResult& current) {
    return current.found ? Modification::Delete() : Modification::Nothing();
  });
}

// GETEX key [EX seconds|...|PERSIST]
void GetEx(CommandCall* call) {
  const auto args = call->args;
  Metadata metadata = Metadata::Keep();
  ExpiryOption expiry;
  bool persist = false;
  for (size_t i = 2; i < args.size(); ++i) {
    if (absl::EqualsIgnoreCase(args[i], "PERSIST") && !expiry.unit) {
      persist = true;
    } else if (persist || !expiry.Take(args, &i)) {
      return call->reply->Error(kSyntaxError);
    }
  }
  if (persist) metadata.expiry = Metadata::Change::kClear;
  const char* const error = expiry.Set(*call, &metadata);
  const auto change = [&](const ReadResult& current) -> absl::StatusOr<Modification> {
    if (!current.found) return Modification::Nothing();
    if (error != nullptr) return ReplyError(ExpiryError(*call, error));
    // Who watches a key has not to know of a change that is none.
    const bool nothing = metadata.expiry == Metadata::Change::kClear && current.expires_at_ms == 0;
    if (nothing || metadata.expiry == Metadata::Change::kKeep) return Modification::Nothing();
    return Modification{Modification::Kind::kPut, std::string(current.value), metadata};
  };
  ReplaceAndAnswerOld(call, args[1], change);
}

void Append(CommandCall* call) {
  const size_t most = call->state->options.max_value_bytes;
  size_t size = 0;
  const absl::Status status =
      call->store()->Modify(call->args[1], WriteOptions(),
                            [&](const ReadResult& current) -> absl::StatusOr<Modification> {
                              std::string value = absl::StrCat(current.value, call->args[2]);
                              size = value.size();
                              if (size > most) return ReplyError(kTooLong);
                              CountCopy(call, size);
                              return Modification::Put(std::move(value));
                            });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  call->reply->Integer(static_cast<int64_t>(size));
}

void SetRange(CommandCall* call) {
  int64_t offset = 0;
  if (!ParseInteger(call->args[2], &offset)) return call->reply->Error(kNotAnInteger);
  if (offset < 0) return call->reply->Error("ERR offset is out of range");
  const absl::string_view part = call->args[3];
  const auto at = static_cast<uint64_t>(offset);
  const size_t most = call->state->options.max_value_bytes;
  if (!part.empty() && (at > most || at + part.size() > most)) {
    return call->reply->Error(kTooLong);
  }
  size_t size = 0;
  const absl::Status status =
      call->store()->Modify(call->args[1], WriteOptions(),
                            [&](const ReadResult& current) -> absl::StatusOr<Modification> {
                              size = current.value.size();
                              if (part.empty()) return Modification::Nothing();
                              std::string value(current.value);
                              if (value.size() < at + part.size()) value.resize(at + part.size());
                              value.replace(at, part.size(), part.data(), part.size());
                              size = value.size();
                              CountCopy(call, size);
                              return Modification::Put(std::move(value));
                            });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  call->reply->Integer(static_cast<int64_t>(size));
}

void Incr(CommandCall* call) { AddInteger(call, 1); }
void Decr(CommandCall* call) { AddInteger(call, -1); }
void IncrBy(CommandCall* call) {
  int64_t increment = 0;
  if (Increment(call, &increment)) AddInteger(call, increment);
}
void DecrBy(CommandCall* call) {
  int64_t decrement = 0;
  if (!Increment(call, &decrement)) return;
  if (decrement == std::numeric_limits<int64_t>::min()) {
    return call->reply->Error("ERR decrement would overflow");
  }
  AddInteger(call, -decrement);
}

void IncrByFloat(CommandCall* call) {
  long double increment = 0;
  if (!ParseFloat(call->args[2], &increment)) {
    return call->reply->Error("ERR value is not a valid float");
  }
  std::string text;
  const absl::Status status =
      call->store()->Modify(call->args[1], WriteOptions(),
                            [&](const ReadResult& current) -> absl::StatusOr<Modification> {
                              long double value = 0;
                              if (current.found && !ParseFloat(current.value, &value)) {
                                return ReplyError("ERR value is not a valid float");
                              }
                              value += increment;
                              if (std::isnan(value) || std::isinf(value)) {
                                return ReplyError("ERR increment would produce NaN or Infinity");
                              }
                              text = FloatText(value);
                              return Modification::Put(text);
                            });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  call->reply->Bulk(text);
}

namespace {

// True, or else the reply is written.
bool FillBatch(CommandCall* call, bool absent, WriteBatch* batch) {
  if (call->args.size() % 2 == 0) {
    call->reply->Error(ArityError(call->command));
    return false;
  }
  for (size_t i = 1; i < call->args.size(); i += 2) {
    batch->Put(call->args[i], call->args[i + 1]);
    if (absent) batch->RequireAbsent(call->args[i]);
  }
  return true;
}

}  // namespace

void MSet(CommandCall* call) {
  WriteBatch batch;
  if (!FillBatch(call, false, &batch)) return;
  WriteOptions options;
  options.atomic = IsWithinScope(call->capabilities(), batch);
  AnswerStatus(call->store()->Write(batch, options, nullptr), call->reply);
}

const WriteGather kGatherMSet = {
    [](absl::Span<const absl::string_view> args, WriteBatch* batch) {
      if (args.size() % 2 == 0) return false;
      for (size_t i = 1; i < args.size(); i += 2) batch->Put(args[i], args[i + 1]);
      return true;
    },
    [](absl::Span<const WriteResult>, ReplyWriter* reply) { reply->Ok(); },
    /*needs_existed=*/false,
    /*is_batch=*/true,
};

void MSetNx(CommandCall* call) {
  WriteBatch batch;
  if (!FillBatch(call, true, &batch)) return;
  WriteOptions options;
  options.atomic = true;
  WriteResults results;
  const absl::Status status = call->store()->Write(batch, options, &results);
  if (results.failed_precondition >= 0) return call->reply->Integer(0);
  if (!status.ok()) return AnswerStatus(status, call->reply);
  call->reply->Integer(1);
}

}  // namespace resp
}  // namespace kvarts
