#ifndef KVARTS_BASE_CODING_H_
#define KVARTS_BASE_CODING_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"

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

// LEB128: seven bits a byte from the lowest on, the upper bit where more follow.
inline constexpr size_t kMaxVarintBytes = 10;

inline void AppendVarint(std::string* out, uint64_t v) {
  while (v >= 0x80) {
    out->push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out->push_back(static_cast<char>(v));
}
// Returns the byte behind it, or null where it is cut short or has more than 64 bits.
inline const char* ParseVarint(const char* p, const char* end, uint64_t* v) {
  uint64_t value = 0;
  for (int shift = 0; p < end && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(*p++);
    value |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) {
      if (shift == 63 && byte > 1) return nullptr;
      *v = value;
      return p;
    }
  }
  return nullptr;
}

// A string behind its size.
inline void AppendSized(std::string* out, absl::string_view bytes) {
  AppendVarint(out, bytes.size());
  out->append(bytes.data(), bytes.size());
}

// Not thread-safe. Takes values from the front of bytes that may be damaged: after the first that
// is not whole, ok() is false and every value zero or empty.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes)
      : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  bool done() const { return p_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - p_); }

  uint64_t Varint() {
    uint64_t v = 0;
    const char* const next = ok_ ? ParseVarint(p_, end_, &v) : nullptr;
    if (next == nullptr) {
      Fail();
      return 0;
    }
    p_ = next;
    return v;
  }
  uint64_t Fixed64() {
    const absl::string_view bytes = Raw(8);
    return bytes.empty() ? 0 : LoadLE64(bytes.data());
  }
  uint8_t Byte() {
    const absl::string_view bytes = Raw(1);
    return bytes.empty() ? 0 : static_cast<uint8_t>(bytes[0]);
  }
  absl::string_view Raw(uint64_t size) {
    if (!ok_ || size > left()) {
      Fail();
      return {};
    }
    const absl::string_view bytes(p_, static_cast<size_t>(size));
    p_ += size;
    return bytes;
  }
  absl::string_view Sized() { return Raw(Varint()); }

 private:
  void Fail() {
    ok_ = false;
    p_ = end_;
  }

  const char* p_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace kvarts

#endif  // KVARTS_BASE_CODING_H_
