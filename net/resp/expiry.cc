#include "net/resp/expiry.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp {

std::optional<ExpiryUnit> ParseExpiryUnit(absl::string_view word) {
  if (absl::EqualsIgnoreCase(word, "EX")) return ExpiryUnit::kSeconds;
  if (absl::EqualsIgnoreCase(word, "PX")) return ExpiryUnit::kMilliseconds;
  if (absl::EqualsIgnoreCase(word, "EXAT")) return ExpiryUnit::kUnixSeconds;
  if (absl::EqualsIgnoreCase(word, "PXAT")) return ExpiryUnit::kUnixMilliseconds;
  return std::nullopt;
}

const char* ParseExpiry(const CommandCall& call, ExpiryUnit unit, absl::string_view text,
                        int64_t* unix_ms) {
  int64_t value = 0;
  if (!ParseInteger(text, &value)) return kNotAnInteger;
  const bool seconds = unit == ExpiryUnit::kSeconds || unit == ExpiryUnit::kUnixSeconds;
  if (seconds && __builtin_mul_overflow(value, 1000, &value)) return kInvalidExpiry;
  const bool from_now = unit == ExpiryUnit::kSeconds || unit == ExpiryUnit::kMilliseconds;
  if (from_now && __builtin_add_overflow(value, call.now_ms(), &value)) return kInvalidExpiry;
  *unix_ms = value;
  return nullptr;
}

const char* SetExpiry(const CommandCall& call, ExpiryUnit unit, absl::string_view text,
                      Metadata* metadata) {
  int64_t value = 0;
  if (!ParseInteger(text, &value)) return kNotAnInteger;
  if (value < 1) return kInvalidExpiry;
  metadata->expiry = Metadata::Change::kSet;
  return ParseExpiry(call, unit, text, &metadata->expires_at_ms);
}

bool ExpiryOption::Take(absl::Span<const absl::string_view> args, size_t* i) {
  const std::optional<ExpiryUnit> taken = ParseExpiryUnit(args[*i]);
  if (!taken || (unit && *unit != *taken) || *i + 1 == args.size()) return false;
  unit = taken;
  number = args[++*i];
  return true;
}

std::string ExpiryError(const CommandCall& call, const char* error) {
  if (error == kNotAnInteger) return kNotAnInteger;
  return absl::StrCat("ERR ", error, " in '", call.command.name, "' command");
}

}  // namespace resp
}  // namespace kvarts
