#ifndef KVARTS_STORAGE_BLOCKS_BLOCK_CACHE_H_
#define KVARTS_STORAGE_BLOCKS_BLOCK_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "storage/read_results.h"

namespace kvarts {

// Thread-safe: a lock for each of its shards. Immutable pieces of immutable files, by file and
// offset, within a number of bytes. What is lent is kept by its pin, also after it was evicted.
// A piece that is larger than a shard is not taken, so a small cache has few shards.
//
// CLOCK: a piece that was used since the hand passed it last is passed once more. A hit sets a
// bit, and moves nothing.
class BlockCache {
 public:
  explicit BlockCache(size_t bytes);
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  struct Key {
    uint64_t file = 0;
    uint64_t offset = 0;
    friend bool operator==(const Key& a, const Key& b) {
      return a.file == b.file && a.offset == b.offset;
    }
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.file, key.offset);
    }
  };

  // Null where it is not there.
  Pin Find(const Key& key);
  // `bytes` is what the piece takes. Where another thread was first, its piece stays.
  void Insert(const Key& key, Pin piece, size_t bytes);
  void Erase(const Key& key);

  size_t capacity() const { return shard_bytes_ * shard_count_; }
  size_t used() const;
  uint64_t hits() const;
  uint64_t misses() const;

 private:
  static constexpr size_t kMaxShards = 16;
  static constexpr size_t kMinShardBytes = 4 << 20;
  // What the table, the ring and the counts take beside a piece.
  static constexpr size_t kOverhead = 96;

  struct Entry {
    Key key;
    Pin piece;  // null: the place is free
    size_t bytes = 0;
    bool used = false;
  };
  struct alignas(64) Shard {
    mutable Mutex mu;
    absl::flat_hash_map<Key, size_t> places ABSL_GUARDED_BY(mu);  // in the ring
    std::vector<Entry> ring ABSL_GUARDED_BY(mu);
    std::vector<size_t> free ABSL_GUARDED_BY(mu);
    size_t hand ABSL_GUARDED_BY(mu) = 0;
    size_t bytes ABSL_GUARDED_BY(mu) = 0;
    // Counted here, and not for all shards in one place that all readers would write to.
    uint64_t hits ABSL_GUARDED_BY(mu) = 0;
    uint64_t misses ABSL_GUARDED_BY(mu) = 0;
  };

  Shard& ShardOf(const Key& key) {
    const uint64_t hash = key.file * 0x9e3779b97f4a7c15 + key.offset * 0xff51afd7ed558ccd;
    return shards_[(hash >> 32) * shard_count_ >> 32];
  }
  template <typename T>
  T Sum(T Shard::*of) const;
  static void Drop(Shard* shard, size_t place, std::vector<Pin>* dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->mu);

  const size_t shard_count_;
  const size_t shard_bytes_;
  std::array<Shard, kMaxShards> shards_;  // the first `shard_count_` are used
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BLOCKS_BLOCK_CACHE_H_
