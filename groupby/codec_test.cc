#include "groupby/codec.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {

struct Point {
  int32_t x = 0;
  int32_t y = 0;
};

// The two of the header's comment.
template <>
struct Codec<Point> : CodecBy<Point, std::pair<int32_t, int32_t>> {
  static std::pair<int32_t, int32_t> To(const Point& p) { return {p.x, p.y}; }
  static Point From(std::pair<int32_t, int32_t> p) { return {p.first, p.second}; }
};

struct Colour {
  char rgb[3] = {};
};

template <>
struct Codec<Colour> {
  static void Append(const Colour& c, CodecUse use, std::string* out) { out->append(c.rgb, 3); }
  static bool Parse(absl::string_view* in, CodecUse use, Colour* c) {
    if (in->size() < 3) return false;
    std::memcpy(c->rgb, in->data(), 3);
    in->remove_prefix(3);
    return true;
  }
};

namespace {

constexpr CodecUse kUses[] = {{false, false}, {false, true}, {true, false}, {true, true}};

template <typename T>
std::string Write(const T& v, CodecUse use) {
  std::string out;
  Codec<T>::Append(v, use, &out);
  return out;
}

std::string Key(const std::string& v) { return Write(v, {true, true}); }

// Each of `values`, which are in their order, comes back, and sorts as it should.
template <typename T>
void ExpectGood(const std::vector<T>& values) {
  for (const T& v : values) {
    for (const CodecUse use : kUses) {
      const std::string bytes = Write(v, use);
      absl::string_view in = bytes;
      T read{};
      ASSERT_TRUE(Codec<T>::Parse(&in, use, &read));
      EXPECT_TRUE(read == v) << use.key << use.last;
      EXPECT_TRUE(in.empty());
      if (use.last) continue;
      EXPECT_FALSE(bytes.empty());
      // What follows is left alone, whatever it is; what is cut off is missed.
      for (const char* const tail : {"\xff\xff", "ab"}) {
        const std::string more = bytes + tail;
        in = more;
        ASSERT_TRUE(Codec<T>::Parse(&in, use, &read));
        EXPECT_TRUE(read == v);
        EXPECT_EQ(in, tail);
      }
      for (size_t n = 0; n < bytes.size(); ++n) {
        in = absl::string_view(bytes).substr(0, n);
        EXPECT_FALSE(Codec<T>::Parse(&in, use, &read)) << n;
      }
    }
  }
  for (const bool last : {false, true}) {
    for (const T& a : values) {
      for (const T& b : values) {
        const std::string x = Write(a, {true, last});
        const std::string y = Write(b, {true, last});
        EXPECT_EQ(x < y, a < b) << last;
        EXPECT_EQ(x == y, a == b) << last;
      }
    }
  }
}

template <typename T>
std::vector<T> Integers() {
  std::vector<T> values;
  const T min = std::numeric_limits<T>::min();
  const T max = std::numeric_limits<T>::max();
  for (int i = 0; i < 3; ++i) {
    values.push_back(static_cast<T>(min + static_cast<T>(i)));
    values.push_back(static_cast<T>(max - static_cast<T>(i)));
    values.push_back(static_cast<T>(i));
    values.push_back(static_cast<T>(T(0) - static_cast<T>(i)));
  }
  for (size_t bit = 1; bit < 8 * sizeof(T) - 1; ++bit) {
    const T power = static_cast<T>(T(1) << bit);
    values.push_back(power);
    values.push_back(static_cast<T>(power - T(1)));
    values.push_back(static_cast<T>(T(0) - power));
  }
  return values;
}

TEST(CodecTest, IntegersOfAllWidthsComeBackAndSortByValue) {
  ExpectGood(Integers<int8_t>());
  ExpectGood(Integers<uint8_t>());
  ExpectGood(Integers<int16_t>());
  ExpectGood(Integers<uint16_t>());
  ExpectGood(Integers<int32_t>());
  ExpectGood(Integers<uint32_t>());
  ExpectGood(Integers<int64_t>());
  ExpectGood(Integers<uint64_t>());
  ExpectGood(Integers<long long>());
  ExpectGood(Integers<char16_t>());
  ExpectGood(Integers<absl::int128>());
  ExpectGood(Integers<absl::uint128>());
  ExpectGood(std::vector<bool>{false, true});
}

TEST(CodecTest, SmallIntegersAreFewBytesAsValues) {
  const auto last = [](int64_t v) { return Write(v, {false, true}).size(); };
  EXPECT_EQ(last(0), 0u);
  EXPECT_EQ(last(127), 1u);
  EXPECT_EQ(last(-128), 1u);
  EXPECT_EQ(last(128), 2u);
  EXPECT_EQ(last(-32768), 2u);
  EXPECT_EQ(last(2000000000), 4u);
  EXPECT_EQ(last(std::numeric_limits<int64_t>::min()), 8u);
  EXPECT_EQ(Write(int64_t{63}, {false, false}).size(), 1u);
  EXPECT_EQ(Write(std::pair<int64_t, int64_t>(-64, 0), {false, true}).size(), 1u);
}

TEST(CodecTest, CharactersSortAsInStrings) {
  EXPECT_LT(Write('a', {true, true}), Write('\xe4', {true, true}));
  for (int c = 0; c < 256; ++c) {
    for (const CodecUse use : kUses) {
      const std::string bytes = Write(static_cast<char>(c), use);
      absl::string_view in = bytes;
      char read = 0;
      ASSERT_TRUE(Codec<char>::Parse(&in, use, &read));
      EXPECT_EQ(read, static_cast<char>(c));
    }
  }
}

TEST(CodecTest, FloatsComeBackAndSortByValue) {
  const double inf = std::numeric_limits<double>::infinity();
  ExpectGood(std::vector<double>{-inf, -1e300, -1.5, -1, -5e-324, 0, 5e-324, 1, 1.5, 1e300, inf});
  const float finf = std::numeric_limits<float>::infinity();
  ExpectGood(std::vector<float>{-finf, -1e30F, -1, -1e-40F, 0, 1e-40F, 1, 1e30F, finf});
}

TEST(CodecTest, FloatKeysJoinZerosAndNans) {
  const CodecUse key{true, true};
  EXPECT_EQ(Write(-0.0, key), Write(0.0, key));
  EXPECT_EQ(Write(-0.0F, key), Write(0.0F, key));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Write(nan, key), Write(-nan, key));
  EXPECT_EQ(Write(nan, key), Write(std::nan("77"), key));
  EXPECT_GT(Write(nan, key), Write(std::numeric_limits<double>::infinity(), key));
}

