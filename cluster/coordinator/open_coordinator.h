#ifndef KVARTS_CLUSTER_COORDINATOR_OPEN_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_OPEN_COORDINATOR_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace kvarts {

// Opens the coordinator that `spec` names, for use on `loop`; called there. `loop` and `transport`
// must outlive it.
//   file:PATH                                        NewFileCoordinator()
//   etcd://[USER:PASSWORD@]HOST:PORT,HOST:PORT/NAME[?OPTIONS]  NewEtcdCoordinator()
// with OPTIONS as NAME=VALUE, with "&" between them:
//   password_file=PATH   the password of USER is the first line of this file
//   tls=BOOL             speaks TLS to all endpoints; so it does where one of the next is given
//   ca=PATH              the roots of etcd's certificates, in PEM; without it the system's
//   cert=PATH, key=PATH  the certificate that etcd asks for (--client-cert-auth), and its key
// PATH, USER, PASSWORD, NAME and values are percent-decoded (RFC 3986), so that file:my%20table is
// the file "my table"; file:///a is /a, as in other URLs. A relative PATH is from the working
// directory.
//
// kInvalidArgument for what is none of these, with what there is; errors of files that are named,
// and of the two factories.
// Messages do not show a password.
absl::StatusOr<std::unique_ptr<Coordinator>> OpenCoordinator(absl::string_view spec,
                                                             EventLoop* loop, Transport* transport);

// `spec` as it may be shown: without a password in it.
std::string ShownCoordinator(absl::string_view spec);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_OPEN_COORDINATOR_H_
