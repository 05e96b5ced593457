#include "base/progress_bar.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

class FakeClock final : public Clock {
 public:
  absl::Time Now() const override { return now; }
  absl::Time now = absl::FromUnixSeconds(1'000'000);
};

class ProgressBarTest : public testing::Test {
 protected:
  ProgressBar Bar(int columns) {
    return ProgressBar(columns, &clock_, [this](absl::string_view text) {
      output_.append(text.data(), text.size());
    });
  }
  void Pass(absl::Duration time) { clock_.now += time; }
  // What was put out since the last call.
  std::string Output() {
    std::string output;
    output.swap(output_);
    return output;
  }

  FakeClock clock_;
  std::string output_;
};

TEST_F(ProgressBarTest, ShortWorkShowsNothing) {
  for (const int columns : {0, 80}) {
    ProgressBar bar = Bar(columns);
    bar.Report("sorting", "bytes", 0, 100);
    Pass(absl::Milliseconds(499));
    bar.Report("sorting", "bytes", 99, 100);
    bar.Report("writing", "bytes", 0, 100);
    Pass(absl::Milliseconds(499));
    bar.Report("writing", "bytes", 100, 100);
    bar.Finish();
    EXPECT_EQ(Output(), "");
  }
}

TEST_F(ProgressBarTest, ATerminalHasOneLineDrawnAnew) {
  ProgressBar bar = Bar(68);
  bar.Report("sorting", "bytes", 0, 10 << 20);
  Pass(absl::Seconds(1));
  bar.Report("sorting", "bytes", 4 << 20, 10 << 20);
  EXPECT_EQ(Output(), "\rsorting  [========>           ]   40%  4.0 MiB/s  0:02 left\x1b[K");
  Pass(absl::Milliseconds(50));
  bar.Report("sorting", "bytes", 5 << 20, 10 << 20);
  EXPECT_EQ(Output(), "") << "drawn more than ten times a second";
  Pass(absl::Milliseconds(1450));
  bar.Report("sorting", "bytes", 10 << 20, 10 << 20);
  EXPECT_EQ(Output(), "\rsorting  [====================]  100%  4.0 MiB/s  in 0:03\x1b[K");
  bar.Finish();
  EXPECT_EQ(Output(), "\rsorting  [====================]  100%  4.0 MiB/s  in 0:03\x1b[K\n");
  bar.Finish();
  EXPECT_EQ(Output(), "");
}

TEST_F(ProgressBarTest, StoppedItTakesItsLineAwayAndShowsNothingMore) {
  for (const int columns : {0, 68}) {
    ProgressBar bar = Bar(columns);
    bar.Report("sorting", "bytes", 0, 100);
    Pass(absl::Seconds(4));
    bar.Report("sorting", "bytes", 50, 100);
    EXPECT_NE(Output(), "");
    bar.Stop();
    EXPECT_EQ(Output(), columns > 0 ? "\r\x1b[K" : "");
    Pass(absl::Seconds(4));
    bar.Report("sorting", "bytes", 80, 100);
    bar.Finish();
    EXPECT_EQ(Output(), "");
  }
}

TEST_F(ProgressBarTest, NoLineIsWiderThanTheTerminal) {
  for (int columns = 1; columns < 100; ++columns) {
    ProgressBar bar = Bar(columns);
    bar.Report("a phase with a longer name", "records", 0, 7);
    Pass(absl::Hours(30));
    bar.Report("a phase with a longer name", "records", 3, 7);
    const std::string line = Output();
    ASSERT_EQ(line.front(), '\r');
    EXPECT_LE(line.size(), 1 + columns - 1 + std::string("\x1b[K").size()) << line;
    bar.Finish();
    Output();
  }
}

TEST_F(ProgressBarTest, ALogHasALineEveryFewSeconds) {
  ProgressBar bar = Bar(0);
  bar.Report("indexing", "records", 0, 1'000'000);
  std::string all;
  for (int i = 1; i <= 80; ++i) {
    Pass(absl::Milliseconds(100));
    bar.Report("indexing", "records", 12'500 * i, 1'000'000);
  }
  bar.Finish();
  EXPECT_EQ(Output(),
            "indexing: 6%, 125 k records/s, 0:08 left\n"
            "indexing: 43%, 125 k records/s, 0:05 left\n"
            "indexing: 81%, 125 k records/s, 0:02 left\n"
            "indexing: 1 M records in 0:08\n");
}

TEST_F(ProgressBarTest, AnUnknownTotalShowsTheAmount) {
  ProgressBar log = Bar(0);
  log.Report("reading", "records", 0, 0);
  Pass(absl::Seconds(10));
  log.Report("reading", "records", 5000, 0);
  EXPECT_EQ(Output(), "reading: 5 k records, 500 records/s\n");
  log.Finish();
  EXPECT_EQ(Output(), "reading: 5 k records in 0:10\n");

  ProgressBar terminal = Bar(80);
  terminal.Report("reading", "records", 0, 0);
  Pass(absl::Seconds(10));
  terminal.Report("reading", "records", 5000, 0);
  EXPECT_EQ(Output(), "\rreading  5 k records  500 records/s\x1b[K");
}

TEST_F(ProgressBarTest, ANoteStandsAtTheEndUntilItsPhaseEnds) {
  for (const int columns : {0, 90}) {
    for (const uint64_t total : {uint64_t{0}, uint64_t{10} << 20}) {
      ProgressBar bar = Bar(columns);
      bar.Report("reading", "bytes", 0, total);
      bar.Note("5 rows/s");
      Pass(absl::Seconds(4));
      bar.Report("reading", "bytes", 4 << 20, total);
      const std::string line = Output();
      EXPECT_NE(line.find(columns == 0 ? ", 5 rows/s\n" : "  5 rows/s\x1b[K"), std::string::npos)
          << line;
      bar.Report("writing", "bytes", 0, total);
      Output();
      Pass(absl::Seconds(4));
      bar.Report("writing", "bytes", 4 << 20, total);
      EXPECT_EQ(Output().find("rows/s"), std::string::npos);
    }
  }
}

TEST_F(ProgressBarTest, WorkGivenUpIsNotCalledDone) {
  ProgressBar bar = Bar(0);
  bar.Report("indexing", "records", 0, 100);
  Pass(absl::Seconds(1));
  bar.Report("indexing", "records", 50, 100);
  Output();
  bar.Finish();
  EXPECT_EQ(Output(), "");
}

TEST_F(ProgressBarTest, StalledAndResumedWorkHasAnHonestRate) {
  ProgressBar bar = Bar(0);
  bar.Report("copying", "records", 900, 1000);
  Pass(absl::Seconds(1));
  bar.Report("copying", "records", 900, 1000);
  EXPECT_EQ(Output(), "copying: 90%, 0 records/s, -:-- left\n");
  Pass(absl::Seconds(9));
  bar.Report("copying", "records", 950, 1000);
  EXPECT_EQ(Output(), "copying: 95%, 5 records/s, 0:10 left\n");
}

TEST_F(ProgressBarTest, ThreadsMayReportAtOnce) {
  ProgressBar bar(80, Clock::Real(), [](absl::string_view) {});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&bar] {
      for (uint64_t i = 0; i < 1000; ++i) bar.Report(i % 2 == 0 ? "a" : "b", "bytes", i, 1000);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace kvarts
