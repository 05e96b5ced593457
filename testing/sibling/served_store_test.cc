// The sorted store behind kvarts' native server, read back over the wire as a
// kvarts::Store.

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/native/session.h"
#include "net/remote/remote_store.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/tcp/tcp.h"
#include "sorted_store.h"
#include "storage/store.h"

namespace sibling {
namespace {

class ServedStoreTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    // A Unix socket's path has room for 107 bytes: a relative one fits.
    ASSERT_EQ(chdir(testing::TempDir().c_str()), 0);
    auto server = kvarts::Server::Start(transport_.get(), {loops_->loop(0)}, GetParam(), {},
                                        kvarts::NewNativeSessions(runner_.get()));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto remote = kvarts::OpenRemoteStore(transport_.get(), server_->address());
    ASSERT_TRUE(remote.ok()) << remote.status();
    remote_ = *std::move(remote);
  }

  // In the order they are made; destroyed in the opposite one.
  const std::unique_ptr<kvarts::Store> store_ = NewSortedStore();
  const std::unique_ptr<kvarts::Transport> transport_ = kvarts::NewTcpTransport();
  const std::unique_ptr<kvarts::EventLoops> loops_ = kvarts::EventLoops::New(1).value();
  const std::unique_ptr<kvarts::StoreRunner> runner_ =
      kvarts::StoreRunner::New(store_.get(), 1).value();
  std::unique_ptr<kvarts::Server> server_;
  std::unique_ptr<kvarts::Store> remote_;
};

TEST_P(ServedStoreTest, IsReadBackThroughARemoteStore) {
  ASSERT_TRUE(store_->Put("local", "put before").ok());
  ASSERT_TRUE(remote_->Put("remote", std::string("any\0byte\n", 9)).ok());
  EXPECT_EQ(**remote_->Get("local"), "put before");
  EXPECT_EQ(**store_->Get("remote"), std::string("any\0byte\n", 9));
  EXPECT_FALSE(remote_->Get("absent")->has_value());
  EXPECT_TRUE(*remote_->Delete("local"));
  EXPECT_FALSE(store_->Get("local")->has_value());
}

TEST_P(ServedStoreTest, IsScannedInKeyOrder) {
  for (const char* key : {"c", "a", "b", "d"}) ASSERT_TRUE(store_->Put(key, "v").ok());
  kvarts::ScanOptions options;
  options.range = kvarts::KeyRange::FromTo("a", "d");
  auto cursor = remote_->NewCursor(options);
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  std::vector<std::string> keys;
  kvarts::ScanPage page;
  do {
    ASSERT_TRUE((*cursor)->Next({2, 1 << 20}, &page).ok());
    for (const kvarts::ScanEntry& entry : page) keys.emplace_back(entry.key);
  } while (!page.empty());
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_P(ServedStoreTest, ToldWhatTheStoreCanDo) {
  EXPECT_TRUE(remote_->capabilities().has(remote_->capabilities().ordered_scan));
  EXPECT_FALSE(remote_->capabilities().has(remote_->capabilities().expiry));
}

INSTANTIATE_TEST_SUITE_P(Addresses, ServedStoreTest,
                         testing::Values("tcp://127.0.0.1:0", "unix:socket"));

}  // namespace
}  // namespace sibling
