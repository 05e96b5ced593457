// Runs the real group_by.

#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "apps/testing/group_by_fixture.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// As the zstd program makes it, which not every machine has: with a checksum.
std::string ZstdPacked(const std::string& text) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  const size_t size = ZSTD_compress2(context, &packed[0], packed.size(), text.data(), text.size());
  ZSTD_freeCCtx(context);
  EXPECT_FALSE(ZSTD_isError(size));
  packed.resize(size);
  return packed;
}

// A case of testdata/group_by/*.test; tsv.test says how they are written.
struct Case {
  int line = 0;
  std::vector<std::string> flags;
  std::string input;
  std::vector<std::string> output;
  std::string error;
};

std::string Unescaped(absl::string_view text) {
  std::string bytes;
  EXPECT_TRUE(absl::CUnescape(text, &bytes)) << text;
  return bytes;
}

std::vector<Case> ReadCases(const std::string& path) {
  std::vector<Case> cases;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(ReadTestFile(path), '\n')) {
    ++number;
    if (line == "run" || absl::StartsWith(line, "run ")) {
      cases.push_back({number, {}, "", {}, ""});
      for (const absl::string_view flag : absl::StrSplit(line.substr(3), ' ', absl::SkipEmpty())) {
        cases.back().flags.push_back(Unescaped(flag));
      }
      continue;
    }
    if (line.empty() || line[0] == '#') continue;
    EXPECT_FALSE(cases.empty()) << path << ":" << number;
    if (cases.empty()) break;
    Case& last = cases.back();
    absl::string_view text = line.substr(std::min<size_t>(2, line.size()));
    const bool no_newline = absl::EndsWith(text, "\\c");
    if (no_newline) text.remove_suffix(2);
    switch (line[0]) {
      case '|':
        absl::StrAppend(&last.input, Unescaped(text), no_newline ? "" : "\n");
        break;
      case '=':
        last.output.push_back(Unescaped(text));
        break;
      case '!':
        last.error = std::string(Unescaped(text));
        break;
      default:
        ADD_FAILURE() << path << ":" << number << ": " << line;
    }
  }
  EXPECT_FALSE(cases.empty()) << path;
  return cases;
}

using Rows = GroupByRows;

class GroupByTest : public GroupByFixture {
 protected:
  void Check(const Case& expected, const std::string& where, absl::string_view input_name,
             std::string out, const ProcessResult& result) {
    const bool fails = !expected.error.empty() && !absl::EndsWith(expected.error, " skipped") &&
                       !absl::EndsWith(expected.error, " left out");
    EXPECT_EQ(result.exit_code, fails ? 1 : 0) << where << ": " << result.err;
    const std::string error = absl::StrReplaceAll(expected.error, {{"INPUT", input_name}});
    EXPECT_EQ(result.err, error.empty() ? "" : absl::StrCat("group_by: ", error, "\n")) << where;
    if (fails) return;
    EXPECT_TRUE(out.empty() || out.back() == '\n') << where;
    std::vector<std::string> lines = absl::StrSplit(out, '\n');
    lines.pop_back();
    std::vector<std::string> wanted = expected.output;
    if (std::count(expected.flags.begin(), expected.flags.end(), "--order=key") == 0) {
      std::sort(lines.begin(), lines.end());
      std::sort(wanted.begin(), wanted.end());
    }
    EXPECT_EQ(lines, wanted) << where;
  }

  // Through pipes, and from file to file with other threads and memory.
  void RunCases(const std::string& name) {
    const std::string path = absl::StrCat("apps/testdata/group_by/", name);
    for (const Case& each : ReadCases(path)) {
      const std::string where = absl::StrCat(path, ":", each.line);
      const ProcessResult piped = Run(each.flags, each.input);
      Check(each, where, "standard input", piped.out, piped);
      Write("in", each.input);
      for (const char* threads : {"--threads=1", "--threads=3"}) {
        std::vector<std::string> flags = each.flags;
        flags.insert(flags.end(), {"--input=in", "--output=out", threads, "--memory=2MiB"});
        const ProcessResult filed = Run(flags);
        EXPECT_EQ(filed.out, "") << where;
        Check(each, where, "in", Read("out"), filed);
        ASSERT_EQ(std::filesystem::exists(dir_ + "/out"), filed.exit_code == 0) << where;
        std::filesystem::remove(dir_ + "/out");
      }
      ASSERT_EQ(Files(), std::vector<std::string>{"in"}) << where;
    }
  }
};

