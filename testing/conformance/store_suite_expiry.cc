#include <string>
#include <vector>

#include "absl/time/time.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

#define KVARTS_SUITE_NEEDS_CLOCK()                                                  \
  do {                                                                              \
    if (t.fixture().clock() == nullptr) GTEST_SKIP() << "the fixture has no clock"; \
  } while (false)

int64_t ExpiryOf(Store& store, absl::string_view key) { return ReadOne(store, key).expires_at_ms; }

void ExpiryIsSetKeptAndCleared(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "1", ExpiresAt(kFarFutureMs)).ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), kFarFutureMs);
  EXPECT_EQ(ValueOf(*store, "k"), "1");
  EXPECT_TRUE(store->Put("k", "2", Metadata::Keep()).ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), kFarFutureMs);
  EXPECT_EQ(ValueOf(*store, "k"), "2");
  EXPECT_TRUE(store->Put("k", "3").ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), 0) << "a plain put clears it";

  WriteBatch touch;
  touch.Touch("k", ExpiresAt(kFarFutureMs + 1));
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), kFarFutureMs + 1);
  EXPECT_EQ(ValueOf(*store, "k"), "3") << "a touch keeps the value";
  touch.Clear();
  touch.Touch("k", Metadata::Keep());
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), kFarFutureMs + 1);
  touch.Clear();
  touch.Touch("k", Metadata());
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), 0);

  EXPECT_TRUE(store->Put("k", "4", ExpiresAt(kFarFutureMs)).ok());
  EXPECT_TRUE(*store->Delete("k"));
  EXPECT_TRUE(store->Put("k", "5", Metadata::Keep()).ok());
  EXPECT_EQ(ExpiryOf(*store, "k"), 0) << "deleting forgets it";
}

