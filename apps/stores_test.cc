#include "apps/stores.h"

#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/password_file.h"
#include "net/tcp/tcp.h"
#include "storage/cursor.h"
#include "storage/store.h"

namespace kvarts {
namespace {

class StoresTest : public testing::Test {
 protected:
  StoresTest() {
    dir_ = absl::StrCat(testing::TempDir(), "/",
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    ::mkdir(dir_.c_str(), 0700);
    options_.transport = transport_.get();
    options_.say = [this](absl::string_view sentence) { said_.emplace_back(sentence); };
  }
  std::string Path(absl::string_view name) const { return absl::StrCat(dir_, "/", name); }
  std::string Write(absl::string_view name, absl::string_view contents) const {
    std::ofstream(Path(name), std::ios::binary) << contents;
    return Path(name);
  }
  absl::StatusOr<std::unique_ptr<Store>> Open(absl::string_view spec) const {
    return AllStores(options_).Open(spec);
  }

  const std::unique_ptr<Transport> transport_ = NewTcpTransport();
  std::string dir_;
  StoresOptions options_;
  std::vector<std::string> said_;
};

TEST_F(StoresTest, AnAbsentIndexNamesTheCommand) {
  const std::string data = Write("my data", "a 1\n");
  const auto store = Open(DataFileSpec(data));
  EXPECT_EQ(store.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store.status().message(),
            absl::StrCat(data, ": there is no index; build it with: kv_build '", data, "'"));
  const auto elsewhere =
      Open(absl::StrCat(DataFileSpec(Write("data", "a 1\n")), "?index=", Path("i")));
  EXPECT_EQ(elsewhere.status().message(),
            absl::StrCat(Path("data"), ": there is no index; build it with: kv_build ",
                         Path("data"), " --index=", Path("i")));
}

TEST_F(StoresTest, AClusterIsNamedByNodesOrByACoordinator) {
  using absl::StatusCode;
  EXPECT_EQ(Open("cluster:127.0.0.1:1,127.0.0.1:1").status().code(), StatusCode::kUnavailable);
  for (const char* bad :
       {"cluster:", "cluster:host", "cluster:a:1?x=y", "cluster:a:1?tls=no&ca=x",
        "cluster:a:1?etcd_ca=x", "cluster:file:x?etcd_tls=true", "cluster:etcd://a:1/x?etcd_cert=x",
        "cluster:etcd://a:1/x?etcd_password_file=x"}) {
    EXPECT_EQ(Open(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
  // etcd's files and the nodes' are told apart.
  for (const auto& [spec, file] :
       {std::pair("?etcd_ca=/etcds&ca=/nodes", "/nodes:"), {"?etcd_ca=/etcds", "/etcds:"}}) {
    const absl::Status status = Open(absl::StrCat("cluster:etcd://a:1/x", spec)).status();
    EXPECT_NE(status.message().find(file), absl::string_view::npos) << status;
  }
  const auto none = Open(absl::StrCat("cluster:file:", Path("table"))).status();
  EXPECT_EQ(none.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(none.message().find("kv_cluster create"), absl::string_view::npos) << none;
}

TEST_F(StoresTest, ThePasswordOfACoordinatorIsInNoError) {
  for (const char* password : {"kwkcret", "kwk@cret", "kwk?cret", "kwk%zzcret", "kwk/cret"}) {
    for (const char* rest : {"", "?x=y", "?etcd_tls=perhaps", "?tls=no&ca=x", "?etcd_cert=x",
                             "?etcd_ca=/none", "?password_file=/none", "?a=%zz", "?a&a"}) {
      for (const char* scheme :
           {"cluster:etcd://", "cluster:etc://", "cluster:", "custer:etcd://"}) {
        const std::string spec = absl::StrCat(scheme, "user:", password, "@127.0.0.1:1/name", rest);
        const absl::Status status = Open(spec).status();
        EXPECT_FALSE(status.ok()) << spec;
        for (const char* part : {"kwk", "cret"}) {
          EXPECT_EQ(status.message().find(part), absl::string_view::npos) << status;
        }
      }
    }
  }
}

TEST_F(StoresTest, ThePasswordOfAServerIsInNoError) {
  for (const char* password : {"kwkcret", "kwk@cret", "kwk?cret", "kwk%zzcret", "kwk/cret"}) {
    for (const char* rest : {"", "/3", "?x=y", "?expiry=perhaps", "?password_file=/none",
                             "?ca=/none", "?a=%zz", "?a&a"}) {
      for (const char* scheme : {"redis://", "rediss://", "resp://", "reddis://", "tls://"}) {
        // Of what takes no password, with an option in it, nobody can tell.
        if (scheme[3] != 'i' && absl::StrContains(password, '?')) continue;
        for (const char* user : {"", ":", "default:", "alice:"}) {
          const std::string spec = absl::StrCat(scheme, user, password, "@127.0.0.1:1", rest);
          const absl::Status status = Open(spec).status();
          EXPECT_FALSE(status.ok()) << spec;
          for (const char* part : {"kwk", "cret"}) {
            EXPECT_FALSE(absl::StrContains(status.message(), part)) << spec << ": " << status;
          }
        }
      }
    }
  }
}

TEST_F(StoresTest, AnAbsentDataFileIsNotAnAbsentIndex) {
  for (const bool build : {false, true}) {
    options_.build_indexes = build;
    const auto store = Open(DataFileSpec(Path("none")));
    EXPECT_EQ(store.status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(store.status().message().find("kv_build"), absl::string_view::npos) << store.status();
    EXPECT_NE(store.status().message().find(Path("none")), absl::string_view::npos);
  }
}

TEST_F(StoresTest, AServerBuildsTheIndexOnceAndSaysSo) {
  options_.build_indexes = true;
  const std::string data = Write("data", "a 1\nb 2\na 3\n");
  auto store = Open(DataFileSpec(data));
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(*(*store)->Get("a"), "3");
  ASSERT_GE(said_.size(), 3u);
  EXPECT_EQ(said_[0], absl::StrCat(data, ": building the index"));
  EXPECT_EQ(said_[1].find(absl::StrCat(data, ": built the index in 0.")), 0u) << said_[1];
  EXPECT_NE(said_[1].find("(there is no index): 2 keys, "), std::string::npos) << said_[1];
  EXPECT_NE(said_[2].find("repeat"), std::string::npos) << said_[2];
  said_.clear();
  EXPECT_TRUE(Open(DataFileSpec(data)).ok());
  EXPECT_TRUE(said_.empty());
}

TEST_F(StoresTest, AStaleIndexIsRefusedWithTheCommandAndRebuiltByAServer) {
  const std::string data = Write("data", "a 1\n");
  options_.build_indexes = true;
  ASSERT_TRUE(Open(DataFileSpec(data)).ok());
  Write("data", "a 1\nb 2\n");
  options_.build_indexes = false;
  const auto stale = Open(DataFileSpec(data));
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(stale.status().message().find(absl::StrCat("; build it with: kv_build ", data)),
            absl::string_view::npos)
      << stale.status();
  options_.build_indexes = true;
  auto store = Open(DataFileSpec(data));
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(*(*store)->Get("b"), "2");
}

TEST_F(StoresTest, AMalformedLineIsTheFilesFaultNotTheSpecs) {
  options_.build_indexes = true;
  const std::string data = Write("data", "a 1\nmalformed\nb 2\n");
  const auto store = Open(DataFileSpec(data));
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("line 2"), absl::string_view::npos) << store.status();
  options_.skip_malformed = true;
  EXPECT_TRUE(Open(DataFileSpec(data)).ok());
}

TEST_F(StoresTest, AByteOrderMarkIsNoPartOfTheFirstKey) {
  options_.build_indexes = true;
  // With a line that is written over and one that is not one, too: dict scans those otherwise.
  options_.skip_malformed = true;
  for (const char* more : {"", "b 3\n", "malformed\n"}) {
    const std::string data = Write("data", absl::StrCat("\xEF\xBB\xBF"
                                                        "a 1\nb 2\n",
                                                        more));
    for (const std::string& spec : {DataFileSpec(data), absl::StrCat("dict:", data)}) {
      auto store = Open(spec);
      ASSERT_TRUE(store.ok()) << spec << ": " << store.status();
      EXPECT_EQ(*(*store)->Get("a"), "1") << spec;
      auto cursor = (*store)->NewCursor(ScanOptions());
      ASSERT_TRUE(cursor.ok());
      ScanPage page;
      ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
      ASSERT_EQ(page.size(), 2u) << spec;
      EXPECT_EQ(page.begin()->key, "a") << spec;
    }
  }
}

TEST_F(StoresTest, ADataFileThatIsNoTextIsNamed) {
  options_.build_indexes = true;
  options_.skip_malformed = true;
  for (const auto& [start, format] : {std::make_pair("\x1F\x8B\x08 packed\n", "gzip data; unpack"),
                                      std::make_pair("\xFF\xFE"
                                                     "a b\n",
                                                     "UTF-16 text; convert")}) {
    const std::string data = Write("data", start);
    for (const std::string& spec : {DataFileSpec(data), absl::StrCat("dict:", data)}) {
      const absl::Status status = Open(spec).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << spec;
      EXPECT_EQ(status.message(), absl::StrCat(data, ": expected text in bytes or UTF-8, found ",
                                               format, " it first"))
          << spec;
    }
  }
}

TEST_F(StoresTest, APasswordIsTheFirstLineWithoutAByteOrderMark) {
  EXPECT_EQ(*ReadPasswordFile(Write("plain", "secret\r\nmore\n")), "secret");
  EXPECT_EQ(*ReadPasswordFile(Write("marked", "\xEF\xBB\xBFsecret\n")), "secret");
  for (const char* empty : {"", "\n", "\xEF\xBB\xBF\n"}) {
    EXPECT_EQ(ReadPasswordFile(Write("empty", empty)).status().message(),
              absl::StrCat(Path("empty"), ": expected a password in the first line"));
  }
  const absl::Status wide = ReadPasswordFile(Write("wide", "\xFF\xFEs")).status();
  EXPECT_EQ(wide.message(),
            absl::StrCat(Path("wide"),
                         ": expected text in bytes or UTF-8, found UTF-16 text; convert it first"));
}

TEST_F(StoresTest, PathsOfAnyCharactersAreServed) {
  options_.build_indexes = true;
  for (const char* name : {"with space", "100%", "a?b=c&d", "ä\xff", "#1", "a:b"}) {
    EXPECT_TRUE(Open(DataFileSpec(Write(name, "a 1\n"))).ok()) << name;
  }
  EXPECT_TRUE(Open(DataFileSpec(absl::StrCat("/", Write("slashes", "a 1\n")))).ok());
}

TEST_F(StoresTest, BadSpecsAreInvalidAndListTheKnown) {
  const auto scheme = Open("riddles:x");
  EXPECT_EQ(scheme.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(scheme.status().message().find(
                "bisect:DATA_FILE?index=PATH, "
                "cluster:HOST:PORT,HOST:PORT?password_file=PATH&tls=BOOL&ca=PATH&cert=PATH&"
                "key=PATH, cluster:file:PATH?..., "
                "cluster:etcd://[USER@]HOST:PORT,HOST:PORT/NAME?etcd_password_file=PATH&"
                "etcd_tls=BOOL&etcd_ca=PATH&etcd_cert=PATH&etcd_key=PATH&..., dict:DATA_FILE, "
                "memory:?max_memory=SIZE&evict=s3fifo&snapshot=PATH&save_on_exit=BOOL, null:, "
                "redis://[:PASSWORD@]HOST:PORT?password_file=PATH&expiry=BOOL, "
                "rediss://[:PASSWORD@]HOST:PORT?ca=PATH&cert=PATH&key=PATH&password_file=PATH&"
                "expiry=BOOL, resp://HOST:PORT?password_file=PATH&expiry=BOOL, "
                "resp+cluster://HOST:PORT,HOST:PORT?password_file=PATH&expiry=BOOL, "
                "sstable:DIR?memory=SIZE&cache=SIZE&log=on|off&compression=auto|none|lz4|zstd&"
                "create=missing|new|never&read_only=BOOL&checkpoints=DIR, tcp://HOST:PORT"),
            absl::string_view::npos)
      << scheme.status();
  for (const char* spec : {"bisect:",
                           "bisect:x?y=1",
                           "tcp://127.0.0.1:1?z=1",
                           "tcp://nonsense",
                           "tcp://127.0.0.1:99999",
                           "resp://nonsense",
                           "resp://127.0.0.1:1?z=1",
                           "resp://127.0.0.1:1?expiry=x",
                           "redis:",
                           "redis://",
                           "redis://alice:secret@127.0.0.1:1",
                           "redis://127.0.0.1:1/3",
                           "redis://:%zz@127.0.0.1:1",
                           "redis://:secret@127.0.0.1:1?password_file=x",
                           "redis://127.0.0.1:99999",
                           "redis://127.0.0.1:1?z=1",
                           "redis://127.0.0.1:1?ca=x",
                           "rediss://127.0.0.1:1?cert=x",
                           "tls://127.0.0.1:1?key=x",
                           "resp+cluster:",
                           "resp+cluster://nonsense",
                           "resp+cluster://127.0.0.1:1,x",
                           "resp+cluster://127.0.0.1:1?z=1",
                           "resp+cluster://127.0.0.1:1?expiry=x",
                           "resp+cluster://127.0.0.1:99999",
                           "null:x",
                           "null:?x=1",
                           "memory:x",
                           "memory:?max_memory=x",
                           "memory:?max_memory=1MiB&evict=lru",
                           "memory:?evict=s3fifo",
                           "memory:?save_on_exit=1",
                           "dict:",
                           "dict:x?index=y"}) {
    EXPECT_EQ(Open(spec).status().code(), absl::StatusCode::kInvalidArgument)
        << spec << ": " << Open(spec).status();
  }
}

TEST_F(StoresTest, DictNeedsNoIndexAndSaysWhatItBuilt) {
  const std::string data = Write("data", "a 1\nb 2\na 3\n");
  auto store = Open(absl::StrCat("dict:", data));
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(*(*store)->Get("a"), "3");
  ASSERT_EQ(said_.size(), 3u);
  EXPECT_EQ(said_[0], absl::StrCat(data, ": building the index"));
  EXPECT_EQ(said_[1].find(absl::StrCat(data, ": built the index in 0.")), 0u) << said_[1];
  EXPECT_NE(said_[1].find("(in memory): 2 keys, "), std::string::npos) << said_[1];
  EXPECT_NE(said_[2].find("repeat"), std::string::npos) << said_[2];
}

TEST_F(StoresTest, AFaultOfADictsFileIsNotTheSpecs) {
  EXPECT_EQ(Open(absl::StrCat("dict:", Path("none"))).status().code(), absl::StatusCode::kNotFound);
  const std::string data = Write("data", "a 1\nmalformed\nb 2\n");
  const auto store = Open(absl::StrCat("dict:", data));
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("line 2"), absl::string_view::npos) << store.status();
  options_.skip_malformed = true;
  auto skipped = Open(absl::StrCat("dict:", data));
  ASSERT_TRUE(skipped.ok()) << skipped.status();
  EXPECT_EQ(*(*skipped)->Get("b"), "2");
}

TEST_F(StoresTest, NullTakesWritesAndHoldsNothing) {
  const auto store = Open("null:");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->Put("k", "v").ok());
  EXPECT_FALSE((*store)->Get("k")->has_value());
}

TEST_F(StoresTest, NobodyThereIsUnavailable) {
  for (const char* spec : {"unix:nobody-is-there", "resp:unix:nobody-is-there"}) {
    const auto store = Open(spec);
    EXPECT_FALSE(store.ok());
    EXPECT_NE(store.status().code(), absl::StatusCode::kInvalidArgument) << store.status();
  }
}

TEST_F(StoresTest, ServersAreFoundInTheirSpecs) {
  const auto find = [this](absl::string_view spec) {
    return FindServer(transport_.get(), *StoreSpec::Parse(spec));
  };
  using Protocol = NetworkServer::Protocol;
  const std::string password = Write("password", "secret\n");
  auto server = find(absl::StrCat("resp://h:1?expiry=true&password_file=", password));
  ASSERT_TRUE(server.ok() && server->has_value()) << server.status();
  EXPECT_EQ((*server)->protocol, Protocol::kResp);
  EXPECT_EQ((*server)->address, "tcp://h:1");
  EXPECT_EQ((*server)->password, "secret");
  EXPECT_TRUE((*server)->expiry);
  EXPECT_EQ((*find("resp:unix:some/path"))->address, "unix:some/path");
  for (const auto& [spec, address, password] : {
           std::make_tuple("redis://h:1", "tcp://h:1", ""),
           {"redis://h", "tcp://h:6379", ""},
           {"redis://h/", "tcp://h:6379", ""},
           {"redis://[::1]/0", "tcp://[::1]:6379", ""},
           {"redis://[::1]:5/0", "tcp://[::1]:5", ""},
           {"redis://:s%40%3ab@h:1/0", "tcp://h:1", "s@:b"},
           {"redis://default:a:b@h:1", "tcp://h:1", "a:b"},
           {"redis://only@h:1", "tcp://h:1", "only"},
           {"rediss://:s@h:1?expiry=1", "tcp://h:1", "s"},
       }) {
    server = find(spec);
    ASSERT_TRUE(server.ok() && server->has_value()) << spec << ": " << server.status();
    EXPECT_EQ((*server)->protocol, Protocol::kResp) << spec;
    EXPECT_EQ((*server)->address, address) << spec;
    EXPECT_EQ((*server)->password, password) << spec;
    EXPECT_EQ((*server)->own_transport != nullptr, absl::StartsWith(spec, "rediss")) << spec;
  }
  server = find("tcp://h:1");
  EXPECT_EQ((*server)->protocol, Protocol::kNative);
  EXPECT_EQ((*server)->address, "tcp://h:1");
  EXPECT_EQ((*find("unix:some/path"))->address, "unix:some/path");
  EXPECT_FALSE(find("null:")->has_value());
  EXPECT_FALSE(find("tcp://h:1?expiry=true").ok());
}

TEST_F(StoresTest, PasswordsAreFirstLines) {
  EXPECT_EQ(*ReadPasswordFile(Write("p", "secret word\r\nmore\n")), "secret word");
  EXPECT_EQ(*ReadPasswordFile(Write("p", "secret")), "secret");
  EXPECT_FALSE(ReadPasswordFile(Write("p", "\nsecret")).ok());
  EXPECT_FALSE(ReadPasswordFile(Path("none")).ok());
}

TEST(ReloadableDataFileTest, IsThatOfStoresOfFiles) {
  EXPECT_EQ(ReloadableDataFile("bisect:my%20data?index=/i"), "my data");
  EXPECT_EQ(ReloadableDataFile("dict:/data"), "/data");
  EXPECT_EQ(ReloadableDataFile("tcp://127.0.0.1:7700"), "");
  EXPECT_EQ(ReloadableDataFile("null:"), "");
  EXPECT_EQ(ReloadableDataFile("nonsense"), "");
}

TEST(ShellQuoteTest, WordsAreQuotedWhereTheyHaveToBe) {
  EXPECT_EQ(ShellQuote("/a/b-c_d.e"), "/a/b-c_d.e");
  EXPECT_EQ(ShellQuote("a b"), "'a b'");
  EXPECT_EQ(ShellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuote(""), "''");
}

}  // namespace
}  // namespace kvarts