TEST_F(GroupByTest, TsvCases) { RunCases("tsv.test"); }
TEST_F(GroupByTest, CsvCases) { RunCases("csv.test"); }
TEST_F(GroupByTest, NdjsonCases) { RunCases("ndjson.test"); }
TEST_F(GroupByTest, DataCases) { RunCases("data.test"); }
TEST_F(GroupByTest, AggregateCases) { RunCases("aggregates.test"); }

TEST_F(GroupByTest, MoreThanMemoryGoesThroughTheTemporaryFolderAndLeavesNothingThere) {
  const Rows rows(60000, 5000, 100);
  Write("in", rows.text);
  ::mkdir(absl::StrCat(dir_, "/temp").c_str(), 0700);
  for (const char* order : {"--order=key", "--order=any"}) {
    for (const char* threads : {"--threads=1", "--threads=2"}) {
      const ProcessResult result = Run({"--input=in", "--output=out", "--memory=2MiB", "--stats",
                                        "--temp_dir=temp", order, threads});
      EXPECT_EQ(result.exit_code, 0) << result.err;
      EXPECT_TRUE(absl::StrContains(result.err, "rows=60000 ")) << result.err;
      EXPECT_FALSE(absl::StrContains(result.err, "spilled=0 ")) << result.err;
      std::vector<std::string> lines = absl::StrSplit(Read("out"), '\n', absl::SkipEmpty());
      if (order == std::string("--order=any")) std::sort(lines.begin(), lines.end());
      const std::vector<std::string> wanted = absl::StrSplit(rows.sorted, '\n', absl::SkipEmpty());
      std::vector<std::string> sorted = wanted;
      if (order == std::string("--order=any")) std::sort(sorted.begin(), sorted.end());
      EXPECT_TRUE(lines == sorted) << order << " " << threads;
      EXPECT_EQ(Files("temp"), std::vector<std::string>());
    }
  }
}

TEST_F(GroupByTest, AggregatesWithinMemoryOfBoth) {
  std::string text;
  std::map<std::string, int64_t> sums;
  for (int i = 0; i < 200000; ++i) {
    const std::string key = absl::StrCat("key", (i * 7919) % 60000);
    sums[key] += i;
    absl::StrAppend(&text, key, "\t", i, "\n");
  }
  std::string wanted;
  for (const auto& [key, sum] : sums) absl::StrAppend(&wanted, key, "\t", sum, "\n");
  Write("in", text);
  for (const char* threads : {"--threads=1", "--threads=3"}) {
    const ProcessResult sum =
        Run({"--input=in", "--aggregate=sum", "--order=key", "--memory=2MiB", "--stats", threads});
    EXPECT_EQ(sum.exit_code, 0) << sum.err;
    EXPECT_TRUE(sum.out == wanted) << threads;
    EXPECT_FALSE(absl::StrContains(sum.err, "spilled=0 ")) << sum.err;
    const ProcessResult list =
        Run({"--input=in", "--aggregate=list,sum", "--order=key", "--memory=2MiB", threads});
    EXPECT_EQ(list.exit_code, 0) << list.err;
    std::string folded;
    for (const absl::string_view line : absl::StrSplit(list.out, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> columns = absl::StrSplit(line, '\t');
      ASSERT_EQ(columns.size(), 3u);
      absl::StrAppend(&folded, columns[0], "\t", columns[2], "\n");
    }
    EXPECT_TRUE(folded == wanted) << threads;
  }
}

TEST_F(GroupByTest, WhatFitsWritesNothing) {
  const Rows rows(1000, 100, 10);
  Write("in", rows.text);
  const ProcessResult result =
      Run({"--input=in", "--order=any", "--stats", "--temp_dir=/nonexistent"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "spilled=0 ")) << result.err;
}

TEST_F(GroupByTest, TheThreeStagesGiveTheSameGroups) {
  const Rows rows(5000, 700, 20);
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"--algorithm=sorted_runs"},
           {"--max_hash_entries=100"},
           {"--max_hash_entries=50", "--max_open_runs=2", "--stats"},
       }) {
    const ProcessResult result = Run(flags, rows.text);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.out == rows.sorted) << absl::StrJoin(flags, " ");
    if (flags.size() == 3) {
      EXPECT_FALSE(absl::StrContains(result.err, "merge_passes=0 ")) << result.err;
    }
  }
}

