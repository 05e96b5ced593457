#include "cluster/coordinator/etcd_cluster.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "net/http/client/http_client.h"
#include "net/tcp/tcp.h"
#include "net/tls/tls.h"
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

EtcdCluster::EtcdCluster(const std::string& program, int members,
                         const std::vector<std::string>& flags, const std::optional<Tls>& tls)
    : tcp_(NewTcpTransport()), loops_(EventLoops::New(1).value()) {
  std::string directory = absl::StrCat(testing::TempDir(), "/etcdXXXXXX");
  EXPECT_NE(::mkdtemp(directory.data()), nullptr);
  const std::vector<int> ports = FreePorts(2 * members);
  const auto url = [&](int i) { return absl::StrCat("http://127.0.0.1:", ports[i]); };
  const auto client_url = [&](int i) {
    return absl::StrCat(tls.has_value() ? "https" : "http", "://127.0.0.1:", ports[i]);
  };
  std::vector<std::string> more = flags;
  if (tls.has_value()) {
    // The gateway is a client of its own server, and shows that one's certificate.
    const std::string roots = directory + "/roots.pem";
    std::ofstream(roots) << std::ifstream(tls->server.certificate_file).rdbuf()
                         << std::ifstream(tls->client.certificate_file).rdbuf();
    more.insert(more.end(),
                {"--cert-file", tls->server.certificate_file, "--key-file", tls->server.key_file,
                 "--client-cert-auth", "--trusted-ca-file", roots});
    TlsOptions options;
    options.ca_file = tls->server.certificate_file;
    options.client_certificate_file = tls->client.certificate_file;
    options.client_key_file = tls->client.key_file;
    tls_ = NewTlsTransport(tcp_.get(), options).value();
  }
  std::vector<std::string> peers;
  for (int i = 0; i < members; ++i) {
    endpoints_.push_back(absl::StrCat("127.0.0.1:", ports[i]));
    peers.push_back(absl::StrCat("m", i, "=", url(members + i)));
  }
  for (int i = 0; i < members; ++i) {
    std::vector<std::string> words = {program,
                                      "--name",
                                      absl::StrCat("m", i),
                                      "--data-dir",
                                      absl::StrCat(directory, "/m", i),
                                      "--listen-client-urls",
                                      client_url(i),
                                      "--advertise-client-urls",
                                      client_url(i),
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
                                      "error"};
    words.insert(words.end(), more.begin(), more.end());
    processes_.push_back(std::make_unique<Process>(words));
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

void EtcdCluster::EnableAuthentication(const std::string& password) {
  Call(0, "/v3/auth/user/add",
       absl::StrCat("{\"name\":\"root\",\"password\":", EtcdText(password), "}"));
  Call(0, "/v3/auth/role/add", "{\"name\":\"root\"}");
  Call(0, "/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}");
  const EtcdJson enabled = Call(0, "/v3/auth/enable", "{}");
  EXPECT_FALSE(enabled["header"]["revision"].text.empty()) << enabled["message"].text;
}

std::string EtcdCluster::LogIn(const std::string& password) {
  return Call(0, "/v3/auth/authenticate",
              absl::StrCat("{\"name\":\"root\",\"password\":", EtcdText(password), "}"))["token"]
      .text;
}

EtcdJson EtcdCluster::Call(int member, const std::string& path, const std::string& body,
                           const std::string& token) {
  Awaited<bool> done(false);
  EtcdJson answer;
  std::unique_ptr<HttpClient> client;
  EventLoop* const loop = loops_->loop(0);
  RunOn(loop, [&] {
    client = std::make_unique<HttpClient>(loop, tls_ != nullptr ? tls_.get() : tcp_.get(),
                                          absl::StrCat("tcp://", endpoints_[member]),
                                          endpoints_[member]);
    HttpClientRequest request;
    request.target = path;
    request.body = body;
    if (!token.empty()) request.fields.emplace_back("Authorization", token);
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
