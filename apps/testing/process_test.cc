#include "apps/testing/process.h"

#include <sys/stat.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(ProcessTest, AServerThatIsToldNoPortsTakesFreeOnes) {
  const std::string dir = TestDirectory();
  const TestServer one({"apps/kv_server", "--store=null:"}, dir);
  const TestServer two({"apps/kv_server", "--store=null:"}, dir);
  for (const TestServer* server : {&one, &two}) {
    EXPECT_TRUE(absl::StartsWith(server->native, "tcp://127.0.0.1:")) << server->ready;
    EXPECT_TRUE(absl::StartsWith(server->resp, "127.0.0.1:")) << server->ready;
    EXPECT_TRUE(absl::StartsWith(server->http, "127.0.0.1:")) << server->ready;
  }
  // What the flags say counts.
  const TestServer less({"apps/kv_server", "--store=null:", "--listen=", "--http="}, dir);
  EXPECT_EQ(less.native, "");
  EXPECT_EQ(less.http, "");
}

TEST(ProcessTest, AFolderThatMayNotBeWrittenIsNotWrittenByRootEither) {
  const std::string dir = TestDirectory();
  ASSERT_EQ(::chmod(dir.c_str(), 0500), 0);
  ProcessOptions options;
  options.directory = dir;
  options.obeys_permissions = true;
  const ProcessResult result = RunProcess({"/bin/sh", "-c", ": >file"}, options);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(result.err, "denied")) << result.err;
  ASSERT_EQ(::chmod(dir.c_str(), 0700), 0);
}

}  // namespace
}  // namespace kvarts
