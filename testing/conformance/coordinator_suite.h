#ifndef KVARTS_TESTING_CONFORMANCE_COORDINATOR_SUITE_H_
#define KVARTS_TESTING_CONFORMANCE_COORDINATOR_SUITE_H_

#include "base/language.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "net/event_loop.h"
#include "testing/conformance/coordinator_harness.h"

namespace kvarts {

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
