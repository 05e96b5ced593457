#include "net/tcp/tcp.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "net/tcp/socket_internal.h"
#include "storage/fs/file_system.h"
#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

using net_internal::Endpoint;
using net_internal::Fd;

// The largest send and receive buffers that Linux grows to by default, and more.
constexpr size_t kTcpWindow = 16 << 20;
constexpr size_t kUnixWindow = 1 << 20;

std::vector<std::string> BadTcpAddresses() {
  std::vector<std::string> bad = {
      "tcp:",
      "tcp://",
      "tcp://127.0.0.1",
      "tcp://127.0.0.1:",
      "tcp://:80",
      "tcp://127.0.0.1:x",
      "tcp://127.0.0.1:80x",
      "tcp://127.0.0.1:-1",
      "tcp://127.0.0.1:+1",
      "tcp://127.0.0.1: 1",
      "tcp://127.0.0.1:65536",
      "tcp://127.0.0.1:99999999999999999999",
      "tcp://127.0.0.1:80/path",
      "tcp://256.0.0.1:80",
      "tcp://1.2.3.4.5:80",
      "tcp://::1:80",
      "tcp://[::1]",
      "tcp://[::1]80",
      "tcp://[::1",
      "tcp://[]:80",
      "tcp://[127.0.0.1]:80",
      "tcp://[localhost]:80",
      "tcp://[::1::2]:80",
      "tcp://user@host:80",
      "tcp://ho st:80",
      "tcp://-host:80",
      "tcp://*:80",
      "TCP://127.0.0.1:80",
      "127.0.0.1:80",
      "unix",
      "unix:",
      absl::StrCat("unix:/", std::string(107, 'x')),
      absl::StrCat("unix:", std::string(5000, 'x')),
      absl::StrCat("tcp://", std::string(5000, 'x'), ":80"),
      "loopback:x",
  };
  bad.push_back(std::string("unix:/a\0b", 9));
  bad.push_back(std::string("tcp://127.0.0.1\0:80", 19));
  bad.push_back(std::string("tcp://[::1\0]:80", 15));
  return bad;
}

TransportUnderTest MakeTcp(const std::string& address) {
  static const std::string* const silent_v4 = new std::string(SilentTcpAddress());
  TransportUnderTest test;
  test.transport = NewTcpTransport();
  test.free_address = [address] { return address; };
  test.nobody = *silent_v4;
  test.bad_addresses = BadTcpAddresses();
  test.window = kTcpWindow;
  test.peer_prefix = address.substr(0, address.rfind(':') + 1);
  return test;
}

// A path in the test's own directory that is short enough.
std::string FreshPath() {
  static std::atomic<int> next{0};
  static const std::string* const directory = [] {
    // Relative: the test's directory may be longer than a socket's path can be.
    EXPECT_EQ(::chdir(testing::TempDir().c_str()), 0);
    auto* name = new std::string("sockets.XXXXXX");
    EXPECT_NE(::mkdtemp(&(*name)[0]), nullptr);
    return name;
  }();
  return absl::StrCat(*directory, "/", ++next);
}

TransportUnderTest MakeUnix() {
  TransportUnderTest test;
  test.transport = NewTcpTransport();
  test.free_address = [] { return absl::StrCat("unix:", FreshPath()); };
  test.nobody = absl::StrCat("unix:", FreshPath());
  test.bad_addresses = BadTcpAddresses();
  test.window = kUnixWindow;
  test.peer_prefix = "unix:";
  return test;
}

std::vector<TransportSuiteParam> AllTransports() {
  std::vector<TransportSuiteParam> all;
  const auto add = [&](const std::string& name, const std::function<TransportUnderTest()>& make) {
    for (TransportSuiteParam& param : TransportSuiteParams(name, make)) all.push_back(param);
  };
  add("TcpV4", [] { return MakeTcp("tcp://127.0.0.1:0"); });
  const Fd v6 = net_internal::NewSocket(AF_INET6);
  const Endpoint any = *net_internal::ToEndpoint(*net_internal::ParseAddress("tcp://[::1]:0"));
  if (v6.valid() && ::bind(v6.get(), any.get(), any.size) == 0) {
    add("TcpV6", [] { return MakeTcp("tcp://[::1]:0"); });
  }
  add("Unix", MakeUnix);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Sockets, TransportSuite, testing::ValuesIn(AllTransports()),
                         TransportSuiteName);

