#ifndef KVARTS_GROUPBY_TESTING_GROUPING_SUITE_H_
#define KVARTS_GROUPBY_TESTING_GROUPING_SUITE_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "groupby/grouping.h"
#include "groupby/testing/grouping_suite_rows.h"
#include "storage/fs/memory.h"

namespace kvarts {

struct GroupingSuiteParam {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Grouping>>(const GroupingOptions&)> make;
  // The suite sets the memory and the file system.
  GroupingOptions options;
};

inline void PrintTo(const GroupingSuiteParam& param, std::ostream* out) { *out << param.name; }
inline std::string GroupingSuiteName(const testing::TestParamInfo<GroupingSuiteParam>& info) {
  return info.param.name;
}

// The conformance suite of groupings. Link //groupby/testing:grouping_suite and run it over an
// engine, each set of its options, with
//
//   INSTANTIATE_TEST_SUITE_P(Mine, GroupingSuite, testing::Values(...), GroupingSuiteName);
//
// It knows of an engine what its options say: groups of Order::kKey are in order.
class GroupingSuite : public testing::TestWithParam<GroupingSuiteParam> {
 protected:
  static constexpr size_t kSmall = GroupingOptions::kMinMemory;

  // Files are in fs_, in the root.
  GroupingOptions Options(size_t memory_bytes = kSmall);
  static std::unique_ptr<Grouping> New(const GroupingOptions& options);
  static absl::StatusOr<std::unique_ptr<Grouping>> Make(const GroupingOptions& options) {
    return GetParam().make(options);
  }

  // Adds all rows, some at a time.
  static absl::Status Feed(Grouping* grouping, const SuiteRows& rows, size_t at_a_time = 100);
  // All that is left.
  static absl::StatusOr<SuiteGroups> Read(Groups* groups);
  // Groups `rows` and reads them; what is wrong is in the status, or a failure.
  static absl::Status GroupAndCheck(const GroupingOptions& options, const SuiteRows& rows,
                                    GroupingStats* stats = nullptr);

  // That they are those of the rows, each once, in the order of the options.
  static void ExpectGroups(const SuiteGroups& groups, const SuiteRows& rows);
  // No file, no folder.
  void ExpectNothingLeft();

  MemoryFileSystem fs_;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_TESTING_GROUPING_SUITE_H_
