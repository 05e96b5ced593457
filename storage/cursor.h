#ifndef KVARTS_STORAGE_CURSOR_H_
#define KVARTS_STORAGE_CURSOR_H_

#include "base/language.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/slot.h"
#include "storage/key_range.h"
#include "storage/read_results.h"

namespace kvarts {

// A frozen state of a store, to be named in its reads and scans. Thread-safe;
// outlives compaction and Close. What expires meanwhile is absent from it too.
// Backends derive their own.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
};

struct ScanOptions {
  KeyRange range;
  // Only keys of these slots; empty: of all. Needs slot_scan.
  std::vector<SlotRange> slots;
  bool backward = false;  // from the end of the range; needs backward_scan
  bool keys_only = false;
  // The position() of another cursor over this data, of the same range and
  // direction, and of these slots or of more: goes on behind it, also after a
  // restart of the store's process. Foreign bytes are kInvalidArgument. Empty:
  // from the start.
  std::string resume_after;
  std::shared_ptr<const Snapshot> snapshot;
  // For each page.
  absl::Duration timeout = absl::InfiniteDuration();
};

struct ScanEntry {
  absl::string_view key;
  absl::string_view value;  // empty under keys_only
  absl::string_view content_type;
  int64_t expires_at_ms = 0;
};

// Some entries, and the bytes under them: good until the page is filled again,
// Release(), or its end, whatever happens to cursor and store. Not thread-safe.
class ScanPage {
 public:
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  const ScanEntry& operator[](size_t i) const { return entries_[i]; }
  const ScanEntry* begin() const { return entries_.data(); }
  const ScanEntry* end() const { return entries_.data() + entries_.size(); }
  void Release() {
    entries_.clear();
    bytes_.Release();
  }

  // See Bytes::intact().
  bool intact() const { return bytes_.intact(); }

  // For stores.
  void Reset() {
    entries_.clear();
    bytes_.Clear();
  }
  void Add(const ScanEntry& entry) { entries_.push_back(entry); }
  // Keeps those entries for which `keep` is true, in their order.
  template <typename Predicate>
  void Retain(Predicate keep) {
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                  [&](const ScanEntry& entry) { return !keep(entry); }),
                   entries_.end());
  }
  Bytes& bytes() { return bytes_; }

 private:
  std::vector<ScanEntry> entries_;
  Bytes bytes_;
};

struct PageLimits {
  size_t entries = 1000;
  // Of keys and values; a page holds at least one entry all the same.
  size_t bytes = 1 << 20;
};

// Not thread-safe: one per thread. Goes over the entries of a range once.
//
// What it sees of writes beside it: a key that is present from first page to
// last is seen exactly once where the scan is ordered or has a snapshot, else
// at least once; a key that comes or goes meanwhile may be seen or not.
class Cursor {
 public:
  virtual ~Cursor() = default;

  // The next entries. An empty page is the end, and stays it. On an error the
  // page is empty and the cursor stands where it stood: the call may be
  // repeated. A page may be shorter than its limits and yet not the last.
  virtual absl::Status Next(const PageLimits& limits, ScanPage* page) = 0;

  // Behind the last entry of the last page: see ScanOptions::resume_after.
  // Empty before the first page.
  virtual std::string position() const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_CURSOR_H_
