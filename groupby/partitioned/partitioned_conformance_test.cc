#include <string>

#include "groupby/partitioned/partitioned.h"
#include "groupby/testing/grouping_suite.h"

namespace kvarts {
namespace {

GroupingSuiteParam Param(const std::string& name, int threads) {
  GroupingSuiteParam param;
  param.name = name;
  param.make = groupby_internal::NewPartitioned;
  param.options.threads = threads;
  return param;
}

INSTANTIATE_TEST_SUITE_P(Partitioned, GroupingSuite,
                         testing::Values(Param("OneThread", 1), Param("ThreeThreads", 3)),
                         GroupingSuiteName);

}  // namespace
}  // namespace kvarts
