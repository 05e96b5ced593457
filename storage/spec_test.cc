#include "storage/spec.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

std::string ErrorOf(absl::string_view text) {
  const auto spec = StoreSpec::Parse(text);
  if (spec.ok()) return "";
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(spec.status().message());
}

TEST(StoreSpecTest, ExamplesOfTheHeader) {
  auto memory = StoreSpec::Parse("memory:");
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->scheme(), "memory");
  EXPECT_EQ(memory->target(), "");
  EXPECT_EQ(memory->text(), "memory:");

  auto bisect = StoreSpec::Parse("bisect:my%20data?index=/tmp/i");
  ASSERT_TRUE(bisect.ok());
  EXPECT_EQ(bisect->scheme(), "bisect");
  EXPECT_EQ(bisect->target(), "my data");
  EXPECT_EQ(bisect->Take("index"), "/tmp/i");
  EXPECT_TRUE(bisect->Finish().ok());

  auto tcp = StoreSpec::Parse("tcp://127.0.0.1:7700");
  ASSERT_TRUE(tcp.ok());
  EXPECT_EQ(tcp->scheme(), "tcp");
  EXPECT_EQ(tcp->target(), "127.0.0.1:7700");
}

TEST(StoreSpecTest, PathsKeepTheirColonsAndSlashes) {
  EXPECT_EQ(StoreSpec::Parse("bisect:/a/b:c")->target(), "/a/b:c");
  EXPECT_EQ(StoreSpec::Parse("bisect:///a/b")->target(), "/a/b");
  EXPECT_EQ(StoreSpec::Parse("unix:x%3fy")->target(), "x?y");
  EXPECT_EQ(StoreSpec::Parse("BISECT:Data")->scheme(), "bisect");
}

TEST(StoreSpecTest, TheTargetOfAClusterIsTakenVerbatim) {
  auto spec = StoreSpec::Parse("cluster:etcd://a:1,b:2/%zz?x=%2f");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->target(), "etcd://a:1,b:2/%zz");
  EXPECT_EQ(spec->Take("x"), "/");
  EXPECT_TRUE(spec->Finish().ok());
  EXPECT_EQ(StoreSpec::Parse("cluster:file://c")->target(), "file://c");
}

TEST(StoreSpecTest, SoIsThatOfARedisUrl) {
  EXPECT_EQ(StoreSpec::Parse("redis://:a%40@h:1/0?x=y")->target(), ":a%40@h:1/0");
  EXPECT_EQ(StoreSpec::Parse("rediss://%zz@h")->target(), "%zz@h");
}

TEST(StoreSpecTest, WithoutASchemeItIsNotASpec) {
  const std::string want = ": expected SCHEME:REST, such as tcp://127.0.0.1:7700 or bisect:PATH";
  for (const char* text : {"", "data", ":", "1a:x", "my data:x", "/a/b:c"}) {
    EXPECT_EQ(ErrorOf(text), "store \"" + std::string(text) + "\"" + want);
  }
}

TEST(StoreSpecTest, BadPercentEncodingSaysWhere) {
  EXPECT_EQ(
      ErrorOf("bisect:a%2"),
      "store \"bisect:a%2\": in \"a%2\": bad percent-encoding at byte 1: expected '%' and two "
      "hexadecimal digits");
  EXPECT_NE(ErrorOf("bisect:a?index=%zz"), "");
  EXPECT_NE(ErrorOf("bisect:a?%zz=1"), "");
}

TEST(StoreSpecTest, OptionsAreNamedOnce) {
  EXPECT_EQ(ErrorOf("bisect:a?x=1&x=2"),
            "store \"bisect:a?x=1&x=2\": the option \"x\" is given twice");
  EXPECT_EQ(ErrorOf("bisect:a?=1"),
            "store \"bisect:a?=1\": an option without a name; expected NAME=VALUE");
  EXPECT_TRUE(StoreSpec::Parse("bisect:a?")->Finish().ok());
}

TEST(StoreSpecTest, WhatNobodyTookIsAnErrorThatListsTheKnown) {
  auto spec = StoreSpec::Parse("sstable:d?cache=1&cash=2");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->Finish().message(),
            "store \"sstable:d?cache=1&cash=2\": unknown option \"cache\"; sstable: has none");
  spec->Take("cache");
  spec->Take("sync");
  EXPECT_EQ(
      spec->Finish().message(),
      "store \"sstable:d?cache=1&cash=2\": unknown option \"cash\"; sstable: has cache, sync");
}

TEST(StoreSpecTest, TakeGivesTheFallbackOnlyWhereNothingWasGiven) {
  auto spec = StoreSpec::Parse("x:?a=&b=2");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->Take("a", "fallback"), "");
  EXPECT_EQ(spec->Take("b", "fallback"), "2");
  EXPECT_EQ(spec->Take("c", "fallback"), "fallback");
}

TEST(StoreSpecTest, SizesAreSizes) {
  auto spec = StoreSpec::Parse("x:?a=64MiB&b=64M&c=");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(*spec->TakeBytes("a", 1), 64u << 20);
  EXPECT_EQ(*spec->TakeBytes("d", 7), 7u);
  const auto bad = spec->TakeBytes("b", 1);
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(bad.status().message().find(
                "store \"x:?a=64MiB&b=64M&c=\": the option \"b\": \"64M\" is not a size: "),
            0u)
      << bad.status();
  EXPECT_FALSE(spec->TakeBytes("c", 1).ok());
}