void ExpiryMustBePositive(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  const auto store = t.Open({{"k", "v"}});
  for (const int64_t ms : {int64_t{0}, int64_t{-1}}) {
    EXPECT_EQ(store->Put("k", "w", ExpiresAt(ms)).code(), StatusCode::kInvalidArgument);
    WriteBatch touch;
    touch.Touch("k", ExpiresAt(ms));
    EXPECT_EQ(store->Write(touch, {}, nullptr).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void PutThatHasExpiredAlreadyLeavesNothing(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  const auto store = t.Open({{"k", "v"}, {"l", "v"}});
  EXPECT_TRUE(store->Put("k", "w", ExpiresAt(kLongAgoMs)).ok());
  EXPECT_EQ(ValueOf(*store, "k"), kAbsent) << "neither the old value nor the new one";
  WriteBatch touch;
  touch.Touch("l", ExpiresAt(kLongAgoMs));
  EXPECT_TRUE(store->Write(touch, {}, nullptr).ok());
  EXPECT_EQ(ValueOf(*store, "l"), kAbsent);
}

void ExpiredKeysAreAbsentFromTheMillisecondOn(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS_CLOCK();
  ManualClock& clock = *t.fixture().clock();
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ExpiresAt(clock.now_ms() + 100)).ok());
  clock.Advance(absl::Milliseconds(99));
  EXPECT_EQ(ValueOf(*store, "k"), "v");
  clock.Advance(absl::Milliseconds(1));
  const Got got = ReadOne(*store, "k");
  EXPECT_TRUE(got.status.ok()) << got.status;
  EXPECT_FALSE(got.found);
  EXPECT_EQ(got.value, "");
  EXPECT_EQ(got.expires_at_ms, 0);
}

// A store in which "dead" has expired, with a content type where there are any.
std::unique_ptr<Store> OpenWithExpired(Tester& t) {
  ManualClock& clock = *t.fixture().clock();
  auto store = t.Open({{"alive", "v"}});
  Metadata metadata = ExpiresAt(clock.now_ms() + 10);
  if (t.Has(&Capabilities::content_type)) {
    metadata.content_type = Metadata::Change::kSet;
    metadata.type = "a/b";
  }
  EXPECT_TRUE(store->Put("dead", "v", metadata).ok());
  EXPECT_EQ(ValueOf(*store, "dead"), "v");
  clock.Advance(absl::Milliseconds(10));
  return store;
}

void ExpiredKeysAreAbsentForReadsAndStats(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS_CLOCK();
  const auto store = OpenWithExpired(t);
  ReadResults results;
  const std::vector<absl::string_view> keys = {"dead", "alive"};
  store->MultiGet(keys, {}, &results);
  EXPECT_FALSE(results[0].found);
  EXPECT_TRUE(results[1].found);
  EXPECT_EQ(store->Get("dead")->has_value(), false);
  const auto stats = store->Stats();
  ASSERT_TRUE(stats.ok());
  if (stats->entries_exact) {
    EXPECT_EQ(stats->entries, 1u);
  }
}

void ExpiredKeysAreAbsentForScans(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS(scan);
  KVARTS_SUITE_NEEDS_CLOCK();
  const auto store = OpenWithExpired(t);
  EXPECT_EQ(Scan(*store).keys(), (std::vector<std::string>{"alive"}));
  ScanOptions options;
  options.keys_only = true;
  EXPECT_EQ(Scan(*store, options).keys(), (std::vector<std::string>{"alive"}));
}

void ExpiredKeysAreAbsentForWrites(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS_CLOCK();
  WriteOptions options;
  options.report_existed = true;
  for (const auto kind : {Mutation::Kind::kPut, Mutation::Kind::kDelete, Mutation::Kind::kTouch}) {
    const auto store = OpenWithExpired(t);
    WriteBatch batch;
    batch.Add({kind, "dead", "", Metadata::Keep()});
    WriteResults results;
    EXPECT_TRUE(store->Write(batch, options, &results).ok());
    EXPECT_FALSE(results.results[0].existed) << static_cast<int>(kind);
    const Got got = ReadOne(*store, "dead");
    EXPECT_EQ(got.found, kind == Mutation::Kind::kPut) << "a touch does not revive";
    EXPECT_EQ(got.expires_at_ms, 0) << "there was nothing to keep";
    EXPECT_EQ(got.content_type, "") << "there was nothing to keep";
  }
}

void ExpiredKeysAreAbsentForConditions(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS(conditions);
  KVARTS_SUITE_NEEDS_CLOCK();
  const auto store = OpenWithExpired(t);
  WriteBatch batch;
  batch.RequirePresent("dead");
  EXPECT_EQ(WriteAtomic(*store, batch).code(), StatusCode::kFailedPrecondition);
  batch.Clear();
  batch.RequireAbsent("dead");
  EXPECT_TRUE(WriteAtomic(*store, batch).ok());
  EXPECT_TRUE(store
                  ->Modify("dead", {},
                           [](const ReadResult& now) {
                             return Modification::Put(now.found ? "was found" : "was absent");
                           })
                  .ok());
  EXPECT_EQ(ValueOf(*store, "dead"), "was absent");
  EXPECT_EQ(ExpiryOf(*store, "dead"), 0);
}

void ExpiryChangesTheStamp(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS(conditions);
  KVARTS_SUITE_NEEDS_CLOCK();
  ManualClock& clock = *t.fixture().clock();
  const auto store = t.Open();
  const Stamp before = StampOf(*store, "k");
  EXPECT_TRUE(store->Put("k", "v", ExpiresAt(clock.now_ms() + 10)).ok());
  const Stamp present = StampOf(*store, "k");
  clock.Advance(absl::Milliseconds(10));
  const Stamp gone = StampOf(*store, "k");
  EXPECT_NE(present, gone);
  EXPECT_NE(before, gone) << "the key came and went";
  for (const Stamp& stamp : {before, present}) {
    WriteBatch batch;
    batch.Put("k", "w");
    batch.RequireUnchanged("k", stamp);
    EXPECT_EQ(WriteAtomic(*store, batch).code(), StatusCode::kFailedPrecondition);
  }
}

void ExpiryIsReportedByScans(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS(scan);
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ExpiresAt(kFarFutureMs)).ok());
  for (const bool keys_only : {false, true}) {
    ScanOptions options;
    options.keys_only = keys_only;
    auto cursor = store->NewCursor(options);
    ASSERT_TRUE(cursor.ok());
    ScanPage page;
    ASSERT_TRUE((*cursor)->Next({}, &page).ok());
    ASSERT_EQ(page.size(), 1u);
    EXPECT_EQ(page[0].expires_at_ms, kFarFutureMs);
  }
}

