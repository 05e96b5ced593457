#ifndef KVARTS_CLUSTER_COORDINATOR_ETCD_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_ETCD_COORDINATOR_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace kvarts {

struct EtcdCoordinatorOptions {
  std::vector<std::string> endpoints;  // "HOST:PORT"
  std::string name;                    // all keys begin with it and "/"
  std::string user;                    // "": without authentication
  std::string password;                // goes as it is to who has the endpoint, without TLS to all
  // Where there is TLS: its transport, which lives as long as the coordinator.
  std::shared_ptr<Transport> own_transport;
};

// A coordinator over an etcd cluster's JSON gateway (etcd 3.4 to 3.6; etcd-io/etcd,
// Documentation/dev-guide/api_grpc_gateway). On `loop`, as Coordinator says; `loop` and
// `transport`, which takes "tcp://HOST:PORT", must outlive it. Connects when it is first called.
//
// Endpoints are asked in turn, each for 1 s at the most, until the call's time is up. A transaction
// whose outcome is lost is found out, and is kDeadlineExceeded only where that fails until then.
// Calls have these errors beside Coordinator's, all of them without an effect: kInvalidArgument
// (more than 1.5 MB), kPermissionDenied, kResourceExhausted (etcd's disk quota),
// kFailedPrecondition.
//
// Discards etcd's history as it goes: the etcd cluster must not have other users who need theirs.
//
// Here: kInvalidArgument for options without an endpoint or a name.
absl::StatusOr<std::unique_ptr<Coordinator>> NewEtcdCoordinator(EventLoop* loop,
                                                                Transport* transport,
                                                                EtcdCoordinatorOptions options);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_ETCD_COORDINATOR_H_
