#include "cluster/coordinator/waiting_coordinator.h"

#include <utility>

#include "base/status_macros.h"
#include "cluster/coordinator/open_coordinator.h"
#include "net/waiting.h"

namespace kvarts {

WaitingCoordinator::WaitingCoordinator(std::unique_ptr<EventLoops> loops)
    : loops_(std::move(loops)) {}

WaitingCoordinator::~WaitingCoordinator() {
  RunOnLoop(loops_->loop(0), [this] { coordinator_.reset(); });
}

absl::StatusOr<std::unique_ptr<WaitingCoordinator>> WaitingCoordinator::Open(absl::string_view spec,
                                                                             Transport* transport) {
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<EventLoops> loops, EventLoops::New(1));
  auto waiting = std::unique_ptr<WaitingCoordinator>(new WaitingCoordinator(std::move(loops)));
  absl::Status status;
  RunOnLoop(waiting->loops_->loop(0), [&] {
    auto opened = OpenCoordinator(spec, waiting->loops_->loop(0), transport);
    status = opened.status();
    if (opened.ok()) waiting->coordinator_ = *std::move(opened);
  });
  KVARTS_RETURN_IF_ERROR(status);
  return waiting;
}

absl::StatusOr<Coordinator::Contents> WaitingCoordinator::Read(absl::Duration timeout) {
  StatusWaiter waiter;
  Coordinator::Contents contents;
  loops_->loop(0)->Post([&] {
    coordinator_->Read(timeout, [&](absl::StatusOr<Coordinator::Contents> read) {
      const absl::Status status = read.status();
      if (read.ok()) contents = *std::move(read);
      waiter.Done(status);
    });
  });
  KVARTS_RETURN_IF_ERROR(waiter.Wait());
  return contents;
}

absl::StatusOr<Coordinator::Outcome> WaitingCoordinator::Commit(
    Coordinator::Transaction transaction, absl::Duration timeout) {
  StatusWaiter waiter;
  Coordinator::Outcome outcome;
  loops_->loop(0)->Post([&] {
    coordinator_->Commit(std::move(transaction), timeout,
                         [&](absl::StatusOr<Coordinator::Outcome> ended) {
                           if (ended.ok()) outcome = *ended;
                           waiter.Done(ended.status());
                         });
  });
  KVARTS_RETURN_IF_ERROR(waiter.Wait());
  return outcome;
}

}  // namespace kvarts
