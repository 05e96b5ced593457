#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

// Compares a whole scan to what it must give, page by page.
void ExpectScan(Tester& t, Store& store, const ScanOptions& options, const Records& all,
                const PageLimits& limits = {}) {
  Scanned got = Scan(store, options, limits);
  ASSERT_TRUE(got.status.ok()) << got.status;
  EXPECT_EQ(Comparable(t.has(), options, std::move(got.entries)), Expected(options, all))
      << "range " << testing::PrintToString(options.range.begin) << " to "
      << testing::PrintToString(options.range.end) << (options.backward ? ", backward" : "") << ", "
      << limits.entries << " entries and " << limits.bytes << " bytes a page";
}

std::vector<KeyRange> SomeRanges() {
  return {KeyRange::All(),
          KeyRange::From("a"),
          KeyRange::From("b"),
          KeyRange::From("\xff\xff\xff"),
          KeyRange::FromTo("", "a"),
          KeyRange::FromTo("a", "b"),
          KeyRange::FromTo("aa", "prefix/a"),
          KeyRange::FromTo("d", "e"),
          KeyRange::Prefix("a"),
          KeyRange::Prefix("prefix/"),
          KeyRange::Prefix("f47ac10b-58cc-4"),
          KeyRange::Prefix("\xff"),
          KeyRange::Prefix("nothing begins so"),
          KeyRange::Point("a"),
          KeyRange::Point(""),
          KeyRange::Point("not there"),
          KeyRange::FromTo("b", "a"),
          KeyRange::FromTo("a", "a"),
          KeyRange::FromTo("a", "")};
}

void ScanGivesEveryEntry(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  for (const size_t page : {1, 2, 3, 7, 1000}) {
    ExpectScan(t, *store, {}, records, EntriesAPage(page));
  }
}

void ScanOfAnEmptyStoreEndsAtOnce(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Scanned got = Scan(*t.Open());
  EXPECT_TRUE(got.status.ok()) << got.status;
  EXPECT_EQ(got.pages, 1);
  EXPECT_TRUE(got.entries.empty());
}

void OrderedScanIsSorted(Tester& t) {
  KVARTS_SUITE_NEEDS(ordered_scan);
  const Records records = t.Many(3000);
  const auto store = t.Open(records);
  const std::vector<std::string> keys = Scan(*store).keys();
  EXPECT_EQ(keys.size(), records.size());
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
}

void ScanOfARangeGivesItsEntries(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  for (const KeyRange& range : SomeRanges()) {
    ScanOptions options;
    options.range = range;
    for (const size_t page : {1, 2, 1000}) {
      ExpectScan(t, *store, options, records, EntriesAPage(page));
    }
  }
}

void ScanOfManyEntriesGivesEach(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Many(5000);
  const auto store = t.Open(records);
  ExpectScan(t, *store, {}, records);
  ExpectScan(t, *store, {}, records, EntriesAPage(97));
  ScanOptions options;
  options.range = KeyRange::Prefix("family/0001");
  ExpectScan(t, *store, options, records, EntriesAPage(10));
}

