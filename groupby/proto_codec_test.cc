#include "groupby/proto_codec.h"

#include <string>
#include <utility>

#include "google/protobuf/duration.pb.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using google::protobuf::Duration;
using google::protobuf::Struct;

Struct MakeStruct(bool backwards) {
  Struct s;
  for (int i = 0; i < 50; ++i) {
    const int n = backwards ? 49 - i : i;
    (*s.mutable_fields())[std::to_string(n)].set_number_value(n);
  }
  return s;
}

template <typename T>
std::string Write(const T& v, CodecUse use) {
  std::string out = "before";
  Codec<T>::Append(v, use, &out);
  return out.substr(6);
}

TEST(ProtoCodecTest, MapsAreWrittenInOneOrder) {
  EXPECT_EQ(Write(MakeStruct(false), {true, true}), Write(MakeStruct(true), {true, true}));
}

TEST(ProtoCodecTest, MessagesComeBackAloneAndInPairs) {
  const Struct s = MakeStruct(false);
  Duration d;
  d.set_seconds(-77);
  for (const CodecUse use : {CodecUse{false, true}, {true, true}, {false, false}, {true, false}}) {
    using Row = std::pair<Struct, Duration>;
    const std::string bytes = Write(Row(s, d), use);
    absl::string_view in = bytes;
    Row row;
    row.first.mutable_fields()->insert({"old", {}});
    ASSERT_TRUE(Codec<Row>::Parse(&in, use, &row));
    EXPECT_TRUE(in.empty());
    EXPECT_EQ(row.first.fields().size(), 50u);
    EXPECT_EQ(row.first.fields().at("31").number_value(), 31);
    EXPECT_EQ(row.second.seconds(), -77);
  }
}

TEST(ProtoCodecTest, OtherBytesAreRefused) {
  absl::string_view in("\xff\xff\xff", 3);
  Duration d;
  EXPECT_FALSE(Codec<Duration>::Parse(&in, {false, true}, &d));
}

}  // namespace
}  // namespace kvarts
