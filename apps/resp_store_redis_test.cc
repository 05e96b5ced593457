// The conformance suite over what a real redis-server holds. Needs redis-server 7.0
// (Debian's package), hence "manual":
//   ./bazelw run //apps:resp_store_redis_test

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gflags/gflags.h"
#include "gtest/gtest.h"
#include "net/resp/client/resp_store.h"
#include "net/tcp/tcp.h"
#include "testing/conformance/store_suite.h"

DEFINE_string(redis_server, "/usr/bin/redis-server", "what is tested against");

namespace kvarts {
namespace {

// A server a store, on a Unix socket. Not thread-safe.
class RedisFixture final : public StoreFixture {
 public:
  explicit RedisFixture(bool expiry) : directory_(TestDirectory()) { options_.expiry = expiry; }

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    socket_ = absl::StrCat("redis", servers_.size());
    ProcessOptions options;
    options.directory = directory_;
    servers_.push_back(std::make_unique<Process>(
        std::vector<std::string>{FLAGS_redis_server, "--port", "0", "--unixsocket", socket_,
                                 "--save", "", "--appendonly", "no"},
        options));
    std::string line;
    do {
      line = servers_.back()->ReadLine();
      if (line.empty()) return absl::UnavailableError("redis-server does not start");
    } while (!absl::StrContains(line, "ready to accept connections"));
    absl::StatusOr<std::unique_ptr<Store>> store = Reopen();
    if (!store.ok()) return store;
    WriteBatch batch;
    for (const auto& [key, value] : records) batch.Put(key, value);
    const absl::Status status = (*store)->Write(batch, {}, nullptr);
    if (!status.ok()) return status;
    return store;
  }
  // The server goes on.
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    // A socket's path is short, a test's directory is not.
    EXPECT_EQ(::chdir(directory_.c_str()), 0);
    return OpenRespStore(transport_.get(), absl::StrCat("unix:", socket_), options_);
  }

 private:
  const std::string directory_;
  const std::unique_ptr<Transport> transport_ = NewTcpTransport();
  RespStoreOptions options_;
  std::string socket_;
  std::vector<std::unique_ptr<Process>> servers_;
};

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  for (const bool expiry : {false, true}) {
    kvarts::RegisterStoreSuite(expiry ? "RedisWithExpiry" : "Redis",
                               [expiry] { return std::make_unique<kvarts::RedisFixture>(expiry); });
  }
  return RUN_ALL_TESTS();
}