void BackwardScanIsTheMirrorImage(Tester& t) {
  KVARTS_SUITE_NEEDS(backward_scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  for (const KeyRange& range : SomeRanges()) {
    ScanOptions options;
    options.range = range;
    options.backward = true;
    for (const size_t page : {1, 2, 1000}) {
      ExpectScan(t, *store, options, records, EntriesAPage(page));
    }
  }
}

void SlotScanGivesTheKeysOfTheSlots(Tester& t) {
  KVARTS_SUITE_NEEDS(slot_scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  const uint16_t tag = KeySlot("{tag}1");
  const std::vector<std::vector<SlotRange>> some = {{{0, kSlots - 1}},
                                                    {{0, 8191}},
                                                    {{8192, kSlots - 1}},
                                                    {{tag, tag}},
                                                    {{0, 0}},
                                                    {{tag, tag}, {0, 100}},
                                                    {{0, 4000}, {9000, 16000}}};
  for (const auto& slots : some) {
    ScanOptions options;
    options.slots = slots;
    ExpectScan(t, *store, options, records, EntriesAPage(2));
    options.range = KeyRange::FromTo("a", "q");
    ExpectScan(t, *store, options, records);
    options.backward = true;
    if (t.Has(&Capabilities::backward_scan)) ExpectScan(t, *store, options, records);
  }
  ScanOptions options;
  options.slots = {{5, 4}};
  EXPECT_EQ(Scan(*store, options).status.code(), StatusCode::kInvalidArgument);
  options.slots = {{0, kSlots}};
  EXPECT_EQ(Scan(*store, options).status.code(), StatusCode::kInvalidArgument);
}

void KeysOnlyLeavesOutTheValues(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  ScanOptions options;
  options.keys_only = true;
  ExpectScan(t, *store, options, records, EntriesAPage(3));
}

void ScansReportContentTypes(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  KVARTS_SUITE_NEEDS(content_type);
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ContentType("a/b")).ok());
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next({}, &page).ok());
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].content_type, "a/b");
  EXPECT_EQ(page[0].expires_at_ms, 0);
}

void PagesKeepTheirLimits(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  Records records;
  for (int i = 0; i < 40; ++i) records.emplace_back(absl::StrCat("k", 100 + i), "0123456789abcdef");
  const auto store = t.Open(records);
  for (const size_t bytes : {0, 1, 19, 20, 21, 40, 75, 100000}) {  // 20 an entry
    auto cursor = store->NewCursor({});
    ASSERT_TRUE(cursor.ok());
    PageLimits limits;
    limits.bytes = bytes;
    ScanPage page;
    Records got;
    do {
      ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
      EXPECT_LE(page.size(), std::max<size_t>(bytes / 20, 1));
      for (const ScanEntry& e : page) got.emplace_back(std::string(e.key), std::string(e.value));
    } while (!page.empty());
    EXPECT_EQ(Comparable(t.has(), {}, got), records);
  }
  // No entries asked for: still not mistaken for the end.
  ExpectScan(t, *store, {}, records, EntriesAPage(0));
}

void EndStaysTheEnd(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const auto store = t.Open({{"a", "1"}, {"b", "2"}});
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  EXPECT_EQ(Comparable(t.has(), {}, ScanWith(**cursor).entries).size(), 2u);
  if (t.Has(&Capabilities::write)) {
    EXPECT_TRUE(store->Put("c", "3").ok());
  }
  ScanPage page;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE((*cursor)->Next({}, &page).ok());
    EXPECT_TRUE(page.empty());
  }
}

void PositionIsEmptyBeforeTheFirstPage(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const auto store = t.Open({{"a", "1"}, {"b", "2"}});
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  EXPECT_EQ((*cursor)->position(), "");
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(1), &page).ok());
  EXPECT_NE((*cursor)->position(), "");
}

// Goes over a scan with a new cursor for each page.
Records ScanByResuming(Store& store, ScanOptions options, size_t page_entries) {
  Records out;
  ScanPage page;
  do {
    auto cursor = store.NewCursor(options);
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    if (!cursor.ok()) return out;
    const absl::Status status = (*cursor)->Next(EntriesAPage(page_entries), &page);
    EXPECT_TRUE(status.ok()) << status;
    for (const ScanEntry& e : page) out.emplace_back(std::string(e.key), std::string(e.value));
    options.resume_after = (*cursor)->position();
  } while (!page.empty() && out.size() < 500);  // a wrong store may go round for ever
  return out;
}

void ScanResumesFromAnyPosition(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  for (const KeyRange& range : {KeyRange::All(), KeyRange::From("a"), KeyRange::Prefix("prefix")}) {
    for (const bool backward : {false, true}) {
      if (backward && !t.Has(&Capabilities::backward_scan)) continue;
      for (const bool slots : {false, true}) {
        if (slots && !t.Has(&Capabilities::slot_scan)) continue;
        ScanOptions options;
        options.range = range;
        options.backward = backward;
        if (slots) options.slots = {{0, 12000}};
        for (const size_t page : {1, 2, 5}) {
          EXPECT_EQ(Comparable(t.has(), options, ScanByResuming(*store, options, page)),
                    Expected(options, records));
        }
      }
    }
  }
}

