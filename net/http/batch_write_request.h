#ifndef KVARTS_NET_HTTP_BATCH_WRITE_REQUEST_H_
#define KVARTS_NET_HTTP_BATCH_WRITE_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/http/batch_request.h"
#include "storage/write_batch.h"

namespace kvarts {

// Of times in milliseconds: what a JSON number holds exactly everywhere (2^53 - 1).
inline constexpr int64_t kMaxTimeMs = 9'007'199'254'740'991;

struct BatchWriteRequest {
  struct Change {
    Mutation::Kind kind = Mutation::Kind::kPut;  // never a range deletion
    std::string key;
    std::string value;
    Metadata metadata;         // without `type`, which is:
    std::string content_type;  // for kSet
  };
  struct Condition {
    Precondition::Kind kind = Precondition::Kind::kAbsent;
    std::string key;
    std::string etag;  // of kUnchanged, in its quotes
  };

  bool atomic = false;  // true where there are conditions
  std::vector<Change> mutations;
  std::vector<Condition> conditions;
};

// What
//   {"mutations": [{"put": KEY, "value": BYTES, "content_type": "...", "ttl_ms": 1000},
//                  {"delete": KEY},
//                  {"touch": KEY, "expires_at_ms": null}],
//    "if": [{"absent": KEY}, {"present": KEY}, {"unchanged": KEY, "etag": "..."}],
//    "atomic": true}
// says, where KEY and BYTES are strings or {"base64": "..."}; members stand in any order.
// "atomic", "if", and what a put or touch says of content type and expiry may be left out.
// A touch leaves that as it is, and null takes it away. Times to live count from `now_ms`.
//
// kInvalidArgument, with the place ("mutations[3].value: ..."), for all else: members that
// are not known or there twice, too. Takes memory for what the body holds, and
// sizeof(Change) or sizeof(Condition) for each of at most `max_items` of both.
absl::StatusOr<BatchWriteRequest> ParseBatchWrite(absl::string_view json, int64_t now_ms,
                                                  size_t max_items = kMaxBatchKeys);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_BATCH_WRITE_REQUEST_H_
