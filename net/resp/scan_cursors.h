#ifndef KVARTS_NET_RESP_SCAN_CURSORS_H_
#define KVARTS_NET_RESP_SCAN_CURSORS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "storage/key_range.h"

namespace kvarts {
namespace resp {

// Where a SCAN goes on.
struct ScanPlace {
  KeyRange range;
  std::string position;  // Cursor::position()
};

// Thread-safe. The numbers that SCAN gives out, and the places behind them; of
// all connections, because clients go on from another one of their pool.
//
// A scan holds two places: the one given out last and the one before, for a
// client that asks again after it lost an answer. Those of the scans that were
// gone on with longest ago are forgotten where there are too many of them, or too
// many bytes: a server that remembers every scan can be made to run out of memory. Of one
// that came to its end it holds the last place, of the kMaxEnded that ended last.
//
// Numbers are below 2^53: clients in JavaScript keep them as doubles. They begin
// somewhere at random, so that one of another run is most likely unknown.
class ScanCursors {
 public:
  static constexpr size_t kMaxEnded = 1024;

  ScanCursors(size_t max_scans, size_t max_bytes);

  // The number of a place, not 0. `after` is the number this scan came from, or 0.
  uint64_t Add(ScanPlace place, uint64_t after);
  // The scan that was at this number is at its end. One that is not known, or 0: nothing
  // happens.
  void End(uint64_t number);
  // Nothing where it is not known, or not any more.
  std::optional<ScanPlace> Find(uint64_t number);

  size_t size() const;

 private:
  struct Entry {
    uint64_t number;
    uint64_t before;  // the number that it came from
    ScanPlace place;
    size_t bytes() const {
      return sizeof(Entry) + place.position.size() + place.range.begin.size() +
             place.range.end.size();
    }
  };
  using Entries = std::list<Entry>;

  void Erase(uint64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t max_entries_;
  const size_t max_bytes_;

  mutable Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Entries entries_ ABSL_GUARDED_BY(mu_);  // the one used last in front
  std::unordered_map<uint64_t, Entries::iterator> by_number_ ABSL_GUARDED_BY(mu_);
  std::deque<uint64_t> ended_ ABSL_GUARDED_BY(mu_);  // the one that ended last behind
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCAN_CURSORS_H_
