#ifndef KVARTS_GROUPBY_CODEC_H_
#define KVARTS_GROUPBY_CODEC_H_

#include "base/language.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/string_view.h"
#include "groupby/codec_bytes.h"

// How a type is written to the bytes that the group-by works on, and read from them.
//
//                                  as a key              as a value
//   integers of 1 to 16 bytes      big-endian, fixed     zigzag, as few bytes as it has
//   bool, char, enum               1 byte (an enum: as the integer under it)
//   float, double                  fixed, by order       fixed, every bit
//   std::string, std::vector of    the bytes             the bytes
//     char, unsigned char, std::byte
//   std::vector<T>                 elements              a count, elements
//   std::pair, std::tuple          the members, one behind the other
//   protocol buffers               proto_codec.h
//
// Keys are equal where their bytes are, and sort as their types do (Order::kKey):
// numbers by value, strings by unsigned bytes, pairs, tuples and vectors by their first
// difference. Floats: -0.0 is grouped as 0.0, all NaNs are one key, which is larger than
// infinity; values keep their bits. An order is lost where a message is a key.
//
// absl::string_view is accepted where a std::string is stored, but is no stored type: what it
// pointed to would be gone, or moved, when its group is read.
//
// Values are dense so that many pairs of small numbers fit: 0 takes no byte, -128 to 127
// one. Inside of a pair each takes one at least.
namespace kvarts {

// For what, and where, bytes are written; reading has to be told the same.
struct CodecUse {
  bool key;   // equal things have equal bytes, and the bytes' order is theirs
  bool last;  // nothing follows: reading may take all there is
};

// A type of your own. By way of one that has a codec:
//
//   template <>
//   struct Codec<Point> : CodecBy<Point, std::pair<int32_t, int32_t>> {
//     static std::pair<int32_t, int32_t> To(const Point& p) { return {p.x, p.y}; }
//     static Point From(std::pair<int32_t, int32_t> p) { return {p.first, p.second}; }
//   };
//
// or with bytes of its own, of which there is at least one unless `use.last`:
//
//   template <>
//   struct Codec<Colour> {
//     static void Append(const Colour& c, CodecUse use, std::string* out) {
//       out->append(c.rgb, 3);
//     }
//     static bool Parse(absl::string_view* in, CodecUse use, Colour* c) {
//       if (in->size() < 3) return false;
//       std::memcpy(c->rgb, in->data(), 3);
//       in->remove_prefix(3);
//       return true;
//     }
//   };
//
// in namespace kvarts. Parse() takes its bytes off the front of `in`, and false is for bytes
// that Append() never wrote. A type is default-constructible and movable.
template <typename T, typename Enable = void>
struct Codec;

namespace codec_internal {

template <typename T>
constexpr bool kIsInteger = (std::is_integral<T>::value && !std::is_same<T, bool>::value) ||
                            std::is_same<T, absl::int128>::value
                            || std::is_same<T, absl::uint128>::value;

template <typename T, bool is_128 = (sizeof(T) > 8)>
struct UnsignedOf {
  using Type = std::make_unsigned_t<T>;
};
template <typename T>
struct UnsignedOf<T, true> {
  using Type = absl::uint128;
};

template <typename T>
constexpr bool kIsByte = std::is_same<T, char>::value || std::is_same<T, unsigned char>::value ||
                         std::is_same<T, std::byte>::value;

template <typename T>
constexpr bool kNever = false;

}  // namespace codec_internal

// T as `Other`, to which To() and From() of the derived class turn it.
template <typename T, typename Other>
struct CodecBy {
  static void Append(const T& v, CodecUse use, std::string* out) {
    Codec<Other>::Append(Codec<T>::To(v), use, out);
  }
  static bool Parse(absl::string_view* in, CodecUse use, T* v) {
    Other other{};
    if (!Codec<Other>::Parse(in, use, &other)) return false;
    *v = Codec<T>::From(std::move(other));
    return true;
  }
};

template <typename T>
struct Codec<T, std::enable_if_t<codec_internal::kIsInteger<T>>> {
  using U = typename codec_internal::UnsignedOf<T>::Type;
  // char is ordered as in strings, whether or not it has a sign here.
  static constexpr bool kSigned =
      std::numeric_limits<T>::is_signed && !std::is_same<T, char>::value;
  static U TopBit() { return static_cast<U>(U{1} << (8 * sizeof(U) - 1)); }

