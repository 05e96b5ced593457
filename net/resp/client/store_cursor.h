#ifndef KVARTS_NET_RESP_CLIENT_STORE_CURSOR_H_
#define KVARTS_NET_RESP_CLIENT_STORE_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/resp/client/store_link.h"
#include "storage/cursor.h"

namespace kvarts {
namespace resp_client {

// Where a scan by SCAN stands, between two pages.
//
// SCAN gives keys by the batch, of a size of its own: a page may end within one.
// The position is then the cursor that the batch came from, and the keys of it
// that were given: read again, the batch is gone on with behind them, and a key of
// it that moved meanwhile is given all the same.
struct ScanPosition {
  bool over = false;               // nothing follows
  uint64_t cursor = 0;             // to ask SCAN with; 0: from the start
  std::string run_id;              // of the server that gave the cursor
  std::vector<std::string> given;  // of the batch that it gives

  // Bytes: a version (1), `over`, the cursor in 8, the size of the run's name and
  // the name, then of each key its size in 4 and itself; numbers little-endian.
  std::string Encode() const;
  // kInvalidArgument where the bytes are not such.
  static absl::StatusOr<ScanPosition> Decode(absl::string_view bytes);
};

// Not thread-safe: one per thread. Goes over the strings of a server by SCAN, and
// reads their values from `values`. Keeps a batch's keys, and no state on the server.
class ServerCursor final : public Cursor {
 public:
  ServerCursor(std::shared_ptr<StoreLink> link, std::shared_ptr<ValueSource> values,
               const ScanOptions& options, ScanPosition start);

  absl::Status Next(const PageLimits& limits, ScanPage* page) override;
  std::string position() const override;

 private:
  absl::Status ReadBatch(size_t page_entries, absl::Time deadline);
  // Moves keys of the batch into the page, as many as its limits allow. False: it
  // is full.
  bool AddKeys(const PageLimits& limits, ScanPage* page);
  absl::StatusOr<bool> AddEntries(const PageLimits& limits, absl::Time deadline, ScanPage* page);
  bool Wanted(absl::string_view key) const;
  // The first of what is pending was given, or is gone.
  void DropFirst();
  void Advance();

  const std::shared_ptr<StoreLink> link_;
  const std::shared_ptr<ValueSource> values_;
  const ScanOptions options_;
  const absl::Duration timeout_;  // of a page

  ScanPosition batch_;               // the one there is, or, unread, the next
  bool unread_ = true;               // it is to be asked for
  uint64_t next_ = 0;                // the cursor behind it; 0: it is the last
  std::deque<std::string> pending_;  // what is not given of it
  bool begun_;                       // there was a page, here or before the position
  size_t at_once_;                   // keys whose values are asked for together
  size_t page_bytes_ = 0;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_STORE_CURSOR_H_
