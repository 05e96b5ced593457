#include "testing/conformance/store_matrix.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

struct Row {
  const char* name;
  const char* meaning;
  std::function<std::string(const Capabilities&)> text;
  std::function<bool(const Capabilities&)> present;
};

Row SupportRow(const char* name, const char* meaning, Support Capabilities::*member) {
  return {name, meaning, [member](const Capabilities& c) { return ToText(c.*member); },
          [member](const Capabilities& c) { return c.has(c.*member); }};
}

Row FlagRow(const char* name, const char* meaning, bool Capabilities::*member) {
  return {name, meaning, [member](const Capabilities& c) { return c.*member ? "yes" : "no"; },
          [member](const Capabilities& c) { return c.*member; }};
}

Row LimitRow(const char* name, const char* meaning, uint64_t Capabilities::*member) {
  const auto is_limited = [member](const Capabilities& c) {
    return c.*member != Capabilities::kNoLimit;
  };
  return {name, meaning,
          [member, is_limited](const Capabilities& c) {
            return is_limited(c) ? absl::StrCat(c.*member) : "no limit";
          },
          is_limited};
}

std::vector<Row> Rows() {
  using C = Capabilities;
  return {
      SupportRow("write", "puts, deletes, touches", &C::write),
      SupportRow("conditions", "stamps, preconditions, `Modify()`", &C::conditions),
      {"batch_scope", "the keys of one atomic batch",
       [](const C& c) { return ToText(c.batch_scope); },
       [](const C& c) { return c.batch_scope != BatchScope::kNone; }},
      SupportRow("delete_range", "range deletions in batches", &C::delete_range),
      SupportRow("scan", "cursors, in an order of the store's own", &C::scan),
      SupportRow("ordered_scan", "... in key order", &C::ordered_scan),
      SupportRow("backward_scan", "... from the end", &C::backward_scan),
      SupportRow("slot_scan", "... of cluster slots", &C::slot_scan),
      SupportRow("snapshot", "reads and scans of a frozen state", &C::snapshot),
      SupportRow("expiry", "keys that end at a time", &C::expiry),
      SupportRow("content_type", "a content type for each key", &C::content_type),
      FlagRow("durable", "acknowledged writes outlive the process", &C::durable),
      FlagRow("shared_by_processes", "several may open the same data", &C::shared_by_processes),
      FlagRow("bounded_memory", "private memory does not grow with the data", &C::bounded_memory),
      FlagRow("atomic_multi_get", "a batch read never sees half of a write", &C::atomic_multi_get),
      FlagRow("may_block", "waits for disk or network: not for a loop thread", &C::may_block),
      FlagRow("no_wait", "... but not where it is asked not to", &C::no_wait),
      LimitRow("max_batch_mutations", "the largest atomic batch: with its preconditions",
               &C::max_batch_mutations),
      LimitRow("max_batch_bytes", "... bytes of keys, values and content types",
               &C::max_batch_bytes),
      FlagRow("discards", "takes writes and drops them, holds nothing", &C::discards),
  };
}

// A member of Capabilities without a row would be left out silently.
absl::Status CheckRows() {
  std::set<std::string> rows;
  for (const Row& row : Rows()) rows.insert(row.name);
  Capabilities limited;  // limits are said only where there are some
  limited.max_batch_mutations = limited.max_batch_bytes = 1;
  for (const absl::string_view word : absl::StrSplit(ToText(limited), ' ')) {
    const size_t equals = word.find('=');
    if (equals == absl::string_view::npos) continue;
    if (rows.count(std::string(word.substr(0, equals))) == 0) {
      return absl::InternalError(
          absl::StrCat("the capability '", word.substr(0, equals), "' has no row in the matrix"));
    }
  }
  return absl::OkStatus();
}

// Only failures, to standard error: the table goes to standard output.
class FailurePrinter final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const testing::TestInfo* const test = testing::UnitTest::GetInstance()->current_test_info();
    std::fprintf(stderr, "%s.%s: %s\n", test == nullptr ? "" : test->test_suite_name(),
                 test == nullptr ? "" : test->name(), result.message());
  }
};

std::string Page(const std::string& table, const std::string& command) {
  return absl::StrCat(
      "# What each store can do\n\nMade by `", command,
      "` from a run of the conformance suite over each store. Do not edit.\n\n", table,
      "\nnative: at the cost the operation has by itself. emulated: the same result, "
      "at a cost\nthat grows with the entries (O(n)) or their logarithm. absent: "
      "refused with\n`kUnimplemented`, writes with `kFailedPrecondition`; the run "
      "checks that too.\n\n\\* as the store declares it: no test of the suite can "
      "see it.\n");
}

int Check(const std::string& path, const std::string& page, const std::string& command) {
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (text == page) return 0;
  std::fprintf(stderr, "%s %s. To make it anew:\n  %s > docs/capabilities.md\nIt should be:\n\n%s",
               path.c_str(), in.is_open() ? "is out of date" : "cannot be read", command.c_str(),
               page.c_str());
  return 1;
}

}  // namespace

absl::StatusOr<std::string> CapabilityTable(
    const std::vector<std::shared_ptr<const StoreSuiteRecord>>& records) {
  if (absl::Status status = CheckRows(); !status.ok()) return status;
  std::string head = "| capability | |";
  std::string line = "|---|---|";
  for (const auto& record : records) {
    if (!record->opened || !record->failed_tests.empty()) {
      std::string message = absl::StrCat(record->name, " fails the suite:");
      for (const std::string& test : record->failed_tests) absl::StrAppend(&message, " ", test);
      return absl::InternalError(message);
    }
    absl::StrAppend(&head, " ", record->name, " |");
    absl::StrAppend(&line, "---|");
  }
  std::string out = absl::StrCat(head, "\n", line, "\n");
  for (const Row& row : Rows()) {
    absl::StrAppend(&out, "| ", row.name, " | ", row.meaning, " |");
    for (const auto& record : records) {
      const bool declared_only =
          row.present(record->capabilities) && record->proven.count(row.name) == 0;
      absl::StrAppend(&out, " ", row.text(record->capabilities), declared_only ? " \\*" : "", " |");
    }
    absl::StrAppend(&out, "\n");
  }
  return out;
}

int CapabilityMatrixMain(int argc, char** argv, const std::vector<MatrixStore>& stores,
                         const std::string& command) {
  testing::InitGoogleTest(&argc, argv);
  std::string check;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view flag = argv[i];
    if (!absl::StartsWith(flag, "--check=")) {
      std::fprintf(stderr, "%s: unknown flag; expected --check=FILE\n", argv[i]);
      return 2;
    }
    check = std::string(flag.substr(8));
  }
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new FailurePrinter);
  std::vector<std::shared_ptr<const StoreSuiteRecord>> records;
  for (const MatrixStore& store : stores) {
    records.push_back(RegisterStoreSuite(store.name, store.new_fixture));
  }
  const int failed = RUN_ALL_TESTS();
  const absl::StatusOr<std::string> table = CapabilityTable(records);
  if (failed != 0 || !table.ok()) {
    std::fprintf(stderr, "%s\n", table.status().ToString().c_str());
    return 1;
  }
  const std::string page = Page(*table, command);
  if (!check.empty()) return Check(check, page, command);
  std::fwrite(page.data(), 1, page.size(), stdout);
  return 0;
}

}  // namespace kvarts
