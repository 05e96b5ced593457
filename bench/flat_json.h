#ifndef KVARTS_BENCH_FLAT_JSON_H_
#define KVARTS_BENCH_FLAT_JSON_H_

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace kvarts {

// For tests: what one JSON object says, by the path of each member: {"a": {"b": 1}}
// is {"a.b": "1"}, strings without their quotes. Strict (RFC 8259), without
// arrays. Nothing for what is not JSON, or names a member twice.
std::optional<std::map<std::string, std::string>> ParseFlatJson(absl::string_view text);

}  // namespace kvarts

#endif  // KVARTS_BENCH_FLAT_JSON_H_
