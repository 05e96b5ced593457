// What real clients send, byte for byte, and what they were answered when they
// worked: testdata/clients/. Each was recorded between the client and the server.
//   0> BYTES   the client's connection 0 sends, as C has them; "{cursor}" stands
//              for the one that it was given last
//   0< BYTES   what is answered; "{*}" stands for anything, "{cursor}" for one

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "net/resp/session_harness.h"

namespace kvarts {
namespace resp {
namespace {

std::string Unescape(absl::string_view text) {
  std::string bytes;
  EXPECT_TRUE(absl::CUnescape(text, &bytes)) << text;
  return bytes;
}

// Takes a bulk string with a number from the front of `reply`.
bool TakeCursor(absl::string_view* reply, std::string* cursor) {
  const size_t end = reply->find("\r\n", reply->find("\r\n") + 2);
  if (!absl::StartsWith(*reply, "$") || end == absl::string_view::npos) return false;
  *cursor = std::string(reply->substr(0, end + 2));
  reply->remove_prefix(end + 2);
  return true;
}

// True where `reply` is what `pattern` says.
bool Matches(absl::string_view pattern, absl::string_view reply, std::string* cursor) {
  while (!pattern.empty()) {
    if (absl::ConsumePrefix(&pattern, "{*}")) {
      if (pattern.empty()) return true;
      const absl::string_view next = pattern.substr(0, pattern.find('{'));
      const size_t at = reply.find(next);
      if (at == absl::string_view::npos) return false;
      reply.remove_prefix(at);
    } else if (absl::ConsumePrefix(&pattern, "{cursor}")) {
      if (!TakeCursor(&reply, cursor)) return false;
    } else {
      const absl::string_view plain = pattern.substr(0, std::max<size_t>(pattern.find('{'), 1));
      if (!absl::ConsumePrefix(&reply, plain)) return false;
      pattern.remove_prefix(plain.size());
    }
  }
  return reply.empty();
}

std::unique_ptr<Store> NewStore(bool writes) {
  ModelStoreOptions options;
  if (!writes) {
    options.capabilities.write = Support::kAbsent;
    options.capabilities.conditions = Support::kAbsent;
    options.capabilities.batch_scope = BatchScope::kNone;
    options.capabilities.delete_range = Support::kAbsent;
    options.capabilities.expiry = Support::kAbsent;
    options.capabilities.content_type = Support::kAbsent;
    for (int i = 0; i < 30; ++i) {
      options.records.emplace_back(absl::StrCat("key:", i), absl::StrCat("value ", i));
    }
  }
  return NewModelStore(options);
}

void Replay(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  ASSERT_TRUE(std::getline(file, line)) << path;
  SessionHarness harness(NewStore(absl::StrContains(line, "takes writes")));
  std::map<std::string, std::unique_ptr<SessionHarness::Connection>> connections;
  std::map<std::string, std::string> replies;
  std::string cursor;
  for (int number = 2; std::getline(file, line); ++number) {
    const size_t mark = line.find_first_of("<>");
    ASSERT_NE(mark, std::string::npos) << path << ":" << number;
    const std::string name = line.substr(0, mark);
    const std::string text = line.substr(mark + 2);
    std::string& reply = replies[name];
    if (line[mark] == '>') {
      auto& connection = connections[name];
      if (connection == nullptr) connection = harness.Connect();
      const std::string bytes = absl::StrReplaceAll(Unescape(text), {{"{cursor}", cursor}});
      absl::StrAppend(&reply, harness.Send(*connection, bytes));
    } else {
      EXPECT_TRUE(Matches(Unescape(text), reply, &cursor))
          << path << ":" << number << ": " << absl::CEscape(reply);
      reply.clear();
    }
  }
  for (const auto& [name, reply] : replies) EXPECT_EQ(reply, "") << path << ", at the end";
}

TEST(ClientsTest, WhatClientsSendIsAnsweredAsTheyNeedIt) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("net/resp/testdata/clients")) {
    paths.push_back(entry.path().string());
  }
  EXPECT_GE(paths.size(), 18u);
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) Replay(path);
}

TEST(ClientsTest, ThePatternsTellDifferences) {
  std::string cursor;
  EXPECT_TRUE(Matches("a{*}c", "abc", &cursor));
  EXPECT_FALSE(Matches("a{*}c", "abd", &cursor));
  EXPECT_FALSE(Matches("abc", "abcd", &cursor));
  EXPECT_FALSE(Matches("abcd", "abc", &cursor));
  EXPECT_TRUE(Matches("*2\r\n{cursor}*0\r\n", "*2\r\n$2\r\n12\r\n*0\r\n", &cursor));
  EXPECT_EQ(cursor, "$2\r\n12\r\n");
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