TEST(CodecTest, FloatValuesKeepTheirBits) {
  for (const double v : {-0.0, std::nan("77"), -std::nan("3")}) {
    const std::string bytes = Write(v, {false, true});
    absl::string_view in = bytes;
    double read = 0;
    ASSERT_TRUE(Codec<double>::Parse(&in, {false, true}, &read));
    uint64_t read_bits = 0;
    uint64_t bits = 0;
    std::memcpy(&read_bits, &read, sizeof read);
    std::memcpy(&bits, &v, sizeof v);
    EXPECT_EQ(read_bits, bits);
  }
}

TEST(CodecTest, StringsOfAnyBytesSortAsBytes) {
  const std::string zero(1, '\0');
  ExpectGood(std::vector<std::string>{"", zero, zero + zero, zero + "\x01", zero + "\xff", "\x01",
                                      "a", "a" + zero, "a" + zero + "b", "a\x01", "ab", "b", "\xff",
                                      "\xff" + zero, "\xff\xff", std::string(1000, 'x')});
  EXPECT_EQ(Key("as it is"), "as it is");
  using Bytes = std::vector<unsigned char>;
  ExpectGood(std::vector<Bytes>{{}, {0}, {0, 1}, {1}, {255}, {255, 0}});
}

TEST(CodecTest, PairsAndTuplesSortByTheirFirstDifference) {
  std::mt19937 random(7);
  using Row = std::tuple<std::string, int, std::pair<double, std::string>, uint8_t>;
  std::vector<Row> rows;
  const auto text = [&random] {
    std::string s(random() % 4, 'a');
    for (char& c : s) c = "\0\1a\xff"[random() % 4];
    return s;
  };
  for (int i = 0; i < 150; ++i) {
    rows.emplace_back(text(), static_cast<int>(random() % 5) - 2,
                      std::make_pair((random() % 3) - 1.0, text()), random() % 3);
  }
  ExpectGood(rows);
  using Deep = std::pair<std::vector<std::string>, std::vector<int>>;
  std::vector<Deep> deep;
  for (int i = 0; i < 100; ++i) {
    Deep d;
    for (size_t n = random() % 3; n > 0; --n) d.first.push_back(text());
    for (size_t n = random() % 3; n > 0; --n)
      d.second.push_back(static_cast<int>(random() % 3) - 1);
    deep.push_back(std::move(d));
  }
  ExpectGood(deep);
}

