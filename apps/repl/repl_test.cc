#include "apps/repl/repl.h"

#include <signal.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/repl/group_commit_store.h"
#include "apps/repl/interrupts.h"
#include "apps/repl/maintained_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/layers/read_only.h"
#include "storage/memory/memory.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class TestConsole final : public ReplConsole {
 public:
  bool Print(absl::string_view bytes) override {
    if (prints_left_ == 0) return false;
    --prints_left_;
    absl::StrAppend(&out, bytes);
    return true;
  }
  bool Flush() override { return prints_left_ > 0; }
  void Complain(absl::string_view line) override { absl::StrAppend(&out, "! ", line, "\n"); }
  void CloseAfter(int prints) { prints_left_ = prints; }

  std::string out;

 private:
  int prints_left_ = 1 << 30;
};

class ReplTest : public testing::Test {
 protected:
  // What the lines print; errors stand behind "! ".
  std::string Run(Store* store, absl::string_view lines, ReplOptions options = {}) {
    TestConsole console;
    Repl repl(store, std::move(options), &console);
    uint64_t number = 0;
    for (const absl::string_view line : absl::StrSplit(lines, '\n')) repl.Run(line, ++number);
    repl.Wait();
    failed_ = repl.failed();
    done_ = repl.done();
    return console.out;
  }
  std::string Run(absl::string_view lines, ReplOptions options = {}) {
    return Run(store_.get(), lines, std::move(options));
  }
  static ReplOptions Json() {
    ReplOptions options;
    options.style.json = true;
    return options;
  }
  // Leaves out the times, which differ.
  std::string RunJson(Store* store, absl::string_view lines) {
    const std::string out = Run(store, lines, Json());
    std::string stable;
    for (const absl::string_view line : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
      const size_t ms = line.rfind(",\"ms\":");
      absl::StrAppend(&stable, line.substr(0, ms), ms == absl::string_view::npos ? "" : "}", "\n");
    }
    return stable;
  }

  std::unique_ptr<Store> store_ = NewModelStore();
  bool failed_ = false;
  bool done_ = false;
};

TEST_F(ReplTest, StoresGetsAndDeletes) {
  EXPECT_EQ(Run("store a 1\n"
                "store b two words\n"
                "get a\n"
                "get b\n"
                "delete a\n"
                "get a\n"
                "delete a b c\n"
                "count"),
            "OK\nOK\n1\ntwo words\nOK\n(absent)\n(absent)\nOK\n(absent)\n0\n");
  EXPECT_FALSE(failed_);
  EXPECT_FALSE(done_);
}

TEST_F(ReplTest, WorksOnAMemoryStore) {
  absl::StatusOr<std::unique_ptr<Store>> memory = OpenMemoryStore({});
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(Run(memory->get(), "store a 1\nget a\nscan\ncount\ndelete a\nget a"),
            "OK\n1\na 1\n1\nOK\n(absent)\n");
  EXPECT_EQ(Run(memory->get(), "scan --backward"),
            "! line 1: scan: the store has no backward scan\n");
}

TEST_F(ReplTest, ShowsValuesAsTheyCanBeTyped) {
  Run("store e ''\nstore n $'a\\nb'\nstore x $'\\x1b[0m\\xff'\nstore q \\'\nstore t (absent)\n"
      "store d \"$'x'\"");
  EXPECT_EQ(Run("get e\nget n\nget x\nget q\nget t"),
            "''\n$'a\\nb'\n$'\\x1b[0m\\xff'\n\\'\n'(absent)'\n");
  ReplOptions plain;
  plain.style.plain_texts = true;
  EXPECT_EQ(Run("get e\nget n\nget x\nget q\nget t\nget d", plain),
            "''\na\nb\n$'\\x1b[0m\\xff'\n\\'\n'(absent)'\n\"$'x'\"\n");
}

TEST_F(ReplTest, AScanCanBePastedBackIn) {
  const std::vector<std::pair<std::string, std::string>> entries = {
      {"", "of the empty key"}, {"--x", "--y"},       {"a b", " blanks "}, {"n\n", "two\nlines\t"},
      {"\xFF", "\x01\xFE"},     {"it's", "'quoted'"}, {"e", ""},           {"#", "#"},
      {"(absent)", "(absent)"}};
  ModelStoreOptions options;
  options.records = entries;
  const std::unique_ptr<Store> from = NewModelStore(options);
  const std::string lines = Run(from.get(), "scan");
  std::string stores;
  for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&stores, "store ", line, "\n");
  }
  Run(stores);
  EXPECT_FALSE(failed_) << stores;
  for (const auto& [key, value] : entries) EXPECT_EQ(**store_->Get(key), value) << key;
  EXPECT_EQ(Run("scan"), lines);
}

