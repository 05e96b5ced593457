// Runs the real kv_client, against a model store behind the native protocol and
// against a data file.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

class KvClientTest : public testing::Test {
 protected:
  ProcessResult Client(std::vector<std::string> args, ProcessOptions options = {}) {
    args.insert(args.begin(), {"apps/kv_client", absl::StrCat("--store=", server_.native)});
    options.directory = dir_;
    return RunProcess(args, options);
  }

  const std::string dir_ = TestDirectory();
  TestServer server_{{"apps/testing/model_server"}, dir_};
};

TEST_F(KvClientTest, PutsGetsAndDeletes) {
  EXPECT_EQ(Client({"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(Client({"put", "b", "two\nlines"}).exit_code, 0);
  EXPECT_EQ(Client({"put", "--", "-c", "--3"}).exit_code, 0);
  const ProcessResult all = Client({"get", "b", "a", "--", "-c", "a"});
  EXPECT_EQ(all.out, "two\nlines\n1\n--3\n1\n");
  EXPECT_EQ(all.err, "");
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_EQ(Client({"count"}).out, "3\n");
  const ProcessResult deleted = Client({"delete", "a", "none", "b"});
  EXPECT_EQ(deleted.exit_code, 1);
  EXPECT_EQ(deleted.err, "kv_client: none: there is no such key\n");
  EXPECT_EQ(Client({"count"}).out, "1\n");
}

TEST_F(KvClientTest, PutsTheBytesOfAFileAndOfItsStandardInput) {
  const std::string bytes = std::string("line\n\0binary \xff\n", 15);
  WriteTestFile(absl::StrCat(dir_, "/value"), bytes);
  EXPECT_EQ(Client({"put", "file", "@value"}).err, "");
  EXPECT_EQ(Client({"get", "file"}).out, bytes + "\n");
  ProcessOptions options;
  options.input = bytes;
  EXPECT_EQ(Client({"put", "input", "-"}, options).err, "");
  EXPECT_EQ(Client({"get", "input"}).out, bytes + "\n");
  EXPECT_EQ(Client({"put", "handle", "@@name"}).err, "");
  EXPECT_EQ(Client({"get", "handle"}).out, "@name\n");
  const ProcessResult none = Client({"put", "none", "@none"});
  EXPECT_THAT(none.err, testing::HasSubstr("kv_client: none: No such file or directory"));
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_EQ(Client({"get", "none"}).exit_code, 1);
}

TEST_F(KvClientTest, ADumpRestoresEverything) {
  const std::vector<std::string> lines = {
      R"({"key":"","value":"of the empty key"})",
      R"({"key":"first name","value":"Ann"})",
      R"({"key":"note","value":"line one\nline two"})",
      R"({"key":"typed","content_type":"image/png","value":{"base64":"iVBORw0KGgo="}})",
      R"({"key":"typed, and expires","content_type":"a/b","expires_at_ms":99999999999999,"value":""})",
      R"({"key":{"base64":"/w=="},"expires_at_ms":4102444800000,"value":"\u0000"})",
  };
  WriteTestFile(absl::StrCat(dir_, "/dump"), absl::StrJoin(lines, "\n") + "\n");
  EXPECT_EQ(Client({"load", "dump"}).out, "6 records loaded\n");
  EXPECT_EQ(Client({"get", "note", "first name", ""}).out,
            "line one\nline two\nAnn\nof the empty key\n");
  const ProcessResult dump = Client({"scan", "--format=ndjson"});
  EXPECT_EQ(dump.exit_code, 0) << dump.err;
  EXPECT_EQ(dump.out, ReadTestFile(absl::StrCat(dir_, "/dump")));

  TestServer other({"apps/testing/model_server"}, dir_);
  const auto ask_other = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"apps/kv_client", absl::StrCat("--store=", other.native)});
    ProcessOptions options;
    options.directory = dir_;
    options.input = dump.out;
    return RunProcess(args, options);
  };
  EXPECT_EQ(ask_other({"load", "-"}).out, "6 records loaded\n");
  EXPECT_EQ(ask_other({"scan", "--format=ndjson"}).out, dump.out);
}

