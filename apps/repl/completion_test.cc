#include "apps/repl/completion.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/store.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

using testing::Contains;

class CompletionTest : public testing::Test {
 protected:
  static std::unique_ptr<Store> NewStore(const std::vector<std::string>& keys,
                                         const Capabilities& has = ModelCapabilities()) {
    ModelStoreOptions options;
    options.capabilities = has;
    for (const std::string& key : keys) options.records.emplace_back(key, "v");
    return NewModelStore(std::move(options));
  }
  // The line as it is then, and behind "|" the choices.
  std::string Completed(const std::string& line) {
    const Completion completion = Complete(line, store_.get());
    std::string text = absl::StrCat(line.substr(0, completion.begin), completion.text);
    if (!completion.choices.empty()) {
      absl::StrAppend(&text, "|", absl::StrJoin(completion.choices, "|"));
    }
    return text;
  }

  std::unique_ptr<Store> store_ = NewStore({"user:1", "user:2", "two words", "two wheels", "it's",
                                            "\xFF\n", "--x", "alone", "\xC3\xA9", "\xC3\xA8"});
};

TEST_F(CompletionTest, OfCommands) {
  EXPECT_EQ(Completed("ge"), "get ");
  EXPECT_EQ(Completed("  ge"), "  get ");
  EXPECT_EQ(Completed("load"), "load_index|load_index|load_index_snapshot");
  EXPECT_EQ(Completed("get"), "get ");
  EXPECT_EQ(Completed("nothing"), "nothing");
  EXPECT_THAT(Complete("", store_.get()).choices, Contains("scan"));
  EXPECT_EQ(Completed("help ver"), "help verify ");
  EXPECT_EQ(Completed("help verify x"), "help verify x");
  EXPECT_EQ(Completed("unknown a"), "unknown a");
}

TEST_F(CompletionTest, OfKeys) {
  EXPECT_EQ(Completed("get al"), "get alone ");
  EXPECT_EQ(Completed("get u"), "get user:|user:1|user:2");
  EXPECT_EQ(Completed("get user:1"), "get user:1 ");
  EXPECT_EQ(Completed("get 'al"), "get alone ");
  EXPECT_EQ(Completed("get tw"), "get 'two w|'two wheels'|'two words'");
  EXPECT_EQ(Completed("get 'two wh"), "get 'two wheels' ");
  EXPECT_EQ(Completed("get two\\ wo"), "get 'two words' ");
  EXPECT_EQ(Completed("get it"), "get \"it's\" ");
  EXPECT_EQ(Completed("get $'\\xff"), "get $'\\xff\\n' ");
  EXPECT_EQ(Completed("get '--"), "get '--x' ");
  // They differ in the second byte of a character.
  EXPECT_EQ(Completed("get \xC3"), "get \xC3|\xC3\xA8|\xC3\xA9");
  EXPECT_EQ(Completed("delete alone us"), "delete alone user:|user:1|user:2");
  EXPECT_EQ(Completed("store al"), "store alone ");
  EXPECT_EQ(Completed("store alone al"), "store alone al");
  EXPECT_EQ(Completed("get alone al"), "get alone al");
  EXPECT_EQ(Completed("inspect al"), "inspect al");
  EXPECT_EQ(Completed("get zzz"), "get zzz");
}

TEST_F(CompletionTest, OfOptions) {
  EXPECT_EQ(Completed("scan --l"), "scan --limit=");
  EXPECT_EQ(Completed("scan --k"), "scan --keys ");
  EXPECT_EQ(Completed("scan --keys al"), "scan --keys alone ");
  EXPECT_EQ(Completed("get --l"), "get --l");
}

TEST_F(CompletionTest, OfTheFirstHundredKeys) {
  std::vector<std::string> keys;
  for (int i = 1000; i < 1200; ++i) keys.push_back(absl::StrCat("k", i));
  store_ = NewStore(keys);
  const Completion completion = Complete("get k", store_.get());
  EXPECT_EQ(completion.choices.size(), 100u);
  EXPECT_EQ(completion.choices.front(), "k1000");
  // The hundred have "k10" in common, but not all.
  EXPECT_EQ(completion.text, "k");
}

TEST_F(CompletionTest, AStoreWithoutOrderIsReadThroughOnlyWhereItIsSmall) {
  Capabilities has = ModelCapabilities();
  has.ordered_scan = has.backward_scan = Support::kAbsent;
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) keys.push_back(absl::StrCat("k", i));
  store_ = NewStore(keys, has);
  EXPECT_EQ(Completed("get k29"), "get k29|k29|k290|k291|k292|k293|k294|k295|k296|k297|k298|k299");
  EXPECT_EQ(Complete("get k", store_.get()).choices.size(), 100u);
  for (int i = 300; i < 10001; ++i) keys.push_back(absl::StrCat("k", i));
  store_ = NewStore(keys, has);
  EXPECT_EQ(Completed("get k29"), "get k29");
  has.scan = Support::kAbsent;
  store_ = NewStore({"k1"}, has);
  EXPECT_EQ(Completed("get k"), "get k");
}

}  // namespace
}  // namespace kvarts
