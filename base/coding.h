#ifndef KVARTS_BASE_CODING_H_
#define KVARTS_BASE_CODING_H_

#include <cstdint>
#include <cstring>
#include <string>

namespace kvarts {

// Fixed-width little-endian integers, as every kvarts file format holds them.
// kvarts runs on little-endian machines only (checked at compile time).
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "kvarts needs a little-endian machine");

inline uint32_t LoadLE32(const void* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint64_t LoadLE64(const void* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint64_t LoadBE64(const void* p) { return __builtin_bswap64(LoadLE64(p)); }
inline void StoreLE32(void* p, uint32_t v) { std::memcpy(p, &v, sizeof v); }
inline void StoreLE64(void* p, uint64_t v) { std::memcpy(p, &v, sizeof v); }
inline void AppendLE32(std::string* out, uint32_t v) {
  out->append(reinterpret_cast<const char*>(&v), sizeof v);
}
inline void AppendLE64(std::string* out, uint64_t v) {
  out->append(reinterpret_cast<const char*>(&v), sizeof v);
}

}  // namespace kvarts

#endif  // KVARTS_BASE_CODING_H_
