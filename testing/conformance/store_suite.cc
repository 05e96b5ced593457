#include "testing/conformance/store_suite.h"

#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts {
namespace store_suite {
namespace {

class Case : public testing::Test {
 public:
  Case(const SuiteTest& test, StoreFixtureFactory new_fixture,
       std::shared_ptr<StoreSuiteRecord> record)
      : test_(test), new_fixture_(std::move(new_fixture)), record_(std::move(record)) {}

  void TestBody() override {
    const std::unique_ptr<StoreFixture> fixture = new_fixture_();
    NoteCapabilities(*fixture);
    Tester tester(fixture.get(), record_.get());
    if (!HasFailure()) Run(tester);
    if (HasFailure()) {
      record_->failed_tests.insert(test_.name);
    } else if (!IsSkipped()) {
      record_->proven.insert(tester.proves().begin(), tester.proves().end());
    }
  }

 private:
  void Run(Tester& tester) {
    if (test_.needs_entries && tester.has().discards) GTEST_SKIP() << "the store holds nothing";
    test_.run(tester);
  }

  void NoteCapabilities(StoreFixture& fixture) {
    if (record_->opened) return;
    auto store = fixture.Open({});
    ASSERT_TRUE(store.ok()) << "cannot open an empty store: " << store.status();
    record_->capabilities = (*store)->capabilities();
    record_->opened = true;
  }

  const SuiteTest test_;
  const StoreFixtureFactory new_fixture_;
  const std::shared_ptr<StoreSuiteRecord> record_;
};

class RecordWriter : public testing::Environment {
 public:
  explicit RecordWriter(std::shared_ptr<const StoreSuiteRecord> record)
      : record_(std::move(record)) {}

  void TearDown() override {
    const char* const dir = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    if (dir == nullptr) return;
    std::ofstream out(absl::StrCat(dir, "/", record_->name, ".capabilities"));
    out << ToText(record_->capabilities) << "\n";
    for (const std::string& name : record_->proven) out << "proven " << name << "\n";
    for (const std::string& name : record_->failed_tests) out << "failed " << name << "\n";
  }

 private:
  const std::shared_ptr<const StoreSuiteRecord> record_;
};

}  // namespace
}  // namespace store_suite

std::shared_ptr<const StoreSuiteRecord> RegisterStoreSuite(const std::string& name,
                                                           const StoreFixtureFactory& new_fixture) {
  const auto record = std::make_shared<StoreSuiteRecord>();
  record->name = name;
  for (const auto& tests :
       {store_suite::AbsentTests(), store_suite::ConcurrencyTests(), store_suite::ConditionTests(),
        store_suite::DiscardTests(), store_suite::ExpiryTests(), store_suite::LifeTests(),
        store_suite::ReadTests(), store_suite::ScanTests(), store_suite::SnapshotTests(),
        store_suite::SubmitTests(), store_suite::WriteTests()}) {
    for (const store_suite::SuiteTest& test : tests) {
      // The return type tells googletest the class of the whole suite.
      testing::RegisterTest(name.c_str(), test.name, nullptr, nullptr, __FILE__, __LINE__,
                            [test, new_fixture, record]() -> testing::Test* {
                              return new store_suite::Case(test, new_fixture, record);
                            });
    }
  }
  testing::AddGlobalTestEnvironment(new store_suite::RecordWriter(record));
  return record;
}

}  // namespace kvarts
