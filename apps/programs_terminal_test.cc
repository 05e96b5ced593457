// Runs the programs as people run them: on a terminal, which may go away.

#include <signal.h>

#include <string>

#include "apps/testing/programs.h"
#include "apps/testing/terminal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

// Starts it and returns where it serves RESP.
std::string Serve(Terminal* terminal) {
  terminal->ReadTo("resp=");
  return terminal->ReadTo("\r\n");
}

TEST(ProgramsTerminalTest, AServerEndsWithTheTerminalThatItWasStartedOn) {
  Terminal terminal(
      {"apps/kv_server", "--store=memory:", "--listen=", "--http=", "--resp=127.0.0.1:0"});
  EXPECT_THAT(Serve(&terminal), HasSubstr("127.0.0.1:"));
  terminal.HangUp();
  EXPECT_EQ(terminal.Wait(), 0);
}

// There it reads its data again, whoever sends it.
TEST(ProgramsTerminalTest, AServerGoesOnAtASighupWhileTheTerminalIsThere) {
  const std::string dir = TestDirectory();
  Terminal terminal(
      {"apps/kv_server", "--store=memory:", "--listen=", "--http=", "--resp=127.0.0.1:0"});
  const std::string resp = Serve(&terminal);
  terminal.Signal(SIGHUP);
  for (int i = 0; i < 3; ++i) {
    TestSocket socket(resp, dir);
    socket.Send("PING\r\n");
    EXPECT_EQ(socket.Receive(7), "+PONG\r\n");
  }
  terminal.Signal(SIGTERM);
  EXPECT_EQ(terminal.Wait(), 0);
}

// Ctrl-D at its rows; nothing but the groups is left to see.
TEST(ProgramsTerminalTest, GroupByShowsItsRowsOnATerminal) {
  Terminal terminal({"apps/group_by", "--order=key"});
  terminal.Type("b\t1\na\t2\nb\t3\n\x04");
  EXPECT_THAT(terminal.ReadToEnd(), HasSubstr("a\t2\r\nb\t1,3\r\n"));
  EXPECT_EQ(terminal.Wait(), 0);
}

}  // namespace
}  // namespace kvarts