TEST_F(ReplTest, ScansRanges) {
  Run("store a 1\nstore ab 2\nstore b 3\nstore c 4");
  EXPECT_EQ(Run("scan"), "a 1\nab 2\nb 3\nc 4\n");
  EXPECT_EQ(Run("scan a"), "a 1\nab 2\n");
  EXPECT_EQ(Run("scan --from=ab --to=c"), "ab 2\nb 3\n");
  EXPECT_EQ(Run("scan a --from=b"), "");
  EXPECT_EQ(Run("scan --to=ab --keys"), "a\n");
  EXPECT_EQ(Run("scan --to="), "");
  EXPECT_EQ(Run("scan --limit=2 --keys"), "a\nab\n");
  EXPECT_EQ(Run("scan --backward --limit=1"), "c 4\n");
  EXPECT_EQ(Run("scan ''"), "a 1\nab 2\nb 3\nc 4\n");
  EXPECT_EQ(Run("count\ncount a\ncount x"), "4\n2\n0\n");
  EXPECT_FALSE(failed_);
}

TEST_F(ReplTest, GoesOnAfterAnError) {
  EXPECT_EQ(Run("store a 1\nbad\n\n# comment\nget\nget a\nscan --limit=0\nstore b 'x\nget a"),
            "OK\n! line 2: unknown command bad; help shows those there are\n"
            "! line 5: get: expected KEY\n1\n"
            "! line 7: scan: --limit=0: expected a whole number from 1 on\n"
            "! line 8: store: column 9: the quote ' is not closed\n1\n");
  EXPECT_TRUE(failed_);
}

TEST_F(ReplTest, SaysInALineWhatAStoreCannotDo) {
  const std::unique_ptr<Store> store = NewReadOnlyStore(std::move(store_));
  EXPECT_EQ(Run(store.get(), "store a 1\ndelete a\ndelete a b\nget a"),
            "! line 1: store: the store is read-only\n! line 2: delete: the store is read-only\n"
            "! line 3: delete: a: the store is read-only\n(absent)\n");
  for (const std::string command : {"flush", "compact", "merge", "verify"}) {
    EXPECT_EQ(Run(store.get(), command),
              absl::StrCat("! line 1: ", command, ": this store has no files of its own to ",
                           command, "\n"));
  }
  for (const std::string command :
       {"load_index", "save_index_snapshot f", "load_index_snapshot f", "checkpoint", "inspect f",
        "repair d", "ingest f", "merge_store d"}) {
    EXPECT_THAT(Run(store.get(), command), StartsWith("! line 1: ")) << command;
    EXPECT_TRUE(failed_);
  }
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  EXPECT_THAT(Run(store.get(), "get " + long_key), HasSubstr("! line 1: get: "));
}

TEST_F(ReplTest, CaresForTheFilesOfAStore) {
  MaintainedStore store;
  EXPECT_EQ(Run(&store,
                "flush\ncompact\ncompact a\ncompact a b\nmerge\nverify\ncheckpoint\n"
                "checkpoint /x/y"),
            "OK\nOK\nOK\nOK\nOK\nOK: 2 files, 4096 bytes, 10 entries\n/made/by/time\n/x/y\n");
  EXPECT_EQ(store.TakeCalls(),
            "flush compact[,) compact[a,) compact[a,b) compact[,) verify checkpoint() "
            "checkpoint(/x/y) ");
  EXPECT_EQ(Run(&store, "compact b a\ncheckpoint ''"),
            "! line 1: compact: TO must lie behind FROM\n! line 2: checkpoint: NAME is empty\n");
  EXPECT_EQ(store.TakeCalls(), "");
  EXPECT_THAT(Run(&store, "load_index\nsave_index_snapshot 'a file'\nload_index_snapshot /f"),
              MatchesRegex("3 tables, 100 keys, 777 bytes, [0-9.]+ ms\n"
                           "3 tables, 100 keys, 777 bytes, [0-9.]+ ms\n"
                           "3 tables, 100 keys, 777 bytes, [0-9.]+ ms, 2 tables from the file\n"));
  EXPECT_EQ(store.TakeCalls(), "load_index save(a file) load(/f) ");
  store.FailWith(absl::DataLossError("/db/7.sst: offset 4096: a wrong checksum"));
  EXPECT_EQ(Run(&store, "verify\nload_index"),
            "! line 1: verify: /db/7.sst: offset 4096: a wrong checksum\n"
            "! line 2: load_index: /db/7.sst: offset 4096: a wrong checksum\n");
}

