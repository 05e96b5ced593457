#ifndef KVARTS_NET_HTTP_ENTRY_JSON_H_
#define KVARTS_NET_HTTP_ENTRY_JSON_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/cursor.h"

namespace kvarts {

// An entry as /v1/scan has it, both ways:
//   {"key":K,"content_type":T,"expires_at_ms":N,"value":V}
// K, T and V are bytes as json.h has them. T is left out where it is empty, N where it is 0.
// What AppendJsonEntry() writes ParseJsonEntry() reads, for any bytes.

struct JsonEntry {
  std::string key;
  std::string value;
  std::string content_type;
  int64_t expires_at_ms = 0;  // Unix milliseconds; 0: it does not expire
};

// On one line, without its end.
void AppendJsonEntry(const ScanEntry& entry, std::string* out);

// Members in any order. kInvalidArgument says which member is wrong, unknown, twice or
// missing, or at which byte `text` is not JSON.
absl::StatusOr<JsonEntry> ParseJsonEntry(absl::string_view text);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_ENTRY_JSON_H_
