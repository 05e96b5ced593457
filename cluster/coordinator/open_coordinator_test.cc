#include "cluster/coordinator/open_coordinator.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "net/loopback/loopback.h"
#include "net/tls/test_certificate.h"
#include "storage/fs/file_system.h"
#include "testing/conformance/coordinator_harness.h"

namespace kvarts {
namespace {

class SpecFixture final : public CoordinatorFixture {
 public:
  explicit SpecFixture(std::string spec) : spec_(std::move(spec)) {}
  std::unique_ptr<Coordinator> NewClient(EventLoop* loop) override {
    return OpenCoordinator(spec_, loop, transport_.get()).value();
  }

 private:
  const std::string spec_;
  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
};

class OpenCoordinatorTest : public testing::Test {
 protected:
  absl::Status Open(absl::string_view spec) {
    return OpenCoordinator(spec, loops_->loop(0), transport_.get()).status();
  }

  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(1).value();
  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
};

TEST_F(OpenCoordinatorTest, AFilesPathIsPercentDecoded) {
  std::string directory = absl::StrCat(testing::TempDir(), "/openXXXXXX");
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  for (const auto& [spec, path] : {std::pair("/a%20table", "/a table"), {"/100%25", "/100%"}}) {
    for (const char* slashes : {"file:", "file://"}) {
      SpecFixture fixture(absl::StrCat(slashes, directory, spec));
      TestCoordinator client(&fixture, loops_->loop(0));
      ASSERT_TRUE(client.Commit(PutIf(slashes, 0, "1")).ok());
    }
    EXPECT_TRUE(FileSystem::Posix()->Stat(directory + path).ok()) << path;
  }
}

TEST_F(OpenCoordinatorTest, AnUnknownSchemeIsToldWhatThereIs) {
  for (const char* spec : {"", "zookeeper://127.0.0.1:2181/x", "/a/path", "etcd:127.0.0.1:2379"}) {
    const absl::Status status = Open(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << spec;
    EXPECT_TRUE(absl::StrContains(status.message(), "file:PATH")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "etcd://")) << status;
  }
}

TEST_F(OpenCoordinatorTest, WhatIsIncompleteIsInvalid) {
  for (const char* spec : {"file:",
                           "file://",
                           "file:a%2",
                           "file:a?b=c",
                           "etcd://127.0.0.1:2379",
                           "etcd:///name",
                           "etcd://127.0.0.1:2379/",
                           "etcd://127.0.0.1/name",
                           "etcd://127.0.0.1:2379,/name",
                           "etcd://127.0.0.1:/name",
                           "etcd://h:1/%zz",
                           "etcd://:secret@h:1/name",
                           "etcd://h:1/name?tsl=true",
                           "etcd://h:1/name?tls=perhaps",
                           "etcd://h:1/name?tls&tls",
                           "etcd://h:1/name?cert=/c",
                           "etcd://h:1/name?key=/c",
                           "etcd://h:1/name?ca=/c&tls=false",
                           "etcd://h:1/name?password_file=/p",
                           "etcd://user:secret@h:1/name?password_file=/p"}) {
    EXPECT_EQ(Open(spec).code(), absl::StatusCode::kInvalidArgument) << spec;
  }
}

TEST_F(OpenCoordinatorTest, AnErrorShowsNoPassword) {
  for (const char* spec : {"etcd://user:sec%ret@h:1/name", "etcd://user:secret@h:1",
                           "etcd://user:secret@h/name", "ectd://user:secret@h:1/name",
                           "etcd://user:secret@h:1/name?x=y@z", "etcd://user:sec?ret@h:1/name"}) {
    const absl::Status status = Open(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << spec;
    EXPECT_FALSE(absl::StrContains(status.message(), "sec")) << status;
  }
}

TEST_F(OpenCoordinatorTest, AnEtcdIsNotConnectedToBeforeItIsCalled) {
  EXPECT_TRUE(Open("etcd://127.0.0.1:1,[::1]:1/a%2Fb").ok());
  EXPECT_TRUE(Open("etcd://user:p%40ss@127.0.0.1:1/name").ok());
  const std::string stem = absl::StrCat(testing::TempDir(), "/open coordinator");
  WriteTestCertificate(stem, "IP:127.0.0.1");
  const std::string encoded = absl::StrReplaceAll(stem, {{" ", "%20"}});
  EXPECT_TRUE(Open(absl::StrCat("etcd://user@127.0.0.1:1/name?ca=", encoded, ".pem&cert=", encoded,
                                ".pem&key=", encoded, ".key&password_file=", encoded, ".pem"))
                  .ok());
  EXPECT_TRUE(Open("etcd://127.0.0.1:1/name?tls=true").ok());
  for (const char* option : {"ca", "password_file"}) {
    const absl::Status status = Open(absl::StrCat("etcd://user@h:1/name?", option, "=/no/file"));
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "/no/file")) << status;
  }
}

TEST_F(OpenCoordinatorTest, ASpecIsShownWithoutItsPassword) {
  EXPECT_EQ(ShownCoordinator("file:a@b"), "file:a@b");
  EXPECT_EQ(ShownCoordinator("etcd://h:1/a?ca=b"), "etcd://h:1/a?ca=b");
  for (const char* password : {"secret", "se@cret", "se?cret", "s@e?cret", "se/cret"}) {
    EXPECT_EQ(ShownCoordinator(absl::StrCat("etcd://user:", password, "@h:1/a?ca=b")),
              "etcd://USER:PASSWORD@h:1/a?ca=b");
  }
}

}  // namespace
}  // namespace kvarts
