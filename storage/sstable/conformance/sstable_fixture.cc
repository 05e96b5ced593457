#include "storage/sstable/conformance/sstable_fixture.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

// Not thread-safe.
class SstableFixture final : public StoreFixture {
 public:
  explicit SstableFixture(const SstableOptions& options) : options_(options) {
    options_.fs = &files_;
    options_.clock = &clock_;
  }

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    ++stores_;
    KVARTS_ASSIGN_OR_RETURN(auto store, Reopen());
    WriteOptions options;
    options.sync = false;
    for (const auto& [key, value] : records) {
      WriteBatch batch;
      batch.Put(key, value);
      KVARTS_RETURN_IF_ERROR(store->Write(batch, options, nullptr));
    }
    return store;
  }
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    return OpenSstable(absl::StrCat("store", stores_), options_);
  }
  ManualClock* clock() override { return &clock_; }

 private:
  SstableOptions options_;
  MemoryFileSystem files_;
  ManualClock clock_;
  int stores_ = 0;
};

}  // namespace

std::unique_ptr<StoreFixture> NewSstableFixture(const SstableOptions& options) {
  return std::make_unique<SstableFixture>(options);
}

SstableOptions TinySstable() {
  SstableOptions options;
  options.threads = false;
  options.memory = size_t{80} << 20;
  options.cache = 64 << 10;
  options.memtable_bytes = 1;  // what was written is flushed before the next group
  options.block_bytes = 64;
  options.table_bytes = 256;
  options.level1_bytes = 1024;
  return options;
}

}  // namespace kvarts