TEST(CodecTest, EnumsAndVectorsOfBoolWork) {
  enum class Wind : int16_t { kSouth = -1, kNone, kNorth = 300 };
  ExpectGood(std::vector<Wind>{Wind::kSouth, Wind::kNone, Wind::kNorth});
  ExpectGood(std::vector<std::vector<bool>>{{}, {false}, {false, true}, {true}});
}

TEST(CodecTest, ATypeOfOnesOwnTakesAFewLines) {
  const std::string low = Write(Point{-3, 5}, {true, true});
  EXPECT_LT(low, Write(Point{2, -9}, {true, true}));
  absl::string_view in = low;
  Point p;
  ASSERT_TRUE(Codec<Point>::Parse(&in, {true, true}, &p));
  EXPECT_EQ(p.x, -3);
  EXPECT_EQ(p.y, 5);

  const std::pair<Colour, int> red{{{'\xff', 0, 0}}, 9};
  const std::string bytes = Write(red, {false, true});
  EXPECT_EQ(bytes.size(), 4u);
  in = bytes;
  std::pair<Colour, int> read;
  ASSERT_TRUE((Codec<std::pair<Colour, int>>::Parse(&in, {false, true}, &read)));
  EXPECT_EQ(read.first.rgb[0], '\xff');
  EXPECT_EQ(read.second, 9);
}

TEST(CodecTest, BorrowedTextIsStoredAsAString) {
  static_assert(std::is_same<Stored<const absl::string_view&>, std::string>::value, "");
  static_assert(std::is_same<Stored<const char*>, std::string>::value, "");
  static_assert(
      std::is_same<Stored<std::pair<const char*, int>>, std::pair<std::string, int>>::value, "");
  std::string a;
  using Row = std::tuple<std::string, int>;
  Codec<Row>::Append(std::tuple<absl::string_view, int>("x", 3), {true, true}, &a);
  EXPECT_EQ(a, Write(Row("x", 3), {true, true}));
}

TEST(CodecTest, BytesThatWereNeverWrittenAreRefused) {
  const auto refused = [](auto v, CodecUse use, absl::string_view bytes) {
    return !Codec<decltype(v)>::Parse(&bytes, use, &v) || !bytes.empty();
  };
  EXPECT_TRUE(refused(uint32_t{}, {false, true}, "12345"));
  EXPECT_TRUE(refused(uint32_t{}, {false, false}, "\xff\xff\xff\xff\x1f"));
  EXPECT_TRUE(refused(uint64_t{}, {false, false}, std::string(11, '\xff')));
  EXPECT_TRUE(refused(bool{}, {false, true}, "\2"));
  EXPECT_TRUE(refused(std::string(), {true, false}, absl::string_view("a\0\1", 3)));
  EXPECT_TRUE(refused(std::string(), {false, false}, "\xff\xff\xff\xff\x0f"));
  EXPECT_TRUE(refused(std::vector<int>(), {false, true}, "\xff\xff\xff\xff\x0f"));
}

}  // namespace
}  // namespace kvarts