TEST_F(KvClientTest, WhatADataFileCannotHoldEndsTheScan) {
  const auto scan_of = [this](const std::string& line) {
    WriteTestFile(absl::StrCat(dir_, "/dump"), line + "\n");
    EXPECT_EQ(Client({"load", "--format=ndjson", "dump"}).err, "");
    const ProcessResult result = Client({"scan"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "a 1\n") << "what comes before it";
    EXPECT_EQ(Client({"delete", "b", "b b", "b\nb"}).exit_code, 1);
    return result.err;
  };
  EXPECT_EQ(Client({"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(scan_of(R"({"key":"b","value":"line one\nline two"})"),
            "kv_client: key \"b\": a data file cannot hold a value with a newline; "
            "--format=ndjson holds all\n");
  EXPECT_EQ(scan_of(R"({"key":"b b","value":"Ann"})"),
            "kv_client: key \"b b\": a data file cannot hold a key with a space; "
            "--format=ndjson holds all\n");
  EXPECT_EQ(scan_of(R"({"key":"b\nb","value":"Ann"})"),
            "kv_client: key \"b\\nb\": a data file cannot hold a key with a newline; "
            "--format=ndjson holds all\n");
  EXPECT_EQ(scan_of(R"({"key":"b","value":"","expires_at_ms":99999999999999})"),
            "kv_client: key \"b\": a data file cannot hold an expiry; "
            "--format=ndjson holds all\n");
  EXPECT_EQ(scan_of(R"({"key":"b","value":"","content_type":"a/b"})"),
            "kv_client: key \"b\": a data file cannot hold a content type; "
            "--format=ndjson holds all\n");
}

TEST_F(KvClientTest, TalksToARespServerToo) {
  const auto client = [this](std::vector<std::string> args) {
    args.insert(args.begin(), {"apps/kv_client", absl::StrCat("--store=resp://", server_.resp)});
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess(args, options);
  };
  EXPECT_EQ(client({"put", "a", "two\nlines"}).exit_code, 0);
  EXPECT_EQ(client({"get", "a"}).out, "two\nlines\n");
  EXPECT_EQ(Client({"get", "a"}).out, "two\nlines\n") << "it is one store";
  EXPECT_EQ(client({"get", "b"}).err, "kv_client: b: there is no such key\n");
  TestSocket redis(server_.resp, dir_);
  redis.Send("SET e 1 PXAT 99999999999999\r\nQUIT\r\n");
  EXPECT_EQ(redis.ReceiveAll(), "+OK\r\n+OK\r\n");
  const std::string dump = client({"scan", "--format=ndjson", "--prefix=e"}).out;
  EXPECT_EQ(dump, "{\"key\":\"e\",\"expires_at_ms\":99999999999999,\"value\":\"1\"}\n");
  WriteTestFile(absl::StrCat(dir_, "/dump"), dump);
  EXPECT_EQ(client({"delete", "e"}).exit_code, 0);
  EXPECT_EQ(client({"load", "dump"}).out, "1 records loaded\n");
  EXPECT_EQ(Client({"scan", "--format=ndjson", "--prefix=e"}).out, dump);
  EXPECT_EQ(client({"delete", "e"}).exit_code, 0);
  EXPECT_EQ(client({"delete", "a", "b"}).err, "kv_client: b: there is no such key\n");
  WriteTestFile(absl::StrCat(dir_, "/data"), TestData(5000));
  EXPECT_EQ(client({"load", "data"}).out, "5000 records loaded\n");
  EXPECT_EQ(client({"count"}).out, "5000\n");
  const std::string out = client({"scan"}).out;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 5000);
  EXPECT_EQ(client({"scan", absl::StrCat("--prefix=", TestKey(7).substr(0, 8))}).out,
            absl::StrCat(TestKey(7), " value 7\n"));
}

TEST_F(KvClientTest, AbsentKeysAreLinesOnStderrAndTheOthersArePrinted) {
  EXPECT_EQ(Client({"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(Client({"put", "b", ""}).exit_code, 0);
  const ProcessResult result = Client({"get", "none", "a", "no\nne", "b"});
  EXPECT_EQ(result.out, "1\n\n");
  EXPECT_EQ(result.err,
            "kv_client: none: there is no such key\n"
            "kv_client: no\\x0ane: there is no such key\n");
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(KvClientTest, LoadsFilesAndScansThemInPages) {
  WriteTestFile(absl::StrCat(dir_, "/data"), TestData(5000));
  const ProcessResult loaded = Client({"load", "data"});
  EXPECT_EQ(loaded.out, "5000 records loaded\n") << loaded.err;
  EXPECT_THAT(loaded.err,
              testing::Not(testing::HasSubstr("kv_client:")));  // progress, where it is slow
  EXPECT_EQ(loaded.exit_code, 0);
  EXPECT_EQ(Client({"count"}).out, "5000\n");
  EXPECT_EQ(Client({"get", TestKey(4999)}).out, "value 4999\n");

  const ProcessResult scan = Client({"scan"});
  EXPECT_EQ(scan.exit_code, 0);
  std::vector<std::string> lines = absl::StrSplit(absl::StripSuffix(scan.out, "\n"), '\n');
  EXPECT_EQ(lines.size(), 5000u);
  std::vector<std::string> want = absl::StrSplit(absl::StripSuffix(TestData(5000), "\n"), '\n');
  std::sort(want.begin(), want.end());
  EXPECT_TRUE(lines == want);

  const ProcessResult limited = Client({"scan", "--limit=1500"});
  EXPECT_EQ(std::count(limited.out.begin(), limited.out.end(), '\n'), 1500);
  EXPECT_EQ(Client({"scan", "--limit=1"}).out, want[0] + "\n");
  EXPECT_EQ(Client({"scan", absl::StrCat("--prefix=", TestKey(7).substr(0, 8))}).out,
            absl::StrCat(TestKey(7), " value 7\n"));
  EXPECT_EQ(Client({"scan", "--prefix=zzz"}).out, "");
}

TEST_F(KvClientTest, LoadsItsStandardInput) {
  ProcessOptions options;
  options.input = "a 1\nb two words\na 3";
  const ProcessResult result = Client({"load", "-"}, options);
  EXPECT_EQ(result.out, "3 records loaded\n") << result.err;
  EXPECT_EQ(Client({"get", "a", "b"}).out, "3\ntwo words\n");
}

TEST_F(KvClientTest, LoadsATextWithoutItsByteOrderMarkAndNothingElse) {
  ProcessOptions options;
  options.input =
      "\xEF\xBB\xBF"
      "a 1\nb 2\n";
  EXPECT_EQ(Client({"load", "-"}, options).out, "2 records loaded\n");
  EXPECT_EQ(Client({"get", "a"}).out, "1\n");
  options.input = "\x1F\x8B\x08 packed\n";
  const ProcessResult packed = Client({"load", "-"}, options);
  EXPECT_EQ(packed.exit_code, 1);
  EXPECT_EQ(
      packed.err,
      "kv_client: standard input: expected text in bytes or UTF-8, found gzip data; unpack it "
      "first\n");
  EXPECT_EQ(Client({"count"}).out, "2\n");
}

TEST_F(KvClientTest, AMalformedLineIsNamed) {
  ProcessOptions options;
  options.input = "a 1\nmalformed\n";
  const ProcessResult result = Client({"load", "-"}, options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "kv_client: standard input, line 2: expected a key, a space and a value\n");
  EXPECT_EQ(Client({"load", "none"}).exit_code, 1);
}

TEST_F(KvClientTest, AScanWhoseReaderLeavesEndsQuietly) {
  WriteTestFile(absl::StrCat(dir_, "/data"), TestData(5000));
  ASSERT_EQ(Client({"load", "data"}).exit_code, 0);
  ProcessOptions options;
  options.closed_output = true;
  const ProcessResult result = Client({"scan"}, options);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.exit_code, 0);
  // A disk that is full is something else.
  const ProcessResult full = RunProcess(
      {"/bin/sh", "-c",
       absl::StrCat("exec apps/kv_client --store=", server_.native, " scan >/dev/full")});
  EXPECT_TRUE(absl::StartsWith(full.err, "kv_client: cannot write to the standard output"))
      << full.err;
  EXPECT_EQ(full.exit_code, 1);
}

TEST_F(KvClientTest, ADataFileIsReadOnly) {
  WriteTestFile(absl::StrCat(dir_, "/data"), "a 1\n");
  ProcessOptions options;
  options.directory = dir_;
  const std::string store = "--store=bisect:data";
  const ProcessResult absent = RunProcess({"apps/kv_client", store, "get", "a"}, options);
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_EQ(absent.err, "kv_client: data: there is no index; build it with: kv_build data\n");
  ASSERT_EQ(RunProcess({"apps/kv_build", "data"}, options).exit_code, 0);
  EXPECT_EQ(RunProcess({"apps/kv_client", store, "get", "a"}, options).out, "1\n");
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"apps/kv_client", store, "put", "a", "2"}, {"apps/kv_client", store, "delete", "a"}}) {
    const ProcessResult refused = RunProcess(args, options);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_EQ(refused.err, "kv_client: the store is read-only\n");
  }
}

TEST_F(KvClientTest, RelativeSpecsAreTheUsersUnderBazelRun) {
  WriteTestFile(absl::StrCat(dir_, "/data"), "a 1\n");
  ProcessOptions options;
  options.directory = "/";
  options.env["BUILD_WORKING_DIRECTORY"] = dir_;
  EXPECT_EQ(RunProcess({"apps/kv_build", "data"}, options).exit_code, 0);
  EXPECT_EQ(RunProcess({"apps/kv_client", "--store=bisect:data", "get", "a"}, options).out, "1\n");
}

TEST_F(KvClientTest, NobodyThereIsOneLineAndExit1) {
  ProcessOptions options;
  options.directory = dir_;
  const ProcessResult result =
      RunProcess({"apps/kv_client", "--store=unix:nobody", "count"}, options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(result.err, "kv_client: unix:nobody: ")) << result.err;
  EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
}

TEST_F(KvClientTest, BadUsageIsOneLineAndExit2) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {},
           {"fetch", "a"},
           {"get"},
           {"put", "a"},
           {"put", "a", "b", "c"},
           {"delete"},
           {"scan", "a"},
           {"count", "a"},
           {"load"},
           {"load", "a", "b"},
           {"get", "a", "--nosuch"},
           {"scan", "--limit=-1"},
           {"scan", "--format=json"},
           {"load", "--format=csv", "dump"},
           {"scan", "--limit=x"},
           {"get", "a", "--store=nonsense"},
           {"get", "a", "--store=riddles:x"},
           {"get", "a", "--store=bisect:x?y=1"},
           {"get", "a", "--store=tcp://x"},
       }) {
    const ProcessResult result = Client(args);
    EXPECT_EQ(result.exit_code, 2) << absl::StrJoin(args, " ") << result.err;
    EXPECT_TRUE(absl::EndsWith(result.err, " (kv_client --help shows the usage)\n")) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(KvClientTest, HelpListsTheStores) {
  const ProcessResult result = Client({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(result.out, "  bisect:DATA_FILE?index=PATH\n"));
  EXPECT_TRUE(absl::StrContains(result.out, "--store=tcp://127.0.0.1:7700"));
}

}  // namespace
}  // namespace kvarts
