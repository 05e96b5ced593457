#ifndef KVARTS_TESTING_MODEL_SCAN_CHECK_H_
#define KVARTS_TESTING_MODEL_SCAN_CHECK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/store.h"

namespace kvarts::model {

struct EntryState {
  std::string value;
  std::string content_type;
  int64_t expires_at_ms = 0;
};
// All entries of a store at one moment.
using Dump = std::map<std::string, EntryState>;

// Follows one scan beside writes, and says where it breaks the promise of
// storage/cursor.h: what is there from its first page to its last is seen,
// exactly once where the scan is ordered or has a snapshot; what is seen was
// there, in that state, at some time since the cursor was made; it comes in
// order. Where pages end is the store's choice. Not thread-safe.
class ScanCheck {
 public:
  // `now`: what the cursor looks at, where it is made.
  ScanCheck(const ScanOptions& scan, bool ordered, const Dump& now);

  // After each change of what the cursor looks at.
  void Observe(const Dump& now);

  // Of a page that the cursor gave; what it looks at stands at `now`. Returns
  // what is wrong with it.
  std::optional<std::string> CheckPage(const ScanPage& page, const PageLimits& limits,
                                       const Dump& now);

  // The cursor that goes on behind this one's last page.
  ScanCheck Resumed(const Dump& now) const;

 private:
  bool InScope(const std::string& key) const;
  bool IsBehindLast(const std::string& key) const;
  std::optional<std::string> CheckEntry(const ScanEntry& entry);

  const ScanOptions scan_;
  const bool ordered_;
  // Each state a key was in, since the cursor was made.
  std::map<std::string, std::vector<EntryState>> history_;
  bool started_ = false;        // the first page was asked for
  bool at_end_ = false;         // the empty page came
  std::set<std::string> owed_;  // there since the first page, and not seen yet
  std::set<std::string> seen_;
  std::optional<std::string> last_;
};

}  // namespace kvarts::model

#endif  // KVARTS_TESTING_MODEL_SCAN_CHECK_H_
