#include "net/resp/rdb_string.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

std::string Bytes(absl::string_view hex) { return absl::HexStringToBytes(hex); }

// The end of a payload whose beginning is `bytes`.
std::string Closed(std::string bytes, int version = 10) {
  bytes.push_back(static_cast<char>(version));
  bytes.push_back('\0');
  uint64_t crc = Crc64(bytes);
  for (int i = 0; i < 8; ++i, crc >>= 8) bytes.push_back(static_cast<char>(crc & 0xff));
  return bytes;
}

TEST(RdbStringTest, TheChecksumIsThatOfRedis) {
  EXPECT_EQ(Crc64(""), 0u);
  EXPECT_EQ(Crc64("123456789"), 0xe9c6d914c4b8d9ca);
}

// As redis-server 7.0.15 wrote them.
TEST(RdbStringTest, PayloadsAreThoseOfRedis) {
  const struct {
    const char* value;
    const char* payload;
  } kPayloads[] = {{"hello", "000568656c6c6f0a006372df766534200a"},
                   {"5", "00c0050a00632f5f66832fb351"},
                   {"-129", "00c17fff0a001760822854808480"},
                   {"32768", "00c2008000000a0045d82eedd5bda910"},
                   {"2147483648", "000a323134373438333634380a00e7b129a34c1d76ee"},
                   {"00", "000230300a00d2e5848f3d1d6f50"},
                   {"12345678901", "000b31323334353637383930310a00304e52d727176510"}};
  for (const auto& [value, payload] : kPayloads) {
    EXPECT_EQ(absl::BytesToHexString(ToDumpPayload(value)), payload) << value;
    EXPECT_EQ(FromDumpPayload(Bytes(payload), kMaxBytes).value(), value);
  }
}

TEST(RdbStringTest, CompressedPayloadsOfRedisAreRead) {
  EXPECT_EQ(
      FromDumpPayload(Bytes("00c3094064017878e057000178780a005db7f663bb08625f"), kMaxBytes).value(),
      std::string(100, 'x'));
  EXPECT_EQ(FromDumpPayload(Bytes("00c30b1b0361626361e00c020162630a0028b67f7fba109493"), kMaxBytes)
                .value(),
            "abcabcabcabcabcabcabcabcabc");
  EXPECT_EQ(
      FromDumpPayload(Bytes("00c3094040017979e0330001797a0a000f42dc22674528bd"), kMaxBytes).value(),
      std::string(63, 'y') + "z");
}

TEST(RdbStringTest, EveryLengthIsReadAsItWasWritten) {
  for (const size_t size : {0u, 1u, 63u, 64u, 16383u, 16384u, 100000u}) {
    const std::string value(size, 'v');
    EXPECT_EQ(FromDumpPayload(ToDumpPayload(value), kMaxBytes).value(), value) << size;
  }
  for (const char* value : {"127", "128", "-128", "32767", "-32768", "2147483647", "-2147483648",
                            "-2147483649", "+1", "01", "-0", " 1", "1.0"}) {
    EXPECT_EQ(FromDumpPayload(ToDumpPayload(value), kMaxBytes).value(), value);
  }
  // Of 8 bytes.
  EXPECT_EQ(FromDumpPayload(Closed(Bytes("0081000000000000000361") + "bc"), kMaxBytes).value(),
            "abc");
}

TEST(RdbStringTest, WhatIsWrongIsAnError) {
  const std::string good = ToDumpPayload("hello");
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_EQ(FromDumpPayload(bad, kMaxBytes).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FromDumpPayload(good.substr(0, i), kMaxBytes).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(FromDumpPayload(Closed(Bytes("0000"), 11), kMaxBytes).status().code(),
            absl::StatusCode::kInvalidArgument);
  // A list, and no type at all.
  EXPECT_EQ(FromDumpPayload(Closed(Bytes("1201")), kMaxBytes).status().code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(FromDumpPayload(Closed(Bytes("63")), kMaxBytes).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(FromDumpPayload(ToDumpPayload("hello"), 4).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FromDumpPayload(Closed(Bytes("00c3094064017878e05700017878")), 99).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(RdbStringTest, BytesThatAreNoStringAreAnError) {
  for (const char* hex : {
           "",
           "00",
           "0005",
           "000561",
           "0040",
           "0080000000",
           "00800000000561",
           "0081",
           "0082",
           "00bf",
           "00c0",
           "00c17f",
           "00c2000000",
           "00c4",
           "00ff",
           "00c3",
           "00c301",
           "00c30505",
           "00c3020561ff",  // a literal that ends early
           "00c303052000",  // back behind the beginning
           "00c30205e0",
           "00c30305e000",
           "00c302020061",   // shorter than it says
           "00c30301016161"  // and longer
       }) {
    EXPECT_EQ(FromDumpPayload(Closed(Bytes(hex)), kMaxBytes).status().code(),
              absl::StatusCode::kDataLoss)
        << hex;
  }
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
