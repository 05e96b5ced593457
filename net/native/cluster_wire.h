#ifndef KVARTS_NET_NATIVE_CLUSTER_WIRE_H_
#define KVARTS_NET_NATIVE_CLUSTER_WIRE_H_

#include "absl/status/statusor.h"
#include "net/cluster_map.h"
#include "net/native/native.pb.h"

namespace kvarts {
namespace native {

// Between net/cluster_map.h and the message that travels. The slots travel as runs of neighbours
// that belong to one node, so that the message grows with the runs and not with the slots.
ClusterMap ToProto(const kvarts::ClusterMap& map);

// kInternal where the message is no map: ids that are not 40 hexadecimal digits, a host that is
// empty, over 255 bytes or not of visible ASCII, ports over 65535, more nodes than slots can name,
// a place beyond the nodes, or runs that are empty or do not add up to all slots.
absl::StatusOr<kvarts::ClusterMap> FromProto(const ClusterMap& message);

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_CLUSTER_WIRE_H_