class TcpTest : public testing::Test {
 protected:
  ~TcpTest() override {
    for (auto& listener : listeners_) EndListener(&listener);
    std::vector<std::shared_ptr<TestStream>> accepted;
    accepted_.Update([&](auto* streams) { streams->swap(accepted); });
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& address,
                                                   const ListenOptions& options = {}) {
    return transport_->Listen({loop()}, address, options, [this](std::unique_ptr<Stream> stream) {
      auto accepted = std::make_shared<TestStream>(std::move(stream));
      accepted_.Update([&](auto* streams) { streams->push_back(std::move(accepted)); });
    });
  }
  // Listens until the test's end.
  std::string Serve(const std::string& address, const ListenOptions& options = {}) {
    auto listener = Listen(address, options);
    EXPECT_TRUE(listener.ok()) << listener.status();
    if (!listener.ok()) return "";
    listeners_.push_back(*std::move(listener));
    return listeners_.back()->address();
  }
  void EndListener(std::unique_ptr<Listener>* listener) {
    RunOn(loop(), [&] { listener->reset(); });
  }
  void AwaitAccepted(size_t n) {
    EXPECT_TRUE(accepted_.Await([n](const auto& streams) { return streams.size() >= n; }));
  }

  std::shared_ptr<Awaited<std::vector<CrossThreadStatus>>> StartConnect(const std::string& address,
                                                                        absl::Duration timeout) {
    auto result = std::make_shared<Awaited<std::vector<CrossThreadStatus>>>();
    transport_->Connect(loop(), address, timeout,
                        [result](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                          result->Set({stream.status()});
                        });
    return result;
  }
  absl::Status Connect(const std::string& address, absl::Duration timeout = absl::Seconds(100)) {
    const auto result = StartConnect(address, timeout);
    EXPECT_TRUE(result->Await([](const auto& statuses) { return !statuses.empty(); }));
    return result->Get().at(0).Get();
  }

  EventLoop* loop() { return loops_->loop(0); }

  const std::unique_ptr<Transport> transport_ = NewTcpTransport();
  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(1).value();
  std::vector<std::unique_ptr<Listener>> listeners_;
  Awaited<std::vector<std::shared_ptr<TestStream>>> accepted_;
};

TEST_F(TcpTest, PortZeroIsReportedAsThePortPicked) {
  const std::string first = Serve("tcp://127.0.0.1:0");
  const std::string second = Serve("tcp://127.0.0.1:0");
  EXPECT_NE(first, second);
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(first.substr(first.rfind(':') + 1), &port));
  EXPECT_GT(port, 0);
  EXPECT_EQ(first, absl::StrCat("tcp://127.0.0.1:", port));
}

TEST_F(TcpTest, HostNamesAreLookedUpOnBothSides) {
  const std::string address = Serve("tcp://localhost:0");
  EXPECT_TRUE(absl::StartsWith(address, "tcp://127.")) << address;
  const std::string port = address.substr(address.rfind(':'));
  EXPECT_TRUE(Connect("tcp://localhost" + port).ok());
}

