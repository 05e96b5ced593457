#ifndef KVARTS_NET_HTTP_BATCH_REQUEST_H_
#define KVARTS_NET_HTTP_BATCH_REQUEST_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

inline constexpr size_t kMaxBatchKeys = 10'000;

// The keys of {"keys": ["text", {"base64": "/w=="}, ...]}. kInvalidArgument, with
// the place, for what is no JSON or is not of this form: other members too, so
// that a misspelt one does not go unnoticed. Takes no memory but for the keys.
absl::StatusOr<std::vector<std::string>> ParseBatchKeys(absl::string_view json,
                                                        size_t max_keys = kMaxBatchKeys);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_BATCH_REQUEST_H_
