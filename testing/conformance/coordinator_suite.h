#ifndef KVARTS_TESTING_CONFORMANCE_COORDINATOR_SUITE_H_
#define KVARTS_TESTING_CONFORMANCE_COORDINATOR_SUITE_H_

#include "base/language.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

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

struct CoordinatorSuiteParam {
  std::string name;
  // The loops outlive the fixture.
  std::function<std::unique_ptr<CoordinatorFixture>(EventLoops* loops)> make;
};
inline void PrintTo(const CoordinatorSuiteParam& param, std::ostream* out) { *out << param.name; }
std::string CoordinatorSuiteName(const testing::TestParamInfo<CoordinatorSuiteParam>& info);

// The conformance suite of coordinators. Link //testing/conformance:coordinator_suite and run it
// with
//
//   INSTANTIATE_TEST_SUITE_P(Mine, CoordinatorSuite, testing::Values(param), CoordinatorSuiteName);
class CoordinatorSuite : public testing::TestWithParam<CoordinatorSuiteParam> {
 protected:
  CoordinatorSuite();
  ~CoordinatorSuite() override;

  EventLoops* loops() { return loops_.get(); }
  CoordinatorFixture* fixture() { return fixture_.get(); }
  // Clients are on two loops, in turn.
  std::unique_ptr<TestCoordinator> NewClient();

 private:
  std::unique_ptr<EventLoops> loops_;
  std::unique_ptr<CoordinatorFixture> fixture_;
  int clients_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_COORDINATOR_SUITE_H_
