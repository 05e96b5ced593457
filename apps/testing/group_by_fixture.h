#ifndef KVARTS_APPS_TESTING_GROUP_BY_FIXTURE_H_
#define KVARTS_APPS_TESTING_GROUP_BY_FIXTURE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"

namespace kvarts {

// The real group_by in a directory of the test's own.
class GroupByFixture : public testing::Test {
 protected:
  // Runs it there, to its end; `err` is without progress.
  ProcessResult Run(std::vector<std::string> args, const std::string& input = "",
                    ProcessOptions options = {}) const;
  void Write(absl::string_view name, absl::string_view contents) const;
  std::string Read(absl::string_view name) const;
  // The names in the directory, or in a folder of it, sorted.
  std::vector<std::string> Files(absl::string_view folder = "") const;
  // Standard error without the progress that is there as well where the machine is slow.
  static std::string Errors(absl::string_view text);

  const std::string dir_ = TestDirectory();
};

// Rows of `keys` keys, and the groups by a map.
struct GroupByRows {
  GroupByRows(int rows, int keys, size_t value_bytes);

  std::string text;
  std::map<std::string, std::string> groups;
  std::string sorted;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_GROUP_BY_FIXTURE_H_
