#ifndef KVARTS_NET_RESP_RANDOM_KEY_H_
#define KVARTS_NET_RESP_RANDOM_KEY_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace kvarts {
namespace resp {

// Some key of a store, or nothing where it is empty, at the cost of three short
// scans. The key behind a place chosen at random: where keys are spread evenly
// over the words of their letters, as UUIDs and numbers are, each is about equally
// likely. Of a store without order, one of the first.
absl::StatusOr<std::optional<std::string>> SomeKey(Store* store);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_RANDOM_KEY_H_
