#ifndef KVARTS_CLUSTER_NODE_PROBE_H_
#define KVARTS_CLUSTER_NODE_PROBE_H_

#include "base/language.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/table.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace kvarts {
namespace cluster {

// Whether the node lives at its address for other nodes. Waits, on any thread but the loop's.
//   OK                   it does
//   kNotFound            another one does: this one's process is gone
//   kUnavailable, kDeadlineExceeded: nobody answers, which may be the network
//   others               somebody answers, and it may be the node: the clocks differ by too much,
//   say
absl::Status ProbeNode(Transport* transport, EventLoop* loop, absl::string_view address,
                       absl::string_view cluster_id, const Incarnation& node,
                       absl::Duration timeout);

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_PROBE_H_
