#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_STORE_OPTIONS_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_STORE_OPTIONS_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "net/transport.h"

namespace kvarts {

struct ClusterStoreOptions {
  std::string password;  // of every node
  // Of a call that names no timeout of its own: of all its tries together.
  absl::Duration timeout = absl::Seconds(10);
  // Of an attempt to connect to a node, the hello included.
  absl::Duration connect_timeout = absl::Seconds(2);
  // A transport that nobody else keeps: it lives as long as what was opened on it.
  std::shared_ptr<Transport> own_transport;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_STORE_OPTIONS_H_
