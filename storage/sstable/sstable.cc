#include "storage/sstable/sstable.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"
#include "storage/sstable/index_snapshot.h"
#include "storage/sstable/resident_reads.h"
#include "storage/sstable/sstable_cursor.h"

namespace kvarts {
namespace sstable {

Capabilities SstableCapabilities() {
  Capabilities c;
  c.write = c.conditions = c.delete_range = Support::kNative;
  c.scan = c.ordered_scan = c.backward_scan = c.snapshot = Support::kNative;
  c.expiry = c.content_type = Support::kNative;
  c.slot_scan = Support::kEmulatedLinear;
  c.batch_scope = BatchScope::kStore;
  c.durable = c.bounded_memory = c.atomic_multi_get = c.may_block = c.no_wait = true;
  return c;
}

namespace {

// Larger values are lent; a copy of a smaller one costs less than the pin.
constexpr size_t kLentBytes = 4 << 10;

// Thread-safe, by the engine.
class SstableStore final : public Store, public Maintenance {
 public:
  SstableStore(std::unique_ptr<Engine> engine, const SstableOptions& options)
      : engine_(std::move(engine)), core_(engine_->core()), capabilities_(SstableCapabilities()) {
    capabilities_.durable = options.log;
    capabilities_.max_batch_bytes = engine_->max_batch_bytes();
    if (options.read_only) {
      capabilities_.write = capabilities_.conditions = capabilities_.delete_range =
          Support::kAbsent;
      capabilities_.batch_scope = BatchScope::kNone;
      capabilities_.expiry = capabilities_.content_type = Support::kAbsent;
    }
  }
  ~SstableStore() override { Close().IgnoreError(); }

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    Sequence at = 0;
    const ReadCore::Now now = core_->Take();
    if (absl::Status status = CheckRead(options, now.visible, &at); !status.ok()) {
      return results->Fail(keys.size(), status);
    }
    results->Reset(keys.size());
    for (size_t first = 0; first < keys.size(); first += ResidentReads::kMost) {
      const size_t n = std::min(ResidentReads::kMost, keys.size() - first);
      ReadSome(*now.sources, at, keys.subspan(first, n), options, &results->mutable_result(first),
               &results->bytes());
    }
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    Sequence at = 0;
    const ReadCore::Now now = core_->Take();
    ReadResult& result = results->ResetOne();
    if (absl::Status status = CheckRead(options, now.visible, &at); !status.ok()) {
      result.status = std::move(status);
      return;
    }
    ReadSome(*now.sources, at, absl::MakeConstSpan(&key, 1), options, &result, &results->bytes());
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    if (absl::Status status = CheckWrite(batch, options); !status.ok()) {
      return FailWrite(batch, status, results);
    }
    return engine_->Write(batch, options, results);
  }

  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    if (absl::Status status = CheckWrite(batch, options); !status.ok()) {
      return done(FailWrite(batch, status, results));
    }
    engine_->Submit(batch, options, results, std::move(done));
  }

  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    if (closed_) return ClosedError();
    if (!capabilities_.has(capabilities_.write)) return ReadOnlyError();
    KVARTS_RETURN_IF_ERROR(CheckKey(key));
    return engine_->Modify(key, options, function);
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    if (closed_) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
    KVARTS_RETURN_IF_ERROR(CheckSnapshot(options.snapshot));
    return NewSstableCursor(core_, options);
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    if (closed_) return ClosedError();
    return std::make_shared<const SstableSnapshot>(core_);
  }

  absl::StatusOr<StoreStats> Stats() override {
    if (closed_) return ClosedError();
    return engine_->Stats();
  }

  absl::Status Sync() override {
    if (closed_) return ClosedError();
    return writable() ? engine_->Sync() : absl::OkStatus();
  }

  absl::Status Close() override {
    closed_ = true;
    MutexLock lock(&closing_);
    return engine_->Close();
  }

  Maintenance* maintenance() override { return this; }