void KeysExpireBetweenPages(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS(scan);
  KVARTS_SUITE_NEEDS_CLOCK();
  ManualClock& clock = *t.fixture().clock();
  const auto store = t.Open();
  for (const char* key : {"a", "b", "c", "d"}) {
    EXPECT_TRUE(store->Put(key, "v", ExpiresAt(clock.now_ms() + 10)).ok());
  }
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(2), &page).ok());
  EXPECT_FALSE(page.empty());
  clock.Advance(absl::Milliseconds(10));
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(2), &page).ok());
  EXPECT_TRUE(page.empty());
}

void ExpiryGoesOnInSnapshots(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS(snapshot);
  KVARTS_SUITE_NEEDS_CLOCK();
  ManualClock& clock = *t.fixture().clock();
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ExpiresAt(clock.now_ms() + 10)).ok());
  const auto snapshot = store->GetSnapshot();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  ReadOptions read;
  read.snapshot = *snapshot;
  EXPECT_EQ(ValueOf(*store, "k", read), "v");
  clock.Advance(absl::Milliseconds(10));
  EXPECT_EQ(ValueOf(*store, "k", read), kAbsent);
}

void ExpiryOutlivesAReopen(Tester& t) {
  KVARTS_SUITE_NEEDS(expiry);
  KVARTS_SUITE_NEEDS_CLOCK();
  if (!t.fixture().can_reopen()) GTEST_SKIP() << "the fixture cannot reopen";
  ManualClock& clock = *t.fixture().clock();
  auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ExpiresAt(clock.now_ms() + 10)).ok());
  EXPECT_TRUE(store->Put("l", "v", ExpiresAt(clock.now_ms() + 20)).ok());
  EXPECT_TRUE(store->Close().ok());
  store.reset();
  clock.Advance(absl::Milliseconds(10));
  store = t.Reopen();
  EXPECT_EQ(ValueOf(*store, "k"), kAbsent);
  EXPECT_EQ(ValueOf(*store, "l"), "v");
  clock.Advance(absl::Milliseconds(10));
  EXPECT_EQ(ValueOf(*store, "l"), kAbsent);
}

}  // namespace

absl::Span<const SuiteTest> ExpiryTests() {
  static constexpr SuiteTest kTests[] = {
      {"ExpiryIsSetKeptAndCleared", ExpiryIsSetKeptAndCleared},
      {"ExpiryMustBePositive", ExpiryMustBePositive},
      {"PutThatHasExpiredAlreadyLeavesNothing", PutThatHasExpiredAlreadyLeavesNothing},
      {"ExpiredKeysAreAbsentFromTheMillisecondOn", ExpiredKeysAreAbsentFromTheMillisecondOn},
      {"ExpiredKeysAreAbsentForReadsAndStats", ExpiredKeysAreAbsentForReadsAndStats},
      {"ExpiredKeysAreAbsentForScans", ExpiredKeysAreAbsentForScans},
      {"ExpiredKeysAreAbsentForWrites", ExpiredKeysAreAbsentForWrites},
      {"ExpiredKeysAreAbsentForConditions", ExpiredKeysAreAbsentForConditions},
      {"ExpiryChangesTheStamp", ExpiryChangesTheStamp},
      {"ExpiryIsReportedByScans", ExpiryIsReportedByScans},
      {"KeysExpireBetweenPages", KeysExpireBetweenPages},
      {"ExpiryGoesOnInSnapshots", ExpiryGoesOnInSnapshots},
      {"ExpiryOutlivesAReopen", ExpiryOutlivesAReopen},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
