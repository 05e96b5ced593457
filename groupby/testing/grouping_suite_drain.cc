#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "groupby/testing/grouping_suite.h"

namespace kvarts {
namespace {

// "KEY SIZE=VALUE SIZE:VALUE..." in small pieces, so that no two groups are alike.
absl::Status RenderAll(Groups::Cursor* group, Groups::Output* output) {
  KVARTS_RETURN_IF_ERROR(output->Append(absl::StrCat(group->key().size(), "=")));
  KVARTS_RETURN_IF_ERROR(output->Append(group->key()));
  for (;;) {
    KVARTS_ASSIGN_OR_RETURN(const auto values, group->Values());
    if (values.empty()) break;
    for (const absl::string_view value : values) {
      KVARTS_RETURN_IF_ERROR(output->Append(absl::StrCat(value.size(), ":")));
      KVARTS_RETURN_IF_ERROR(output->Append(value));
    }
  }
  return output->Append("\n");
}

std::string TextOf(const SuiteGroups& groups) {
  std::string text;
  for (const auto& [key, values] : groups) {
    absl::StrAppend(&text, key.size(), "=", key);
    for (const std::string& value : values) absl::StrAppend(&text, value.size(), ":", value);
    text += "\n";
  }
  return text;
}

TEST_P(GroupingSuite, DrainGivesWhatNextGives) {
  for (const RowShape shape : {RowShape::kAllEqual, RowShape::kZipf, RowShape::kHalfEqual,
                               RowShape::kLargeValues, RowShape::kAllDistinct}) {
    for (const size_t bytes : {0, 20'000, 3'000'000}) {
      const SuiteRows rows = MakeSuiteRows(shape, bytes, 3);
      std::string expected;
      for (const bool drain : {false, true}) {
        const auto grouping = New(Options());
        ASSERT_TRUE(Feed(grouping.get(), rows).ok());
        const auto groups = grouping->Finish().value();
        if (!drain) {
          expected = TextOf(Read(groups.get()).value());
          continue;
        }
        std::string text;
        const absl::Status status = groups->Drain(RenderAll, [&](absl::string_view piece) {
          EXPECT_FALSE(piece.empty());
          text.append(piece.data(), piece.size());
          return absl::OkStatus();
        });
        EXPECT_TRUE(status.ok()) << status;
        ASSERT_TRUE(text == expected) << shape << " " << bytes;
        absl::string_view key;
        EXPECT_FALSE(groups->Next(&key).value());
        EXPECT_EQ(grouping->stats().groups, GroupsOf(rows).size());
        EXPECT_LE(grouping->stats().peak_memory, kSmall);
      }
    }
  }
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, DrainReadsTheGroupsThatAreLeft) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 3'000'000, 3);
  std::string expected;
  for (const bool drain : {false, true}) {
    const auto grouping = New(Options());
    ASSERT_TRUE(Feed(grouping.get(), rows).ok());
    const auto groups = grouping->Finish().value();
    absl::string_view key;
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(groups->Next(&key).value());
    ASSERT_TRUE(groups->Values().ok());
    if (!drain) {
      expected = TextOf(Read(groups.get()).value());
      continue;
    }
    std::string text;
    EXPECT_TRUE(groups
                    ->Drain(RenderAll,
                            [&](absl::string_view piece) {
                              text.append(piece.data(), piece.size());
                              return absl::OkStatus();
                            })
                    .ok());
    EXPECT_TRUE(text == expected);
  }
}

TEST_P(GroupingSuite, RenderMayLeaveValuesUnread) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 3'000'000, 3);
  const auto grouping = New(Options());
  ASSERT_TRUE(Feed(grouping.get(), rows).ok());
  const auto groups = grouping->Finish().value();
  size_t lines = 0;
  EXPECT_TRUE(
      groups
          ->Drain([](Groups::Cursor*, Groups::Output* output) { return output->Append("\n"); },
                  [&](absl::string_view piece) {
                    lines += piece.size();
                    return absl::OkStatus();
                  })
          .ok());
  EXPECT_EQ(lines, GroupsOf(rows).size());
}

TEST_P(GroupingSuite, ErrorOfRenderOrWriteEndsTheDrain) {
  for (const size_t bytes : {20'000, 3'000'000}) {
    const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, bytes, 3);
    for (const bool in_write : {false, true}) {
      const auto grouping = New(Options());
      ASSERT_TRUE(Feed(grouping.get(), rows).ok());
      const auto groups = grouping->Finish().value();
      const absl::Status error = absl::OutOfRangeError("the pipe is broken");
      std::atomic<int> rendered{0};
      const absl::Status status = groups->Drain(
          [&](Groups::Cursor* group, Groups::Output* output) {
            if (!in_write && ++rendered >= 20) return error;
            return RenderAll(group, output);
          },
          [&](absl::string_view) { return in_write ? error : absl::OkStatus(); });
      EXPECT_EQ(status, error);
      absl::string_view key;
      EXPECT_EQ(groups->Next(&key).status(), error);
      EXPECT_EQ(groups->Values().status(), error);
      EXPECT_EQ(groups->Drain(RenderAll, [](absl::string_view) { return absl::OkStatus(); }),
                error);
      ExpectNothingLeft();
    }
  }
}

TEST_P(GroupingSuite, TextsLongerThanMemoryAreWritten) {
  // 40 times what goes in.
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllEqual, 200'000, 3);
  const auto grouping = New(Options());
  ASSERT_TRUE(Feed(grouping.get(), rows).ok());
  const auto groups = grouping->Finish().value();
  const std::string long_text(1000, 'x');
  size_t written = 0;
  EXPECT_TRUE(groups
                  ->Drain(
                      [&](Groups::Cursor* group, Groups::Output* output) -> absl::Status {
                        for (;;) {
                          KVARTS_ASSIGN_OR_RETURN(const auto values, group->Values());
                          if (values.empty()) return absl::OkStatus();
                          for (size_t i = 0; i < values.size(); ++i) {
                            KVARTS_RETURN_IF_ERROR(output->Append(long_text));
                          }
                        }
                      },
                      [&](absl::string_view piece) {
                        written += piece.size();
                        return absl::OkStatus();
                      })
                  .ok());
  EXPECT_EQ(written, rows.size() * long_text.size());
  EXPECT_LE(grouping->stats().peak_memory, kSmall);
}

}  // namespace
}  // namespace kvarts
