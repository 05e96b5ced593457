#include "apps/repl/line_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using Result = LineSource::Result;

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(fds_, O_CLOEXEC), 0); }
  ~Pipe() {
    ::close(fds_[0]);
    Close();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void Write(const std::string& bytes) {
    EXPECT_EQ(::write(fds_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void Close() {
    if (fds_[1] >= 0) ::close(fds_[1]);
    fds_[1] = -1;
  }
  int out() const { return fds_[0]; }

 private:
  int fds_[2] = {-1, -1};
};

// The next line; "(end)" and the like where there is none.
std::string Next(LineSource* source) {
  absl::string_view line;
  switch (source->Next(&line)) {
    case Result::kLine:
      return std::string(line);
    case Result::kEnd:
      return "(end)";
    case Result::kInterrupted:
      return "(interrupted)";
    case Result::kTooLong:
      return "(too long)";
    case Result::kFailed:
      return std::string(source->error().message());
  }
  return "";
}

TEST(LineSourceTest, TakesLines) {
  Pipe pipe;
  pipe.Write(absl::StrCat("a\n\nb c\r\n", std::string("\0\xFF\n", 3), "last"));
  pipe.Close();
  LineSource source(pipe.out(), -1);
  EXPECT_EQ(Next(&source), "a");
  EXPECT_EQ(Next(&source), "");
  EXPECT_EQ(Next(&source), "b c");
  EXPECT_EQ(Next(&source), std::string("\0\xFF", 2));
  EXPECT_EQ(Next(&source), "last");
  EXPECT_EQ(source.line_number(), 5u);
  EXPECT_EQ(Next(&source), "(end)");
  EXPECT_EQ(Next(&source), "(end)");
}

TEST(LineSourceTest, SaysWhetherTheNextLineIsThere) {
  Pipe pipe;
  LineSource source(pipe.out(), -1);
  EXPECT_FALSE(source.Ready());
  pipe.Write("a\nb\nhalf");
  EXPECT_TRUE(source.Ready());
  EXPECT_EQ(Next(&source), "a");
  EXPECT_TRUE(source.Ready());
  EXPECT_EQ(Next(&source), "b");
  EXPECT_FALSE(source.Ready());
  pipe.Write(" line\n");
  EXPECT_TRUE(source.Ready());
  EXPECT_EQ(Next(&source), "half line");
  EXPECT_FALSE(source.Ready());
  pipe.Close();
  EXPECT_TRUE(source.Ready());
  EXPECT_EQ(Next(&source), "(end)");
}

TEST(LineSourceTest, WaitsForALine) {
  Pipe pipe;
  LineSource source(pipe.out(), -1);
  std::thread writer([&pipe] {
    pipe.Write("ha");
    pipe.Write("lf\n");
  });
  EXPECT_EQ(Next(&source), "half");
  writer.join();
}

TEST(LineSourceTest, SkipsALineThatIsTooLong) {
  constexpr size_t kMax = 100000;
  Pipe pipe;
  LineSource source(pipe.out(), -1, kMax);
  std::thread writer([&pipe] {
    pipe.Write(absl::StrCat("a\n", std::string(kMax, 'x'), "\n"));
    pipe.Write(absl::StrCat(std::string(kMax + 1, 'x'), "\n"));
    for (int i = 0; i < 10; ++i) pipe.Write(std::string(kMax, 'x'));
    pipe.Write("\nb\n");
    for (int i = 0; i < 3; ++i) pipe.Write(std::string(kMax, 'x'));
    pipe.Close();
  });
  EXPECT_EQ(Next(&source), "a");
  EXPECT_EQ(Next(&source), std::string(kMax, 'x'));
  EXPECT_EQ(Next(&source), "(too long)");
  EXPECT_EQ(Next(&source), "(too long)");
  EXPECT_EQ(Next(&source), "b");
  EXPECT_EQ(source.line_number(), 5u);
  EXPECT_EQ(Next(&source), "(too long)");
  EXPECT_EQ(Next(&source), "(end)");
  writer.join();
}

TEST(LineSourceTest, IsWoken) {
  Pipe pipe;
  Pipe wake;
  LineSource source(pipe.out(), wake.out());
  wake.Write("x");
  EXPECT_FALSE(source.Ready());
  EXPECT_EQ(Next(&source), "(interrupted)");
  // Lines that are there need no look at it.
  char byte;
  EXPECT_EQ(::read(wake.out(), &byte, 1), 1);
  pipe.Write("a\nb\n");
  EXPECT_EQ(Next(&source), "a");
  wake.Write("x");
  EXPECT_EQ(Next(&source), "b");
}

TEST(LineSourceTest, SaysWhyItCannotRead) {
  const int fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  LineSource source(fd, -1);
  EXPECT_EQ(Next(&source), "cannot read the standard input: Bad file descriptor");
  ::close(fd);
}

}  // namespace
}  // namespace kvarts