  static void Append(T v, CodecUse use, std::string* out) {
    U u = static_cast<U>(v);
    if (use.key) {
      if (kSigned) u ^= TopBit();
      codec_internal::AppendBigEndian(u, out);
    } else {
      if (kSigned) u = codec_internal::ZigZag(u);
      if (use.last) {
        codec_internal::AppendTrimmed(u, out);
      } else if (sizeof(U) == 1) {
        out->push_back(static_cast<char>(u));
      } else {
        codec_internal::AppendVarint(u, out);
      }
    }
  }

  static bool Parse(absl::string_view* in, CodecUse use, T* v) {
    U u = 0;
    const bool read =
        use.key || (sizeof(U) == 1 && !use.last)
            ? codec_internal::ReadBigEndian(in, &u)
            : (use.last ? codec_internal::ReadTrimmed(in, &u) : codec_internal::ReadVarint(in, &u));
    if (!read) return false;
    if (kSigned) u = use.key ? static_cast<U>(u ^ TopBit()) : codec_internal::UnZigZag(u);
    *v = static_cast<T>(u);
    return true;
  }
};

template <>
struct Codec<bool> {
  static void Append(bool v, CodecUse, std::string* out) { out->push_back(v ? '\1' : '\0'); }
  static bool Parse(absl::string_view* in, CodecUse, bool* v) {
    if (in->empty() || static_cast<unsigned char>(in->front()) > 1) return false;
    *v = in->front() != '\0';
    in->remove_prefix(1);
    return true;
  }
};

template <typename T>
struct Codec<T, std::enable_if_t<std::is_enum<T>::value && !codec_internal::kIsByte<T>>>
    : CodecBy<T, std::underlying_type_t<T>> {
  static std::underlying_type_t<T> To(T v) { return static_cast<std::underlying_type_t<T>>(v); }
  static T From(std::underlying_type_t<T> v) { return static_cast<T>(v); }
};

template <typename T>
struct Codec<T, std::enable_if_t<std::is_same<T, float>::value || std::is_same<T, double>::value>> {
  using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static_assert(std::numeric_limits<T>::is_iec559, "a key's order is that of IEEE 754");
  static constexpr U kTop = U{1} << (8 * sizeof(U) - 1);

  static void Append(T v, CodecUse use, std::string* out) {
    if (use.key) {
      if (v == 0) v = 0;  // -0.0 too
      if (std::isnan(v)) v = std::numeric_limits<T>::quiet_NaN();
    }
    U bits;
    std::memcpy(&bits, &v, sizeof bits);
    if (use.key) bits = (bits & kTop) != 0 ? static_cast<U>(~bits) : static_cast<U>(bits | kTop);
    codec_internal::AppendBigEndian(bits, out);
  }
  static bool Parse(absl::string_view* in, CodecUse use, T* v) {
    U bits = 0;
    if (!codec_internal::ReadBigEndian(in, &bits)) return false;
    if (use.key) bits = (bits & kTop) != 0 ? static_cast<U>(bits ^ kTop) : static_cast<U>(~bits);
    std::memcpy(v, &bits, sizeof bits);
    return true;
  }
};

namespace codec_internal {

// Bytes, read by `append`, which takes them in pieces.
inline void AppendBytes(absl::string_view bytes, CodecUse use, std::string* out) {
  if (use.last) {
    out->append(bytes.data(), bytes.size());
  } else if (use.key) {
    AppendEscaped(bytes, out);
  } else {
    AppendVarint<uint64_t>(bytes.size(), out);
    out->append(bytes.data(), bytes.size());
  }
}

template <typename Append>
bool ReadBytes(absl::string_view* in, CodecUse use, const Append& append) {
  if (!use.last && use.key) return ReadEscaped(in, append);
  uint64_t size = in->size();
  if (!use.last && (!ReadVarint(in, &size) || size > in->size())) return false;
  append(in->substr(0, size));
  in->remove_prefix(size);
  return true;
}

}  // namespace codec_internal

template <>
struct Codec<std::string> {
  static void Append(absl::string_view v, CodecUse use, std::string* out) {
    codec_internal::AppendBytes(v, use, out);
  }
  static bool Parse(absl::string_view* in, CodecUse use, std::string* v) {
    v->clear();
    return codec_internal::ReadBytes(
        in, use, [v](absl::string_view piece) { v->append(piece.data(), piece.size()); });
  }
};

template <typename T>
struct Codec<T, std::enable_if_t<std::is_same<T, absl::string_view>::value>> {
  static_assert(codec_internal::kNever<T>,
                "absl::string_view cannot be stored, since what it points to is not: group by "
                "std::string (views are taken as input)");
};

template <typename T, typename Allocator>
struct Codec<std::vector<T, Allocator>, std::enable_if_t<codec_internal::kIsByte<T>>> {
  using Bytes = std::vector<T, Allocator>;