TEST_F(ReplTest, Inspects) {
  ReplOptions options;
  options.inspect = [](absl::string_view path, std::string* out) {
    if (path == "none") return absl::NotFoundError("none: there is no such file");
    absl::StrAppend(out, "a table\nkey \x1B\n");
    return absl::OkStatus();
  };
  EXPECT_EQ(Run("inspect f\ninspect none", options),
            "a table\nkey \\x1b\n! line 2: inspect: none: there is no such file\n");
  EXPECT_EQ(Run("inspect f"), "! line 1: inspect: this shell inspects no files\n");
}

TEST_F(ReplTest, RepairsIntoItsStoreAndShowsWhatIsLost) {
  ReplOptions options;
  options.repair = [](absl::string_view dir, Store* to, std::string* out) {
    WriteBatch batch;
    batch.Put("from", dir);
    EXPECT_TRUE(to->Write(batch, {}, nullptr).ok());
    absl::StrAppend(out, "1 key\n");
    if (dir == "whole") return absl::OkStatus();
    absl::StrAppend(out, "lost: \x1B\n");
    return absl::DataLossError("not all could be read");
  };
  EXPECT_EQ(Run("repair whole\nget from", options), "1 key\nwhole\n");
  EXPECT_FALSE(failed_);
  EXPECT_EQ(Run("repair bad\nget from", options),
            "1 key\nlost: \\x1b\n! line 1: repair: not all could be read\nbad\n");
  EXPECT_TRUE(failed_);
}

TEST_F(ReplTest, ShowsStatsPropertiesAndHelp) {
  Run("store a 1");
  const std::string stats = Run("stats");
  EXPECT_THAT(stats, StartsWith("entries: 1\nmemory_bytes: "));
  EXPECT_THAT(stats, HasSubstr("\nversions: "));
  const std::string properties = Run("properties");
  EXPECT_THAT(properties, StartsWith("batch_scope: store\nwrite: native\n"));
  EXPECT_THAT(properties, HasSubstr("\nordered_scan: native\n"));
  EXPECT_THAT(properties, HasSubstr("\nversions: "));
  EXPECT_THAT(Run("help"), HasSubstr("\n  load_index_snapshot FILE"));
  EXPECT_THAT(Run("help scan"), StartsWith("scan [PREFIX] "));
  EXPECT_THAT(Run("help quit"), StartsWith("exit\n"));
  EXPECT_EQ(Run("help x"), "! line 1: help: there is no command x\n");
  EXPECT_FALSE(done_);
  EXPECT_EQ(Run("exit"), "");
  EXPECT_TRUE(done_);
  EXPECT_EQ(Run("quit"), "");
  EXPECT_TRUE(done_);
}

TEST_F(ReplTest, ShowsTimes) {
  ReplOptions options;
  options.style.times = true;
  EXPECT_THAT(Run("store a 1", options), MatchesRegex("OK\n\\([0-9.]+ ms\\)\n"));
  EXPECT_THAT(Run("get a", options), MatchesRegex("1\n\\([0-9.]+ ms\\)\n"));
}