TEST_F(GroupByTest, LongRowsAndKeysUpToTheirLimits) {
  const std::string value(5 << 20, 'x');
  const ProcessResult large = Run({}, absl::StrCat("k\t", value, "\nk\tb\n"));
  EXPECT_EQ(large.exit_code, 0) << large.err;
  EXPECT_TRUE(large.out == absl::StrCat("k\t", value, ",b\n"));
  const ProcessResult key = Run({}, absl::StrCat("a\tb\n", std::string(70000, 'k'), "\tv\n"));
  EXPECT_EQ(key.exit_code, 1);
  EXPECT_EQ(key.err,
            "group_by: standard input, line 2: a key of 70000 bytes; the limit is 65536\n");
  const ProcessResult line = Run({}, absl::StrCat("a\tb\n", std::string(70 << 20, 'k'), "\tv\n"));
  EXPECT_EQ(line.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(line.err, "group_by: standard input, line 2: longer than the limit"))
      << line.err;
  for (const char* memory : {"--memory=2MiB", "--memory=8MiB"}) {
    for (const char* threads : {"--threads=1", "--threads=4"}) {
      const ProcessResult small =
          Run({memory, threads},
              absl::StrCat("a\tb\nk\t", value, "\nk\t", value, "\nk\t", value, "\nc\td\n"));
      EXPECT_EQ(small.exit_code, 1);
      EXPECT_TRUE(absl::StartsWith(small.err, "group_by: standard input, line 2: a row "))
          << small.err;
      EXPECT_EQ(std::count(small.err.begin(), small.err.end(), '\n'), 1) << small.err;
    }
  }
  // As many threads as there are, only one of such rows is read at a time.
  std::string many;
  for (int i = 0; i < 12; ++i) absl::StrAppend(&many, i % 3, "\t", value, "\n");
  const ProcessResult threads =
      Run({"--memory=40MiB", "--threads=8", "--format=ndjson", "--aggregate=list,count"}, many);
  EXPECT_EQ(threads.exit_code, 0) << threads.err;
}

TEST_F(GroupByTest, MemoryStaysWithinItsBound) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have memory of their own";
#endif
  constexpr uint64_t kMiB = 1 << 20;
  const auto resident = [this](std::vector<std::string> args, const std::string& input) {
    Write("in", input);
    args.insert(args.end(), {"--input=in", "--output=out", "--stats"});
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const size_t at = result.err.find("resident=");
    uint64_t bytes = UINT64_MAX;
    if (at == std::string::npos) return bytes;
    const absl::string_view digits = absl::string_view(result.err).substr(at + 9);
    EXPECT_TRUE(absl::SimpleAtoi(digits.substr(0, digits.find_first_not_of("0123456789")), &bytes));
    return bytes;
  };
  EXPECT_LE(resident({"--memory=4MiB", "--threads=2"}, Rows(200000, 50000, 60).text),
            (4 + 48) * kMiB);
  // The shortest rows there are, which take most when they are parsed.
  EXPECT_LE(resident({"--memory=4MiB", "--threads=16", "--key=1", "--value=1"},
                     std::string(8 * kMiB, '\n')),
            (4 + 48) * kMiB);
  EXPECT_LE(resident({"--memory=4MiB", "--threads=16", "--key=1", "--aggregate=count,first:1"},
                     std::string(8 * kMiB, '\n')),
            (4 + 48) * kMiB);
  EXPECT_LE(resident({"--memory=24MiB", "--threads=4"},
                     absl::StrCat("a\t", std::string(5 * kMiB, 'x'), "\nb\t",
                                  std::string(5 * kMiB, 'y'), "\n")),
            (24 + 48) * kMiB);
}

TEST_F(GroupByTest, CompressedInputIsUnpackedAndDamageIsNamed) {
  const Rows rows(20000, 300, 10);
  Write("rows", rows.text);
  ASSERT_EQ(std::system(absl::StrCat("cd ", dir_, " && gzip -c rows > rows.gz").c_str()), 0);
  Write("rows.zst", ZstdPacked(rows.text));
  for (const std::string name : {"rows.gz", "rows.zst"}) {
    const ProcessResult whole = Run({"--order=key", absl::StrCat("--input=", name)});
    EXPECT_EQ(whole.exit_code, 0) << whole.err;
    EXPECT_TRUE(whole.out == rows.sorted);
    const std::string packed = Read(name);
    Write(absl::StrCat("cut.", name), packed.substr(0, packed.size() / 2));
    const ProcessResult cut = Run({absl::StrCat("--input=cut.", name), "--output=out"});
    EXPECT_EQ(cut.exit_code, 1);
    EXPECT_TRUE(absl::StartsWith(
        cut.err, absl::StrCat("group_by: cut.", name, ", offset ", packed.size() / 2, ": ")))
        << cut.err;
    std::string changed = packed;
    changed[packed.size() / 2] = static_cast<char>(changed[packed.size() / 2] ^ 4);
    Write(absl::StrCat("changed.", name), changed);
    const ProcessResult damaged = Run({absl::StrCat("--input=changed.", name), "--output=out"});
    EXPECT_EQ(damaged.exit_code, 1);
    EXPECT_TRUE(
        absl::StartsWith(damaged.err, absl::StrCat("group_by: changed.", name, ", offset ")))
        << damaged.err;
    EXPECT_FALSE(std::filesystem::exists(dir_ + "/out"));
  }
}

