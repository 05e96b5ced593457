#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

WriteOptions Reporting(bool atomic = false) {
  WriteOptions options;
  options.atomic = atomic;
  options.report_existed = true;
  return options;
}

void PutSetsAndReplaces(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  for (const auto& [key, value] : t.Sample()) {
    EXPECT_TRUE(store->Put(key, "at first").ok());
    EXPECT_TRUE(store->Put(key, value).ok());
    EXPECT_EQ(ValueOf(*store, key), value) << testing::PrintToString(key);
  }
  for (const auto& [key, value] : t.Sample()) {
    EXPECT_EQ(ValueOf(*store, key), value) << testing::PrintToString(key);
    EXPECT_TRUE(*store->Delete(key));
    EXPECT_EQ(ValueOf(*store, key), kAbsent) << testing::PrintToString(key);
    EXPECT_FALSE(*store->Delete(key));
  }
}

void EmptyBatchIsOk(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  WriteResults results;
  results.results.resize(3);
  results.failed_precondition = 1;
  EXPECT_TRUE(store->Write({}, {}, &results).ok());
  EXPECT_EQ(results.results.size(), 0u);
  EXPECT_EQ(results.failed_precondition, -1);
  EXPECT_TRUE(store->Write({}, {}, nullptr).ok());
}

void MutationsOfOneKeyApplyInOrder(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  for (const bool atomic : {false, true}) {
    if (atomic && t.has().batch_scope == BatchScope::kNone) continue;
    WriteBatch batch;
    batch.Put("k", "1");
    batch.Delete("k");
    batch.Delete("k");
    batch.Put("k", "2");
    batch.Put("k", "3");
    WriteResults results;
    EXPECT_TRUE(store->Write(batch, Reporting(atomic), &results).ok());
    ASSERT_EQ(results.results.size(), 5u);
    const bool existed[] = {false, true, false, false, true};
    for (int i = 0; i < 5; ++i) EXPECT_EQ(results.results[i].existed, existed[i]) << i;
    EXPECT_EQ(ValueOf(*store, "k"), "3");
    EXPECT_TRUE(*store->Delete("k"));
  }
}

void ExistedIsReportedWhereAskedFor(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open({{"present", "v"}, {"touched", "v"}, {"replaced", "v"}});
  WriteBatch batch;
  batch.Delete("present");
  batch.Delete("absent");
  batch.Touch("touched", Metadata());
  batch.Touch("absent", Metadata());
  batch.Put("replaced", "w");
  batch.Put("new", "w");
  WriteResults results;
  EXPECT_TRUE(store->Write(batch, Reporting(), &results).ok());
  ASSERT_EQ(results.results.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(results.results[i].status.ok());
    EXPECT_EQ(results.results[i].existed, i % 2 == 0) << i;
  }
  EXPECT_TRUE(store->Write(batch, {}, &results).ok());
  ASSERT_EQ(results.results.size(), 6u);
  for (const WriteResult& result : results.results) {
    EXPECT_FALSE(result.existed) << "reported without being asked";
  }
}

