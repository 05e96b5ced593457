#ifndef KVARTS_STORAGE_SSTABLE_FLOORS_H_
#define KVARTS_STORAGE_SSTABLE_FLOORS_H_

#include <cstdint>
#include <map>

#include "storage/sstable/entry.h"

// What stamps need of the keys of which no trace is left: a floor for each bucket of keys, the
// largest sequence of any of them whose trace a merge has dropped. One floor for all keys would
// change the stamp of every absent key with each compaction; one for each key would keep what was
// deleted.
namespace kvarts::sstable {

inline constexpr uint32_t kFloorBuckets = 4096;
inline uint32_t FloorBucket(uint64_t key_hash) { return key_hash % kFloorBuckets; }

// The buckets whose floors an edit raises. Not thread-safe.
using Floors = std::map<uint32_t, Sequence>;

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_FLOORS_H_
