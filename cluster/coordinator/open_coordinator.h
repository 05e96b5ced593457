#ifndef KVARTS_CLUSTER_COORDINATOR_OPEN_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_OPEN_COORDINATOR_H_

#include "base/language.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace kvarts {

// Opens the coordinator that `spec` names, for use on `loop`; called there. `loop` and `transport`
// must outlive it.
//   file:PATH                                        NewFileCoordinator()
//   etcd://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME  NewEtcdCoordinator()
// PATH, USER, PASSWORD and NAME are percent-decoded (RFC 3986), so that file:my%20table is the file
// "my table"; file:///a is /a, as in other URLs. A relative PATH is from the working directory.
//
// kInvalidArgument for what is none of these, with what there is; errors of the two factories.
// Messages do not show a password.
absl::StatusOr<std::unique_ptr<Coordinator>> OpenCoordinator(absl::string_view spec,
                                                             EventLoop* loop, Transport* transport);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_OPEN_COORDINATOR_H_