TEST_F(GroupByTest, TheFirstBytesSayWhatIsUnpackedAndWhatIsNoText) {
  const Rows rows(2000, 300, 10);
  Write("rows", rows.text);
  const auto shell = [this](const std::string& command) {
    return std::system(absl::StrCat("cd ", dir_, " && ", command).c_str());
  };
  ASSERT_EQ(shell("gzip -c rows > packed && cp packed rows.GZ && tar czf rows.tgz rows"), 0);
  Write("packed.zst", ZstdPacked(rows.text));
  ASSERT_EQ(shell("cp packed.zst zstd.tsv"), 0);
  for (const char* name : {"packed", "rows.GZ", "packed.zst", "zstd.tsv"}) {
    const ProcessResult file = Run({"--order=key", absl::StrCat("--input=", name)});
    EXPECT_EQ(file.exit_code, 0) << file.err;
    EXPECT_TRUE(file.out == rows.sorted) << name;
    const ProcessResult pipe = Run({"--order=key"}, Read(name));
    EXPECT_EQ(pipe.exit_code, 0) << pipe.err;
    EXPECT_TRUE(pipe.out == rows.sorted) << name;
  }
  const std::string found = ": expected text in bytes or UTF-8, found ";
  EXPECT_EQ(Run({"--input=rows.tgz"}).err, absl::StrCat("group_by: rows.tgz, unpacked", found,
                                                        "a tar archive; unpack it first\n"));
  for (const auto& [start, format] : {std::make_pair("\xFD"
                                                     "7zXZ\0",
                                                     "xz data; unpack"),
                                      std::make_pair("BZh91AY&SY", "bzip2 data; unpack"),
                                      std::make_pair("\xFF\xFE"
                                                     "a\tx\n",
                                                     "UTF-16 text; convert")}) {
    for (const char* flag : {"--skip_malformed", "--header", "--input_format=ndjson"}) {
      const ProcessResult result =
          Run({flag, "--output=out"}, absl::StrCat(start, std::string("\0\0a\tx\n", 6)));
      EXPECT_EQ(result.exit_code, 1);
      EXPECT_EQ(result.err, absl::StrCat("group_by: standard input", found, format, " it first\n"));
      EXPECT_FALSE(std::filesystem::exists(dir_ + "/out"));
    }
  }
}

TEST_F(GroupByTest, AWindowBeyondTheMemoryNamesTheFlag) {
  // A row in a frame whose header asks for a window of 256 MiB.
  Write("in.zst", std::string("\x28\xB5\x2F\xFD\0\x90\x21\0\0a\tx\n", 13));
  const ProcessResult small = Run({"--input=in.zst", "--memory=64MiB"});
  EXPECT_EQ(small.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(
      small.err, "group_by: in.zst, offset 0: a zstd frame with a window of 256.0 MiB: "))
      << small.err;
  EXPECT_TRUE(absl::EndsWith(small.err, "; a larger --memory allows it\n")) << small.err;
  const ProcessResult large = Run({"--input=in.zst", "--memory=300MiB"});
  EXPECT_EQ(large.exit_code, 0) << large.err;
  EXPECT_EQ(large.out, "a\tx\n");
}

TEST_F(GroupByTest, AnOutputIsReplacedWholeOrNotAtAll) {
  Write("out", "old");
  EXPECT_EQ(Run({"--output=out"}, "malformed\n").exit_code, 1);
  EXPECT_EQ(Read("out"), "old");
  EXPECT_EQ(Run({"--output=out"}, "a\tb\n").exit_code, 0);
  EXPECT_EQ(Read("out"), "a\tb\n");
  // Of itself.
  EXPECT_EQ(Run({"--input=out", "--output=out", "--separator=;"}).exit_code, 0);
  EXPECT_EQ(Files(), std::vector<std::string>{"out"});
  const ProcessResult full = Run({"--output=/dev/full"}, "a\tb\n");
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_EQ(full.err, "group_by: /dev/full: cannot write the output: No space left on device\n");
}

