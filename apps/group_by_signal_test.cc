// The real group_by and signals: what they leave, and what SIGKILL does.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/group_by_fixture.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using Rows = GroupByRows;
using GroupBySignalTest = GroupByFixture;

TEST_F(GroupBySignalTest, ASignalEndsItAndLeavesNothing) {
  const std::string fifo = dir_ + "/in";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  ::mkdir((dir_ + "/temp").c_str(), 0700);
  const Rows rows(40000, 3000, 100);
  for (const char* order : {"--order=any", "--order=key"}) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU}) {
      ProcessOptions options;
      options.directory = dir_;
      Process process({"apps/group_by", "--input=in", "--output=out", "--temp_dir=temp",
                       "--memory=1MiB", order},
                      options);
      const int writer = ::open(fifo.c_str(), O_WRONLY);  // waits until it reads
      ASSERT_GE(writer, 0);
      size_t written = 0;
      while (written < rows.text.size()) {
        const ssize_t n = ::write(writer, rows.text.data() + written, rows.text.size() - written);
        ASSERT_GT(n, 0);
        written += static_cast<size_t>(n);
      }
      // It reads on, and has more than its memory holds.
      while (Files("temp").empty()) std::this_thread::yield();
      process.Signal(signal);
      EXPECT_EQ(process.Wait(), 1);
      EXPECT_EQ(Errors(process.Errors()), "group_by: ended by a signal; nothing was written\n");
      ::close(writer);
      EXPECT_EQ(Files(), (std::vector<std::string>{"in", "temp"}));
      EXPECT_EQ(Files("temp"), std::vector<std::string>());
    }
  }
}

TEST_F(GroupBySignalTest, ASignalEndsTheWaitForWhoReadsTheOutput) {
  ASSERT_EQ(::mkfifo((dir_ + "/out").c_str(), 0600), 0);
  Write("in", "a\tx\n");
  ProcessOptions options;
  options.directory = dir_;
  Process process({"apps/group_by", "--input=in", "--output=out"}, options);
  // From when it waits for signals they are blocked, and not all there are, as while a sanitizer
  // starts a thread.
  const std::string path = absl::StrCat("/proc/", process.pid(), "/status");
  for (std::string status = ReadTestFile(path);
       absl::StrContains(status, "SigBlk:\t0000000000000000") ||
       absl::StrContains(status, "SigBlk:\tfffffff");
       status = ReadTestFile(path)) {
    std::this_thread::yield();
  }
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_EQ(Errors(process.Errors()), "group_by: ended by a signal; nothing was written\n");

  // Who comes late has it all.
  Process late({"apps/group_by", "--input=in", "--output=out"}, options);
  EXPECT_EQ(ReadTestFile(dir_ + "/out"), "a\tx\n");
  EXPECT_EQ(late.Wait(), 0);
}

TEST_F(GroupBySignalTest, ASignalThatItIsToIgnoreIsIgnored) {
  ASSERT_EQ(::mkfifo((dir_ + "/in").c_str(), 0600), 0);
  ProcessOptions options;
  options.directory = dir_;
  const std::string program = std::filesystem::absolute("apps/group_by");
  Process process({"/bin/sh", "-c",
                   absl::StrCat("trap '' HUP QUIT; exec ", program, " --input=in --output=out")},
                  options);
  const int writer = ::open((dir_ + "/in").c_str(), O_WRONLY);  // waits until it reads
  ASSERT_GE(writer, 0);
  process.Signal(SIGHUP);
  process.Signal(SIGQUIT);
  ASSERT_EQ(::write(writer, "a\tx\n", 4), 4);
  ::close(writer);
  EXPECT_EQ(process.Wait(), 0) << process.Errors();
  EXPECT_EQ(Read("out"), "a\tx\n");
}

TEST_F(GroupBySignalTest, WhatAKilledRunLeftGoesWithTheNextOne) {
  ASSERT_EQ(::mkfifo((dir_ + "/in").c_str(), 0600), 0);
  ::mkdir((dir_ + "/temp").c_str(), 0700);
  Write("out", "old");
  ::chmod((dir_ + "/out").c_str(), 0444);
  const std::vector<std::string> others = {"out.2024.tmp", "out.kvarts-groupby.mine.tmp"};
  for (const std::string& other : others) Write(other, "");
  const Rows rows(40000, 3000, 100);
  ProcessOptions options;
  options.directory = dir_;
  const auto start = [&] {
    return std::make_unique<Process>(
        std::vector<std::string>{"apps/group_by", "--input=in", "--output=out", "--temp_dir=temp",
                                 "--memory=1MiB"},
        options);
  };
  const auto feed = [&] {
    const int writer = ::open((dir_ + "/in").c_str(), O_WRONLY);
    size_t written = 0;
    while (written < rows.text.size()) {
      const ssize_t n = ::write(writer, rows.text.data() + written, rows.text.size() - written);
      EXPECT_GT(n, 0);
      if (n <= 0) break;
      written += static_cast<size_t>(n);
    }
    return writer;
  };
  const std::unique_ptr<Process> killed = start();
  int writer = feed();
  while (Files("temp").empty()) std::this_thread::yield();
  killed->Signal(SIGKILL);
  EXPECT_EQ(killed->Wait(), 128 + SIGKILL);
  ::close(writer);
  EXPECT_EQ(Files().size(), 6u) << "and its temporary output";
  const std::vector<std::string> of_killed = Files("temp");
  EXPECT_EQ(of_killed.size(), 1u);

  // One that lives on, and one that needs no temporary folder.
  const std::unique_ptr<Process> alive = start();
  writer = feed();
  std::vector<std::string> of_alive;
  do {
    of_alive = Files("temp");
  } while (of_alive.empty() || of_alive == of_killed);
  EXPECT_EQ(of_alive.size(), 1u);
  EXPECT_EQ(Run({"--output=out", "--temp_dir=temp"}, "a\tx\n").exit_code, 0);
  EXPECT_EQ(Read("out"), "a\tx\n");
  EXPECT_EQ(Files().size(), 6u) << "of the one that lives";
  EXPECT_EQ(Files("temp"), of_alive);
  ::close(writer);
  EXPECT_EQ(alive->Wait(), 0) << alive->Errors();
  EXPECT_GT(Read("out").size(), rows.text.size() / 2);
  EXPECT_EQ(Files(), (std::vector<std::string>{"in", "out", others[0], others[1], "temp"}));
  EXPECT_EQ(Files("temp"), std::vector<std::string>());
}

TEST_F(GroupBySignalTest, ASignalEndsItWhileItsReaderIsSlow) {
  ProcessOptions options;
  options.directory = dir_;
  options.input = Rows(100000, 1000, 100).text;
  Process process({"apps/group_by"}, options);
  EXPECT_NE(process.ReadLine(), "");  // and nothing more
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_EQ(Errors(process.Errors()), "group_by: ended by a signal; nothing was written\n");
}

}  // namespace
}  // namespace kvarts
