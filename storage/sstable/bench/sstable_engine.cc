#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "storage/sstable/bench/bench_engine.h"
#include "storage/sstable/sstable.h"

namespace kvarts {
namespace {

void Require(const absl::Status& status) { RequireBench(status.ok(), status.ToString()); }

class Reader final : public BenchReader {
 public:
  explicit Reader(Store* store) : store_(store) {}

  bool Get(absl::string_view key, absl::string_view* value) override {
    store_->Read(key, ReadOptions(), &results_);
    Require(results_[0].status);
    *value = results_[0].value;
    return results_[0].found;
  }

  void MultiGet(absl::Span<const absl::string_view> keys,
                std::vector<absl::string_view>* values) override {
    store_->MultiGet(keys, ReadOptions(), &results_);
    values->clear();
    for (const ReadResult& result : results_) {
      Require(result.status);
      values->push_back(result.found ? result.value : absl::string_view());
    }
  }

  uint64_t Scan(absl::string_view begin, uint64_t limit, Entry entry) override {
    ScanOptions options;
    options.range = KeyRange::From(begin);
    return ScanWith(options, limit, entry);
  }

  uint64_t ScanBackward(uint64_t limit, Entry entry) override {
    ScanOptions options;
    options.backward = true;
    return ScanWith(options, limit, entry);
  }

 private:
  uint64_t ScanWith(const ScanOptions& options, uint64_t limit, Entry entry) {
    auto cursor = store_->NewCursor(options);
    Require(cursor.status());
    uint64_t entries = 0;
    while (entries < limit) {
      PageLimits limits;
      limits.entries = std::min<uint64_t>(limits.entries, limit - entries);
      Require((*cursor)->Next(limits, &page_));
      if (page_.empty()) break;
      for (const ScanEntry& found : page_) entry(found.key, found.value);
      entries += page_.size();
    }
    return entries;
  }

  Store* const store_;
  ReadResults results_;
  ScanPage page_;
};

class Engine final : public BenchEngine {
 public:
  Engine(const std::string& dir, const BenchEngineOptions& bench) : index_(dir + ".index") {
    SstableOptions options;
    options.memtable_bytes = bench.memtable_bytes;
    options.cache = bench.cache_bytes;
    options.memory =
        bench.cache_bytes + static_cast<size_t>(bench.memtables) * bench.memtable_bytes;
    options.compress =
        bench.compress ? SstableOptions::Compress::kLz4 : SstableOptions::Compress::kNone;
    auto store = OpenSstable(dir, options);
    Require(store.status());
    store_ = *std::move(store);
  }
  ~Engine() override { Require(store_->Close()); }

  void Put(absl::string_view key, absl::string_view value, bool sync) override {
    WriteBatch batch;
    batch.Put(key, value);
    Write(batch, sync);
  }

  void PutBatch(Pairs pairs, bool sync) override {
    WriteBatch batch;
    for (const auto& [key, value] : pairs) batch.Put(key, value);
    Write(batch, sync);
  }

  void Sync() override { Require(store_->Sync()); }

  std::unique_ptr<BenchReader> NewReader() override {
    return std::make_unique<Reader>(store_.get());
  }

  void DeleteRange(absl::string_view begin, absl::string_view end) override {
    WriteBatch batch;
    batch.DeleteRange(begin, end);
    Write(batch, false);
  }

  double Ingest(Source next) override {
    const auto report = store_->maintenance()->Ingest(
        [&](ScanEntry* entry) { return next(&entry->key, &entry->value); });
    Require(report.status());
    return static_cast<double>(Detail("ingest_commit_us")) / 1e6;
  }

  void SaveIndex() override { Require(store_->maintenance()->SaveIndexSnapshot(index_).status()); }
  void LoadIndex() override { Require(store_->maintenance()->LoadIndexSnapshot(index_).status()); }

  void Flush() override { Require(store_->maintenance()->Flush()); }

  bool MayBeAtRest() override {
    return Detail("level_0_runs") < 4 && Detail("frozen_memtables") == 0;
  }

 private:
  // A number that the store tells of itself.
  uint64_t Detail(absl::string_view wanted) {
    const auto stats = store_->Stats();
    Require(stats.status());
    uint64_t number = 0;
    for (const auto& [name, value] : stats->details) {
      if (name == wanted) RequireBench(absl::SimpleAtoi(value, &number), name);
    }
    return number;
  }

  void Write(const WriteBatch& batch, bool sync) {
    WriteOptions options;
    options.sync = sync;
    // The peers' batches are atomic.
    options.atomic = batch.mutations().size() > 1;
    Require(store_->Write(batch, options, nullptr));
  }

  const std::string index_;  // where a snapshot of it lies
  std::unique_ptr<Store> store_;
};

}  // namespace

std::unique_ptr<BenchEngine> OpenSstableBenchEngine(const std::string& dir,
                                                    const BenchEngineOptions& options) {
  return std::make_unique<Engine>(dir, options);
}

void RequireBench(bool ok, absl::string_view what) {
  if (ok) return;
  std::fprintf(stderr, "sstable bench: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace kvarts
