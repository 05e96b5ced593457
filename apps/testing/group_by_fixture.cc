#include "apps/testing/group_by_fixture.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kvarts {

ProcessResult GroupByFixture::Run(std::vector<std::string> args, const std::string& input,
                                  ProcessOptions options) const {
  args.insert(args.begin(), "apps/group_by");
  options.directory = dir_;
  options.input = input;
  ProcessResult result = RunProcess(args, options);
  result.err = Errors(result.err);
  return result;
}

void GroupByFixture::Write(absl::string_view name, absl::string_view contents) const {
  WriteTestFile(absl::StrCat(dir_, "/", name), contents);
}

std::string GroupByFixture::Read(absl::string_view name) const {
  return ReadTestFile(absl::StrCat(dir_, "/", name));
}

std::vector<std::string> GroupByFixture::Files(absl::string_view folder) const {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat(dir_, "/", folder))) {
    files.push_back(entry.path().filename());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string GroupByFixture::Errors(absl::string_view text) {
  std::string errors;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const bool progress = absl::StartsWith(line, "reading: ") ||
                          absl::StartsWith(line, "partition: ") ||
                          absl::StartsWith(line, "merge: ") || absl::StartsWith(line, "group: ");
    if (!progress) absl::StrAppend(&errors, line, "\n");
  }
  return errors;
}

GroupByRows::GroupByRows(int rows, int keys, size_t value_bytes) {
  for (int i = 0; i < rows; ++i) {
    const std::string key = absl::StrCat("key", (i * 7919) % keys);
    const std::string value = absl::StrCat("v", i, std::string(value_bytes, 'x'));
    absl::StrAppend(&text, key, "\t", value, "\n");
    std::string& group = groups[key];
    absl::StrAppend(&group, group.empty() ? "" : ",", value);
  }
  for (const auto& [key, values] : groups) absl::StrAppend(&sorted, key, "\t", values, "\n");
}

}  // namespace kvarts