void PositionsAreGoodForFewerSlots(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  KVARTS_SUITE_NEEDS(slot_scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(3), &page).ok());
  ScanOptions options;
  options.slots = {{0, 9000}};
  Records got;
  for (const ScanEntry& e : page) {
    if (InSlots(e.key, options.slots)) got.emplace_back(std::string(e.key), std::string(e.value));
  }
  options.resume_after = (*cursor)->position();
  for (auto& entry : ScanByResuming(*store, options, 2)) got.push_back(std::move(entry));
  EXPECT_EQ(Comparable(t.has(), options, got), Expected(options, records));
}

void PositionBehindTheEndGivesNothing(Tester& t) {
  KVARTS_SUITE_NEEDS(ordered_scan);
  const auto store = t.Open(t.Sample());
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  ScanWith(**cursor, EntriesAPage(3));
  ScanOptions options;
  options.resume_after = (*cursor)->position();
  const Scanned rest = Scan(*store, options);
  EXPECT_TRUE(rest.status.ok()) << rest.status;
  EXPECT_TRUE(rest.entries.empty());
}

void PositionsOutliveAReopen(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  if (!t.fixture().can_reopen()) GTEST_SKIP() << "the fixture cannot reopen";
  const Records records = t.Sample();
  auto store = t.Open(records);
  ScanOptions options;
  Records got;
  for (int i = 0; i < 3; ++i) {
    auto cursor = store->NewCursor(options);
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    ScanPage page;
    ASSERT_TRUE((*cursor)->Next(EntriesAPage(3), &page).ok());
    for (const ScanEntry& e : page) got.emplace_back(std::string(e.key), std::string(e.value));
    options.resume_after = (*cursor)->position();
    cursor->reset();
    EXPECT_TRUE(store->Close().ok());
    store.reset();
    store = t.Reopen();
  }
  const Scanned rest = Scan(*store, options);
  ASSERT_TRUE(rest.status.ok()) << rest.status;
  got.insert(got.end(), rest.entries.begin(), rest.entries.end());
  EXPECT_EQ(Comparable(t.has(), {}, got), Expected({}, records));
}

void ForeignPositionsAreInvalid(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const auto store = t.Open(t.Sample());
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(2), &page).ok());
  std::string other_version = (*cursor)->position();
  other_version[0] = static_cast<char>(other_version[0] ^ 0x55);
  for (const std::string& position :
       {std::string("a"), std::string("not a position"), std::string(64, '\xff'), other_version}) {
    ScanOptions options;
    options.resume_after = position;
    EXPECT_EQ(Scan(*store, options).status.code(), StatusCode::kInvalidArgument)
        << testing::PrintToString(position);
  }
}

void RangeBeyondTheLongestKeyIsInvalid(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const auto store = t.Open({{"k", "v"}});
  ScanOptions options;
  options.range = KeyRange::Point(std::string(kMaxKeyBytes, 'z'));  // ends one byte longer
  EXPECT_TRUE(Scan(*store, options).entries.empty());
  options.range = KeyRange::From(std::string(kMaxKeyBytes + 2, 'a'));
  EXPECT_EQ(Scan(*store, options).status.code(), StatusCode::kInvalidArgument);
}

void PagesStayGoodWhateverHappensToTheStore(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Many(300);
  auto store = t.Open(records);
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ScanPage next;
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(100), &page).ok());
  std::map<std::string, std::string> all(records.begin(), records.end());
  const auto check = [&](const char* when) {
    ASSERT_FALSE(page.empty());
    for (const ScanEntry& e : page) ASSERT_EQ(e.value, all[std::string(e.key)]) << when;
  };
  check("at first");
  if (t.Has(&Capabilities::write)) {
    for (size_t i = 0; i + 1 < records.size(); i += 2) {
      EXPECT_TRUE(store->Put(records[i].first, "other").ok());
      EXPECT_TRUE(store->Delete(records[i + 1].first).ok());
    }
    check("after writes");
  }
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(100), &next).ok());
  check("after the next page");
  cursor->reset();
  EXPECT_TRUE(store->Close().ok());
  store.reset();
  check("after the end of cursor and store");
}

