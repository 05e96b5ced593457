#include "apps/testing/resp_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "base/slot.h"
#include "gtest/gtest.h"

namespace kvarts {

using resp_client::ReplyItem;
using resp_client::ReplyParser;

bool RespConnection::Send(const std::vector<std::string>& words) {
  std::string request = absl::StrCat("*", words.size(), "\r\n");
  for (const std::string& word : words) {
    absl::StrAppend(&request, "$", word.size(), "\r\n", word, "\r\n");
  }
  return socket_.connected() && socket_.Send(request);
}

std::vector<RespItem> RespConnection::Receive() {
  std::vector<RespItem> items;
  while (true) {
    const ReplyParser::Result result = parser_.Next();
    if (result == ReplyParser::Result::kError) {
      ADD_FAILURE() << parser_.error();
      return {};
    }
    if (result == ReplyParser::Result::kItem) {
      const ReplyItem& item = parser_.item();
      items.push_back({item.kind, item.depth, item.number, std::string(item.text)});
      if (item.last) return items;
      continue;
    }
    if (at_ == received_.size()) {
      received_ = socket_.ReceiveSome();
      at_ = 0;
      if (received_.empty()) return {};
    }
    const absl::Span<char> space = parser_.Space();
    const size_t n = std::min(space.size(), received_.size() - at_);
    std::memcpy(space.data(), received_.data() + at_, n);
    parser_.Filled(n);
    at_ += n;
  }
}

std::vector<RespItem> RespConnection::Ask(const std::vector<std::string>& words) {
  if (!Send(words)) return {};
  return Receive();
}

std::string RespConnection::AskText(const std::vector<std::string>& words) {
  const std::vector<RespItem> reply = Ask(words);
  if (reply.empty()) return "(gone)";
  switch (reply[0].kind) {
    case ReplyItem::Kind::kNull:
      return "(nil)";
    case ReplyItem::Kind::kInteger:
    case ReplyItem::Kind::kArray:
      return absl::StrCat(reply[0].number);
    default:
      return reply[0].text;
  }
}

std::string RespClusterClient::Ask(const std::vector<std::string>& words) {
  std::string reply;
  if (last_.empty()) last_ = seed_;
  for (int hops = 0; hops < 5; ++hops) {
    std::unique_ptr<RespConnection>& connection = connections_[last_];
    if (connection == nullptr) {
      connection = std::make_unique<RespConnection>(last_, directory_);
    }
    reply = connection->AskText(words);
    if (reply == "(gone)") {
      connections_.erase(last_);
      last_ = seed_;
      return reply;
    }
    if (!absl::StartsWith(reply, "MOVED ")) return reply;
    ++moved_;
    last_ = reply.substr(reply.rfind(' ') + 1);
  }
  return reply;
}

std::string OwnerInSlots(const std::vector<RespItem>& items, int64_t slot) {
  std::vector<int64_t> range;
  std::string host;
  for (const RespItem& item : items) {
    if (item.depth == 1) range.clear();
    if (item.depth == 2 && item.kind == ReplyItem::Kind::kInteger) range.push_back(item.number);
    if (range.size() != 2 || range[0] > slot || range[1] < slot || item.depth != 3) continue;
    if (item.kind == ReplyItem::Kind::kInteger) return absl::StrCat(host, ":", item.number);
    host = item.text;
  }
  return "nobody";
}

std::string OwnerInShards(const std::vector<RespItem>& items, int64_t slot) {
  bool is_its = false;
  int64_t first = -1;
  int64_t port = 0;
  std::string name;
  for (const RespItem& item : items) {
    const bool is_number = item.kind == ReplyItem::Kind::kInteger;
    if (item.depth == 1) {
      is_its = false;
      first = -1;
    } else if (item.depth == 3 && is_number) {
      if (first >= 0 && first <= slot && slot <= item.number) is_its = true;
      first = first < 0 ? item.number : -1;
    } else if (item.depth == 4 && is_its) {
      if (name == "port" && is_number) port = item.number;
      if (name == "ip") return absl::StrCat(item.text, ":", port);
      name = item.text;
    }
  }
  return "nobody";
}

std::string OwnerInNodes(const std::vector<RespItem>& items, int64_t slot) {
  if (items.empty()) return "nobody";
  for (const absl::string_view line : absl::StrSplit(items[0].text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    for (size_t i = 8; i < words.size(); ++i) {
      const std::vector<std::string> range = absl::StrSplit(words[i], '-');
      int64_t first = 0;
      int64_t last = 0;
      if (!absl::SimpleAtoi(range.front(), &first) || !absl::SimpleAtoi(range.back(), &last)) {
        ADD_FAILURE() << "not a range of slots: " << line;
        continue;
      }
      if (first <= slot && slot <= last) return words[1].substr(0, words[1].find('@'));
    }
  }
  return "nobody";
}

std::string KeyIn(int slot) {
  static const std::vector<std::string>* const keys = [] {
    auto* const found = new std::vector<std::string>(kSlots);
    int left = kSlots;
    for (int i = 0; left > 0; ++i) {
      std::string key = absl::StrCat("k", i);
      std::string& place = (*found)[KeySlot(key)];
      if (!place.empty()) continue;
      place = std::move(key);
      --left;
    }
    return found;
  }();
  return (*keys)[static_cast<size_t>(slot)];
}

}  // namespace kvarts
