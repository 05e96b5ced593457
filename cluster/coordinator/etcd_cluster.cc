#include "cluster/coordinator/etcd_cluster.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "net/http/client/http_client.h"
#include "net/tcp/tcp.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace {

// Ports that nobody has, all different: etcd must know those of its peers before it starts.
std::vector<int> FreePorts(int count) {
  std::vector<int> ports;
  std::vector<int> sockets;
  for (int i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ports.push_back(ntohs(address.sin_port));
    sockets.push_back(fd);
  }
  for (const int fd : sockets) ::close(fd);
  return ports;
}

}  // namespace

EtcdCluster::EtcdCluster(const std::string& program, int members)
    : transport_(NewTcpTransport()), loops_(EventLoops::New(1).value()) {
  std::string directory = absl::StrCat(testing::TempDir(), "/etcdXXXXXX");
  EXPECT_NE(::mkdtemp(directory.data()), nullptr);
  const std::vector<int> ports = FreePorts(2 * members);
  const auto url = [&](int i) { return absl::StrCat("http://127.0.0.1:", ports[i]); };
  std::vector<std::string> peers;
  for (int i = 0; i < members; ++i) {
    endpoints_.push_back(absl::StrCat("127.0.0.1:", ports[i]));
    peers.push_back(absl::StrCat("m", i, "=", url(members + i)));
  }
  for (int i = 0; i < members; ++i) {
    processes_.push_back(
        std::make_unique<Process>(std::vector<std::string>{program,
                                                           "--name",
                                                           absl::StrCat("m", i),
                                                           "--data-dir",
                                                           absl::StrCat(directory, "/m", i),
                                                           "--listen-client-urls",
                                                           url(i),
                                                           "--advertise-client-urls",
                                                           url(i),
                                                           "--listen-peer-urls",
                                                           url(members + i),
                                                           "--initial-advertise-peer-urls",
                                                           url(members + i),
                                                           "--initial-cluster",
                                                           absl::StrJoin(peers, ","),
                                                           "--initial-cluster-token",
                                                           directory,
                                                           "--heartbeat-interval",
                                                           "20",
                                                           "--election-timeout",
                                                           "200",
                                                           "--logger",
                                                           "zap",
                                                           "--log-level",
                                                           "error"}));
  }
  const absl::Time end = absl::Now() + kTestPatience;
  while (Leader() < 0 && absl::Now() < end) {
  }
  EXPECT_GE(Leader(), 0) << program << " does not start: " << processes_[0]->Errors();
}

EtcdCluster::~EtcdCluster() = default;

void EtcdCluster::Signal(int member, int signal) { processes_[member]->Signal(signal); }

int EtcdCluster::Leader() {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const EtcdJson status = Call(static_cast<int>(i), "/v3/maintenance/status", "{}");
    if (status["leader"].text.empty()) continue;
    if (status["leader"].text == status["header"]["member_id"].text) return static_cast<int>(i);
  }
  return -1;
}

EtcdJson EtcdCluster::Call(int member, const std::string& path, const std::string& body) {
  Awaited<bool> done(false);
  EtcdJson answer;
  std::unique_ptr<HttpClient> client;
  EventLoop* const loop = loops_->loop(0);
  RunOn(loop, [&] {
    client = std::make_unique<HttpClient>(
        loop, transport_.get(), absl::StrCat("tcp://", endpoints_[member]), endpoints_[member]);
    HttpClientRequest request;
    request.target = path;
    request.body = body;
    client->Send(std::move(request), absl::Seconds(1),
                 [&](const absl::StatusOr<HttpClientResponse>& response) {
                   if (response.ok()) {
                     auto json = ParseEtcdJson(response->body);
                     if (json.ok()) answer = *std::move(json);
                   }
                   done.Set(true);
                 });
  });
  EXPECT_TRUE(done.AwaitValue(true));
  RunOn(loop, [&] { client.reset(); });
  return answer;
}

}  // namespace kvarts
