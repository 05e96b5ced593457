#ifndef KVARTS_STORAGE_SSTABLE_ENTRY_H_
#define KVARTS_STORAGE_SSTABLE_ENTRY_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "storage/read_results.h"

// What a version of a key is, in the log, in memory and in tables alike.
namespace kvarts::sstable {

// The number of a mutation, from 1 on; none is given twice in the life of a store.
using Sequence = uint64_t;
inline constexpr Sequence kMaxSequence = (uint64_t{1} << 56) - 1;

// The lowest byte of a trailer.
inline constexpr unsigned char kDelete = 0;
inline constexpr unsigned char kPut = 1;
inline constexpr unsigned char kDeleteRange = 2;  // in logs only: tables have them apart
inline constexpr unsigned char kKindMask = 0x0f;
inline constexpr unsigned char kHasExpiry = 0x10;  // with kPut
inline constexpr unsigned char kHasType = 0x20;    // with kPut

// Sequence and kind in one number. Of two versions of a key the newer one, of the larger
// trailer, comes first in the order of entries.
using Trailer = uint64_t;
inline Trailer MakeTrailer(Sequence sequence, unsigned char kind) { return sequence << 8 | kind; }
inline Sequence SequenceOf(Trailer trailer) { return trailer >> 8; }
inline unsigned char KindOf(Trailer trailer) {
  return static_cast<unsigned char>(trailer) & kKindMask;
}
// Stands in front of all versions that a reader at `sequence` may see.
inline Trailer SeekTrailer(Sequence sequence) { return sequence << 8 | 0xff; }

// A version: key, trailer, and a blob of, where the trailer says so, an expiry (8 bytes), a
// content type (a byte for its size), and the value. Borrows its bytes.
struct Entry {
  absl::string_view key;
  Trailer trailer = 0;
  absl::string_view blob;

  Sequence sequence() const { return SequenceOf(trailer); }
  bool is_put() const { return KindOf(trailer) == kPut; }

  // Takes a put apart. False where the blob is shorter than its trailer says.
  bool Decode(int64_t* expires_at_ms, absl::string_view* type, absl::string_view* value) const {
    absl::string_view rest = blob;
    *expires_at_ms = 0;
    *type = {};
    if ((trailer & kHasExpiry) != 0) {
      if (rest.size() < 8) return false;
      *expires_at_ms = static_cast<int64_t>(LoadLE64(rest.data()));
      rest.remove_prefix(8);
    }
    if ((trailer & kHasType) != 0) {
      if (rest.empty()) return false;
      const auto size = static_cast<unsigned char>(rest[0]);
      if (rest.size() < size_t{1} + size) return false;
      *type = rest.substr(1, size);
      rest.remove_prefix(size_t{1} + size);
    }
    *value = rest;
    return true;
  }
  // 0: never.
  int64_t expires_at_ms() const {
    return is_put() && (trailer & kHasExpiry) != 0 && blob.size() >= 8
               ? static_cast<int64_t>(LoadLE64(blob.data()))
               : 0;
  }
};

// Writes the blob of a put to `to`, which has room for value and type and 9 bytes more; returns
// where it ends. `*kind` is what belongs into its trailer.
inline char* EncodePut(int64_t expires_at_ms, absl::string_view type, absl::string_view value,
                       char* to, unsigned char* kind) {
  *kind = kPut;
  if (expires_at_ms != 0) {
    *kind |= kHasExpiry;
    StoreLE64(to, static_cast<uint64_t>(expires_at_ms));
    to += 8;
  }
  if (!type.empty()) {
    *kind |= kHasType;
    *to++ = static_cast<char>(type.size());
    to = std::copy(type.begin(), type.end(), to);
  }
  return std::copy(value.begin(), value.end(), to);
}

// Below 0, 0 or above 0, as a is to b in the order of bytes. Keys are mostly short and alike for
// some words, which a call of memcmp(3) costs more than.
inline int CompareKeys(absl::string_view a, absl::string_view b) {
  while (a.size() >= 8 && b.size() >= 8) {
    const uint64_t x = LoadBE64(a.data());
    const uint64_t y = LoadBE64(b.data());
    if (x != y) return x < y ? -1 : 1;
    a.remove_prefix(8);
    b.remove_prefix(8);
  }
  if (a.empty() || b.empty()) return static_cast<int>(b.empty()) - static_cast<int>(a.empty());
  return a.compare(b);
}
// Whether `key` begins with `beginning`.
inline bool BeginsWith(absl::string_view key, absl::string_view beginning) {
  if (key.size() < beginning.size()) return false;
  const char* a = key.data();
  const char* b = beginning.data();
  size_t left = beginning.size();
  for (; left >= 8; left -= 8, a += 8, b += 8) {
    if (LoadLE64(a) != LoadLE64(b)) return false;
  }
  for (; left > 0; --left, ++a, ++b) {
    if (*a != *b) return false;
  }
  return true;
}

// (a, at) < (b, bt) in the order of entries: keys upwards, versions of a key downwards.
inline bool EntryLess(absl::string_view a, Trailer at, absl::string_view b, Trailer bt) {
  const int c = CompareKeys(a, b);
  return c < 0 || (c == 0 && at > bt);
}

// The hash that filters and the memtable share, so that a lookup makes it once.
uint64_t KeyHash(absl::string_view key);

// The first eight bytes of a key as a number, in its order; of a shorter key with zeros behind.
inline uint64_t KeyPrefix(absl::string_view key) {
  if (key.size() >= 8) return LoadBE64(key.data());
  char padded[8] = {};
  for (size_t i = 0; i < key.size(); ++i) padded[i] = key[i];
  return LoadBE64(padded);
}

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_ENTRY_H_