  absl::Status Flush() override {
    KVARTS_RETURN_IF_ERROR(CheckCare(true));
    return engine_->Flush();
  }
  absl::Status Compact(const KeyRange& range) override {
    KVARTS_RETURN_IF_ERROR(CheckCare(true));
    return engine_->Compact(range);
  }
  absl::StatusOr<uint64_t> ApproximateBytes(const KeyRange& range) override {
    KVARTS_RETURN_IF_ERROR(CheckCare(false));
    return engine_->ApproximateBytes(range);
  }
  absl::StatusOr<VerifyReport> Verify() override {
    KVARTS_RETURN_IF_ERROR(CheckCare(false));
    return engine_->Verify();
  }
  absl::StatusOr<std::string> Checkpoint(absl::string_view name) override {
    KVARTS_RETURN_IF_ERROR(CheckCare(true));
    return engine_->Checkpoint(name);
  }
  absl::StatusOr<IngestReport> Ingest(const SortedSource& source) override {
    KVARTS_RETURN_IF_ERROR(CheckCare(true));
    return engine_->Ingest(source);
  }
  absl::StatusOr<IndexReport> LoadIndex() override {
    KVARTS_RETURN_IF_ERROR(CheckCare(false));
    return engine_->LoadIndex();
  }
  absl::StatusOr<IndexReport> SaveIndexSnapshot(absl::string_view path) override {
    KVARTS_RETURN_IF_ERROR(CheckCare(true));
    return engine_->SaveIndexSnapshot(path);
  }
  absl::StatusOr<IndexReport> LoadIndexSnapshot(absl::string_view path) override {
    KVARTS_RETURN_IF_ERROR(CheckCare(false));
    return engine_->LoadIndexSnapshot(path);
  }

 private:
  bool writable() const { return capabilities_.has(capabilities_.write); }

  absl::Status CheckCare(bool writes) const {
    if (closed_) return ClosedError();
    return writes && !writable() ? ReadOnlyError() : absl::OkStatus();
  }

  absl::Status CheckSnapshot(const std::shared_ptr<const Snapshot>& snapshot) const {
    if (snapshot == nullptr) return absl::OkStatus();
    const auto* const mine = dynamic_cast<const SstableSnapshot*>(snapshot.get());
    if (mine != nullptr && mine->core() == core_.get()) return absl::OkStatus();
    return absl::InvalidArgumentError("a snapshot of another store");
  }

  absl::Status CheckRead(const ReadOptions& options, Sequence visible, Sequence* at) const {
    if (closed_) return ClosedError();
    *at = visible;
    if (options.snapshot != nullptr) {
      KVARTS_RETURN_IF_ERROR(CheckSnapshot(options.snapshot));
      *at = static_cast<const SstableSnapshot*>(options.snapshot.get())->sequence();
    }
    if (options.stamp && !capabilities_.has(capabilities_.conditions)) {
      return absl::UnimplementedError("the store has no conditional writes");
    }
    return absl::OkStatus();
  }

  absl::Status CheckWrite(const WriteBatch& batch, const WriteOptions& options) const {
    return closed_ ? ClosedError() : CheckBatch(batch, options, capabilities_);
  }

  // kMost keys at the most.
  void ReadSome(const Sources& sources, Sequence at, absl::Span<const absl::string_view> keys,
                const ReadOptions& options, ReadResult* results, Bytes* bytes) {
    struct Absent {
      uint64_t hash;
      uint8_t i;
    };
    Absent absent[ResidentReads::kMost];
    size_t absent_count = 0;
    {
      const ResidentReads reads(sources, core_->tables(), keys, at, options.stamp);
      for (size_t i = 0; i < keys.size(); ++i) {
        ReadResult& result = results[i];
        if (result.status = CheckKey(keys[i]); !result.status.ok()) continue;
        if (reads.settled(i)) {
          Answer(
              reads.found(i), reads.hash(i), at, options, [&] { return reads.PinOf(i); }, &result,
              bytes);
        } else {
          absent[absent_count++] = {reads.hash(i), static_cast<uint8_t>(i)};
        }
      }
    }
    for (const Absent& one : absl::MakeConstSpan(absent, absent_count)) {
      ReadResult& result = results[one.i];
      Found found;
      Pin pin;
      result.status = Lookup(sources, core_->tables(), keys[one.i], one.hash, at, options.no_wait,
                             options.stamp, &found, &pin);
      if (!result.status.ok()) continue;
      Answer(
          found, one.hash, at, options, [&] { return pin; }, &result, bytes);
    }
  }

