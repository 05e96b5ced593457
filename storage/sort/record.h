#ifndef KVARTS_STORAGE_SORT_RECORD_H_
#define KVARTS_STORAGE_SORT_RECORD_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/coding.h"

namespace kvarts::sort_internal {

// A record, in the arena as in a run file:
//
//   key size (varint32) | payload size (varint32) | key | payload
//
// so that a spill and a merge copy it as it is.
struct Record {
  const char* begin = nullptr;
  const char* key = nullptr;
  uint32_t key_size = 0;
  uint32_t payload_size = 0;

  const char* payload() const { return key + key_size; }
  const char* end() const { return key + key_size + payload_size; }
  size_t size() const { return static_cast<size_t>(end() - begin); }
};

inline size_t VarintSize(uint32_t v) {
  return v < 0x80 ? 1 : v < 0x4000 ? 2 : v < 0x200000 ? 3 : v < 0x10000000 ? 4 : 5;
}

inline char* PutVarint(char* p, uint32_t v) {
  while (v >= 0x80) {
    *p++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<char>(v);
  return p;
}

// Null where [p, end) does not start with one.
inline const char* GetVarint(const char* p, const char* end, uint32_t* v) {
  uint64_t result = 0;
  for (int shift = 0; shift <= 28 && p != end; shift += 7) {
    const uint64_t byte = static_cast<unsigned char>(*p++);
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *v = static_cast<uint32_t>(result);
      return result >> 32 == 0 ? p : nullptr;
    }
  }
  return nullptr;
}

inline size_t RecordSize(size_t key_size, size_t payload_size) {
  return VarintSize(static_cast<uint32_t>(key_size)) +
         VarintSize(static_cast<uint32_t>(payload_size)) + key_size + payload_size;
}

// Most records are a few words long: a call of memcpy costs more than the copy.
inline void CopyBytes(char* to, const char* from, size_t n) {
  if (n > 32) {
    std::memcpy(to, from, n);
  } else if (n >= 16) {
    std::memcpy(to, from, 16);
    std::memcpy(to + n - 16, from + n - 16, 16);
  } else if (n >= 8) {
    std::memcpy(to, from, 8);
    std::memcpy(to + n - 8, from + n - 8, 8);
  } else if (n >= 4) {
    std::memcpy(to, from, 4);
    std::memcpy(to + n - 4, from + n - 4, 4);
  } else if (n != 0) {
    to[0] = from[0];
    to[n / 2] = from[n / 2];
    to[n - 1] = from[n - 1];
  }
}

// Reads a record that was written with its sizes; true where it lies within
// [p, end).
inline bool ParseRecord(const char* p, const char* end, Record* record) {
  record->begin = p;
  if (end - p >= 2 && ((p[0] | p[1]) & 0x80) == 0) [[likely]] {
    record->key_size = static_cast<unsigned char>(p[0]);
    record->payload_size = static_cast<unsigned char>(p[1]);
    p += 2;
  } else {
    p = GetVarint(p, end, &record->key_size);
    if (p == nullptr) return false;
    p = GetVarint(p, end, &record->payload_size);
    if (p == nullptr) return false;
  }
  record->key = p;
  return static_cast<uint64_t>(record->key_size) + record->payload_size <=
         static_cast<uint64_t>(end - p);
}

inline uint32_t LoadBE32(const char* p) { return __builtin_bswap32(LoadLE32(p)); }

// The first eight bytes of [p, p + n) as a number that orders as they do; zeros
// behind the end.
inline uint64_t LoadWord(const char* p, size_t n) {
  if (n >= 8) return LoadBE64(p);
  if (n >= 4) {
    return static_cast<uint64_t>(LoadBE32(p)) << 32 | static_cast<uint64_t>(LoadBE32(p + n - 4))
                                                          << (64 - 8 * n);
  }
  if (n == 0) return 0;
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return static_cast<uint64_t>(u[0]) << 56 | static_cast<uint64_t>(u[n / 2]) << (56 - 8 * (n / 2)) |
         static_cast<uint64_t>(u[n - 1]) << (64 - 8 * n);
}

// The word of a key from `depth` on.
inline uint64_t KeyWord(const char* key, size_t size, size_t depth) {
  return depth < size ? LoadWord(key + depth, size - depth) : 0;
}

// <0, 0, >0: keys compared from `depth` on, before which they are equal.
inline int CompareKeys(const char* a, size_t a_size, const char* b, size_t b_size, size_t depth) {
  const size_t both = std::min(a_size, b_size);
  if (depth < both) {
    const int order = std::memcmp(a + depth, b + depth, both - depth);
    if (order != 0) return order;
  }
  return a_size < b_size ? -1 : a_size > b_size;
}

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_RECORD_H_