TEST(StoreSpecTest, BoolsAreWords) {
  auto spec = StoreSpec::Parse("x:?a&b=&c=TRUE&d=1&e=yes&f=false&g=0&h=no&i=maybe");
  ASSERT_TRUE(spec.ok());
  for (const char* name : {"a", "b", "c", "d", "e"}) EXPECT_TRUE(*spec->TakeBool(name, false));
  for (const char* name : {"f", "g", "h"}) EXPECT_FALSE(*spec->TakeBool(name, true));
  EXPECT_TRUE(*spec->TakeBool("none", true));
  EXPECT_FALSE(*spec->TakeBool("none either", false));
  const auto bad = spec->TakeBool("i", true);
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.status().message().find("the option \"i\" is \"maybe\"; expected true or false"),
            absl::string_view::npos);
}

class NamedStore final : public Store {
 public:
  explicit NamedStore(std::string name) : name_(std::move(name)) {}
  Capabilities capabilities() const override { return {}; }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions&,
                ReadResults* results) override {
    results->Fail(keys.size(), absl::InternalError(name_));
  }
  absl::StatusOr<StoreStats> Stats() override { return absl::InternalError(name_); }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  const std::string name_;
};

StoreFactories TwoFactories() {
  StoreFactories factories;
  const auto open = [](StoreSpec& spec) -> absl::StatusOr<std::unique_ptr<Store>> {
    std::string name = spec.target() + spec.Take("suffix");
    absl::Status status = spec.Finish();
    if (!status.ok()) return status;
    return std::make_unique<NamedStore>(std::move(name));
  };
  factories.Add("one", "one:NAME?suffix=TEXT", open);
  factories.Add("two", "two:", open);
  return factories;
}

TEST(StoreFactoriesTest, OpenCallsTheSchemesFactory) {
  const StoreFactories factories = TwoFactories();
  auto store = factories.Open("one:ab?suffix=cd");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Stats().status().message(), "abcd");
}

TEST(StoreFactoriesTest, UnknownSchemesAndOptionsListTheKnown) {
  const StoreFactories factories = TwoFactories();
  const auto scheme = factories.Open("three:x");
  EXPECT_EQ(scheme.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(scheme.status().message(),
            "store \"three:x\": unknown scheme \"three\"; known are one:NAME?suffix=TEXT, two:");
  EXPECT_EQ(factories.Open("one:x?y=1").status().message(),
            "store \"one:x?y=1\": unknown option \"y\"; one: has suffix");
  EXPECT_EQ(factories.Open("x").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StoreFactoriesTest, HelpIsTheUsages) {
  EXPECT_EQ(TwoFactories().Help(), "  one:NAME?suffix=TEXT\n  two:\n");
}

TEST(ShownSpecTest, AUserAndPasswordAreNotInIt) {
  EXPECT_EQ(ShownSpec("cluster:etcd://user:pass@h:1/x?ca=y"),
            "cluster:etcd://USER:PASSWORD@h:1/x?ca=y");
  EXPECT_EQ(ShownSpec("cluster:etcd://user:p@s?s//@h:1/x"), "cluster:etcd://USER:PASSWORD@h:1/x");
  EXPECT_EQ(ShownSpec("CLUSTER:user:pass@h:1"), "CLUSTER:USER:PASSWORD@h:1");
  EXPECT_EQ(ShownSpec("custer:etcd://user:pass@h:1/x"), "custer:etcd://USER:PASSWORD@h:1/x");
  EXPECT_EQ(ShownSpec("redis://:pass@h:1"), "redis://USER:PASSWORD@h:1");
  EXPECT_EQ(ShownSpec("rediss://user:p@s?s@h:1/0"), "rediss://USER:PASSWORD@h:1/0");
  EXPECT_EQ(ShownSpec("resp://pass@h:1?x=a@b"), "resp://USER:PASSWORD@h:1?x=a@b");
  EXPECT_EQ(ShownSpec("reddis://:pass@h:1"), "reddis://USER:PASSWORD@h:1");
  for (const char* open :
       {"cluster:h:1,i:2", "cluster:etcd://h:1/x", "bisect:/a@b", "memory:", "bisect:///a@b",
        "tls://h:1?ca=/a@b", "sstable:a@b?x=//", "unix:/a@b", "memory:?snapshot=//a@b"}) {
    EXPECT_EQ(ShownSpec(open), open);
  }
}

TEST(ShownSpecTest, NeitherAreTheyInErrors) {
  const auto expect_none = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    for (const char* part : {"kwk", "cret"}) {
      EXPECT_FALSE(absl::StrContains(status.message(), part)) << status;
    }
  };
  for (const char* password :
       {"kwkcret", "kwk?cret", "kwk?%zzcret", "kwk?cret&cret", "kwk%zzcret"}) {
    const std::string spec = absl::StrCat("cluster:etcd://user:", password, "@h:1/x");
    expect_none(TwoFactories().Open(spec).status());
    for (const char* rest : {"?a=%zz", "?a&a", "?a=1", "?b=perhaps"}) {
      absl::StatusOr<StoreSpec> parsed = StoreSpec::Parse(absl::StrCat(spec, rest));
      if (!parsed.ok()) {
        expect_none(parsed.status());
        continue;
      }
      const absl::StatusOr<bool> b = parsed->TakeBool("b", false);
      expect_none(b.ok() ? parsed->Finish() : b.status());
    }
  }
}

}  // namespace
}  // namespace kvarts
