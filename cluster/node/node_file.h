#ifndef KVARTS_CLUSTER_NODE_NODE_FILE_H_
#define KVARTS_CLUSTER_NODE_NODE_FILE_H_

#include "base/language.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cluster/table.h"
#include "storage/fs/file_system.h"

namespace kvarts {
namespace cluster {

// What a node with a durable store keeps beside its data, in a file "NODE" of the store's
// directory: a checkpoint does not have it, so that what is restored is no node.
struct NodeFile {
  Incarnation incarnation;
  // How often the directory was opened by a node. The cluster's table has it too: a directory that
  // is behind it is a copy, or was restored from an older one.
  uint64_t openings = 0;
  // Slots that may hold entries that are not the node's: see Leftovers.
  std::vector<uint16_t> marked_slots;
};

// 20 bytes of the system's randomness.
Incarnation NewIncarnation();

// Nothing where there is no such file. kDataLoss, with its name, where it is damaged.
absl::StatusOr<std::optional<NodeFile>> ReadNodeFile(FileSystem* fs, absl::string_view path);
// Replaces the file whole; it is durable when this returns.
absl::Status WriteNodeFile(FileSystem* fs, absl::string_view path, const NodeFile& file);

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_NODE_FILE_H_
