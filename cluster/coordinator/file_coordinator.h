#ifndef KVARTS_CLUSTER_COORDINATOR_FILE_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_FILE_COORDINATOR_H_

#include "base/language.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// A coordinator whose values are in the file `path`, for the processes of one machine. On `loop`,
// as Coordinator says; its file work runs on a thread of its own, one call after the other, which
// its end waits for. `fs` and `loop` must outlive it. The file comes with the first transaction,
// its directory must be there; PATH.lock and PATH.tmp stand beside it.
//
// A transaction locks PATH.lock for one reading, comparing and replacing. Where another has it, it
// tries again every millisecond, and is kUnavailable after nine tenths of its time: that one hangs,
// or is stopped. It is durable when it has ended. A read takes no lock. What others changed is
// noticed within 50 ms or so.
//
// Calls have these errors beside Coordinator's, all of them without an effect: kDataLoss where the
// file is damaged, with its name; kPermissionDenied; kNotFound where the directory is gone;
// kResourceExhausted (descriptors).
//
// Here: kFailedPrecondition where `path` is on a network's file system; kNotFound where its
// directory is absent; kResourceExhausted where there is no thread to be had.
absl::StatusOr<std::unique_ptr<Coordinator>> NewFileCoordinator(FileSystem* fs, EventLoop* loop,
                                                                absl::string_view path);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_FILE_COORDINATOR_H_
