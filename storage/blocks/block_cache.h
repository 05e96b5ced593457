#ifndef KVARTS_STORAGE_BLOCKS_BLOCK_CACHE_H_
#define KVARTS_STORAGE_BLOCKS_BLOCK_CACHE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kvarts {

// Thread-safe: a lock for each of its shards, and none for a Reader's hits. Immutable pieces of
// immutable files, by file and offset, within a number of bytes. What is lent is kept by its pin,
// also after it was evicted. A piece that is larger than a shard is not taken, so a small cache
// has few shards.
//
// CLOCK: a piece that was used since the hand passed it last is passed once more. A hit sets a
// bit, and moves nothing.
class BlockCache {
 public:
  struct Key {
    uint64_t file = 0;
    uint64_t offset = 0;
    friend bool operator==(const Key& a, const Key& b) {
      return a.file == b.file && a.offset == b.offset;
    }
  };

  // What a cache keeps derives from it. A piece is put into one cache once in its life, so that
  // its address stands for its key as long as somebody may look at it.
  class Piece {
   public:
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;

   protected:
    Piece() = default;
    ~Piece() = default;

   private:
    friend class BlockCache;
    // Set under the shard's lock, before anybody can come by the piece in the cache.
    mutable Key key_;
    mutable size_t place_ = 0;  // in the ring; under the shard's lock
    mutable std::atomic<bool> used_{false};
  };
  using Pin = std::shared_ptr<const Piece>;

 private:
  struct Generation;
  struct Slots;

 public:
  explicit BlockCache(size_t bytes);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // Not thread-safe: for the reads of one thread, and not for long, since nothing that is dropped
  // meanwhile is freed. Finds pieces without a lock and without counting references to each.
  class Reader {
   public:
    explicit Reader(BlockCache* cache);
    ~Reader() {
      if (hits_ > 0) cache_->reader_hits_.fetch_add(hits_, std::memory_order_relaxed);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // A look for a piece, step by step, for reads of many. Begin() begins to fetch where the piece
    // stands, PrefetchPiece(), once that may be there, the piece itself.
    struct Search {
      Key key;
      uint64_t hash;
      const Slots* slots;
    };
    Search Begin(const Key& key) const;
    void PrefetchPiece(const Search& search) const;
    // What it gives is good as long as the reader. Null: it is not there, or it is just being
    // moved; BlockCache::Find() knows.
    const Piece* Find(const Search& search);
    const Piece* Find(const Key& key) { return Find(Begin(key)); }

   private:
    BlockCache* const cache_;
    const std::shared_ptr<const Generation> generation_;
    uint64_t hits_ = 0;
  };

  // Null where it is not there.
  Pin Find(const Key& key);
  // `bytes` is what the piece takes. Where another thread was first, its piece stays.
  void Insert(const Key& key, Pin piece, size_t bytes);
  // Whether a piece of `bytes` would be taken without another having to go.
  bool HasRoom(const Key& key, size_t bytes);
  // Puts the piece in the place of the one that is there, as one that was just used. Nothing where
  // none is there.
  void Replace(const Key& key, Pin piece, size_t bytes);
  void Erase(const Key& key);

  size_t capacity() const { return shard_bytes_ * shard_count_; }
  size_t used() const;
  uint64_t hits() const;
  uint64_t misses() const;

 private:
  static constexpr size_t kMaxShards = 16;
  static constexpr size_t kMinShardBytes = 4 << 20;
  // What the slots, the ring and the counts take beside a piece.
  static constexpr size_t kOverhead = 96;
  // So much that was dropped may wait for readers of one generation.
  static constexpr size_t kMaxRetiredBytes = 256 << 10;

  // The addresses of pieces by their hash, with linear probing; in the upper 16 bits some of the
  // hash. Whoever has the shard's lock sees each piece once. Beside a change a reader may see one
  // twice, or not at all.
  struct Slots {
    explicit Slots(size_t count)
        : mask(count - 1), words(std::make_unique<std::atomic<uint64_t>[]>(count)) {}
    const size_t mask;
    const std::unique_ptr<std::atomic<uint64_t>[]> words;
  };

  // What was dropped may still be looked at by who came before. A reader holds the generation of
  // its beginning, each generation the next one, and each what was dropped while it was the
  // newest: so that goes when the readers are gone that began before it was dropped.
  struct Generation {
    std::vector<std::shared_ptr<const void>> retired;
    size_t bytes = 0;
    std::shared_ptr<const Generation> next;
  };

  struct Entry {
    Pin piece;  // null: the place is free
    size_t bytes = 0;
  };
  struct alignas(64) Shard {
    mutable Mutex mu;
    std::shared_ptr<const Slots> owned_slots ABSL_GUARDED_BY(mu);
    std::vector<Entry> ring ABSL_GUARDED_BY(mu);
    std::vector<size_t> free ABSL_GUARDED_BY(mu);
    size_t hand ABSL_GUARDED_BY(mu) = 0;
    size_t bytes ABSL_GUARDED_BY(mu) = 0;
    size_t pieces ABSL_GUARDED_BY(mu) = 0;
    // Counted here, and not for all shards in one place that all readers would write to.
    uint64_t hits ABSL_GUARDED_BY(mu) = 0;
    uint64_t misses ABSL_GUARDED_BY(mu) = 0;
    // What readers look at, on a line that a hit does not write to.
    alignas(64) std::atomic<const Slots*> slots{nullptr};
  };
  struct Dropped {
    std::vector<std::shared_ptr<const void>> things;
    size_t bytes = 0;
  };

  static uint64_t HashOf(const Key& key) {
    uint64_t h = key.file * 0x9e3779b97f4a7c15 + key.offset * 0xff51afd7ed558ccd;
    h ^= h >> 32;
    h *= 0xc4ceb9fe1a85ec53;
    return h ^ (h >> 29);
  }
  Shard& ShardOf(uint64_t hash) { return shards_[(hash >> 32) * shard_count_ >> 32]; }
  static uint64_t TagOf(uint64_t hash) { return (hash & 0xffff) << kTagShift; }
  static size_t HomeOf(uint64_t hash) { return static_cast<size_t>(hash >> 16); }
  static const Piece* PieceOf(uint64_t word) {
    return reinterpret_cast<const Piece*>(word & kAddressMask);
  }
  static constexpr int kTagShift = 48;  // addresses of a process are below it
  static constexpr uint64_t kAddressMask = (uint64_t{1} << kTagShift) - 1;

  // Where the key is, or the free slot where it would be.
  static size_t FindSlot(const Slots& slots, const Key& key, uint64_t hash);
  static void Grow(Shard* shard, Dropped* dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->mu);
  static void Drop(Shard* shard, size_t place, Dropped* dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->mu);
  // Makes room for a piece, whose key is not there, and puts it in.
  void Add(Shard* shard, const Key& key, uint64_t hash, Pin piece, size_t bytes, Dropped* dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->mu);
  // Lets go of what nobody can come by any more, once no reader looks at it.
  void Retire(Dropped dropped);
  template <typename T>
  T Sum(T Shard::*of) const;

  const size_t shard_count_;
  const size_t shard_bytes_;
  std::array<Shard, kMaxShards> shards_;  // the first `shard_count_` are used
  std::atomic<uint64_t> reader_hits_{0};
  Mutex generation_mu_;
  std::shared_ptr<Generation> generation_ ABSL_GUARDED_BY(generation_mu_);
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BLOCKS_BLOCK_CACHE_H_
