#include "groupby/text/byte_scan.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

std::vector<size_t> Found(const std::string& text, size_t from) {
  // A copy of the exact size: a sanitizer sees a read past its end.
  const std::vector<char> bytes(text.begin(), text.end());
  const char* const end = bytes.data() + bytes.size();
  ByteScan<4> scan(bytes.data() + from, end, {'\n', '\t', ',', '\"'});
  std::vector<size_t> found;
  for (const char* at = scan.Next(); at != end; at = scan.Next()) {
    found.push_back(static_cast<size_t>(at - bytes.data()));
  }
  EXPECT_EQ(scan.Next(), end) << "the end stays the end";
  return found;
}

std::vector<size_t> Expected(const std::string& text, size_t from) {
  std::vector<size_t> found;
  for (size_t i = from; i < text.size(); ++i) {
    if (std::string("\n\t,\"").find(text[i]) != std::string::npos) found.push_back(i);
  }
  return found;
}

TEST(ByteScanTest, FindsEachByteAtEachPlaceOfEachSize) {
  for (size_t size = 0; size < 200; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      text[at] = ",\n\t\""[at % 4];
      ASSERT_EQ(Found(text, 0), Expected(text, 0)) << size << " " << at;
    }
  }
}

TEST(ByteScanTest, FindsAsASimpleLoopDoesFromEachPlaceOn) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string text(random() % 300, 'x');
    for (char& byte : text) {
      if (random() % 5 == 0) byte = static_cast<char>(random());
      if (random() % 7 == 0) byte = ",\n\t\""[random() % 4];
    }
    const size_t from = random() % (text.size() + 1);
    ASSERT_EQ(Found(text, from), Expected(text, from)) << round;
  }
}

TEST(ByteScanTest, GoesOnWhereItIsTold) {
  const std::string text = std::string(100, 'x') + "," + std::string(100, 'x') + ",";
  const char* const end = text.data() + text.size();
  ByteScan<4> scan(text.data(), end, {'\n', '\t', ',', '\"'});
  EXPECT_EQ(scan.Next(), text.data() + 100);
  scan.Seek(text.data() + 201);
  EXPECT_EQ(scan.Next(), text.data() + 201);
  scan.Seek(text.data() + 5);
  EXPECT_EQ(scan.Next(), text.data() + 100);
  scan.Seek(end);
  EXPECT_EQ(scan.Next(), end);
}

}  // namespace
}  // namespace kvarts::groupby_text
