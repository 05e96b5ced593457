#ifndef KVARTS_STORAGE_MEMORY_KEY_HASH_H_
#define KVARTS_STORAGE_MEMORY_KEY_HASH_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/siphash.h"
#include "storage/memory/uuid_key.h"

namespace kvarts::memory_internal {

// Thread-safe. The hash of a key, from a seed that nobody outside may learn: who does not
// know it cannot make keys that collide.
//
// Bytes are hashed by SipHash-1-3. A UUID is one block of AES, and where the processor has
// instructions for it its hash is half of that block enciphered by AES-128 (FIPS 197), the
// seed being the key: all ten rounds, which is more than is asked of a hash, in a third of
// the time. Elsewhere UUIDs are hashed as bytes. Hashes are of one process: they are in no
// file.
class KeyHash {
 public:
  enum class Way : unsigned char {
    kFastest = 0,  // that this processor has
    kPortable,
  };
  explicit KeyHash(const HashSeed& seed, Way way = Way::kFastest);

  uint64_t OfBytes(absl::string_view bytes) const { return SipHash<1, 3>(bytes, seed_); }
  uint64_t OfUuid(const char* packed) const {
    return has_aes_ ? OfUuidByAes(packed) : OfBytes(absl::string_view(packed, kUuidBytes));
  }
  // As PackUuid(), and the hash of what it gives. REQUIRES: kUuidTextBytes at `text`.
  bool Pack(const char* text, char* packed, uint64_t* hash) const {
    if (has_aes_) return PackByAes(text, packed, hash);
    if (!PackUuid(absl::string_view(text, kUuidTextBytes), packed)) return false;
    *hash = OfBytes(absl::string_view(packed, kUuidBytes));
    return true;
  }

 private:
  static constexpr int kRounds = 10;

  uint64_t OfUuidByAes(const char* packed) const;
  bool PackByAes(const char* text, char* packed, uint64_t* hash) const;

  const HashSeed seed_;
  bool has_aes_ = false;
  // Of AES: the key of each round, and the one before the first.
  alignas(16) unsigned char round_keys_[kRounds + 1][16] = {};
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_KEY_HASH_H_
