#include "apps/testing/redis_node.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// One that nobody listens on now, and for which the bus port, 10,000 above, is one too. 0: none.
int FreePort() {
  while (true) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    const bool bound = ::bind(fd, raw, size) == 0 && ::getsockname(fd, raw, &size) == 0;
    ::close(fd);
    if (!bound) return 0;
    const int port = ntohs(address.sin_port);
    if (port < 55000) return port;
  }
}

}  // namespace

RedisNode StartRedisNode(const std::string& program, const std::vector<std::string>& flags,
                         const std::string& directory) {
  for (int tries = 0; tries < 20; ++tries) {
    RedisNode node;
    node.port = FreePort();
    const std::string config = absl::StrCat("nodes-", node.port, ".conf");
    const std::string dump = absl::StrCat("dump-", node.port, ".rdb");  // for replicas
    // An earlier node may have had this port.
    for (const std::string& file : {config, dump}) {
      ::unlink(absl::StrCat(directory, "/", file).c_str());
    }
    std::vector<std::string> command = {program,
                                        "--port",
                                        absl::StrCat(node.port),
                                        "--bind",
                                        "127.0.0.1",
                                        "--save",
                                        "",
                                        "--appendonly",
                                        "no",
                                        "--cluster-enabled",
                                        "yes",
                                        "--cluster-config-file",
                                        config,
                                        "--dbfilename",
                                        dump};
    command.insert(command.end(), flags.begin(), flags.end());
    ProcessOptions options;
    options.directory = directory;
    node.process = std::make_unique<Process>(command, options);
    std::string line;
    do {
      line = node.process->ReadLine();
    } while (!line.empty() && !absl::StrContains(line, "Ready to accept"));
    if (!line.empty()) return node;
  }
  return {};
}

}  // namespace kvarts
