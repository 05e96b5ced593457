#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "storage/sstable/bench/bench_engine.h"

namespace kvarts {
namespace {

void Require(const leveldb::Status& status) { RequireBench(status.ok(), status.ToString()); }

leveldb::Slice SliceOf(absl::string_view text) { return {text.data(), text.size()}; }
absl::string_view ViewOf(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

class Reader final : public BenchReader {
 public:
  explicit Reader(leveldb::DB* db) : db_(db) {}

  bool Get(absl::string_view key, absl::string_view* value) override {
    const leveldb::Status status = db_->Get(leveldb::ReadOptions(), SliceOf(key), &value_);
    if (status.IsNotFound()) return false;
    Require(status);
    *value = value_;
    return true;
  }

  // It has no call for many keys.
  void MultiGet(absl::Span<const absl::string_view> keys,
                std::vector<absl::string_view>* values) override {
    values_.resize(keys.size());
    values->clear();
    for (size_t i = 0; i < keys.size(); ++i) {
      const leveldb::Status status =
          db_->Get(leveldb::ReadOptions(), SliceOf(keys[i]), &values_[i]);
      if (!status.IsNotFound()) Require(status);
      values->push_back(status.ok() ? absl::string_view(values_[i]) : absl::string_view());
    }
  }

  uint64_t Scan(absl::string_view begin, uint64_t limit, Entry entry) override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(leveldb::ReadOptions()));
    uint64_t entries = 0;
    for (it->Seek(SliceOf(begin)); it->Valid() && entries < limit; it->Next(), ++entries) {
      entry(ViewOf(it->key()), ViewOf(it->value()));
    }
    Require(it->status());
    return entries;
  }

  uint64_t ScanBackward(uint64_t limit, Entry entry) override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(leveldb::ReadOptions()));
    uint64_t entries = 0;
    for (it->SeekToLast(); it->Valid() && entries < limit; it->Prev(), ++entries) {
      entry(ViewOf(it->key()), ViewOf(it->value()));
    }
    Require(it->status());
    return entries;
  }

 private:
  leveldb::DB* const db_;
  std::string value_;
  std::vector<std::string> values_;
};

class Engine final : public BenchEngine {
 public:
  Engine(const std::string& dir, const BenchEngineOptions& bench)
      : cache_(leveldb::NewLRUCache(bench.cache_bytes)),
        filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    // It has two memtables: they are larger, so that all have as much.
    options.write_buffer_size = bench.memtable_bytes * static_cast<size_t>(bench.memtables) / 2;
    options.max_file_size = 8 << 20;
    options.max_open_files = 10'000;
    options.compression = bench.compress ? leveldb::kSnappyCompression : leveldb::kNoCompression;
    leveldb::DB* db = nullptr;
    Require(leveldb::DB::Open(options, dir, &db));
    db_.reset(db);
  }

  void Put(absl::string_view key, absl::string_view value, bool sync) override {
    Require(db_->Put(Options(sync), SliceOf(key), SliceOf(value)));
  }

  void PutBatch(Pairs pairs, bool sync) override {
    leveldb::WriteBatch batch;
    for (const auto& [key, value] : pairs) batch.Put(SliceOf(key), SliceOf(value));
    Require(db_->Write(Options(sync), &batch));
  }

  // An empty batch makes those before it durable.
  void Sync() override {
    leveldb::WriteBatch batch;
    Require(db_->Write(Options(true), &batch));
  }

  std::unique_ptr<BenchReader> NewReader() override { return std::make_unique<Reader>(db_.get()); }

  // It has no such call: the keys are found and deleted, a thousand a batch.
  void DeleteRange(absl::string_view begin, absl::string_view end) override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(leveldb::ReadOptions()));
    leveldb::WriteBatch batch;
    uint64_t deletions = 0;
    for (it->Seek(SliceOf(begin)); it->Valid() && ViewOf(it->key()) < end; it->Next()) {
      batch.Delete(it->key());
      if (++deletions % 1000 != 0) continue;
      Require(db_->Write(Options(false), &batch));
      batch.Clear();
    }
    Require(it->status());
    Require(db_->Write(Options(false), &batch));
  }

  // It has no such call: batches of a thousand.
  double Ingest(Source next) override {
    leveldb::WriteBatch batch;
    absl::string_view key;
    absl::string_view value;
    for (uint64_t i = 1; next(&key, &value); ++i) {
      batch.Put(SliceOf(key), SliceOf(value));
      if (i % 1000 != 0) continue;
      Require(db_->Write(Options(false), &batch));
      batch.Clear();
    }
    Require(db_->Write(Options(true), &batch));
    return 0;
  }

  // It has none of its own: the compaction of a range that holds nothing begins with one.
  void Flush() override {
    const leveldb::Slice begin("\xff\xff", 2);
    const leveldb::Slice end("\xff\xff\xff", 3);
    db_->CompactRange(&begin, &end);
  }

  bool MayBeAtRest() override { return true; }  // it does not say

 private:
  static leveldb::WriteOptions Options(bool sync) {
    leveldb::WriteOptions options;
    options.sync = sync;
    return options;
  }

  const std::unique_ptr<leveldb::Cache> cache_;
  const std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

std::unique_ptr<BenchEngine> OpenLeveldbBenchEngine(const std::string& dir,
                                                    const BenchEngineOptions& options) {
  return std::make_unique<Engine>(dir, options);
}

}  // namespace kvarts
