#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

// Stands in for a store that could not be opened, so that tests need no check
// of their own after each Open().
class FailedStore final : public Store {
 public:
  explicit FailedStore(absl::Status status) : status_(std::move(status)) {}

  Capabilities capabilities() const override { return {}; }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions&,
                ReadResults* results) override {
    results->Fail(keys.size(), status_);
  }
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions&) override { return status_; }
  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override { return status_; }
  absl::StatusOr<StoreStats> Stats() override { return status_; }
  absl::Status Close() override { return status_; }

 private:
  const absl::Status status_;
};

}  // namespace

std::unique_ptr<Store> Tester::Checked(absl::StatusOr<std::unique_ptr<Store>> store) {
  if (!store.ok()) {
    ADD_FAILURE() << "cannot open: " << store.status();
    return std::make_unique<FailedStore>(store.status());
  }
  EXPECT_EQ((*store)->capabilities(), record_.capabilities)
      << "stores of one kind differ: " << ToText((*store)->capabilities()) << " and "
      << ToText(record_.capabilities);
  return *std::move(store);
}

std::unique_ptr<Store> Tester::Open(const Records& records) {
  return Checked(fixture_.Open(records));
}

std::unique_ptr<Store> Tester::Reopen() { return Checked(fixture_.Reopen()); }

Records Tester::Accepted(Records records) const {
  records.erase(
      std::remove_if(records.begin(), records.end(),
                     [this](const auto& r) { return !fixture_.Accepts(r.first, r.second); }),
      records.end());
  return records;
}

Records Tester::Sample() const {
  using namespace std::string_literals;  // NOLINT(build/namespaces): for zero bytes
  return Accepted({
      {"", "of the empty key"},
      {"\0"s, "of a zero byte"},
      {"a", "1"},
      {"a\0"s, "2"},
      {"a\0b"s, "zero \0 inside"s},
      {"a\n", "3"},
      {"aa", ""},
      {"ab", "\0"s},
      {"b", "two\nlines\r\n"},
      {"key with spaces", " a value with spaces "},
      {"prefix", "4"},
      {"prefix/", "5"},
      {"prefix/a", "6"},
      {"prefix/a/b", "7"},
      {"prefix0", "8"},
      {"quote\"'\\", "\"'\\"},
      {"tab\t", "a\tb,c"},
      {"{tag}1", "9"},
      {"{tag}2", "10"},
      {"\xc3\xa9", "\xc3\xa9"},
      {"\xff", "\xff\xfe"},
      {"\xff\xff", "11"},
      {std::string(300, 'l'), "of a long key"},
      {std::string(300, 'l') + "m", std::string(5000, 'v')},
      {"f47ac10b-58cc-4372-a567-0e02b2c3d479", "of a UUID"},
      {"f47ac10b-58cc-4372-a567-0e02b2c3d47a", "of the next UUID"},
      {"F47AC10B-58CC-4372-A567-0E02B2C3D479", "of a UUID in capitals"},
      {"f47ac10b-58cc-4372-a567-0e02b2c3d47", "of a UUID cut short"},
      {"f47ac10b-58cc-1372-a567-0e02b2c3d479", "of a UUID of version 1"},
      {"f47ac10b-58cc-4372-c567-0e02b2c3d479", "of a UUID of another variant"},
  });
}

Records Tester::Many(int n) const {
  Records records;
  uint64_t x = 88172645463325252;
  const auto next = [&x] {  // xorshift64: the same keys everywhere
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
  };
  for (int i = 0; i < n; ++i) {
    if (i % 2 == 0) {
      const uint64_t a = next();
      const uint64_t b = next();
      records.emplace_back(
          absl::StrFormat("%08x-%04x-4%03x-%04x-%012x", a >> 32, (a >> 16) & 0xffff, a & 0xfff,
                          0x8000 | (b >> 50), b & 0xffffffffffff),
          absl::StrCat("value-", i));
    } else {
      records.emplace_back(absl::StrFormat("family/%06d", i), std::string(i % 97, 'x'));
    }
  }
  return Accepted(std::move(records));
}

Got ReadOne(Store& store, absl::string_view key, const ReadOptions& options) {
  ReadResults results;
  store.Read(key, options, &results);
  if (results.size() != 1) {
    Got wrong;
    wrong.status = absl::InternalError(absl::StrCat(results.size(), " results for one key"));
    return wrong;
  }
  const ReadResult& r = results[0];
  return {r.status,        r.found, std::string(r.value), std::string(r.content_type),
          r.expires_at_ms, r.stamp};
}

Stamp StampOf(Store& store, absl::string_view key) {
  ReadOptions options;
  options.stamp = true;
  const Got got = ReadOne(store, key, options);
  EXPECT_TRUE(got.status.ok()) << got.status;
  return got.stamp;
}

std::string ValueOf(Store& store, absl::string_view key, const ReadOptions& options) {
  const Got got = ReadOne(store, key, options);
  if (!got.status.ok()) return absl::StrCat("(error: ", got.status.ToString(), ")");
  return got.found ? got.value : kAbsent;
}

WriteOptions Atomic() {
  WriteOptions options;
  options.atomic = true;
  options.report_existed = true;
  return options;
}

absl::Status WriteAtomic(Store& store, const WriteBatch& batch, WriteResults* results) {
  return store.Write(batch, Atomic(), results);
}

Metadata ExpiresAt(int64_t ms) {
  Metadata metadata;
  metadata.expiry = Metadata::Change::kSet;
  metadata.expires_at_ms = ms;
  return metadata;
}

Metadata ContentType(absl::string_view type) {
  Metadata metadata;
  metadata.content_type = Metadata::Change::kSet;
  metadata.type = type;
  return metadata;
}

std::vector<std::string> Scanned::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : entries) out.push_back(key);
  return out;
}

Scanned ScanWith(Cursor& cursor, const PageLimits& limits) {
  Scanned out;
  ScanPage page;
  do {
    out.status = cursor.Next(limits, &page);
    if (!out.status.ok()) {
      EXPECT_TRUE(page.empty()) << "an error came with entries";
      return out;
    }
    EXPECT_LE(page.size(), std::max<size_t>(limits.entries, 1));
    for (const ScanEntry& entry : page) {
      out.entries.emplace_back(std::string(entry.key), std::string(entry.value));
    }
    ++out.pages;
    if (out.pages > 1000000) {
      out.status = absl::InternalError("the scan does not end");
      return out;
    }
  } while (!page.empty());
  return out;
}

Scanned Scan(Store& store, const ScanOptions& options, const PageLimits& limits) {
  auto cursor = store.NewCursor(options);
  if (!cursor.ok()) return {cursor.status(), {}, 0};
  return ScanWith(**cursor, limits);
}

PageLimits EntriesAPage(size_t entries) {
  PageLimits limits;
  limits.entries = entries;
  return limits;
}

Records Comparable(const Capabilities& has, const ScanOptions& options, Records entries) {
  if (has.has(has.ordered_scan)) return entries;
  std::sort(entries.begin(), entries.end());
  if (options.snapshot == nullptr) {  // else each comes exactly once
    entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  }
  return entries;
}

Records Expected(const ScanOptions& options, Records all) {
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const auto& r) {
                             return !options.range.Contains(r.first) ||
                                    !InSlots(r.first, options.slots);
                           }),
            all.end());
  std::sort(all.begin(), all.end());
  if (options.backward) std::reverse(all.begin(), all.end());
  if (options.keys_only) {
    for (auto& [key, value] : all) value.clear();
  }
  return all;
}

}  // namespace kvarts::store_suite
