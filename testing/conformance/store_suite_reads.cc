#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

void AbsentKeyIsNoError(Tester& t) {
  const auto store = t.Open({{"k", "v"}});
  const Got got = ReadOne(*store, "absent");
  EXPECT_TRUE(got.status.ok()) << got.status;
  EXPECT_FALSE(got.found);
  EXPECT_EQ(got.value, "");
  EXPECT_EQ(got.content_type, "");
  EXPECT_EQ(got.expires_at_ms, 0);
  const auto copy = store->Get("absent");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_FALSE(copy->has_value());
}

void EmptyStoreHasNoKeys(Tester& t) {
  const auto store = t.Open();
  for (const char* key : {"", "a", "f47ac10b-58cc-4372-a567-0e02b2c3d479"}) {
    EXPECT_EQ(ValueOf(*store, key), kAbsent);
  }
}

void EveryEntryIsFoundWithItsValue(Tester& t) {
  const Records records = t.Sample();
  ASSERT_GE(records.size(), 10u) << "the fixture accepts too little";
  const auto store = t.Open(records);
  std::vector<absl::string_view> keys;
  for (const auto& [key, value] : records) {
    EXPECT_EQ(ValueOf(*store, key), value) << testing::PrintToString(key);
    const auto copy = store->Get(key);
    ASSERT_TRUE(copy.ok() && copy->has_value()) << copy.status();
    EXPECT_EQ(**copy, value);
    keys.push_back(key);
  }
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  ASSERT_EQ(results.size(), records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_TRUE(results[i].status.ok() && results[i].found) << testing::PrintToString(keys[i]);
    EXPECT_EQ(results[i].value, records[i].second);
  }
}

void NeighboursOfKeysAreAbsent(Tester& t) {
  const Records records = t.Sample();
  const auto store = t.Open(records);
  std::set<std::string> present;
  for (const auto& [key, value] : records) present.insert(key);
  const auto check = [&](const std::string& key) {
    if (present.count(key) == 0) {
      EXPECT_EQ(ValueOf(*store, key), kAbsent) << testing::PrintToString(key);
    }
  };
  for (const std::string& key : present) {
    check(key + std::string(1, '\0'));
    check(key + " ");
    check(key + "\n");
    check(absl::StrCat(" ", key));
    if (key.empty()) continue;
    check(key.substr(0, key.size() - 1));
    std::string other = key;
    other.back() = static_cast<char>(other.back() ^ 1);
    check(other);
    other = key;
    other.front() = static_cast<char>(other.front() ^ 0x20);  // the other case of a letter
    check(other);
  }
}