TEST_F(TcpTest, HostThatDoesNotExistIsUnavailableToConnectAndInvalidToListenOn) {
  // ".invalid" never exists (RFC 2606).
  EXPECT_EQ(Connect("tcp://no-such-host.invalid:80").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Listen("tcp://no-such-host.invalid:80").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(TcpTest, AddressOfAnotherMachineIsInvalidToListenOn) {
  // TEST-NET-1 (RFC 5737).
  const auto listener = Listen("tcp://192.0.2.1:0");
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument) << listener.status();
}

TEST_F(TcpTest, SeveralListenersShareAPortWhereAllAskForIt) {
  ListenOptions shared;
  shared.reuse_port = true;
  const std::string address = Serve("tcp://127.0.0.1:0", shared);
  Serve(address, shared);
  EXPECT_EQ(Listen(address).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Connect(address).ok());
}

TEST_F(TcpTest, ConnectToAServerThatDoesNotAnswerEndsAtItsDeadline) {
  // A queue that is full: the system drops further requests.
  const Endpoint any = *net_internal::ToEndpoint(*net_internal::ParseAddress("tcp://127.0.0.1:0"));
  const Fd silent = net_internal::NewSocket(AF_INET);
  ASSERT_EQ(::bind(silent.get(), any.get(), any.size), 0);
  ASSERT_EQ(::listen(silent.get(), 0), 0);
  const Endpoint endpoint = net_internal::LocalEndpoint(silent.get());
  std::vector<Fd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(net_internal::NewSocket(AF_INET));
    (void)::connect(fillers.back().get(), endpoint.get(), endpoint.size);
  }
  absl::Status status;
  // Until the queue is full some may get through.
  for (int i = 0; i < 4 && status.ok(); ++i) {
    status = Connect(endpoint.ToString(), absl::Milliseconds(300));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
}

TEST_F(TcpTest, ForeignLoopIsInvalid) {
  class ForeignLoop : public EventLoop {
   public:
    void Post(Task task) override { tasks.push_back(std::move(task)); }
    bool InLoop() const override { return true; }
    absl::Duration Now() const override { return absl::ZeroDuration(); }
    std::unique_ptr<Timer> NewTimer() override { return nullptr; }
    std::vector<Task> tasks;
  } foreign;
  const auto listener = transport_->Listen({loop(), &foreign}, "tcp://127.0.0.1:0", {},
                                           [](std::unique_ptr<Stream>) {});
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument);
  absl::Status status;
  transport_->Connect(&foreign, "tcp://127.0.0.1:1", absl::InfiniteDuration(),
                      [&](absl::StatusOr<std::unique_ptr<Stream>> s) { status = s.status(); });
  ASSERT_EQ(foreign.tasks.size(), 1);
  foreign.tasks[0]();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TcpTest, ListenerOutOfDescriptorsGoesOnAfterwards) {
  if (::getenv("UBSAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "UBSan looks at objects through a pipe, for which there is no descriptor";
  }
  const std::string address = Serve("tcp://127.0.0.1:0");
  const Endpoint endpoint = *net_internal::ToEndpoint(*net_internal::ParseAddress(address));
  // The clients' sockets are made before the limit falls.
  std::vector<Fd> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(net_internal::NewSocket(AF_INET));
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  for (const Fd& client : clients) (void)::connect(client.get(), endpoint.get(), endpoint.size);
  // The loop does not spin: it uses little of the time that passes on its clock.
  timespec cpu_before, cpu_after;
  Awaited<bool> done;
  std::unique_ptr<Timer> timer;
  RunOn(loop(), [&] {
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_before);
    timer = loop()->NewTimer();
    timer->Start(absl::Milliseconds(200), [&] {
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_after);
      timer.reset();
      done.Set(true);
    });
  });
  EXPECT_TRUE(done.AwaitValue(true));
  EXPECT_LT(absl::DurationFromTimespec(cpu_after) - absl::DurationFromTimespec(cpu_before),
            absl::Milliseconds(100));
  EXPECT_TRUE(accepted_.Get().empty());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  AwaitAccepted(20);
}

