#include <string>
#include <vector>

#include "groupby/sorted/sorted_runs.h"
#include "groupby/testing/grouping_suite.h"

namespace kvarts {
namespace {

GroupingSuiteParam Param(const std::string& name, int threads, uint64_t max_hash_entries,
                         int max_open_runs) {
  GroupingSuiteParam param;
  param.name = name;
  param.make = [](const GroupingOptions& options) {
    return groupby_internal::NewSortedRuns(options);
  };
  param.options.order = GroupingOptions::Order::kKey;
  param.options.threads = threads;
  param.options.max_hash_entries = max_hash_entries;
  param.options.max_open_runs = max_open_runs;
  return param;
}

// Of half a MiB: the suite's least memory is two, three times that is four.
GroupingSuiteParam Sharded(const std::string& name, int threads) {
  GroupingSuiteParam param = Param(name, threads, 0, 0);
  param.make = [](const GroupingOptions& options) {
    return groupby_internal::NewSortedRuns(options, GroupingOptions::kMinMemory / 2);
  };
  return param;
}

std::vector<GroupingSuiteParam> Params() {
  std::vector<GroupingSuiteParam> params = {Param("ThreeThreads", 3, 0, 0), Sharded("TwoShards", 2),
                                            Sharded("FourShards", 4)};
  // Where there is one thread, ThreadSanitizer has nothing to see.
  if (kFewerRounds == 1) {
    params.push_back(Param("Plain", 1, 0, 0));
    params.push_back(Param("FewOpenRuns", 1, 0, 2));
    params.push_back(Param("BothCaps", 1, 5000, 3));
  }
  return params;
}

INSTANTIATE_TEST_SUITE_P(SortedRuns, GroupingSuite, testing::ValuesIn(Params()), GroupingSuiteName);

}  // namespace
}  // namespace kvarts
