// Drives the real kv_server over HTTP with a client in another language, which is held against a
// dictionary: see testing/http_clients. $HTTP_CLIENT is the command.

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// Over a store that has all that the client uses: order, snapshots, deletion of ranges.
TEST(HttpClientTest, AgreesWithADictionary) {
  const std::string dir = TestDirectory();
  const char* const client = std::getenv("HTTP_CLIENT");
  ASSERT_NE(client, nullptr);
  const TestServer server({"apps/kv_server", "--listen=", "--resp=", "--http=127.0.0.1:0",
                           absl::StrCat("--store=sstable:", dir, "/db")},
                          dir);
  ASSERT_NE(server.http, "") << server.process.Errors();
  for (const char* seed : {"1", "2", "3"}) {
    std::vector<std::string> command = {"/usr/bin/env"};
    for (const absl::string_view word : absl::StrSplit(client, ' ')) command.emplace_back(word);
    command.insert(command.end(), {server.http, "300", seed});
    const ProcessResult result = RunProcess(command);
    EXPECT_EQ(result.out, "300 operations agree\n") << "seed " << seed << "\n" << result.err;
  }
}

}  // namespace
}  // namespace kvarts