TEST_F(TcpTest, SmallWritesAreSentAtOnce) {
  const std::string address = Serve("tcp://127.0.0.1:0");
  ASSERT_TRUE(Connect(address).ok());
  AwaitAccepted(1);
  // Every TCP socket of this process that is connected has it set.
  int connected = 0;
  for (int fd = 3; fd < 1000; ++fd) {
    sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    int on = 0;
    size = sizeof(on);
    if (::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) != 0) continue;
    ++connected;
    EXPECT_NE(on, 0);
  }
  EXPECT_GE(connected, 1);
}

class UnixTest : public TcpTest {
 protected:
  static bool Exists(const std::string& path) {
    struct stat file;
    return ::lstat(path.c_str(), &file) == 0;
  }
  const std::string path_ = FreshPath();
  const std::string address_ = "unix:" + path_;
};

TEST_F(UnixTest, FileIsRemovedAtTheListenersEnd) {
  auto listener = Listen(address_);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ((*listener)->address(), address_);
  EXPECT_TRUE(Exists(path_));
  EndListener(&*listener);
  EXPECT_FALSE(Exists(path_));
}

TEST_F(UnixTest, FileOfADeadProcessIsReplaced) {
  const pid_t child = ::fork();
  if (child == 0) {
    const Endpoint endpoint = *net_internal::ToEndpoint(*net_internal::ParseAddress(address_));
    const Fd fd = net_internal::NewSocket(AF_UNIX);
    const bool ok =
        ::bind(fd.get(), endpoint.get(), endpoint.size) == 0 && ::listen(fd.get(), 5) == 0;
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(Exists(path_));
  EXPECT_EQ(Connect(address_).code(), absl::StatusCode::kUnavailable);
  Serve(address_);
  EXPECT_TRUE(Connect(address_).ok());
}

TEST_F(UnixTest, LiveSocketIsRefusedEvenWhereItsQueueIsFull) {
  const Endpoint endpoint = *net_internal::ToEndpoint(*net_internal::ParseAddress(address_));
  const Fd live = net_internal::NewSocket(AF_UNIX);
  ASSERT_EQ(::bind(live.get(), endpoint.get(), endpoint.size), 0);
  ASSERT_EQ(::listen(live.get(), 0), 0);
  std::vector<Fd> waiting;
  int error = 0;
  while (error == 0) {
    waiting.push_back(net_internal::NewSocket(AF_UNIX));
    if (::connect(waiting.back().get(), endpoint.get(), endpoint.size) != 0) error = errno;
  }
  ASSERT_EQ(error, EAGAIN);
  EXPECT_EQ(Listen(address_).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Exists(path_));
  // A client waits for room in the queue, up to its deadline.
  EXPECT_EQ(Connect(address_, absl::Milliseconds(30)).code(), absl::StatusCode::kDeadlineExceeded);
  const auto patient = StartConnect(address_, absl::Seconds(100));
  RunOn(loop(), [] {});
  RunOn(loop(), [] {});
  EXPECT_TRUE(patient->Get().empty());
  for (size_t i = 0; i < waiting.size(); ++i) Fd(::accept(live.get(), nullptr, nullptr));
  EXPECT_TRUE(patient->Await([](const auto& statuses) { return !statuses.empty(); }));
  EXPECT_TRUE(patient->Get()[0].Get().ok()) << patient->Get()[0].Get();
}

TEST_F(UnixTest, FileThatIsNoSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  const auto listener = Listen(address_);
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(absl::StrContains(listener.status().message(), "no socket")) << listener.status();
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(UnixTest, FileThatAnotherListenerPutThereIsNotRemoved) {
  auto first = Listen(address_);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  Serve(address_);
  EndListener(&*first);
  EXPECT_TRUE(Exists(path_));
  EXPECT_TRUE(Connect(address_).ok());
}

TEST_F(UnixTest, LongestPathWorks) {
  const std::string directory = path_;
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  const std::string longest = directory + "/" + std::string(107 - directory.size() - 1, 'x');
  ASSERT_EQ(longest.size(), 107);
  EXPECT_EQ(Serve("unix:" + longest), "unix:" + longest);
  EXPECT_TRUE(Connect("unix:" + longest).ok());
  EXPECT_EQ(Listen("unix:" + longest + "x").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(UnixTest, DirectoryThatDoesNotExistIsInvalid) {
  EXPECT_EQ(Listen(address_ + "/x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Connect(address_ + "/x").code(), absl::StatusCode::kUnavailable);
}

TEST_F(UnixTest, OfManyThatReplaceAStaleFileAtOnceOneWins) {
  const Endpoint endpoint = *net_internal::ToEndpoint(*net_internal::ParseAddress(address_));
  for (int round = 0; round < 20; ++round) {
    {
      const Fd stale = net_internal::NewSocket(AF_UNIX);
      ASSERT_EQ(::bind(stale.get(), endpoint.get(), endpoint.size), 0);
    }
    Awaited<int> won;
    std::vector<absl::StatusOr<std::unique_ptr<Listener>>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] { result = Listen(address_); });
    }
    for (std::thread& thread : threads) thread.join();
    int winners = 0;
    for (auto& result : results) {
      if (result.ok()) {
        ++winners;
      } else {
        EXPECT_EQ(result.status().code(), absl::StatusCode::kAlreadyExists) << result.status();
      }
    }
    EXPECT_EQ(winners, 1);
    EXPECT_TRUE(Connect(address_).ok());
    for (auto& result : results) {
      if (result.ok()) EndListener(&*result);
    }
  }
}

// sendmsg() sends what is there and says less than all, which is no full buffer:
// who waits for room then waits for ever.
TEST(TcpStreamTest, AMappingThatShrinksUnderAWriteEndsIt) {
  InstallSigbusHandler();
  const std::string path = testing::TempDir() + "/shrinks";
  std::ofstream(path) << std::string(24 << 20, 'x');
  auto map = FileSystem::Posix()->Map(path);
  ASSERT_TRUE(map.ok());
  const auto loops = EventLoops::New(1).value();
  const auto transport = NewTcpTransport();
  Awaited<std::shared_ptr<TestStream>> accepted;
  auto listener = transport->Listen({loops->loop(0)}, "tcp://127.0.0.1:0", ListenOptions(),
                                    [&](std::unique_ptr<Stream> stream) {
                                      auto held = std::make_shared<TestStream>(std::move(stream));
                                      accepted.Update([&](auto* last) { *last = held; });
                                    });
  ASSERT_TRUE(listener.ok());
  Awaited<bool> connected;
  std::unique_ptr<Stream> got;
  transport->Connect(loops->loop(0), (*listener)->address(), absl::Seconds(100),
                     [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                       if (stream.ok()) got = *std::move(stream);
                       connected.Set(true);
                     });
  ASSERT_TRUE(connected.AwaitValue(true));
  TestStream client(std::move(got));
  std::shared_ptr<TestStream> server;
  ASSERT_TRUE(accepted.Await([&](const auto& held) {
    server = held;
    return held != nullptr;
  }));
  const absl::string_view piece((*map)->data(), (*map)->size());
  Awaited<bool> done;
  server->On([&](Stream* stream) {
    stream->Write({&piece, 1}, absl::InfiniteDuration(), [&, stream](const absl::Status& status) {
      EXPECT_FALSE(status.ok());
      stream->Close();
      done.Set(true);
    });
  });
  ASSERT_TRUE(client.ReadExactly(100000).ok());
  ASSERT_EQ(::truncate(path.c_str(), 12 << 20), 0);
  absl::Status end;
  while (end.ok()) {
    const auto read = client.Read(1 << 20, absl::Seconds(10));
    end = read.status();
    if (read.ok() && read->empty()) break;
  }
  EXPECT_NE(end.code(), absl::StatusCode::kDeadlineExceeded) << "the write waits for ever";
  client.Destroy();
  server.reset();
  accepted.Update([](auto* stream) { stream->reset(); });
  RunOn(loops->loop(0), [&] { listener->reset(); });
  loops->Stop();
}

}  // namespace
}  // namespace kvarts
