#ifndef KVARTS_CLUSTER_COORDINATOR_ETCD_JSON_H_
#define KVARTS_CLUSTER_COORDINATOR_ETCD_JSON_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// A JSON value as etcd's gateway sends them: protobuf's mapping, where fields that are false, zero
// or empty are left out, 64-bit integers are strings, and bytes are base64. So a member that is not
// there is a value like any other: empty, and 0.
struct EtcdJson {
  std::string text;  // of a string, a number, or "true"; else empty
  std::map<std::string, EtcdJson> members;
  std::vector<EtcdJson> items;

  const EtcdJson& operator[](absl::string_view name) const;
  const EtcdJson& At(size_t i) const;
  bool AsBool() const { return text == "true"; }
  // 0 where it is none.
  int64_t AsInt() const;
  // Empty where it is no base64.
  std::string AsBytes() const;
};

// kInvalidArgument where `text` is not one JSON value.
absl::StatusOr<EtcdJson> ParseEtcdJson(absl::string_view text);

// "\"aGVsbG8=\"": bytes as the gateway takes them.
std::string EtcdBytes(absl::string_view bytes);
// A text in quotation marks.
std::string EtcdText(absl::string_view text);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_ETCD_JSON_H_
