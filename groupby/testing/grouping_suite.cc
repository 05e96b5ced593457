#include "groupby/testing/grouping_suite.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace kvarts {

GroupingOptions GroupingSuite::Options(size_t memory_bytes) {
  GroupingOptions options = GetParam().options;
  options.memory_bytes = memory_bytes;
  options.fs = &fs_;
  options.temp_dir = "/";
  return options;
}

std::unique_ptr<Grouping> GroupingSuite::New(const GroupingOptions& options) {
  auto grouping = Make(options);
  EXPECT_TRUE(grouping.ok()) << grouping.status();
  return grouping.ok() ? *std::move(grouping) : nullptr;
}

absl::Status GroupingSuite::Feed(Grouping* grouping, const SuiteRows& rows, size_t at_a_time) {
  std::vector<KeyValue> some;
  for (size_t i = 0; i < rows.size(); i += some.size()) {
    some.clear();
    for (size_t j = i; j < rows.size() && j < i + at_a_time; ++j) {
      some.push_back({rows[j].first, rows[j].second});
    }
    KVARTS_RETURN_IF_ERROR(grouping->Add(some));
  }
  return absl::OkStatus();
}

absl::StatusOr<SuiteGroups> GroupingSuite::Read(Groups* groups) {
  SuiteGroups result;
  absl::string_view key;
  for (;;) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, groups->Next(&key));
    if (!more) return result;
    result.emplace_back(std::string(key), std::vector<std::string>());
    for (;;) {
      KVARTS_ASSIGN_OR_RETURN(const auto values, groups->Values());
      if (values.empty()) break;
      for (const absl::string_view value : values) result.back().second.emplace_back(value);
    }
  }
}

void GroupingSuite::ExpectGroups(const SuiteGroups& groups, const SuiteRows& rows) {
  SuiteGroups sorted = groups;
  if (GetParam().options.order != GroupingOptions::Order::kKey) {
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  const SuiteGroups expected = GroupsOf(rows);
  for (size_t i = 0; i < std::min(sorted.size(), expected.size()); ++i) {
    ASSERT_TRUE(sorted[i].first == expected[i].first)
        << "group " << i << " is \"" << sorted[i].first.substr(0, 50) << "\", expected \""
        << expected[i].first.substr(0, 50) << "\"";
    const auto& values = sorted[i].second;
    const auto& wanted = expected[i].second;
    const auto differs = std::mismatch(values.begin(), values.end(), wanted.begin(), wanted.end());
    ASSERT_TRUE(values == wanted) << "group " << i << " (\"" << sorted[i].first.substr(0, 50)
                                  << "\") has " << values.size() << " values, expected "
                                  << wanted.size() << "; the first wrong one is "
                                  << differs.first - values.begin();
  }
  ASSERT_EQ(groups.size(), expected.size());
}

void GroupingSuite::ExpectNothingLeft() {
  EXPECT_TRUE(fs_.List("/")->empty()) << fs_.List("/")->at(0);
  EXPECT_EQ(fs_.used_bytes(), 0u);
  // Else it remembers all that a crash could bring back.
  fs_.SyncAll();
}

absl::Status GroupingSuite::GroupAndCheck(const GroupingOptions& options, const SuiteRows& rows,
                                          GroupingStats* stats) {
  KVARTS_ASSIGN_OR_RETURN(const auto grouping, Make(options));
  const auto failed = [&](const absl::Status& status) {
    // The same for ever.
    const KeyValue row{"key", "value"};
    EXPECT_EQ(grouping->Add(absl::MakeSpan(&row, 1)), status);
    EXPECT_EQ(grouping->Finish().status(), status);
    return status;
  };
  const absl::Status fed = Feed(grouping.get(), rows);
  if (!fed.ok()) return failed(fed);
  const auto groups = grouping->Finish();
  if (!groups.ok()) return groups.status();
  const auto result = Read(groups->get());
  if (stats != nullptr) *stats = grouping->stats();
  absl::string_view key;
  if (!result.ok()) {
    EXPECT_EQ((*groups)->Next(&key).status(), result.status());
    EXPECT_EQ((*groups)->Values().status(), result.status());
    return result.status();
  }
  ExpectGroups(*result, rows);
  EXPECT_FALSE((*groups)->Next(&key).value());
  EXPECT_TRUE((*groups)->Values()->empty());
  return absl::OkStatus();
}

}  // namespace kvarts
