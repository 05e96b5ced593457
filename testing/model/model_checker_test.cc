#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "testing/model/broken_store.h"
#include "testing/model/generator.h"
#include "testing/model/history.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"
#include "testing/model/runner.h"
#include "testing/model/shrink.h"

namespace kvarts {
namespace {

StoreFixtureFactory ModelWith(const Capabilities& capabilities) {
  return [capabilities] { return std::make_unique<ModelFixture>(capabilities); };
}

TEST(ModelTest, ModelAgreesWithItself) {
  const ModelTestReport report = CheckAgainstModel(ModelWith(ModelCapabilities()));
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(ModelTest, ModelAgreesWithItselfUnderRandomCapabilities) {
  for (uint64_t seed = 1; seed <= 64; ++seed) {
    Capabilities c = ModelCapabilities();
    for (Support Capabilities::*member :
         {&Capabilities::conditions, &Capabilities::delete_range, &Capabilities::scan,
          &Capabilities::ordered_scan, &Capabilities::backward_scan, &Capabilities::slot_scan,
          &Capabilities::snapshot, &Capabilities::expiry, &Capabilities::content_type}) {
      if ((seed * 0x9e3779b97f4a7c15u >> (40 + seed % 9)) % 3 == 0) c.*member = Support::kAbsent;
    }
    if (seed % 5 == 0) c.write = Support::kAbsent;
    c.batch_scope = static_cast<BatchScope>(seed % 4);
    ModelTestOptions options;
    options.first_seed = seed * 1000;
    options.seeds = 2;
    options.operations = 150;
    const ModelTestReport report = CheckAgainstModel(ModelWith(c), options);
    EXPECT_TRUE(report.ok) << ToText(c) << "\n" << report.text;
  }
}

TEST(ModelTest, EachPlantedBugIsFoundAndShrunk) {
  for (const Bug bug : kSequentialBugs) {
    const ModelTestReport report = CheckAgainstModel(BrokenModelFixture(bug));
    EXPECT_FALSE(report.ok) << ToText(bug) << " was not found";
    EXPECT_LE(report.shrunk_operations, 6) << ToText(bug) << ":\n" << report.text;
    EXPECT_NE(report.text.find("KVARTS_MODEL_SEED="), std::string::npos);
    std::printf("%s\n%s\n", ToText(bug), report.text.c_str());
  }
}

// What the report prints fails again when it is read back.
TEST(ModelTest, HistoryOfAReportCanBeReplayed) {
  for (const Bug bug : kSequentialBugs) {
    const ModelTestReport report = CheckAgainstModel(BrokenModelFixture(bug));
    const size_t begin = report.text.find("\n\n");
    ASSERT_NE(begin, std::string::npos);
    const std::string path = testing::TempDir() + "/history.txt";
    std::ofstream(path) << report.text.substr(begin + 2);
    ASSERT_EQ(setenv("KVARTS_MODEL_HISTORY", path.c_str(), 1), 0);
    const ModelTestReport again = CheckAgainstModel(BrokenModelFixture(bug));
    const ModelTestReport fixed = CheckAgainstModel(ModelWith(ModelCapabilities()));
    ASSERT_EQ(unsetenv("KVARTS_MODEL_HISTORY"), 0);
    EXPECT_FALSE(again.ok) << ToText(bug);
    EXPECT_NE(again.text.find(report.text.substr(begin)), std::string::npos) << again.text;
    EXPECT_TRUE(fixed.ok) << fixed.text;
  }
}

TEST(ModelTest, SeedsThatAreNoNumbersAreReported) {
  ASSERT_EQ(setenv("KVARTS_MODEL_SEED", "seven", 1), 0);
  const ModelTestReport report = CheckAgainstModel(ModelWith(ModelCapabilities()));
  ASSERT_EQ(unsetenv("KVARTS_MODEL_SEED"), 0);
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.text, "KVARTS_MODEL_SEED='seven' is no number");
}

TEST(HistoryTest, TextIsReadBackAsItWas) {
  const ModelFixture fixture;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const model::History history =
        model::RandomHistory(seed, 200, ModelCapabilities(), fixture, true);
    const std::string text = model::ToText(history);
    const auto again = model::ParseHistory(text);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->operations.size(), history.operations.size());
    EXPECT_EQ(again->records, history.records);
    EXPECT_EQ(model::ToText(*again), text);
  }
}

TEST(HistoryTest, BadLinesAreNamed) {
  for (const char* line :
       {"jump", "get \"a", "get a", "write : put \"a\"", "next x", "write : if_unchanged \"a\"",
        "record \"a\"", "resume 1", "cursor 1 slots=5", "sync \"a\"", "get \"a\"*99999999999",
        "modify \"a\" explode", "write : put \"a\" \"\\q\""}) {
    const auto history = model::ParseHistory(std::string("# comment\n\n") + line);
    ASSERT_FALSE(history.ok()) << line;
    EXPECT_NE(history.status().message().find("line 3: "), absl::string_view::npos)
        << history.status();
  }
}

TEST(HistoryTest, AnyPartOfAHistoryIsOne) {
  ModelFixture fixture;
  const model::History whole = model::RandomHistory(7, 400, ModelCapabilities(), fixture, true);
  for (size_t step = 2; step < 6; ++step) {
    model::History part;
    for (size_t i = 0; i < whole.operations.size(); i += step) {
      part.operations.push_back(whole.operations[i]);
    }
    ModelFixture fresh;
    EXPECT_FALSE(model::RunHistory(part, fresh).has_value());
  }
}

TEST(ShrinkTest, OnlyWhatMattersIsLeft) {
  const ModelFixture fixture;
  const model::History whole = model::RandomHistory(3, 300, ModelCapabilities(), fixture, true);
  // Fails where there are two reopens and a delete.
  const auto fails = [](const model::History& history) {
    int reopens = 0;
    int deletes = 0;
    for (const model::Operation& op : history.operations) {
      reopens += op.kind == model::Operation::Kind::kReopen ? 1 : 0;
      for (const auto& m : op.mutations) deletes += m.kind == Mutation::Kind::kDelete ? 1 : 0;
    }
    return reopens >= 2 && deletes >= 1;
  };
  ASSERT_TRUE(fails(whole));
  const model::History shrunk = model::Shrink(whole, fails);
  EXPECT_TRUE(fails(shrunk));
  EXPECT_EQ(shrunk.operations.size(), 3u);
  EXPECT_TRUE(shrunk.records.empty());
}

}  // namespace
}  // namespace kvarts
