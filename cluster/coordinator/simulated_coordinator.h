#ifndef KVARTS_CLUSTER_COORDINATOR_SIMULATED_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_SIMULATED_COORDINATOR_H_

#include "base/language.h"

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"

namespace kvarts {

// What befalls the calls on a simulated coordinator. Asked on the coordinator's loop, once a call,
// in the order in which calls arrive there: a policy that is a function of a seed replays.
class CoordinatorPolicy {
 public:
  virtual ~CoordinatorPolicy() = default;

  struct Fate {
    // The caller hears kUnavailable after both delays; nothing is done.
    bool refused = false;
    // The same with kInvalidArgument: as of what the coordinator can never do.
    bool invalid = false;
    // Nothing is done and nothing is heard: kDeadlineExceeded.
    bool lost = false;
    // Takes place after this. Longer than the call's timeout: the effect comes after the caller
    // has heard kDeadlineExceeded, also where the caller is gone by then.
    absl::Duration delay = absl::ZeroDuration();
    // It takes place, and nothing is heard of it: kDeadlineExceeded.
    bool answer_lost = false;
    // From the effect to the answer.
    absl::Duration answer_delay = absl::ZeroDuration();
  };
  enum class Call : unsigned char { kRead = 0, kCommit };
  // `client` counts from 0 in the order of NewClient().
  virtual Fate NextCall(int client, Call call) = 0;

  struct HintFate {
    bool lost = false;
    absl::Duration delay = absl::ZeroDuration();
  };
  virtual HintFate NextHint(int client) = 0;
};

// How often, of 1, and how late.
struct CoordinatorFaults {
  double refused = 0;
  double lost = 0;
  double answer_lost = 0;
  double late = 0;  // the delay is then up to `late_delay`, else up to `delay`
  double hint_lost = 0;
  absl::Duration delay = absl::ZeroDuration();
  absl::Duration late_delay = absl::ZeroDuration();
};
// Each call and hint for itself, by a generator of numbers that starts at `seed`.
std::unique_ptr<CoordinatorPolicy> NewRandomCoordinatorPolicy(uint64_t seed,
                                                              const CoordinatorFaults& faults);

// A coordinator in this process, for simulations and tests: values in memory, and clients that
// reach them as if over a network. On its loop only, and destroyed there; calls that come after
// that are never answered but by their timeouts. Clients are on loops of their own, or on the same.
class SimulatedCoordinator {
 public:
  // Without a policy nothing fails and nothing waits. Both must outlive this.
  explicit SimulatedCoordinator(EventLoop* loop, CoordinatorPolicy* policy = nullptr);
  ~SimulatedCoordinator();
  SimulatedCoordinator(const SimulatedCoordinator&) = delete;
  SimulatedCoordinator& operator=(const SimulatedCoordinator&) = delete;

  // Thread-safe. A client for use on `loop`, which may outlive this. One that is destroyed takes
  // back nothing that it has sent.
  std::unique_ptr<Coordinator> NewClient(EventLoop* loop);

  // What it holds now, for checks.
  const Coordinator::Contents& contents() const;
  // A coordinator restored from a backup: `contents` in the place of what there is.
  void Restore(Coordinator::Contents contents);
  // Whether each read raises the revision of the whole, as etcd's do, which go through its log.
  void SetReadsWrite(bool reads_write);

 private:
  class Server;
  class Client;

  const std::shared_ptr<Server> server_;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_SIMULATED_COORDINATOR_H_
