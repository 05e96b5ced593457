#include "apps/testing/forwarder.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

constexpr int kTurnMs = 5;  // how soon a connection sees what it was told
constexpr size_t kPiece = 64 << 10;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// A socket bound to `port`, or to one that is free.
int Bind(int* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(*port);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

bool SendAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

int FreePort() {
  // Linux gives ports below 32768 to nobody who asks for just any port: one stays free until the
  // program is there, and until it is started again. Test programs begin at random ones, so that
  // they do not meet.
  constexpr int kFirst = 20000;
  constexpr int kPorts = 12768;
  static std::atomic<int> next(static_cast<int>(std::random_device()() % kPorts));
  while (true) {
    const int port = kFirst + next++ % kPorts;
    sockaddr_in address = Loopback(port);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
}

Forwarder::Forwarder(int to_port)
    : to_port_(to_port), stall_after_(SIZE_MAX), cut_after_(SIZE_MAX) {
  listener_ = Bind(&port_);
  EXPECT_EQ(::listen(listener_, 64), 0);
  acceptor_ = std::thread([this] { Accept(); });
}

Forwarder::~Forwarder() {
  stop_ = true;
  acceptor_.join();
  ::close(listener_);
  std::vector<std::thread> connections;
  {
    MutexLock lock(&mu_);
    connections.swap(connections_);
  }
  for (std::thread& connection : connections) connection.join();
}

void Forwarder::Accept() {
  while (!stop_) {
    pollfd ready{listener_, POLLIN, 0};
    if (::poll(&ready, 1, kTurnMs) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    MutexLock lock(&mu_);
    connections_.emplace_back([this, client] { Forward(client); });
  }
}

void Forwarder::Forward(int client) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(to_port_);
  std::string piece(kPiece, '\0');
  size_t passed = 0;
  bool has_stalled = false;
  bool goes_on =
      ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  // From one end to the other, at most `most` bytes; false at the end of either.
  const auto pass = [&piece](int from, int to, size_t most, size_t* count) {
    const ssize_t n = ::recv(from, piece.data(), std::min(most, piece.size()), 0);
    if (n <= 0) return false;
    *count += static_cast<size_t>(n);
    return SendAll(to, piece.data(), static_cast<size_t>(n));
  };
  while (goes_on && !stop_) {
    const size_t cut_after = cut_after_;
    const size_t stall_after = stall_after_;
    if (passed >= cut_after) {
      ++cut_;
      break;
    }
    const bool is_stalled = passed >= stall_after;
    if (is_stalled && !has_stalled) ++stalled_;
    has_stalled = is_stalled;
    const bool is_paused = is_paused_;
    pollfd ends[] = {{client, static_cast<int16_t>(is_stalled || is_paused ? 0 : POLLIN), 0},
                     {server, static_cast<int16_t>(is_paused ? 0 : POLLIN), 0}};
    if (::poll(ends, 2, kTurnMs) <= 0) continue;
    // An end of a connection that is to stand still is not seen before it goes on.
    if (is_paused) {
      ::poll(nullptr, 0, kTurnMs);
      continue;
    }
    if ((ends[0].revents & (POLLERR | POLLHUP)) != 0 && is_stalled) break;
    size_t back = 0;
    if ((ends[0].revents & (POLLIN | POLLHUP)) != 0 && !is_stalled) {
      goes_on = pass(client, server, std::min(stall_after, cut_after) - passed, &passed);
    }
    if (goes_on && (ends[1].revents & (POLLIN | POLLHUP)) != 0) {
      goes_on = pass(server, client, SIZE_MAX, &back);
    }
  }
  ::close(server);
  ::close(client);
}

}  // namespace kvarts
