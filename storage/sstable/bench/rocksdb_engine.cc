#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sstable/bench/bench_engine.h"

namespace kvarts {
namespace {

constexpr uint64_t kTableBytes = 8 << 20;

void Require(const rocksdb::Status& status) { RequireBench(status.ok(), status.ToString()); }

rocksdb::Slice SliceOf(absl::string_view text) { return {text.data(), text.size()}; }
absl::string_view ViewOf(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

class Reader final : public BenchReader {
 public:
  explicit Reader(rocksdb::DB* db) : db_(db) {}

  bool Get(absl::string_view key, absl::string_view* value) override {
    value_.Reset();
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), SliceOf(key), &value_);
    if (status.IsNotFound()) return false;
    Require(status);
    *value = ViewOf(value_);
    return true;
  }

  void MultiGet(absl::Span<const absl::string_view> keys,
                std::vector<absl::string_view>* values) override {
    keys_.clear();
    for (const absl::string_view key : keys) keys_.push_back(SliceOf(key));
    values_.resize(keys.size());
    for (rocksdb::PinnableSlice& value : values_) value.Reset();
    statuses_.resize(keys.size());
    db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), keys_.size(), keys_.data(),
                  values_.data(), statuses_.data());
    values->clear();
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!statuses_[i].IsNotFound()) Require(statuses_[i]);
      values->push_back(statuses_[i].ok() ? ViewOf(values_[i]) : absl::string_view());
    }
  }

  uint64_t Scan(absl::string_view begin, uint64_t limit, Entry entry) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    uint64_t entries = 0;
    for (it->Seek(SliceOf(begin)); it->Valid() && entries < limit; it->Next(), ++entries) {
      entry(ViewOf(it->key()), ViewOf(it->value()));
    }
    Require(it->status());
    return entries;
  }

  uint64_t ScanBackward(uint64_t limit, Entry entry) override {
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    uint64_t entries = 0;
    for (it->SeekToLast(); it->Valid() && entries < limit; it->Prev(), ++entries) {
      entry(ViewOf(it->key()), ViewOf(it->value()));
    }
    Require(it->status());
    return entries;
  }

 private:
  rocksdb::DB* const db_;
  rocksdb::PinnableSlice value_;
  std::vector<rocksdb::Slice> keys_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
};

class Engine final : public BenchEngine {
 public:
  Engine(const std::string& dir, const BenchEngineOptions& bench) : dir_(dir) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(bench.cache_bytes);
    // As with the others indexes and filters are within the budget of the cache.
    table.cache_index_and_filter_blocks = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    rocksdb::Options options;
    options.create_if_missing = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.write_buffer_size = bench.memtable_bytes;
    options.max_write_buffer_number = bench.memtables;
    options.target_file_size_base = kTableBytes;
    options.max_bytes_for_level_base = std::max<uint64_t>(4 * bench.memtable_bytes, 16 << 20);
    options.max_background_jobs = 2;  // one flush and one compaction
    options.compression = bench.compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
    rocksdb::DB* db = nullptr;
    Require(rocksdb::DB::Open(options, dir, &db));
    db_.reset(db);
  }
  ~Engine() override { Require(db_->Close()); }

  void Put(absl::string_view key, absl::string_view value, bool sync) override {
    Require(db_->Put(Options(sync), SliceOf(key), SliceOf(value)));
  }

  void PutBatch(Pairs pairs, bool sync) override {
    rocksdb::WriteBatch batch;
    for (const auto& [key, value] : pairs) Require(batch.Put(SliceOf(key), SliceOf(value)));
    Require(db_->Write(Options(sync), &batch));
  }

  void Sync() override { Require(db_->SyncWAL()); }

  std::unique_ptr<BenchReader> NewReader() override { return std::make_unique<Reader>(db_.get()); }

  void DeleteRange(absl::string_view begin, absl::string_view end) override {
    Require(
        db_->DeleteRange(Options(false), db_->DefaultColumnFamily(), SliceOf(begin), SliceOf(end)));
  }

  double Ingest(Source next) override {
    std::vector<std::string> files;
    absl::string_view key;
    absl::string_view value;
    for (bool more = next(&key, &value); more;) {
      files.push_back(absl::StrCat(dir_, "/ingested", files.size(), ".sst"));
      rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), db_->GetOptions());
      Require(writer.Open(files.back()));
      while (more && writer.FileSize() < kTableBytes) {
        Require(writer.Put(SliceOf(key), SliceOf(value)));
        more = next(&key, &value);
      }
      Require(writer.Finish());
    }
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    const auto start = std::chrono::steady_clock::now();
    Require(db_->IngestExternalFile(files, options));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  void Flush() override { Require(db_->Flush(rocksdb::FlushOptions())); }

  bool MayBeAtRest() override {
    for (const char* name : {"rocksdb.num-immutable-mem-table", "rocksdb.mem-table-flush-pending",
                             "rocksdb.num-running-flushes", "rocksdb.compaction-pending",
                             "rocksdb.num-running-compactions"}) {
      uint64_t value = 0;
      RequireBench(db_->GetIntProperty(name, &value), name);
      if (value != 0) return false;
    }
    return true;
  }

 private:
  static rocksdb::WriteOptions Options(bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return options;
  }

  const std::string dir_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<BenchEngine> OpenRocksdbBenchEngine(const std::string& dir,
                                                    const BenchEngineOptions& options) {
  return std::make_unique<Engine>(dir, options);
}

}  // namespace kvarts
