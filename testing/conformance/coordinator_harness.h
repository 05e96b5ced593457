#ifndef KVARTS_TESTING_CONFORMANCE_COORDINATOR_HARNESS_H_
#define KVARTS_TESTING_CONFORMANCE_COORDINATOR_HARNESS_H_

#include "base/language.h"

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/coordinator.h"
#include "net/event_loop.h"

namespace kvarts {

// One set of values, with nothing in it at first, and clients of it.
class CoordinatorFixture {
 public:
  virtual ~CoordinatorFixture() = default;
  // On `loop`; all clients are destroyed before the fixture.
  virtual std::unique_ptr<Coordinator> NewClient(EventLoop* loop) = 0;
};

// Not thread-safe: one test thread. A coordinator that is called, and waited for, from there.
class TestCoordinator {
 public:
  TestCoordinator(CoordinatorFixture* fixture, EventLoop* loop);
  ~TestCoordinator();

  absl::StatusOr<Coordinator::Contents> Read(absl::Duration timeout = absl::Seconds(30));
  absl::StatusOr<Coordinator::Outcome> Commit(const Coordinator::Transaction& transaction,
                                              absl::Duration timeout = absl::Seconds(30));
  // Destroys it now.
  void End();

  EventLoop* loop() const { return loop_; }
  Coordinator* get() const { return coordinator_.get(); }

 private:
  EventLoop* const loop_;
  std::unique_ptr<Coordinator> coordinator_;
};

// A transaction that compares `name` with `revision` (0: absent) and writes `bytes`.
Coordinator::Transaction PutIf(absl::string_view name, int64_t revision, absl::string_view bytes);

// Clients that each count in one value, `times` times, all at once, and go on whatever errors they
// are told; none may be lost or done twice. Fails the test where one is. The timeout is a call's.
void ExpectNoLostIncrement(CoordinatorFixture* fixture, EventLoops* loops, int clients, int times,
                           absl::Duration timeout = absl::Seconds(30));

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_COORDINATOR_HARNESS_H_