TEST_F(GroupByTest, AClosedPipeEndsItQuietly) {
  ProcessOptions options;
  options.closed_output = true;
  const ProcessResult result = Run({}, Rows(1000, 1000, 100).text, options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "");
}

TEST_F(GroupByTest, FromRowsToAServer) {
  std::string rows;
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&rows, TestKey(i % 1000), "\tvalue ", i, "\n");
  Write("rows.tsv", rows);
  const ProcessResult grouped = Run({"--input=rows.tsv", "--format=data", "--output=data"});
  ASSERT_EQ(grouped.exit_code, 0) << grouped.err;
  ProcessOptions options;
  options.directory = dir_;
  const ProcessResult built = RunProcess({"apps/kv_build", "data"}, options);
  ASSERT_EQ(built.exit_code, 0) << built.err;
  EXPECT_TRUE(absl::StrContains(built.out, "1000 keys from 1000 lines")) << built.out;
  const TestServer server(
      {"apps/kv_server", "data", "--listen=tcp://127.0.0.1:0", "--resp=", "--http="}, dir_);
  ASSERT_NE(server.native, "") << server.ready;
  const ProcessResult got = RunProcess(
      {"apps/kv_client", absl::StrCat("--store=", server.native), "get", TestKey(7), TestKey(999)},
      options);
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out,
            "value 7,value 1007,value 2007\n"
            "value 999,value 1999,value 2999\n");
}

TEST_F(GroupByTest, WhatIsNoInputOrOutputIsOneLineAndExit1) {
  Write("in", "a\tb\n");
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--input=none"},
           {"--input=in/none"},
           {"--input=."},
           {"--input=in", "--output=."},
           {"--input=in", "--output=none/out"},
       }) {
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 1) << result.out;
    const std::string name = args.back().substr(args.back().find('=') + 1);
    EXPECT_TRUE(absl::StartsWith(result.err, absl::StrCat("group_by: ", name, ": "))) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  }
}

TEST_F(GroupByTest, BadUsageIsOneLineAndExit2) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"file"},
           {"--nosuch"},
           {"--memory=much"},
           {"--memory=1"},
           {"--threads=-1"},
           {"--threads=x"},
           {"--input_format=xml"},
           {"--format=csv"},
           {"--order=value"},
           {"--encoding=hex"},
           {"--algorithm=quick"},
           {"--max_open_runs=1"},
           {"--separator="},
           {"--separator=ab"},
           {"--separator=\n"},
           {"--delimiter=ab"},
           {"--delimiter=\n"},
           {"--input_format=csv", "--delimiter=\""},
           {"--input_format=ndjson", "--header"},
           {"--input_format=ndjson", "--key=a", "--value=a"},
           {"--key=0"},
           {"--key=#0"},
           {"--key=#100001"},
           {"--key=\"1\""},
           {"--header", "--key=\"a"},
           {"--header", "--aggregate=sum:\"a"},
           {"--input_format=ndjson", "--value=\"a"},
           {"--input=a", "--input=b"},
           {"--key=2"},
           {"--key=name", "--value=2"},
           {"--aggregate="},
           {"--aggregate=median"},
           {"--aggregate=sum:x"},
           {"--aggregate=sum:0"},
           {"--aggregate=count,list"},
           {"--aggregate=list,list"},
           {"--aggregate=count", "--max_open_runs=2"},
           {"--input_format=ndjson", "--aggregate=sum:key"},
           {"--encoding=escape", "--separator=x"},
           {"--encoding=base64", "--separator=+"},
       }) {
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 2) << absl::StrJoin(args, " ") << ": " << result.err;
    EXPECT_TRUE(absl::EndsWith(result.err, " (group_by --help shows the usage)\n")) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(GroupByTest, HelpAndVersionExit0) {
  const ProcessResult help = Run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* text : {"--input=-", "--memory=512MiB", "--input_format=tsv", "--format=tsv",
                           "--order=any", "the rest of the line"}) {
    EXPECT_TRUE(absl::StrContains(help.out, text)) << text;
  }
  EXPECT_FALSE(absl::StrContains(help.out, "logtostderr"));
  EXPECT_EQ(Run({"--version"}).exit_code, 0);
}

}  // namespace
}  // namespace kvarts