void TouchOfAnAbsentKeyDoesNothing(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open({{"k", "v"}});
  WriteBatch batch;
  batch.Touch("absent", Metadata());
  batch.Touch("k", Metadata());
  EXPECT_TRUE(store->Write(batch, {}, nullptr).ok());
  EXPECT_EQ(ValueOf(*store, "absent"), kAbsent);
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void InvalidMutationsFailAlone(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  const std::string long_value(kMaxValueBytes + 1, 'v');
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put(long_key, "");
  batch.Put("b", long_value);
  batch.Delete(long_key);
  batch.Put("c", "2");
  batch.Touch(long_key, Metadata());
  WriteResults results;
  EXPECT_EQ(store->Write(batch, {}, &results).code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(results.results.size(), 6u);
  EXPECT_TRUE(results.results[0].status.ok());
  EXPECT_EQ(results.results[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results.results[2].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results.results[3].status.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(results.results[4].status.ok());
  EXPECT_EQ(results.results[5].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results.failed_precondition, -1);
  EXPECT_EQ(ValueOf(*store, "a"), "1");
  EXPECT_EQ(ValueOf(*store, "b"), kAbsent);
  EXPECT_EQ(ValueOf(*store, "c"), "2");
  EXPECT_EQ(store->Put(long_key, "").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Put("b", long_value).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Delete(long_key).status().code(), StatusCode::kInvalidArgument);
}

void AtomicBatchWithAnInvalidMutationAppliesNothing(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  if (t.has().batch_scope < BatchScope::kStore) GTEST_SKIP() << "no batches of several keys";
  const auto store = t.Open();
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put(long_key, "");
  WriteResults results;
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(results.results.size(), 2u);
  EXPECT_FALSE(results.results[0].status.ok()) << "nothing was applied";
  EXPECT_FALSE(results.results[1].status.ok());
  EXPECT_EQ(ValueOf(*store, "a"), kAbsent);
}

void AtomicBatchAppliesAllOfIt(Tester& t) {
  if (t.has().batch_scope == BatchScope::kNone) GTEST_SKIP() << "the store has no atomic batches";
  t.Proves("batch_scope");
  const auto store = t.Open({{"{t}a", "1"}, {"{t}b", "2"}});
  WriteBatch batch;
  batch.Put("{t}a", "3");
  if (t.has().batch_scope >= BatchScope::kShard) {  // the tag keeps them in one slot
    batch.Delete("{t}b");
    batch.Put("{t}c", "4");
  }
  EXPECT_TRUE(WriteAtomic(*store, batch).ok());
  EXPECT_EQ(ValueOf(*store, "{t}a"), "3");
  if (t.has().batch_scope == BatchScope::kKey) return;
  EXPECT_EQ(ValueOf(*store, "{t}b"), kAbsent);
  EXPECT_EQ(ValueOf(*store, "{t}c"), "4");
}

void LargestKeyAndValueAreWritten(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  const Records records = t.Accepted(
      {{std::string(kMaxKeyBytes, 'k'), "1"}, {"large", std::string(kMaxValueBytes, 'v')}});
  for (const auto& [key, value] : records) {
    EXPECT_TRUE(store->Put(key, value).ok());
    EXPECT_TRUE(ValueOf(*store, key) == value) << "a value of " << value.size() << " bytes";
    EXPECT_TRUE(*store->Delete(key));
  }
}

void BorrowedBytesAreCopied(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  std::string key = "key";
  std::string value = "value";
  EXPECT_TRUE(store->Put(key, value).ok());
  key.assign("###");
  value.assign("#####");
  EXPECT_EQ(ValueOf(*store, "key"), "value");
  EXPECT_EQ(ValueOf(*store, "###"), kAbsent);
}

void UnsyncedWritesAreSeenToo(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  WriteBatch batch;
  batch.Put("k", "v");
  WriteOptions options;
  options.sync = false;
  EXPECT_TRUE(store->Write(batch, options, nullptr).ok());
  EXPECT_EQ(ValueOf(*store, "k"), "v");
  EXPECT_TRUE(store->Sync().ok());
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void ManyKeysArePutReplacedAndDeleted(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  const Records records = t.Many(4000);
  WriteOptions options;
  options.sync = false;
  for (int round = 0; round < 3; ++round) {
    WriteBatch batch;
    std::vector<std::string> values;
    for (const auto& [key, value] : records) values.push_back(absl::StrCat(value, round));
    for (size_t i = 0; i < records.size(); ++i) {
      if (round == 2 && i % 3 == 0) {
        batch.Delete(records[i].first);
      } else {
        batch.Put(records[i].first, values[i]);
      }
      if (batch.mutations().size() == 500 || i + 1 == records.size()) {
        ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
        batch.Clear();
      }
    }
    for (size_t i = 0; i < records.size(); ++i) {
      ASSERT_EQ(ValueOf(*store, records[i].first),
                round == 2 && i % 3 == 0 ? std::string(kAbsent) : values[i]);
    }
  }
}

void ContentTypeIsSetKeptAndCleared(Tester& t) {
  KVARTS_SUITE_NEEDS(content_type);
  const auto store = t.Open();
  const auto type_of = [&](const char* key) { return ReadOne(*store, key).content_type; };
  EXPECT_TRUE(store->Put("k", "1", ContentType("text/plain")).ok());
  EXPECT_EQ(type_of("k"), "text/plain");
  EXPECT_TRUE(store->Put("k", "2", Metadata::Keep()).ok());
  EXPECT_EQ(type_of("k"), "text/plain");
  EXPECT_EQ(ValueOf(*store, "k"), "2");
  EXPECT_TRUE(store->Put("k", "3").ok());
  EXPECT_EQ(type_of("k"), "") << "a plain put clears it";

  const std::string longest(kMaxContentTypeBytes, 't');
  WriteBatch touch;
  touch.Touch("k", ContentType(longest));
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(type_of("k"), longest);
  EXPECT_EQ(ValueOf(*store, "k"), "3") << "a touch keeps the value";
  touch.Clear();
  touch.Touch("k", Metadata::Keep());
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(type_of("k"), longest);
  touch.Clear();
  touch.Touch("k", Metadata());
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(type_of("k"), "");

  EXPECT_EQ(store->Put("k", "4", ContentType(longest + "t")).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ValueOf(*store, "k"), "3");
  EXPECT_TRUE(store->Put("k", "5", ContentType("a/b")).ok());
  EXPECT_TRUE(*store->Delete("k"));
  EXPECT_TRUE(store->Put("k", "6", Metadata::Keep()).ok());
  EXPECT_EQ(type_of("k"), "") << "deleting forgets it";
  ReadOptions no_value;
  no_value.value = false;
  EXPECT_TRUE(store->Put("k", "7", ContentType("a/b")).ok());
  EXPECT_EQ(ReadOne(*store, "k", no_value).content_type, "a/b");
}

// The keys a to e that are left after [begin, end) was deleted.
std::string LeftAfter(Tester& t, const char* begin, const char* end) {
  const auto store = t.Open({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}});
  EXPECT_EQ(ValueOf(*store, "b"), "2");  // into a cache, where there is one
  WriteBatch batch;
  batch.DeleteRange(begin, end);
  WriteResults results;
  EXPECT_TRUE(store->Write(batch, Reporting(), &results).ok());
  EXPECT_EQ(results.results.size(), 1u);
  std::string left;
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    if (ValueOf(*store, key) != kAbsent) left += key;
  }
  return left;
}

void DeleteRangeLeavesItsEndAndWhatIsOutside(Tester& t) {
  KVARTS_SUITE_NEEDS(delete_range);
  EXPECT_EQ(LeftAfter(t, "b", "d"), "ade");
  EXPECT_EQ(LeftAfter(t, "", "c"), "cde");
  EXPECT_EQ(LeftAfter(t, "c", ""), "ab") << "an empty end is no end";
  EXPECT_EQ(LeftAfter(t, "", ""), "");
  EXPECT_EQ(LeftAfter(t, "b", "b"), "abcde");
  EXPECT_EQ(LeftAfter(t, "d", "b"), "abcde");
  EXPECT_EQ(LeftAfter(t, "bb", "cc"), "abde");
  EXPECT_EQ(LeftAfter(t, "x", "z"), "abcde");
}

void DeleteRangeAppliesInOrderWithOtherMutations(Tester& t) {
  KVARTS_SUITE_NEEDS(delete_range);
  const auto store = t.Open({{"p/1", "1"}, {"p/2", "2"}, {"q", "3"}});
  for (const bool atomic : {false, true}) {
    if (atomic && t.has().batch_scope != BatchScope::kStore) continue;
    const KeyRange range = KeyRange::Prefix("p/");
    WriteBatch batch;
    batch.Put("p/1", "again");
    batch.Put("p/3", "gone");
    batch.DeleteRange(range.begin, range.end);
    batch.Put("p/2", "new");
    EXPECT_TRUE(store->Write(batch, Reporting(atomic), nullptr).ok());
    EXPECT_EQ(ValueOf(*store, "p/1"), kAbsent);
    EXPECT_EQ(ValueOf(*store, "p/2"), "new");
    EXPECT_EQ(ValueOf(*store, "p/3"), kAbsent);
    EXPECT_EQ(ValueOf(*store, "q"), "3");
  }
}

void DeleteRangeTakesTheLongestBounds(Tester& t) {
  KVARTS_SUITE_NEEDS(delete_range);
  const auto store = t.Open({{"a", "1"}});
  const std::string longest(kMaxKeyBytes, 'z');
  const std::string behind = longest + std::string(1, '\0');
  const std::string beyond = behind + "z";
  WriteBatch batch;
  batch.DeleteRange("b", behind);
  EXPECT_TRUE(store->Write(batch, {}, nullptr).ok());
  batch.Clear();
  batch.DeleteRange("", beyond);
  EXPECT_EQ(store->Write(batch, {}, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ValueOf(*store, "a"), "1");
}

}  // namespace

absl::Span<const SuiteTest> WriteTests() {
  static constexpr SuiteTest kTests[] = {
      {"PutSetsAndReplaces", PutSetsAndReplaces},
      {"EmptyBatchIsOk", EmptyBatchIsOk, /*needs_entries=*/false},
      {"MutationsOfOneKeyApplyInOrder", MutationsOfOneKeyApplyInOrder},
      {"ExistedIsReportedWhereAskedFor", ExistedIsReportedWhereAskedFor},
      {"TouchOfAnAbsentKeyDoesNothing", TouchOfAnAbsentKeyDoesNothing},
      {"InvalidMutationsFailAlone", InvalidMutationsFailAlone},
      {"AtomicBatchWithAnInvalidMutationAppliesNothing",
       AtomicBatchWithAnInvalidMutationAppliesNothing},
      {"AtomicBatchAppliesAllOfIt", AtomicBatchAppliesAllOfIt},
      {"LargestKeyAndValueAreWritten", LargestKeyAndValueAreWritten},
      {"BorrowedBytesAreCopied", BorrowedBytesAreCopied},
      {"UnsyncedWritesAreSeenToo", UnsyncedWritesAreSeenToo},
      {"ManyKeysArePutReplacedAndDeleted", ManyKeysArePutReplacedAndDeleted},
      {"ContentTypeIsSetKeptAndCleared", ContentTypeIsSetKeptAndCleared},
      {"DeleteRangeLeavesItsEndAndWhatIsOutside", DeleteRangeLeavesItsEndAndWhatIsOutside},
      {"DeleteRangeAppliesInOrderWithOtherMutations", DeleteRangeAppliesInOrderWithOtherMutations},
      {"DeleteRangeTakesTheLongestBounds", DeleteRangeTakesTheLongestBounds},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
