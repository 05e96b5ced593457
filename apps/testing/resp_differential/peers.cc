#include "apps/testing/resp_differential/peers.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/testing/programs.h"
#include "apps/testing/resp_differential/reply.h"
#include "gtest/gtest.h"
#include "net/resp/session_harness.h"

namespace kvarts {
namespace resp_differential {
namespace {

// Takes whole replies off, at most `most`.
std::vector<std::string> TakeReplies(std::string* bytes, size_t most) {
  std::vector<std::string> replies;
  absl::string_view left = *bytes;
  while (replies.size() < most) {
    const absl::string_view before = left;
    if (!TakeReply(&left)) break;
    replies.emplace_back(before.substr(0, before.size() - left.size()));
  }
  bytes->erase(0, bytes->size() - left.size());
  return replies;
}

class SessionPeer final : public Peer {
 public:
  SessionPeer(std::function<std::unique_ptr<Store>()> new_store, std::string password)
      : new_store_(std::move(new_store)), password_(std::move(password)) {}

  void Reset() override {
    connections_.clear();
    RespOptions options;
    options.allow_flush = true;
    options.password = password_;
    harness_ = std::make_unique<resp::SessionHarness>(new_store_(), options);
  }
  std::vector<std::string> Ask(int connection, absl::string_view requests,
                               size_t replies) override {
    auto& known = connections_[connection];
    if (known == nullptr) known = harness_->Connect();
    std::string bytes = harness_->Send(*known, requests);
    std::vector<std::string> taken = TakeReplies(&bytes, replies);
    if (!bytes.empty()) taken.push_back("more than was asked for: " + bytes);
    return taken;
  }
  std::string AskToTheEnd(absl::string_view bytes) override {
    const auto connection = harness_->Connect();
    const std::string answer = harness_->Send(*connection, bytes);
    harness_->End(*connection);
    return absl::StrCat(answer, connection->over() ? "" : " and no end");
  }

 private:
  const std::function<std::unique_ptr<Store>()> new_store_;
  const std::string password_;
  std::unique_ptr<resp::SessionHarness> harness_;
  std::map<int, std::unique_ptr<resp::SessionHarness::Connection>> connections_;
};

class SocketPeer final : public Peer {
 public:
  SocketPeer(std::string address, std::string directory, std::string password)
      : address_(std::move(address)),
        directory_(std::move(directory)),
        password_(std::move(password)) {}

  void Reset() override {
    connections_.clear();
    if (!password_.empty()) Ask(0, resp::Request({"AUTH", password_}), 1);
    const std::vector<std::string> flushed = Ask(0, resp::Request({"FLUSHALL"}), 1);
    EXPECT_EQ(flushed, std::vector<std::string>{"+OK\r\n"}) << address_;
    connections_.clear();
  }
  std::vector<std::string> Ask(int connection, absl::string_view requests,
                               size_t replies) override {
    std::unique_ptr<TestSocket>& socket = connections_[connection];
    if (socket == nullptr) socket = std::make_unique<TestSocket>(address_, directory_);
    EXPECT_TRUE(socket->connected()) << address_;
    socket->Send(requests);
    std::string bytes;
    std::vector<std::string> taken;
    while (taken.size() < replies) {
      const std::string more = socket->ReceiveSome();
      if (more.empty()) break;
      bytes += more;
      for (std::string& reply : TakeReplies(&bytes, replies - taken.size())) {
        taken.push_back(std::move(reply));
      }
    }
    return taken;
  }
  std::string AskToTheEnd(absl::string_view bytes) override {
    TestSocket socket(address_, directory_);
    EXPECT_TRUE(socket.connected()) << address_;
    socket.Send(bytes);
    socket.CloseWrite();
    return socket.ReceiveAll();
  }

 private:
  const std::string address_;
  const std::string directory_;
  const std::string password_;
  std::map<int, std::unique_ptr<TestSocket>> connections_;
};

}  // namespace

std::unique_ptr<Peer> NewSessionPeer(std::function<std::unique_ptr<Store>()> new_store,
                                     const std::string& password) {
  return std::make_unique<SessionPeer>(std::move(new_store), password);
}

std::unique_ptr<Peer> NewSocketPeer(const std::string& address, const std::string& directory,
                                    const std::string& password) {
  return std::make_unique<SocketPeer>(address, directory, password);
}

}  // namespace resp_differential
}  // namespace kvarts
