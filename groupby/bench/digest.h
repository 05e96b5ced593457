#ifndef KVARTS_GROUPBY_BENCH_DIGEST_H_
#define KVARTS_GROUPBY_BENCH_DIGEST_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// What a text of rows and one of groups have in common if the one is the group-by of
// the other, whatever the order of lines.
struct GroupDigest {
  uint64_t rows = 0;  // values, all in all
  uint64_t keys = 0;  // that differ
  uint64_t sum = 0;   // of a hash of each (key, value)

  friend bool operator==(const GroupDigest& a, const GroupDigest& b) {
    return a.rows == b.rows && a.keys == b.keys && a.sum == b.sum;
  }
  std::string ToString() const;  // "rows=3 keys=2 sum=00c0ffee00c0ffee"
};

// Of lines `key<TAB>value`. kInvalidArgument, with the line's number, for any other.
// 8 bytes of memory a row.
absl::StatusOr<GroupDigest> DigestRows(absl::string_view text);

// Of lines `key<TAB>value,value,...`. kInvalidArgument for any other, and where a key
// has two lines. `ordered` (may be null): whether each list rises, as (length, bytes)
// do, which is the order of rows of BenchRows.
absl::StatusOr<GroupDigest> DigestGroups(absl::string_view text, bool* ordered);

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_BENCH_DIGEST_H_