TEST_F(ReplTest, AnswersInJson) {
  EXPECT_EQ(RunJson(store_.get(),
                    "store a 1\nstore b $'\\xff'\nget a\nget b\nget c\nscan\nscan --keys\nscan x\n"
                    "scan x --keys\ncount\ndelete a c\nbad x"),
            R"({"command":"store","ok":true,"line":1}
{"command":"store","ok":true,"line":2}
{"command":"get","found":true,"value":"1","line":3}
{"command":"get","found":true,"value":{"base64":"/w=="},"line":4}
{"command":"get","found":false,"line":5}
{"command":"scan","entries":[{"key":"a","value":"1"},{"key":"b","value":{"base64":"/w=="}}],"count":2,"line":6}
{"command":"scan","keys":["a","b"],"count":2,"line":7}
{"command":"scan","entries":[],"count":0,"line":8}
{"command":"scan","keys":[],"count":0,"line":9}
{"command":"count","count":2,"line":10}
{"command":"delete","ok":true,"deleted":1,"line":11}
{"command":"bad","line":12,"error":"unknown command bad; help shows those there are","code":"INVALID_ARGUMENT"}
! line 12: unknown command bad; help shows those there are
)");
  MaintainedStore store;
  EXPECT_EQ(
      RunJson(&store, "flush\nverify\ncheckpoint\nload_index\nload_index_snapshot f\ncompact b a"),
      R"({"command":"flush","ok":true,"line":1}
{"command":"verify","files":2,"bytes":4096,"entries":10,"line":2}
{"command":"checkpoint","path":"/made/by/time","line":3}
{"command":"load_index","tables":3,"keys":100,"bytes":777,"line":4}
{"command":"load_index_snapshot","tables":3,"keys":100,"bytes":777,"from_file":2,"line":5}
{"command":"compact","line":6,"error":"compact: TO must lie behind FROM","code":"INVALID_ARGUMENT"}
! line 6: compact: TO must lie behind FROM
)");
  EXPECT_THAT(RunJson(store_.get(), "stats"),
              MatchesRegex("\\{\"command\":\"stats\",\"entries\":1,.*\"details\":\\{.*\\}.*\n"));
}

TEST_F(ReplTest, ManyStoresShareFewSyncs) {
  GroupCommitStore store;
  std::string lines;
  std::string answers;
  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&lines, "store key", i, " value\n");
    absl::StrAppend(&answers, "OK\n");
  }
  EXPECT_EQ(Run(&store, lines), answers);
  EXPECT_LE(store.syncs(), 3u);
}

TEST_F(ReplTest, AnswersStayInTheOrderOfTheLines) {
  GroupCommitStore store;
  EXPECT_EQ(
      Run(&store, "store a 1\nstore b 2\nget a\nstore a 3\ndelete b\nbad\nget b\nstore c 4\nscan"),
      "OK\nOK\n1\nOK\nOK\n! line 6: unknown command bad; help shows those there are\n"
      "(absent)\nOK\na 3\nc 4\n");
}

TEST_F(ReplTest, EndsWhereNobodyReads) {
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(store_->Put(absl::StrCat("key", i), std::string(1000, 'v')).ok());
  }
  TestConsole console;
  console.CloseAfter(3);
  Repl repl(store_.get(), {}, &console);
  repl.Run("scan", 1);
  EXPECT_TRUE(repl.done());
  EXPECT_FALSE(repl.failed());
  EXPECT_LT(console.out.size(), 500000u);
}

// A store whose second page of a scan comes with a Ctrl-C.
class InterruptedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = under().NewCursor(options);
    if (!cursor.ok()) return cursor;
    return std::unique_ptr<Cursor>(std::make_unique<InterruptedCursor>(*std::move(cursor)));
  }

 private:
  class InterruptedCursor final : public Cursor {
   public:
    explicit InterruptedCursor(std::unique_ptr<Cursor> under) : under_(std::move(under)) {}
    absl::Status Next(const PageLimits& limits, ScanPage* page) override {
      if (++pages_ == 2) ::raise(SIGINT);
      return under_->Next(limits, page);
    }
    std::string position() const override { return under_->position(); }

   private:
    const std::unique_ptr<Cursor> under_;
    int pages_ = 0;
  };
};

TEST_F(ReplTest, CtrlCEndsTheCommand) {
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(store_->Put(absl::StrCat(i), "v").ok());
  const Interrupts interrupts(Interrupts::Kind::kInteractive);
  InterruptedStore store(std::move(store_));
  EXPECT_THAT(Run(&store, "scan --keys"),
              testing::EndsWith("! line 1: scan: interrupted after 2000 keys\n"));
  Interrupts::Clear();
  EXPECT_EQ(Run(&store, "count 1\nget 1"), "! line 1: count: interrupted after 1111 keys\nv\n");
  Interrupts::Clear();
  EXPECT_EQ(Run(&store, "get 1"), "v\n");
}

}  // namespace
}  // namespace kvarts
