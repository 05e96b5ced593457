#include "apps/testing/programs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

ProcessOptions In(const std::string& directory, ProcessOptions options) {
  options.directory = directory;
  return options;
}

// Connects a socket; -1 where nobody listens.
int ConnectTo(const sockaddr* address, socklen_t size) {
  const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, address, size) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

std::string TestDirectory() {
  const std::string dir = absl::StrCat(
      testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name());
  ::mkdir(dir.c_str(), 0700);
  return dir;
}

void WriteTestFile(const std::string& path, absl::string_view contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

std::string ReadTestFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

std::string TestKey(int i) {
  // Spread over the range, as random ones are.
  const uint32_t high = static_cast<uint32_t>(i) * 2654435761u;
  return absl::StrFormat("%08x-0000-4000-8000-%012x", high, i);
}

std::string TestData(int count) {
  std::string data;
  for (int i = 0; i < count; ++i) absl::StrAppend(&data, TestKey(i), " value ", i, "\n");
  return data;
}

TestServer::TestServer(const std::vector<std::string>& command, const std::string& directory,
                       const ProcessOptions& options)
    : process(command, In(directory, options)) {
  do {
    ready = process.ReadLine();
  } while (!ready.empty() && !absl::StartsWith(ready, "ready"));
  for (absl::string_view word : absl::StrSplit(ready, ' ')) {
    if (absl::ConsumePrefix(&word, "native=")) native = std::string(word);
    if (absl::ConsumePrefix(&word, "resp=")) resp = std::string(word);
    if (absl::ConsumePrefix(&word, "http=")) http = std::string(word);
  }
}

TestSocket::TestSocket(absl::string_view address, const std::string& directory) {
  if (absl::ConsumePrefix(&address, "unix:")) {
    // The whole path may be too long for a socket's address: /proc leads there.
    sockaddr_un un = {};
    un.sun_family = AF_UNIX;
    const int dir = ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    const std::string path = absl::StrCat("/proc/self/fd/", dir, "/", address);
    EXPECT_LT(path.size(), sizeof un.sun_path);
    std::memcpy(un.sun_path, path.c_str(), std::min(path.size() + 1, sizeof un.sun_path));
    fd_ = ConnectTo(reinterpret_cast<const sockaddr*>(&un), sizeof un);
    ::close(dir);
    return;
  }
  if (const size_t scheme = address.find("://"); scheme != absl::string_view::npos) {
    address.remove_prefix(scheme + 3);
  }
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  int port = 0;
  EXPECT_EQ(parts.size(), 2u) << address;
  EXPECT_TRUE(absl::SimpleAtoi(parts.back(), &port)) << address;
  sockaddr_in in = {};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<uint16_t>(port));
  EXPECT_EQ(::inet_pton(AF_INET, parts[0].c_str(), &in.sin_addr), 1) << address;
  fd_ = ConnectTo(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

TestSocket::~TestSocket() {
  if (fd_ >= 0) ::close(fd_);
}

void TestSocket::SetTimeout(int seconds) {
  const timeval timeout{seconds, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

bool TestSocket::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void TestSocket::CloseWrite() { ::shutdown(fd_, SHUT_WR); }

void TestSocket::Reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::string TestSocket::ReceiveSome() {
  std::string bytes(64 << 10, '\0');
  ssize_t got = -1;
  do {
    got = ::recv(fd_, bytes.data(), bytes.size(), 0);
  } while (got < 0 && errno == EINTR);
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

std::string TestSocket::Receive(size_t n) {
  std::string bytes;
  std::vector<char> buffer(64 << 10);
  while (bytes.size() < n) {
    const ssize_t got = ::recv(fd_, buffer.data(), std::min(buffer.size(), n - bytes.size()), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    bytes.append(buffer.data(), static_cast<size_t>(got));
  }
  return bytes;
}

std::string TestSocket::ReceiveAll() { return Receive(SIZE_MAX); }

std::string HttpGet(absl::string_view address, absl::string_view target,
                    const std::string& directory) {
  TestSocket socket(address, directory);
  EXPECT_TRUE(socket.connected()) << address;
  socket.Send(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  return socket.ReceiveAll();
}

}  // namespace kvarts