void MultiGetAnswersInTheOrderAsked(Tester& t) {
  const auto store = t.Open({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const std::vector<absl::string_view> keys = {"c", "absent", "a", "c", "b", "a", "absent"};
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  ASSERT_EQ(results.size(), keys.size());
  const char* const want[] = {"3", "", "1", "3", "2", "1", ""};
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_TRUE(results[i].status.ok());
    EXPECT_EQ(results[i].found, keys[i] != "absent");
    EXPECT_EQ(results[i].value, want[i]);
  }
}

void MultiGetOfNothingGivesNothing(Tester& t) {
  const auto store = t.Open({{"a", "1"}});
  ReadResults results;
  results.Reset(3);
  store->MultiGet({}, {}, &results);
  EXPECT_EQ(results.size(), 0u);
}

void MultiGetOfManyKeys(Tester& t) {
  const Records records = t.Many(4000);
  const auto store = t.Open(records);
  std::vector<std::string> keys;
  for (const auto& [key, value] : records) {
    keys.push_back(key);
    keys.push_back(key + "-absent");
  }
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults results;
  store->MultiGet(views, {}, &results);
  ASSERT_EQ(results.size(), keys.size());
  for (size_t i = 0; i < records.size(); ++i) {
    ASSERT_TRUE(results[2 * i].found) << keys[2 * i];
    ASSERT_EQ(results[2 * i].value, records[i].second) << keys[2 * i];
    ASSERT_FALSE(results[2 * i + 1].found) << keys[2 * i + 1];
  }
}

void LargestKeyAndValueAreHeld(Tester& t) {
  const std::string key(kMaxKeyBytes, 'k');
  const std::string shorter(kMaxKeyBytes - 1, 'k');
  const std::string value(kMaxValueBytes, 'v');
  const Records records =
      t.Accepted({{key, "of the longest key"}, {shorter, "of the next"}, {"large", value}});
  if (records.empty()) GTEST_SKIP() << "the fixture accepts none of them";
  const auto store = t.Open(records);
  for (const auto& [k, v] : records) {
    // Not EXPECT_EQ, which would print it all.
    EXPECT_TRUE(ValueOf(*store, k) == v) << "a key of " << k.size() << ", a value of " << v.size();
  }
}

void KeyBeyondTheLimitIsInvalidAndFailsAlone(Tester& t) {
  const auto store = t.Open({{"a", "1"}, {"b", "2"}});
  const std::string too_long(kMaxKeyBytes + 1, 'k');
  const std::vector<absl::string_view> keys = {"a", too_long, "absent", "b"};
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0].value, "1");
  EXPECT_EQ(results[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(results[1].found);
  EXPECT_TRUE(results[2].status.ok());
  EXPECT_EQ(results[3].value, "2");
  EXPECT_EQ(ReadOne(*store, too_long).status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Get(too_long).status().code(), StatusCode::kInvalidArgument);
}

void ReadWithoutValueSaysOnlyThatItIsThere(Tester& t) {
  const auto store = t.Open({{"k", "v"}});
  ReadOptions options;
  options.value = false;
  const Got got = ReadOne(*store, "k", options);
  EXPECT_TRUE(got.status.ok());
  EXPECT_TRUE(got.found);
  EXPECT_EQ(got.value, "");
  EXPECT_FALSE(ReadOne(*store, "absent", options).found);
}

void ValuesStayGoodWhateverHappensToTheStore(Tester& t) {
  Records records = t.Many(200);
  auto store = t.Open(records);
  std::vector<absl::string_view> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  const auto check = [&](const char* when) {
    ASSERT_EQ(results.size(), records.size());
    for (size_t i = 0; i < records.size(); ++i) {
      ASSERT_EQ(results[i].value, records[i].second) << when << ": " << keys[i];
    }
  };
  check("at first");
  if (t.Has(&Capabilities::write)) {
    for (size_t i = 0; i < records.size(); ++i) {
      if (i % 2 == 0) {
        EXPECT_TRUE(store->Put(keys[i], std::string(records[i].second.size(), '#')).ok());
      } else {
        EXPECT_TRUE(store->Delete(keys[i]).ok());
      }
    }
    check("after overwriting and deleting");
  }
  EXPECT_TRUE(store->Close().ok());
  check("after Close");
  store.reset();
  check("after the store's end");
}

void ResultsAreReusedAcrossReadsAndStores(Tester& t) {
  auto one = t.Open({{"a", "1"}, {"b", "2"}});
  const auto two = t.Open({{"a", "of another store"}});
  ReadResults results;
  const std::vector<absl::string_view> keys = {"a", "b"};
  for (int i = 0; i < 3; ++i) {
    one->MultiGet(keys, {}, &results);
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].value, "1");
    EXPECT_EQ(results[1].value, "2");
    two->MultiGet(keys, {}, &results);
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].value, "of another store");
    EXPECT_FALSE(results[1].found) << "left over from the read before";
    EXPECT_EQ(results[1].value, "");
    two->Read("absent", {}, &results);
    ASSERT_EQ(results.size(), 1u);
    EXPECT_FALSE(results[0].found);
  }
  one->MultiGet(keys, {}, &results);
  one.reset();
  EXPECT_EQ(results[1].value, "2");
  two->Read("a", {}, &results);  // lets go of what the destroyed store lent
  EXPECT_EQ(results[0].value, "of another store");
  results.Release();
  EXPECT_EQ(results.size(), 0u);
}

class ForeignSnapshot final : public Snapshot {};

void SnapshotOfAnotherStoreIsRefused(Tester& t) {
  const auto store = t.Open({{"k", "v"}});
  ReadOptions options;
  options.snapshot = std::make_shared<ForeignSnapshot>();
  const StatusCode code = ReadOne(*store, "k", options).status.code();
  if (t.Has(&Capabilities::snapshot)) {
    EXPECT_EQ(code, StatusCode::kInvalidArgument);
  } else {
    EXPECT_TRUE(code == StatusCode::kInvalidArgument || code == StatusCode::kUnimplemented) << code;
  }
  if (!t.Has(&Capabilities::scan)) return;
  ScanOptions scan;
  scan.snapshot = options.snapshot;
  EXPECT_EQ(Scan(*store, scan).status.code(), code);
}

}  // namespace

absl::Span<const SuiteTest> ReadTests() {
  static constexpr SuiteTest kTests[] = {
      {"AbsentKeyIsNoError", AbsentKeyIsNoError, /*needs_entries=*/false},
      {"EmptyStoreHasNoKeys", EmptyStoreHasNoKeys, /*needs_entries=*/false},
      {"EveryEntryIsFoundWithItsValue", EveryEntryIsFoundWithItsValue},
      {"NeighboursOfKeysAreAbsent", NeighboursOfKeysAreAbsent},
      {"MultiGetAnswersInTheOrderAsked", MultiGetAnswersInTheOrderAsked},
      {"MultiGetOfNothingGivesNothing", MultiGetOfNothingGivesNothing, /*needs_entries=*/false},
      {"MultiGetOfManyKeys", MultiGetOfManyKeys},
      {"LargestKeyAndValueAreHeld", LargestKeyAndValueAreHeld},
      {"KeyBeyondTheLimitIsInvalidAndFailsAlone", KeyBeyondTheLimitIsInvalidAndFailsAlone},
      {"ReadWithoutValueSaysOnlyThatItIsThere", ReadWithoutValueSaysOnlyThatItIsThere},
      {"ValuesStayGoodWhateverHappensToTheStore", ValuesStayGoodWhateverHappensToTheStore},
      {"ResultsAreReusedAcrossReadsAndStores", ResultsAreReusedAcrossReadsAndStores},
      {"SnapshotOfAnotherStoreIsRefused", SnapshotOfAnotherStoreIsRefused, /*needs_entries=*/false},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
