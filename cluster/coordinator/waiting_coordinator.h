#ifndef KVARTS_CLUSTER_COORDINATOR_WAITING_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_WAITING_COORDINATOR_H_

#include "base/language.h"

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace kvarts {

// For one thread at a time, which is not its loop's. A coordinator for programs that do one thing
// after the other: each call waits for its end. It has a loop of its own.
class WaitingCoordinator {
 public:
  // Errors of OpenCoordinator(). `transport` must outlive it.
  static absl::StatusOr<std::unique_ptr<WaitingCoordinator>> Open(absl::string_view spec,
                                                                  Transport* transport);
  ~WaitingCoordinator();

  // Coordinator::Read() and Commit().
  absl::StatusOr<Coordinator::Contents> Read(absl::Duration timeout = absl::Seconds(5));
  absl::StatusOr<Coordinator::Outcome> Commit(Coordinator::Transaction transaction,
                                              absl::Duration timeout = absl::Seconds(5));

 private:
  explicit WaitingCoordinator(std::unique_ptr<EventLoops> loops);

  const std::unique_ptr<EventLoops> loops_;
  std::unique_ptr<Coordinator> coordinator_;  // used and destroyed on the loop
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_WAITING_COORDINATOR_H_
