#ifndef KVARTS_NET_CHECKPOINT_NAME_H_
#define KVARTS_NET_CHECKPOINT_NAME_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// OK where a client may name a checkpoint or a snapshot of the index so: in the store's directory
// for them, nowhere else. Empty: the store makes a name. Else kInvalidArgument.
inline absl::Status CheckCheckpointName(absl::string_view name) {
  if (name.find('/') == absl::string_view::npos && name.find('\0') == absl::string_view::npos &&
      name != "." && name != "..") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "the name of what the server keeps; expected one without a slash, not . or ..");
}

}  // namespace kvarts

#endif  // KVARTS_NET_CHECKPOINT_NAME_H_