// A scan in the midst of writes: keys that stay are seen, those that never were
// there are not.
void ScanBesideWritesSeesWhatStays(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  KVARTS_SUITE_NEEDS(write);
  Records records;
  for (int i = 0; i < 60; ++i) records.emplace_back(absl::StrCat("k", 100 + i), "v");
  for (const bool backward : {false, true}) {
    if (backward && !t.Has(&Capabilities::backward_scan)) continue;
    const auto store = t.Open(records);
    ScanOptions options;
    options.backward = backward;
    auto cursor = store->NewCursor(options);
    ASSERT_TRUE(cursor.ok());
    std::map<std::string, int> seen;
    ScanPage page;
    int step = 0;
    do {
      ASSERT_TRUE((*cursor)->Next(EntriesAPage(2), &page).ok());
      for (const ScanEntry& e : page) ++seen[std::string(e.key)];
      // Every third key is deleted, every third overwritten, others come in between.
      const int i = (step * 7) % 60;
      if (i % 3 == 0) {
        EXPECT_TRUE(store->Delete(records[i].first).ok());
      }
      if (i % 3 == 1) {
        EXPECT_TRUE(store->Put(records[i].first, "w").ok());
      }
      EXPECT_TRUE(store->Put(absl::StrCat(records[i].first, "x"), "new").ok());
      ++step;
    } while (!page.empty() && step < 10000);
    for (int i = 0; i < 60; ++i) {
      const std::string& key = records[i].first;
      if (i % 3 == 0) continue;
      EXPECT_GE(seen[key], 1) << key << " was there all the time";
      if (t.Has(&Capabilities::ordered_scan)) {
        EXPECT_EQ(seen[key], 1) << key;
      }
    }
    for (const auto& [key, times] : seen) {
      EXPECT_TRUE(times == 0 || key.size() == 4 || key.size() == 5) << key << " never was there";
    }
  }
}

}  // namespace

absl::Span<const SuiteTest> ScanTests() {
  static constexpr SuiteTest kTests[] = {
      {"ScanGivesEveryEntry", ScanGivesEveryEntry},
      {"ScanOfAnEmptyStoreEndsAtOnce", ScanOfAnEmptyStoreEndsAtOnce, /*needs_entries=*/false},
      {"OrderedScanIsSorted", OrderedScanIsSorted},
      {"ScanOfARangeGivesItsEntries", ScanOfARangeGivesItsEntries},
      {"ScanOfManyEntriesGivesEach", ScanOfManyEntriesGivesEach},
      {"BackwardScanIsTheMirrorImage", BackwardScanIsTheMirrorImage},
      {"SlotScanGivesTheKeysOfTheSlots", SlotScanGivesTheKeysOfTheSlots},
      {"KeysOnlyLeavesOutTheValues", KeysOnlyLeavesOutTheValues},
      {"ScansReportContentTypes", ScansReportContentTypes},
      {"PagesKeepTheirLimits", PagesKeepTheirLimits},
      {"EndStaysTheEnd", EndStaysTheEnd},
      {"PositionIsEmptyBeforeTheFirstPage", PositionIsEmptyBeforeTheFirstPage},
      {"ScanResumesFromAnyPosition", ScanResumesFromAnyPosition},
      {"PositionBehindTheEndGivesNothing", PositionBehindTheEndGivesNothing},
      {"PositionsOutliveAReopen", PositionsOutliveAReopen},
      {"PositionsAreGoodForFewerSlots", PositionsAreGoodForFewerSlots},
      {"ForeignPositionsAreInvalid", ForeignPositionsAreInvalid},
      {"RangeBeyondTheLongestKeyIsInvalid", RangeBeyondTheLongestKeyIsInvalid,
       /*needs_entries=*/false},
      {"PagesStayGoodWhateverHappensToTheStore", PagesStayGoodWhateverHappensToTheStore},
      {"ScanBesideWritesSeesWhatStays", ScanBesideWritesSeesWhatStays},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
