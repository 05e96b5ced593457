#ifndef KVARTS_GROUPBY_PARTITIONED_ROW_H_
#define KVARTS_GROUPBY_PARTITIONED_ROW_H_

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "groupby/grouping.h"
#include "storage/sort/record.h"

namespace kvarts::groupby_internal {

// A row in memory and in spilled blocks is a record of storage/sort/record.h: the value
// is its payload.

// Of bytes that are no secret: who can choose keys can make them collide. That costs
// the time of a sort instead (partition_cursor.h), not correctness.
inline uint64_t HashKey(absl::string_view key) { return XXH3_64bits(key.data(), key.size()); }

inline size_t RowSize(const KeyValue& row) {
  return sort_internal::RecordSize(row.key.size(), row.value.size());
}

// Writes RowSize() bytes; returns what is behind them.
inline char* PutRow(char* p, const KeyValue& row) {
  p = sort_internal::PutVarint(p, static_cast<uint32_t>(row.key.size()));
  p = sort_internal::PutVarint(p, static_cast<uint32_t>(row.value.size()));
  sort_internal::CopyBytes(p, row.key.data(), row.key.size());
  p += row.key.size();
  sort_internal::CopyBytes(p, row.value.data(), row.value.size());
  return p + row.value.size();
}

// Of bytes that PutRow() wrote. Returns what is behind the row; null where they do not
// lie within [p, end).
inline const char* GetRow(const char* p, const char* end, KeyValue* row) {
  sort_internal::Record record;
  if (!sort_internal::ParseRecord(p, end, &record)) return nullptr;
  row->key = absl::string_view(record.key, record.key_size);
  row->value = absl::string_view(record.payload(), record.payload_size);
  return record.end();
}

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_ROW_H_
