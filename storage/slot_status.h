#ifndef KVARTS_STORAGE_SLOT_STATUS_H_
#define KVARTS_STORAGE_SLOT_STATUS_H_

#include "base/language.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// The two errors that only a store of some of a cluster's slots has. Nothing was done in either
// case. They are told from others by a payload of the status, not by their text, which is what
// Redis says: "MOVED 12182 127.0.0.1:7379", "CLUSTERDOWN Hash slot not served".

// Who holds a slot, as the table says from which the error was made.
struct MovedSlot {
  uint16_t slot = 0;
  std::string resp;  // "HOST:PORT" for RESP; empty where that node does not serve it
  std::string http;  // the same for HTTP as a URL's beginning: "http://HOST:PORT"
};

// kAborted: another node holds the key's slot. Ask there, or read the cluster's table again.
absl::Status MovedError(const MovedSlot& moved);
bool IsMoved(const absl::Status& status);
// Nothing where the status is another.
std::optional<MovedSlot> MovedTo(const absl::Status& status);

// kUnavailable: nobody serves the key's slot now. `why` is said behind what Redis says; empty:
// nothing is.
absl::Status SlotDownError(absl::string_view why = "");
bool IsSlotDown(const absl::Status& status);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SLOT_STATUS_H_