  static void Append(const Bytes& v, CodecUse use, std::string* out) {
    const absl::string_view bytes(reinterpret_cast<const char*>(v.data()), v.size());
    codec_internal::AppendBytes(bytes, use, out);
  }
  static bool Parse(absl::string_view* in, CodecUse use, Bytes* v) {
    v->clear();
    return codec_internal::ReadBytes(in, use, [v](absl::string_view piece) {
      const T* const begin = reinterpret_cast<const T*>(piece.data());
      v->insert(v->end(), begin, begin + piece.size());
    });
  }
};

template <typename T, typename Allocator>
struct Codec<std::vector<T, Allocator>, std::enable_if_t<!codec_internal::kIsByte<T>>> {
  static void Append(const std::vector<T, Allocator>& v, CodecUse use, std::string* out) {
    const CodecUse inner{use.key, false};
    if (!use.key) codec_internal::AppendVarint<uint64_t>(v.size(), out);
    for (const T& element : v) {
      if (use.key) out->push_back('\1');
      Codec<T>::Append(element, inner, out);
    }
    if (use.key) out->push_back('\0');  // shorter is smaller
  }
  static bool Parse(absl::string_view* in, CodecUse use, std::vector<T, Allocator>* v) {
    v->clear();
    uint64_t count = 0;
    // An element has a byte at least.
    if (!use.key && (!codec_internal::ReadVarint(in, &count) || count > in->size())) return false;
    for (uint64_t i = 0; use.key || i < count; ++i) {
      if (use.key) {
        if (in->empty()) return false;
        const bool more = in->front() != '\0';
        in->remove_prefix(1);
        if (!more) break;
      }
      T element{};
      if (!Codec<T>::Parse(in, CodecUse{use.key, false}, &element)) return false;
      v->push_back(std::move(element));
    }
    return true;
  }
};

namespace codec_internal {

// The members of a pair or tuple; those of `Row` may be what the stored ones are made
// from.
template <typename Stored>
struct MembersCodec {
  static constexpr size_t kSize = std::tuple_size<Stored>::value;
  static_assert(kSize > 0, "nothing to write");
  template <size_t i>
  using Member = Codec<std::tuple_element_t<i, Stored>>;

  template <typename Row>
  static void Append(const Row& row, CodecUse use, std::string* out) {
    static_assert(std::tuple_size<Row>::value == kSize, "another number of members");
    AppendAll(row, use, out, std::make_index_sequence<kSize>());
  }
  static bool Parse(absl::string_view* in, CodecUse use, Stored* row) {
    return ParseAll(in, use, row, std::make_index_sequence<kSize>());
  }

 private:
  static CodecUse Use(CodecUse use, size_t i) {
    return CodecUse{use.key, use.last && i + 1 == kSize};
  }
  template <typename Row, size_t... i>
  static void AppendAll(const Row& row, CodecUse use, std::string* out, std::index_sequence<i...>) {
    (Member<i>::Append(std::get<i>(row), Use(use, i), out), ...);
  }
  template <size_t... i>
  static bool ParseAll(absl::string_view* in, CodecUse use, Stored* row,
                       std::index_sequence<i...>) {
    return (Member<i>::Parse(in, Use(use, i), &std::get<i>(*row)) && ...);
  }
};

// What is stored of an input: a std::string for text that is borrowed.
template <typename T>
struct StoredType {
  using Type = T;
};
template <>
struct StoredType<absl::string_view> {
  using Type = std::string;
};
template <>
struct StoredType<const char*> {
  using Type = std::string;
};
template <>
struct StoredType<char*> {
  using Type = std::string;
};
template <typename A, typename B>
struct StoredType<std::pair<A, B>> {
  using Type = std::pair<typename StoredType<std::decay_t<A>>::Type,
                         typename StoredType<std::decay_t<B>>::Type>;
};
template <typename... Ts>
struct StoredType<std::tuple<Ts...>> {
  using Type = std::tuple<typename StoredType<std::decay_t<Ts>>::Type...>;
};

}  // namespace codec_internal

template <typename A, typename B>
struct Codec<std::pair<A, B>> : codec_internal::MembersCodec<std::pair<A, B>> {};

template <typename... Ts>
struct Codec<std::tuple<Ts...>> : codec_internal::MembersCodec<std::tuple<Ts...>> {};

// The type that is stored, and comes out, where a T goes in: itself, but std::string for
// absl::string_view and const char*, inside of pairs and tuples too.
template <typename T>
using Stored = typename codec_internal::StoredType<std::decay_t<T>>::Type;

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_CODEC_H_
