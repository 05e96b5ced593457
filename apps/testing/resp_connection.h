#ifndef KVARTS_APPS_TESTING_RESP_CONNECTION_H_
#define KVARTS_APPS_TESTING_RESP_CONNECTION_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "apps/testing/programs.h"
#include "net/resp/client/reply_parser.h"

namespace kvarts {

// A piece of a reply, as ReplyItem has it, which owns its text.
struct RespItem {
  resp_client::ReplyItem::Kind kind = resp_client::ReplyItem::Kind::kNull;
  size_t depth = 0;
  int64_t number = 0;
  std::string text;
};

// Not thread-safe. A connection to one server, which waits for replies and follows no redirection.
class RespConnection {
 public:
  // `address` as TestSocket takes it.
  RespConnection(absl::string_view address, const std::string& directory)
      : socket_(address, directory) {}

  bool connected() const { return socket_.connected(); }
  // False where the peer has gone.
  bool Send(const std::vector<std::string>& words);
  // The items of the next reply; none where the connection ended.
  std::vector<RespItem> Receive();
  std::vector<RespItem> Ask(const std::vector<std::string>& words);
  // A reply of one item, as text: "OK", "MOVED 1 h:p", "12"; "(nil)" for none, "(gone)" where the
  // connection ended, and the number of elements of an array.
  std::string AskText(const std::vector<std::string>& words);

 private:
  TestSocket socket_;
  resp_client::ReplyParser parser_;
  std::string received_;  // not yet given to the parser, from `at_` on
  size_t at_ = 0;
};

// Not thread-safe. One connection a node; goes where MOVED sends it, and stays there.
class RespClusterClient {
 public:
  RespClusterClient(const std::string& seed, const std::string& directory)
      : seed_(seed), directory_(directory) {}

  // The reply after up to five MOVED, as RespConnection::AskText() has it. A connection that ends
  // is made again at the next call.
  std::string Ask(const std::vector<std::string>& words);
  int moved() const { return moved_; }

 private:
  const std::string seed_;
  const std::string directory_;
  std::string last_;
  std::map<std::string, std::unique_ptr<RespConnection>> connections_;
  int moved_ = 0;
};

// Who holds `slot`, "HOST:PORT", by a reply of CLUSTER SLOTS, SHARDS or NODES; else "nobody".
std::string OwnerInSlots(const std::vector<RespItem>& items, int64_t slot);
std::string OwnerInShards(const std::vector<RespItem>& items, int64_t slot);
std::string OwnerInNodes(const std::vector<RespItem>& items, int64_t slot);

// A key in slot `slot`, the same at each call.
std::string KeyIn(int slot);

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_CONNECTION_H_
