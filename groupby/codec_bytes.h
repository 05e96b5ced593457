#ifndef KVARTS_GROUPBY_CODEC_BYTES_H_
#define KVARTS_GROUPBY_CODEC_BYTES_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"

// The bytes that codecs are made of. Each Read...() takes what it reads off the front
// of `in`, and returns false where that cannot be it.
namespace kvarts::codec_internal {

// `U` is unsigned here, absl::uint128 too.

// Most significant byte first: the bytes' order is the numbers'.
template <typename U>
void AppendBigEndian(U v, std::string* out) {
  char bytes[sizeof(U)];
  for (size_t i = 0; i < sizeof(U); ++i) {
    bytes[i] = static_cast<char>(static_cast<unsigned char>(v >> (8 * (sizeof(U) - 1 - i))));
  }
  out->append(bytes, sizeof bytes);
}

template <typename U>
bool ReadBigEndian(absl::string_view* in, U* v) {
  if (in->size() < sizeof(U)) return false;
  U read = 0;
  for (size_t i = 0; i < sizeof(U); ++i) {
    read |= static_cast<U>(static_cast<U>(static_cast<unsigned char>((*in)[i]))
                           << (8 * (sizeof(U) - 1 - i)));
  }
  *v = read;
  in->remove_prefix(sizeof(U));
  return true;
}

// Seven bits a byte, least significant first, a set top bit where more follow.
template <typename U>
void AppendVarint(U v, std::string* out) {
  while (v >= 0x80) {
    out->push_back(static_cast<char>(static_cast<unsigned char>(v) | 0x80));
    v = static_cast<U>(v >> 7);
  }
  out->push_back(static_cast<char>(static_cast<unsigned char>(v)));
}

template <typename U>
bool ReadVarint(absl::string_view* in, U* v) {
  U read = 0;
  for (size_t i = 0; i < in->size() && 7 * i < 8 * sizeof(U); ++i) {
    const auto byte = static_cast<unsigned char>((*in)[i]);
    const U bits = static_cast<U>(byte & 0x7f);
    const U moved = static_cast<U>(bits << (7 * i));
    if (static_cast<U>(moved >> (7 * i)) != bits) return false;
    read |= moved;
    if (byte < 0x80) {
      *v = read;
      in->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// Least significant byte first, without the zeros at the end: 0 is no byte at all.
// Only where nothing follows.
template <typename U>
void AppendTrimmed(U v, std::string* out) {
  char bytes[sizeof(U)];
  size_t size = 0;
  for (size_t i = 0; i < sizeof(U); ++i) {
    bytes[i] = static_cast<char>(static_cast<unsigned char>(v >> (8 * i)));
    if (bytes[i] != 0) size = i + 1;
  }
  out->append(bytes, size);
}

template <typename U>
bool ReadTrimmed(absl::string_view* in, U* v) {
  if (in->size() > sizeof(U)) return false;
  U read = 0;
  for (size_t i = 0; i < in->size(); ++i) {
    read |= static_cast<U>(static_cast<U>(static_cast<unsigned char>((*in)[i])) << (8 * i));
  }
  *v = read;
  in->remove_prefix(in->size());
  return true;
}

// Small numbers of either sign to small unsigned ones: 0, -1, 1, -2 to 0, 1, 2, 3.
template <typename U>
U ZigZag(U v) {
  const U sign = static_cast<U>(v >> (8 * sizeof(U) - 1));
  return static_cast<U>(static_cast<U>(v << 1) ^ static_cast<U>(U{0} - sign));
}

template <typename U>
U UnZigZag(U v) {
  return static_cast<U>(static_cast<U>(v >> 1) ^ static_cast<U>(U{0} - static_cast<U>(v & 1)));
}

// Bytes that end by themselves and sort as the bytes do: a zero byte is 00 ff, the end
// 00 00.
inline void AppendEscaped(absl::string_view bytes, std::string* out) {
  while (true) {
    const size_t zero = bytes.find('\0');
    out->append(bytes.data(), zero == absl::string_view::npos ? bytes.size() : zero);
    if (zero == absl::string_view::npos) break;
    out->append("\0\xff", 2);
    bytes.remove_prefix(zero + 1);
  }
  out->append("\0\0", 2);
}

// Calls append(piece) for the pieces of such bytes.
template <typename Append>
bool ReadEscaped(absl::string_view* in, const Append& append) {
  while (true) {
    const size_t zero = in->find('\0');
    if (zero == absl::string_view::npos || zero + 1 == in->size()) return false;
    const char next = (*in)[zero + 1];
    if (next == '\0') {
      append(in->substr(0, zero));
      in->remove_prefix(zero + 2);
      return true;
    }
    if (next != '\xff') return false;
    append(in->substr(0, zero + 1));
    in->remove_prefix(zero + 2);
  }
}

}  // namespace kvarts::codec_internal

#endif  // KVARTS_GROUPBY_CODEC_BYTES_H_