  // `pin()` keeps what was found.
  template <typename GetPin>
  void Answer(const Found& found, uint64_t hash, Sequence at, const ReadOptions& options,
              const GetPin& pin, ReadResult* result, Bytes* bytes) {
    absl::string_view type;
    absl::string_view value;
    int64_t expires_at_ms = 0;
    bool live = false;
    if (found.is_put()) {
      if (!found.entry.Decode(&expires_at_ms, &type, &value)) {
        result->status = absl::DataLossError("an entry that is none");
        return;
      }
      live = expires_at_ms == 0 || expires_at_ms > core_->NowMs();
    }
    if (options.stamp) result->stamp = StampOf(hash, found, live, at, options.snapshot != nullptr);
    if (!live) return;
    result->found = true;
    result->expires_at_ms = expires_at_ms;
    result->content_type = bytes->Copy(type);
    if (!options.value) return;
    if (value.size() >= kLentBytes) {
      bytes->AddPin(pin());
      result->value = value;
    } else {
      result->value = bytes->Copy(value);
    }
  }

  Stamp StampOf(uint64_t hash, const Found& found, bool live, Sequence at, bool in_snapshot) const {
    // What a snapshot does not have may have come and gone behind it: that matches nothing.
    if (!live && in_snapshot && core_->FloorOf(hash) > at) return {at * 2, 1};
    return core_->StampOf(hash, found.sequence, live);
  }

  const std::unique_ptr<Engine> engine_;
  const std::shared_ptr<ReadCore> core_;
  Capabilities capabilities_;
  std::atomic<bool> closed_{false};
  Mutex closing_;
};

}  // namespace
}  // namespace sstable

absl::StatusOr<std::unique_ptr<Store>> OpenSstable(const std::string& dir,
                                                   const SstableOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(auto engine, sstable::Engine::Open(dir, options));
  return std::make_unique<sstable::SstableStore>(std::move(engine), options);
}

absl::Status InspectSstableFile(FileSystem* fs, absl::string_view path, std::string* out) {
  const std::string file(path);
  // It has whatever name its user gave it.
  KVARTS_ASSIGN_OR_RETURN(const bool is_snapshot, sstable::IsIndexSnapshot(fs, file));
  if (is_snapshot) {
    KVARTS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(fs, file));
    return sstable::DescribeIndexSnapshot(file, bytes, out);
  }
  const size_t slash = file.rfind('/');
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  uint64_t number = 0;
  if (absl::EndsWith(name, ".tbl")) {
    KVARTS_ASSIGN_OR_RETURN(const sstable::TableInfo info, sstable::Table::ReadInfo(fs, file));
    absl::StrAppend(out, "table, ", info.size, " bytes\nentries ", info.entries, ", of them ",
                    info.deletions, " deletions; range deletions ", info.ranges, "\nsequences ",
                    info.smallest_sequence, " to ", info.largest_sequence, "\nkeys and values ",
                    info.data_bytes, " bytes\n");
    return absl::OkStatus();
  }
  if (absl::EndsWith(name, ".log") && absl::SimpleAtoi(name.substr(0, name.size() - 4), &number)) {
    return sstable::DescribeLog(fs, file, number, out);
  }
  if (absl::StartsWith(name, "MANIFEST-")) return sstable::Manifest::Describe(fs, file, out);
  return absl::InvalidArgumentError(absl::StrCat(
      file, ": expected NUMBER.tbl, NUMBER.log or MANIFEST-NUMBER, or a snapshot of the index"));
}

}  // namespace kvarts
