#ifndef KVARTS_CLUSTER_COORDINATOR_ETCD_CLUSTER_H_
#define KVARTS_CLUSTER_COORDINATOR_ETCD_CLUSTER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/testing/process.h"
#include "cluster/coordinator/etcd_json.h"
#include "net/event_loop.h"
#include "net/tls/test_certificate.h"
#include "net/transport.h"

namespace kvarts {

// For tests. Not thread-safe. A cluster of etcd's own servers on loopback, in a directory of the
// test's, which elects a leader within half a second. Killed at its end.
class EtcdCluster {
 public:
  struct Tls {
    TestCertificate server;
    TestCertificate client;  // which clients must show
  };
  // `program`: etcd as it is installed, with `flags` beside what makes a cluster of it. Returns
  // once the cluster has a leader; fails the test where it does not come to that.
  EtcdCluster(const std::string& program, int members, const std::vector<std::string>& flags = {},
              const std::optional<Tls>& tls = std::nullopt);
  ~EtcdCluster();

  const std::vector<std::string>& endpoints() const { return endpoints_; }  // "127.0.0.1:PORT"
  void Signal(int member, int signal);
  // The member that leads; -1 where none answers.
  int Leader();
  // A call on one gateway, waited for. Empty where there is no answer in a second. `token`: of
  // LogIn().
  EtcdJson Call(int member, const std::string& path, const std::string& body,
                const std::string& token = "");
  // From now on etcd wants to know who asks, and knows the user "root".
  void EnableAuthentication(const std::string& password);
  std::string LogIn(const std::string& password);

 private:
  const std::unique_ptr<Transport> tcp_;
  std::unique_ptr<Transport> tls_;  // null: without
  const std::unique_ptr<EventLoops> loops_;
  std::vector<std::string> endpoints_;
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_ETCD_CLUSTER_H_
