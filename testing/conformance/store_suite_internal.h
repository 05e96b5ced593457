#ifndef KVARTS_TESTING_CONFORMANCE_STORE_SUITE_INTERNAL_H_
#define KVARTS_TESTING_CONFORMANCE_STORE_SUITE_INTERNAL_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/store.h"
#include "testing/conformance/store_fixture.h"
#include "testing/conformance/store_suite.h"

// What the tests of the suite share. Private to it.
namespace kvarts::store_suite {

// What a test gets. Not thread-safe, but for what says so.
class Tester {
 public:
  Tester(StoreFixture* fixture, StoreSuiteRecord* record) : fixture_(*fixture), record_(*record) {}

  StoreFixture& fixture() { return fixture_; }
  const Capabilities& has() const { return record_.capabilities; }
  bool Has(Support Capabilities::*member) const { return has().*member != Support::kAbsent; }
  bool Has(bool Capabilities::*member) const { return has().*member; }

  // Never null: where opening fails, the test has failed, and each call on the
  // store fails too.
  std::unique_ptr<Store> Open(const Records& records = {});
  std::unique_ptr<Store> Reopen();

  // Those of `records` that the fixture accepts.
  Records Accepted(Records records) const;
  // Short and adversarial: empty, binary, prefixes of each other, long.
  Records Sample() const;
  // `n` keys in two families, one of UUIDs and one with a common prefix.
  Records Many(int n) const;

  // Counts as proven where the test passes.
  void Proves(const std::string& capability) { proves_.insert(capability); }
  const std::set<std::string>& proves() const { return proves_; }

 private:
  std::unique_ptr<Store> Checked(absl::StatusOr<std::unique_ptr<Store>> store);

  StoreFixture& fixture_;
  StoreSuiteRecord& record_;
  std::set<std::string> proves_;
};

// Ends the test where the store does not have `capability`; else the test
// proves it.
#define KVARTS_SUITE_NEEDS(capability)                    \
  do {                                                    \
    if (!t.Has(&Capabilities::capability)) {              \
      GTEST_SKIP() << "the store has no " << #capability; \
    }                                                     \
    t.Proves(#capability);                                \
  } while (false)

struct SuiteTest {
  const char* name;
  void (*run)(Tester& t);
  bool needs_entries = true;  // is skipped for a store that discards
};
absl::Span<const SuiteTest> AbsentTests();
absl::Span<const SuiteTest> ConcurrencyTests();
absl::Span<const SuiteTest> ConditionTests();
absl::Span<const SuiteTest> DiscardTests();
absl::Span<const SuiteTest> ExpiryTests();
absl::Span<const SuiteTest> LifeTests();
absl::Span<const SuiteTest> ReadTests();
absl::Span<const SuiteTest> ScanTests();
absl::Span<const SuiteTest> SnapshotTests();
absl::Span<const SuiteTest> SubmitTests();
absl::Span<const SuiteTest> WriteTests();

// A ReadResult of its own bytes. Thread-safe functions from here on.
struct Got {
  absl::Status status;
  bool found = false;
  std::string value;
  std::string content_type;
  int64_t expires_at_ms = 0;
  Stamp stamp;
};
Got ReadOne(Store& store, absl::string_view key, const ReadOptions& options = {});
Stamp StampOf(Store& store, absl::string_view key);

// The value, kAbsent, or "(error: ...)": reads well in EXPECT_EQ.
std::string ValueOf(Store& store, absl::string_view key, const ReadOptions& options = {});
inline constexpr char kAbsent[] = "(absent)";

// A batch of one atomic step.
WriteOptions Atomic();
absl::Status WriteAtomic(Store& store, const WriteBatch& batch, WriteResults* results = nullptr);
// An expiry that never comes in these tests, and one that has come.
inline constexpr int64_t kFarFutureMs = 4102444800000;  // 2100
inline constexpr int64_t kLongAgoMs = 1000;
Metadata ExpiresAt(int64_t ms);
Metadata ContentType(absl::string_view type);

struct Scanned {
  absl::Status status;
  Records entries;  // as they came
  int pages = 0;

  std::vector<std::string> keys() const;
};
Scanned ScanWith(Cursor& cursor, const PageLimits& limits = {});
Scanned Scan(Store& store, const ScanOptions& options = {}, const PageLimits& limits = {});
PageLimits EntriesAPage(size_t entries);

// Sorted by key, with repetitions dropped where `options` allow them.
Records Comparable(const Capabilities& has, const ScanOptions& options, Records entries);
// Those of `all` that the scan gives, in key order, or from the end.
Records Expected(const ScanOptions& options, Records all);

}  // namespace kvarts::store_suite

#endif  // KVARTS_TESTING_CONFORMANCE_STORE_SUITE_INTERNAL_H_
