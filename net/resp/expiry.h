#ifndef KVARTS_NET_RESP_EXPIRY_H_
#define KVARTS_NET_RESP_EXPIRY_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "net/resp/commands.h"
#include "storage/write_batch.h"

namespace kvarts {
namespace resp {

// How an expiry is written: from now, or Unix time.
enum class ExpiryUnit : unsigned char { kSeconds, kMilliseconds, kUnixSeconds, kUnixMilliseconds };

// EX, PX, EXAT, PXAT; any case.
std::optional<ExpiryUnit> ParseExpiryUnit(absl::string_view word);

inline constexpr char kInvalidExpiry[] = "invalid expire time";

// Unix milliseconds, which may be in the past and even before 1970. Null where
// right, else kNotAnInteger or kInvalidExpiry.
const char* ParseExpiry(const CommandCall& call, ExpiryUnit unit, absl::string_view text,
                        int64_t* unix_ms);

// For commands that only know an expiry in the future: kInvalidExpiry for numbers
// below 1.
const char* SetExpiry(const CommandCall& call, ExpiryUnit unit, absl::string_view text,
                      Metadata* metadata);

// EX seconds, PX milliseconds, EXAT or PXAT time, as an option of SET and GETEX: one unit
// only, which may come again; the last counts.
struct ExpiryOption {
  // True: `args[*i]` is one, and `*i` the index of its number.
  bool Take(absl::Span<const absl::string_view> args, size_t* i);
  // Where one was taken, what SetExpiry() does.
  const char* Set(const CommandCall& call, Metadata* metadata) const {
    return unit ? SetExpiry(call, *unit, number, metadata) : nullptr;
  }

  std::optional<ExpiryUnit> unit;
  absl::string_view number;
};

// The reply for what these return: "ERR invalid expire time in 'set' command".
std::string ExpiryError(const CommandCall& call, const char* error);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_EXPIRY_H_
