// That the benchmark does what it says with this store: each job once, small. Its figures are
// not looked at as times.

#include "storage/sstable/bench/jobs.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/file_system.h"
#include "storage/sstable/bench/counters.h"
#include "storage/sstable/bench/open_loops.h"

namespace kvarts {
namespace {

BenchOptions Small() {
  BenchOptions options;
  options.entries = 12'000;
  options.synced = 32;
  options.memory = 4 << 20;  // some flushes
  options.quiet = absl::ZeroDuration();
  options.space_back = absl::ZeroDuration();
  options.reads_a_second = 2000;
  options.loop = absl::Milliseconds(100);
  return options;
}

const BenchEngineKind kKind{"kvarts", OpenSstableBenchEngine};

double Figure(const BenchFigures& figures, const std::string& name) {
  const auto it = figures.find(name);
  EXPECT_NE(it, figures.end()) << name;
  return it == figures.end() ? 0 : it->second;
}

TEST(JobsTest, EachRunsAndCountsWhatItDid) {
  const std::string dir = absl::StrCat(testing::TempDir(), "/jobs");
  const BenchOptions options = Small();
  for (const BenchJob& job : BenchJobs()) {
    SCOPED_TRACE(job.name);
    const BenchFigures figures = RunBenchJob(
        job, kKind, absl::StrCat(dir, job.own_store && job.name != "fillrandom"), options);
    EXPECT_GT(Figure(figures, "rate"), 0);
    EXPECT_GT(Figure(figures, "cpu_us"), 0);
    EXPECT_GT(Figure(figures, "peak_bytes"), 0);
    EXPECT_LE(Figure(figures, "p50_us"), Figure(figures, "p99.9_us"));
    if (job.operations == "puts") {
      // The log alone has all of it.
      EXPECT_GE(Figure(figures, "amplification"), 1);
      EXPECT_GE(Figure(figures, "amplification_at_rest"), Figure(figures, "amplification"));
      EXPECT_GT(Figure(figures, "disk_bytes_at_rest"), 0);
    }
    if (job.name == "fillrandom" || job.name == "fillseq") {
      EXPECT_EQ(Figure(figures, "operations"), 12'000);
      EXPECT_GE(Figure(figures, "write_calls"), 1);  // nothing waits in user space
    }
    if (job.name == "deleterange" || job.name == "reopenkilled") {
      EXPECT_EQ(Figure(figures, "operations"), 1);
    }
    if (job.name == "readloop") {
      // Those that were due, whatever became of the ones before; 200 in the mean.
      EXPECT_GT(Figure(figures, "operations"), 100);
      EXPECT_LT(Figure(figures, "operations"), 300);
      EXPECT_GT(Figure(figures, "writer_rate"), 0);
    }
    if (job.name == "readloop" || job.name == "putloop") {
      EXPECT_LE(Figure(figures, "waits_unpaused"), Figure(figures, "operations"));
      EXPECT_LE(Figure(figures, "p99.9_us"), Figure(figures, "max_us"));
    }
    if (job.name == "ingest") {
      EXPECT_EQ(Figure(figures, "operations"), 12'000);
      EXPECT_GT(Figure(figures, "commit_ms"), 0);
    }
  }
}

// A wait that meets a time in which the machine stood still is the machine's.
TEST(OpenLoopsTest, WaitsInPausesAreCountedApart) {
  BenchFigures figures;
  AddWaits({{0, 1000}, {2000, 9000}, {8000, 30'000}, {20'000, 22'000}, {30'000, 34'000}},
           {{8500, 10'000}, {12'000, 20'000}}, &figures);
  EXPECT_EQ(Figure(figures, "max_us"), 22);
  EXPECT_EQ(Figure(figures, "waits_unpaused"), 3);
  EXPECT_EQ(Figure(figures, "max_us_unpaused"), 4);
  EXPECT_EQ(Figure(figures, "p50_us_unpaused"), 2);
}

TEST(OpenLoopsTest, SecondsAreComparedWithTheirMean) {
  BenchFigures figures;
  AddSeconds({100}, &figures);
  EXPECT_TRUE(figures.empty());
  AddSeconds({100, 50, 150, 100}, &figures);
  EXPECT_EQ(Figure(figures, "second_0003"), 150);
  EXPECT_EQ(Figure(figures, "seconds_least"), 0.5);
  EXPECT_EQ(Figure(figures, "seconds_even"), 0.75);
}

BenchJob JobNamed(const std::string& name) {
  for (const BenchJob& job : BenchJobs()) {
    if (job.name == name) return job;
  }
  ADD_FAILURE() << name;
  return {};
}

// The process ends, and there is no figure.
TEST(JobsDeathTest, WhatReadsTheWrongThingGivesNoFigure) {
  const std::string dir = absl::StrCat(testing::TempDir(), "/wrong");
  const BenchOptions options = Small();
  RunBenchJob(JobNamed("fillrandom"), kKind, dir, options);
  {
    const auto engine = kKind.open(dir, BenchEngineOptions());
    std::vector<std::string> keys;
    engine->NewReader()->Scan("", ~uint64_t{0}, [&](absl::string_view key, absl::string_view) {
      keys.emplace_back(key);
    });
    ASSERT_EQ(keys.size(), options.entries);
    for (const std::string& key : keys) {
      engine->Put(key, std::string(100, 'x'), /*sync=*/false);
    }
    engine->DeleteRange(keys.back(), "");
  }
  for (const char* const name : {"readrandom", "readtenth", "multiget64"}) {
    EXPECT_DEATH(RunBenchJob(JobNamed(name), kKind, dir, options), "read amiss");
  }
  for (const char* const name : {"scan", "scanback"}) {
    EXPECT_DEATH(RunBenchJob(JobNamed(name), kKind, dir, options), "a scan of 11999 of 12000");
  }
}

TEST(CountersTest, BytesOfFilesAreThoseOnTheDisk) {
  const std::string dir = absl::StrCat(testing::TempDir(), "/counted");
  FileSystem* const fs = FileSystem::Posix();
  ASSERT_TRUE(fs->CreateDir(dir).ok());
  EXPECT_EQ(BytesIn(dir).all, 0);
  const ProcessCounters before = CountProcess();
  const std::string text(1 << 20, 'x');
  ASSERT_TRUE(WriteFileAtomically(fs, JoinPath(dir, "a"), text).ok());
  ASSERT_TRUE(WriteFileAtomically(fs, JoinPath(dir, "RESERVE"), text).ok());
  const DirectoryBytes bytes = BytesIn(dir);
  EXPECT_GE(bytes.all, 2 << 20);
  EXPECT_EQ(bytes.reserve, bytes.all / 2);
  EXPECT_GE(CountProcess().written_bytes - before.written_bytes, 2 << 20);
}

// The program: a process for each run, tables, JSON.
TEST(ProgramTest, WritesTablesAndJson) {
  const std::string program = "storage/sstable/bench/sstable_bench";
  const std::string json = absl::StrCat(testing::TempDir(), "/figures.json");
  const std::string text = absl::StrCat(testing::TempDir(), "/tables");
  ASSERT_EQ(std::system(absl::StrCat(program,
                                     " --entries=2000 --synced=32 --rounds=2 --memory=4194304 "
                                     "--quiet_ms=0 --space_back_ms=0 --loop_ms=50 "
                                     "--reads_a_second=2000 --json=",
                                     json, " >", text)
                            .c_str()),
            0);
  const auto tables = ReadFile(FileSystem::Posix(), text);
  const auto figures = ReadFile(FileSystem::Posix(), json);
  ASSERT_TRUE(tables.ok() && figures.ok());
  for (const BenchJob& job : BenchJobs()) {
    EXPECT_TRUE(absl::StrContains(*tables, absl::StrCat("| ", job.name, ", "))) << job.name;
    EXPECT_TRUE(absl::StrContains(
        *figures, absl::StrCat("{\"job\": \"", job.name,
                               "\", \"engine\": \"kvarts\", \"round\": 2, \"figures\": {")))
        << job.name;
  }
}

}  // namespace
}  // namespace kvarts
