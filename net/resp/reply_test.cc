#include "net/resp/reply.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace resp {
namespace {

// What `write` writes, in one protocol.
template <typename Write>
std::string Written(int protocol, Write write) {
  Output output;
  ReplyWriter reply;
  reply.set_protocol(protocol);
  reply.set_output(&output);
  write(&reply);
  std::string all;
  for (const absl::string_view piece : output.Pieces()) all += std::string(piece);
  EXPECT_EQ(all.size(), output.size());
  return all;
}

// ... in both, which must be the same.
template <typename Write>
std::string InBoth(Write write) {
  const std::string two = Written(2, write);
  EXPECT_EQ(two, Written(3, write));
  return two;
}

TEST(ReplyWriterTest, RepliesOfBothProtocols) {
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Ok(); }), "+OK\r\n");
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Simple("PONG"); }), "+PONG\r\n");
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Error("ERR a\r\nb\n"); }), "-ERR a  b\r\n");
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Bulk(""); }), "$0\r\n\r\n");
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Bulk("a\r\nb"); }), "$4\r\na\r\nb\r\n");
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Bulk(std::string(1000, 'x')); }),
            "$1000\r\n" + std::string(1000, 'x') + "\r\n");
  EXPECT_EQ(InBoth([](ReplyWriter* r) { r->Array(12); }), "*12\r\n");
  const auto integer = [](int64_t value) {
    return InBoth([value](ReplyWriter* r) { r->Integer(value); });
  };
  EXPECT_EQ(integer(0), ":0\r\n");
  EXPECT_EQ(integer(-12), ":-12\r\n");
  EXPECT_EQ(integer(std::numeric_limits<int64_t>::max()), ":9223372036854775807\r\n");
  EXPECT_EQ(integer(std::numeric_limits<int64_t>::min()), ":-9223372036854775808\r\n");
}

TEST(ReplyWriterTest, RepliesThatDiffer) {
  const auto null = [](ReplyWriter* r) { r->Null(); };
  EXPECT_EQ(Written(2, null), "$-1\r\n");
  EXPECT_EQ(Written(3, null), "_\r\n");
  const auto null_array = [](ReplyWriter* r) { r->NullArray(); };
  EXPECT_EQ(Written(2, null_array), "*-1\r\n");
  EXPECT_EQ(Written(3, null_array), "_\r\n");
  const auto map = [](ReplyWriter* r) { r->Map(3); };
  EXPECT_EQ(Written(2, map), "*6\r\n");
  EXPECT_EQ(Written(3, map), "%3\r\n");
  const auto set = [](ReplyWriter* r) { r->Set(3); };
  EXPECT_EQ(Written(2, set), "*3\r\n");
  EXPECT_EQ(Written(3, set), "~3\r\n");
  const auto text = [](ReplyWriter* r) { r->Verbatim("a\nb"); };
  EXPECT_EQ(Written(2, text), "$3\r\na\nb\r\n");
  EXPECT_EQ(Written(3, text), "=7\r\ntxt:a\nb\r\n");
  const auto number = [](ReplyWriter* r) { r->Double(1.5); };
  EXPECT_EQ(Written(2, number), "$3\r\n1.5\r\n");
  EXPECT_EQ(Written(3, number), ",1.5\r\n");
  const auto infinite = [](ReplyWriter* r) { r->Double(-HUGE_VAL); };
  EXPECT_EQ(Written(2, infinite), "$4\r\n-inf\r\n");
  EXPECT_EQ(Written(3, infinite), ",-inf\r\n");
}

TEST(ReplyWriterTest, LargeValuesAreLentAndSmallOnesCopied) {
  const std::string large(Output::kLendFrom, 'l');
  std::string small(Output::kLendFrom - 1, 's');
  Output output;
  ReplyWriter reply;
  reply.set_output(&output);
  EXPECT_FALSE(reply.Value(small));
  EXPECT_TRUE(reply.Value(large));
  const std::string copy = small;
  small.assign(small.size(), 'x');
  std::string all;
  bool lent = false;
  for (const absl::string_view piece : output.Pieces()) {
    lent = lent || piece.data() == large.data();
    all += std::string(piece);
  }
  EXPECT_TRUE(lent);
  EXPECT_EQ(all, "$4095\r\n" + copy + "\r\n$4096\r\n" + large + "\r\n");
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
