#ifndef KVARTS_STORAGE_LAYERS_CACHE_SHARD_H_
#define KVARTS_STORAGE_LAYERS_CACHE_SHARD_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "storage/key_range.h"
#include "storage/read_results.h"

namespace kvarts {

// What is known of a key, and its bytes behind the struct: key, content type,
// value. Constant but for the links, which the shard's lock protects.
struct CacheEntry {
  static CacheEntry* New(uint64_t hash, absl::string_view key, const ReadResult& result);
  // Takes one reference away.
  static void Release(const CacheEntry* entry);

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  absl::string_view key() const { return {bytes(), key_size}; }
  absl::string_view content_type() const { return {bytes() + key_size, type_size}; }
  absl::string_view value() const { return {bytes() + key_size + type_size, value_size}; }
  size_t memory_bytes() const;

  mutable std::atomic<uint32_t> references{1};
  uint32_t key_size = 0;
  uint32_t value_size = 0;
  uint16_t type_size = 0;
  bool found = false;
  uint8_t uses = 0;      // since it came, or was last looked at: 0 to 3
  bool in_main = false;  // which of the two queues
  uint64_t hash = 0;
  int64_t expires_at_ms = 0;
  CacheEntry* in_bucket = nullptr;  // the next one
  CacheEntry* newer = nullptr;      // in the queue
  CacheEntry* older = nullptr;
};

// Thread-safe: one lock. A part of a cache, by the hash of the keys.
//
// S3-FIFO: a new entry goes to the small queue, a tenth of the bytes. What was
// used twice when it comes to that queue's end goes on to the main one, the rest
// is forgotten but for its hash; what comes back while its hash is known goes to
// the main queue at once. There, an entry that was used goes round once more.
class CacheShard {
 public:
  explicit CacheShard(size_t bytes) : bytes_(bytes) {}
  ~CacheShard();

  // The state of a key's place when it was looked at: what is read from the store
  // afterwards may be taken up if the place is still in it.
  struct Token {
    uint64_t hash = 0;
    uint64_t version = 0;
    bool quiet = false;  // nobody was writing there
  };

  // True: set `result`, with bytes of `bytes`. `now_ms` is asked for where the entry has
  // an expiry.
  template <typename NowMs>
  bool Find(absl::string_view key, uint64_t hash, bool want_value, const NowMs& now_ms,
            ReadResult* result, Bytes* bytes, Token* token) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(&mu_);
    *token = TokenOf(hash);
    CacheEntry* const entry = Lookup(key, hash);
    if (entry == nullptr) return false;
    if (entry->expires_at_ms != 0 && entry->expires_at_ms <= now_ms()) {
      Drop(entry);
      return false;
    }
    Use(entry, want_value, result, bytes);
    return true;
  }
  // Whether the place is as it was.
  bool Holds(const Token& token) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes the entry, and keeps it where the place is as it was.
  void Insert(const Token& token, CacheEntry* entry) ABSL_LOCKS_EXCLUDED(mu_);

  // Around a write of a key: it is forgotten, and not kept in between.
  void BeginWrite(absl::string_view key, uint64_t hash) ABSL_LOCKS_EXCLUDED(mu_);
  void EndWrite(uint64_t hash) ABSL_LOCKS_EXCLUDED(mu_);
  // Around a deletion of a range.
  void BeginWrite(const KeyRange& range) ABSL_LOCKS_EXCLUDED(mu_);
  void EndWriteRange() ABSL_LOCKS_EXCLUDED(mu_);

  struct Counts {
    uint64_t entries = 0;
    uint64_t bytes = 0;
  };
  Counts counts() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr size_t kPlaces = 64;

  struct Place {
    uint64_t version = 0;
    uint32_t writers = 0;
  };
  struct Queue {
    CacheEntry* newest = nullptr;
    CacheEntry* oldest = nullptr;
    size_t bytes = 0;
    size_t entries = 0;
  };

  Place& PlaceOf(uint64_t hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return places_[(hash >> 32) % kPlaces];
  }
  Token TokenOf(uint64_t hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  CacheEntry* Lookup(absl::string_view key, uint64_t hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Use(CacheEntry* entry, bool want_value, ReadResult* result, Bytes* bytes);
  // Out of the table and the queue, and away.
  void Drop(CacheEntry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Push(Queue* queue, CacheEntry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unlink(CacheEntry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Evict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GrowTable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  size_t used() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t bytes_;
  Mutex mu_;
  std::array<Place, kPlaces> places_ ABSL_GUARDED_BY(mu_);
  Place all_ ABSL_GUARDED_BY(mu_);  // writers of ranges are at every place
  std::vector<CacheEntry*> table_ ABSL_GUARDED_BY(mu_);
  // Hashes of what left the small queue, and when: the upper and the lower 32 bits.
  std::vector<uint64_t> ghosts_ ABSL_GUARDED_BY(mu_);
  uint32_t departures_ ABSL_GUARDED_BY(mu_) = 0;
  Queue small_ ABSL_GUARDED_BY(mu_);
  Queue main_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_CACHE_SHARD_H_
