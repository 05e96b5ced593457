#include "groupby/sorted/text_queue.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_internal {
namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kBatch = 100;

// Writes the texts in pieces, and reads them on this thread.
Texts Pass(const Texts& texts, size_t piece) {
  std::vector<char> room(2 * kBatch);
  TextQueue queue(room.data(), kBatch);
  std::thread thread([&] {
    TextQueue::Writer writer(&queue);
    for (const auto& [key, text] : texts) {
      EXPECT_TRUE(writer.BeginGroup(key).ok());
      absl::string_view rest = text;
      while (!rest.empty()) {
        EXPECT_TRUE(writer.Append(rest.substr(0, piece)).ok());
        rest.remove_prefix(std::min(piece, rest.size()));
      }
      writer.EndGroup();
    }
    EXPECT_TRUE(writer.Finish().ok());
  });
  Texts result;
  TextQueue::Reader reader(&queue);
  bool goes_on = false;
  while (reader.Next().value()) {
    if (!goes_on) {
      result.emplace_back(std::string(reader.key()), "");
    } else {
      EXPECT_TRUE(reader.key().empty());
      EXPECT_FALSE(reader.text().empty());
    }
    absl::StrAppend(&result.back().second, reader.text());
    goes_on = reader.goes_on();
  }
  EXPECT_FALSE(goes_on);
  EXPECT_FALSE(reader.Next().value());
  thread.join();
  return result;
}

TEST(TextQueueTest, TextsOfAnySizeComeAsTheyWere) {
  EXPECT_TRUE(Pass({}, 1).empty());
  const size_t longest_key = kBatch - TextQueue::EntryBytes(0);
  Texts texts;
  for (size_t i = 0; i < 300; ++i) {
    texts.emplace_back(std::string(i % (longest_key + 1), 'k'), std::string(i * i % 263, 't'));
  }
  texts.emplace_back("", "");
  texts.emplace_back("long", std::string(10'000, 'x'));
  for (const size_t piece : {1, 7, 99, 100, 101, 5000}) EXPECT_EQ(Pass(texts, piece), texts);
}

TEST(TextQueueTest, StopWakesAWriterThatWaitsForRoom) {
  std::vector<char> room(2 * kBatch);
  TextQueue queue(room.data(), kBatch);
  TextQueue::Writer writer(&queue);
  ASSERT_TRUE(writer.BeginGroup("key").ok());
  std::thread thread([&] {
    EXPECT_TRUE(absl::IsCancelled(writer.Append(std::string(1000, 't'))));
    EXPECT_TRUE(absl::IsCancelled(writer.Finish()));
  });
  TextQueue::Reader reader(&queue);
  ASSERT_TRUE(reader.Next().value());
  queue.Stop();
  thread.join();
  EXPECT_TRUE(absl::IsCancelled(reader.Next().status()));
}

TEST(TextQueueTest, StopWakesAReaderThatWaitsForText) {
  std::vector<char> room(2 * kBatch);
  TextQueue queue(room.data(), kBatch);
  std::thread thread([&] {
    TextQueue::Reader reader(&queue);
    EXPECT_TRUE(absl::IsCancelled(reader.Next().status()));
  });
  queue.Stop();
  thread.join();
}

}  // namespace
}  // namespace kvarts::groupby_internal
