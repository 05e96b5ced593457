// What a transport costs: a small message there and back (ping-pong), and many in
// flight (pipelined). On one loop both ends share a thread, which shows the work a
// message takes; on two, waking the other thread is part of it.
//
//   bazel run -c opt //net:transport_benchmark
//
// "Epoll" is the floor: the same system calls by hand, level-triggered, with no
// deadlines, callbacks or streams.

#include <benchmark/benchmark.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "net/loopback/loopback.h"
#include "net/tcp/tcp.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace {

constexpr size_t kMessage = 64;
// As a server's idle time would be.
constexpr absl::Duration kTimeout = absl::Seconds(30);

std::unique_ptr<Transport> NewTransport(const std::string& address) {
  return address.rfind("loopback:", 0) == 0 ? NewLoopbackTransport() : NewTcpTransport();
}

std::string UnixAddress() {
  static const std::string* const address = [] {
    const char* const directory = ::getenv("TEST_TMPDIR");
    if (directory != nullptr) CHECK_EQ(::chdir(directory), 0);
    return new std::string(absl::StrCat("unix:transport_benchmark.", ::getpid()));
  }();
  return *address;
}

// On its loop. Writes back what comes.
class Echo {
 public:
  explicit Echo(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) { Read(); }

 private:
  void Read() {
    stream_->Read(absl::MakeSpan(buffer_), kTimeout, [this](absl::StatusOr<size_t> n) {
      if (n.ok() && *n > 0) Write(*n);
    });
  }
  void Write(size_t n) {
    stream_->Write({absl::string_view(buffer_.data(), n)}, kTimeout, [this](absl::Status status) {
      if (status.ok()) Read();
    });
  }
  std::vector<char> buffer_ = std::vector<char>(64 << 10);
  std::unique_ptr<Stream> stream_;
};

// On its loop. Sends messages, `depth` of them ahead of the answers.
class Client {
 public:
  explicit Client(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  void Run(uint64_t messages, uint64_t depth, std::function<void()> done) {
    left_ = messages * kMessage;
    unsent_ = messages;
    done_ = std::move(done);
    Send(std::min(depth, messages));
    Read();
  }

 private:
  // What is allowed to go while a write is under way goes with the next one.
  void Send(uint64_t messages) {
    allowed_ += messages;
    unsent_ -= messages;
    if (writing_ || allowed_ == 0) return;
    writing_ = true;
    const size_t bytes = std::min(out_.size(), allowed_ * kMessage);
    allowed_ -= bytes / kMessage;
    stream_->Write({absl::string_view(out_).substr(0, bytes)}, kTimeout,
                   [this](absl::Status status) {
                     CHECK(status.ok()) << status;
                     writing_ = false;
                     Send(0);
                   });
  }
  void Read() {
    stream_->Read(absl::MakeSpan(in_), kTimeout, [this](absl::StatusOr<size_t> n) {
      CHECK(n.ok() && *n > 0) << n.status();
      const uint64_t before = left_ / kMessage + (left_ % kMessage != 0);
      left_ -= *n;
      const uint64_t after = left_ / kMessage + (left_ % kMessage != 0);
      if (left_ == 0) return done_();
      Send(std::min(before - after, unsent_));
      Read();
    });
  }

  std::string out_ = std::string(1024 * kMessage, 'x');
  std::vector<char> in_ = std::vector<char>(64 << 10);
  uint64_t left_ = 0;     // bytes to come
  uint64_t unsent_ = 0;   // messages not allowed to go yet
  uint64_t allowed_ = 0;  // and those allowed that have not gone
  bool writing_ = false;
  std::function<void()> done_;
  std::unique_ptr<Stream> stream_;
};

void RunClient(benchmark::State& state, const std::string& address, int threads, uint64_t depth) {
  const auto transport = NewTransport(address);
  const auto loops = EventLoops::New(threads).value();
  EventLoop* const server_loop = loops->loop(0);
  EventLoop* const client_loop = loops->loop(threads - 1);
  std::unique_ptr<Echo> echo;
  std::unique_ptr<Client> client;
  Awaited<int> ready;
  auto listener =
      transport->Listen({server_loop}, address, {}, [&](std::unique_ptr<Stream> stream) {
        echo = std::make_unique<Echo>(std::move(stream));
        ready.Update([](int* n) { ++*n; });
      });
  CHECK(listener.ok()) << listener.status();
  transport->Connect(client_loop, (*listener)->address(), kTimeout,
                     [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                       CHECK(stream.ok()) << stream.status();
                       client = std::make_unique<Client>(*std::move(stream));
                       ready.Update([](int* n) { ++*n; });
                     });
  CHECK(ready.AwaitValue(2));
  // A thousand at a time, so that this thread's wait is not what is measured.
  constexpr uint64_t kBatch = 1000;
  while (state.KeepRunningBatch(kBatch)) {
    Awaited<bool> done;
    client_loop->Post([&] { client->Run(kBatch, depth, [&] { done.Set(true); }); });
    CHECK(done.AwaitValue(true));
  }
  state.SetItemsProcessed(state.iterations());
  RunOn(client_loop, [&] { client.reset(); });
  RunOn(server_loop, [&] {
    echo.reset();
    listener->reset();
  });
}

// Two ends of a connection, of Unix sockets or TCP over 127.0.0.1.
void RawPair(int family, int ends[2]) {
  if (family == AF_UNIX) {
    CHECK_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    return;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQ(::bind(listening, generic, size), 0);
  CHECK_EQ(::listen(listening, 1), 0);
  CHECK_EQ(::getsockname(listening, generic, &size), 0);
  ends[0] = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQ(::connect(ends[0], generic, size), 0);
  ends[1] = ::accept(listening, nullptr, nullptr);
  CHECK_GE(ends[1], 0);
  const int on = 1;
  for (int i = 0; i < 2; ++i) ::setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::close(listening);
}

void EpollPingPong(benchmark::State& state, int family) {
  int ends[2];
  RawPair(family, ends);
  const int epoll = ::epoll_create1(0);
  for (const int end : ends) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = end;
    CHECK_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, end, &event), 0);
  }
  char buffer[kMessage] = {};
  CHECK_EQ(::send(ends[0], buffer, kMessage, MSG_NOSIGNAL), static_cast<ssize_t>(kMessage));
  for (auto _ : state) {
    for (int half = 0; half < 2; ++half) {
      epoll_event event;
      CHECK_EQ(::epoll_wait(epoll, &event, 1, -1), 1);
      CHECK_EQ(::recv(event.data.fd, buffer, kMessage, 0), static_cast<ssize_t>(kMessage));
      CHECK_EQ(::send(event.data.fd, buffer, kMessage, MSG_NOSIGNAL),
               static_cast<ssize_t>(kMessage));
    }
  }
  state.SetItemsProcessed(state.iterations());
  for (const int fd : {ends[0], ends[1], epoll}) ::close(fd);
}

void RegisterAll() {
  benchmark::RegisterBenchmark("PingPong/UnixEpoll/1", EpollPingPong, AF_UNIX)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
  benchmark::RegisterBenchmark("PingPong/TcpEpoll/1", EpollPingPong, AF_INET)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
  for (const auto& [name, address] :
       std::vector<std::pair<std::string, std::string>>{{"Loopback", "loopback:benchmark"},
                                                        {"Unix", UnixAddress()},
                                                        {"Tcp", "tcp://127.0.0.1:0"}}) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark(absl::StrCat("PingPong/", name, "/", threads).c_str(), RunClient,
                                   address, threads, 1)
          ->MeasureProcessCPUTime()
          ->UseRealTime();
      benchmark::RegisterBenchmark(absl::StrCat("Pipelined100/", name, "/", threads).c_str(),
                                   RunClient, address, threads, 100)
          ->MeasureProcessCPUTime()
          ->UseRealTime();
    }
  }
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  kvarts::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
