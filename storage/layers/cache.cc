#include "storage/layers/cache.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/histogram.h"
#include "base/status_macros.h"
#include "storage/layers/cache_shard.h"
#include "storage/layers/forwarding_store.h"

namespace kvarts {
namespace {

constexpr size_t kMostShards = 16;
constexpr size_t kLeastShardBytes = 1 << 20;

using Token = CacheShard::Token;

// Whether a write that ended so may be applied later still.
bool MayComeLater(const absl::Status& status) { return absl::IsDeadlineExceeded(status); }

// Thread-safe.
class CacheStore final : public ForwardingStore {
 public:
  CacheStore(std::unique_ptr<Store> under, const CacheOptions& options)
      : ForwardingStore(std::move(under)), clock_(options.clock), seed_(std::random_device()()) {
    const Capabilities has = this->under().capabilities();
    whole_batches_ = has.atomic_multi_get && has.batch_scope > BatchScope::kKey;
    size_t shards = 1;
    while (shards < kMostShards && options.bytes / (2 * shards) >= kLeastShardBytes) shards *= 2;
    for (size_t i = 0; i < shards; ++i) {
      shards_.push_back(std::make_unique<CacheShard>(options.bytes / shards));
    }
  }

  ~CacheStore() override { DestroyUnder(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    if (closed_.load(std::memory_order_acquire)) return results->Fail(keys.size(), ClosedError());
    if (options.snapshot != nullptr || options.stamp) {
      return under().MultiGet(keys, options, results);
    }
    results->Reset(keys.size());
    std::vector<Token> tokens(keys.size());
    std::vector<size_t> missed;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!Find(keys[i], options, &results->mutable_result(i), &results->bytes(), &tokens[i])) {
        missed.push_back(i);
      }
    }
    const uint64_t hits = keys.size() - missed.size();
    const bool together =
        whole_batches_ && keys.size() > 1 && hits > 0 && (!missed.empty() || !AllHold(tokens));
    Count(together ? 0 : hits, together ? keys.size() : missed.size());
    if (together || missed.size() == keys.size()) {
      under().MultiGet(keys, options, results);
      for (const size_t i : missed) Keep(keys[i], options, tokens[i], *results, i);
    } else if (!missed.empty()) {
      ReadMissed(keys, options, tokens, missed, results);
    }
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    if (closed_.load(std::memory_order_acquire)) return results->Fail(1, ClosedError());
    if (options.snapshot != nullptr || options.stamp) return under().Read(key, options, results);
    Token token;
    const bool hit = Find(key, options, &results->ResetOne(), &results->bytes(), &token);
    Count(hit ? 1 : 0, hit ? 0 : 1);
    if (hit) return;
    under().Read(key, options, results);
    Keep(key, options, token, *results, 0);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    WriteResults own;
    if (results == nullptr) results = &own;
    for (const Mutation& mutation : batch.mutations()) Begin(mutation);
    absl::Status status = under().Write(batch, options, results);
    End(batch, status, *results);
    return status;
  }

  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    std::unique_ptr<WriteResults> own;
    if (results == nullptr) {
      own = std::make_unique<WriteResults>();
      results = own.get();
    }
    for (const Mutation& mutation : batch.mutations()) Begin(mutation);
    under().Submit(batch, options, results,
                   [this, &batch, results, own = std::move(own),
                    done = std::move(done)](absl::Status status) mutable {
                     End(batch, status, *results);
                     done(std::move(status));
                   });
  }

  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    const uint64_t hash = Hash(key);
    ShardOf(hash).BeginWrite(key, hash);
    absl::Status status = under().Modify(key, options, function);
    if (!MayComeLater(status)) ShardOf(hash).EndWrite(hash);
    return status;
  }

  absl::StatusOr<StoreStats> Stats() override {
    KVARTS_ASSIGN_OR_RETURN(StoreStats stats, under().Stats());
    CacheShard::Counts all;
    for (const auto& shard : shards_) {
      const CacheShard::Counts counts = shard->counts();
      all.entries += counts.entries;
      all.bytes += counts.bytes;
    }
    uint64_t hits = 0;
    uint64_t misses = 0;
    for (const Counter& counter : counters_) {
      hits += counter.hits.load(std::memory_order_relaxed);
      misses += counter.misses.load(std::memory_order_relaxed);
    }
    stats.memory_bytes += all.bytes;
    stats.details.emplace_back("cache_entries", absl::StrCat(all.entries));
    stats.details.emplace_back("cache_bytes", absl::StrCat(all.bytes));
    stats.details.emplace_back("cache_hits", absl::StrCat(hits));
    stats.details.emplace_back("cache_misses", absl::StrCat(misses));
    return stats;
  }

  absl::Status Close() override {
    closed_.store(true, std::memory_order_release);
    return under().Close();
  }

 private:
  uint64_t Hash(absl::string_view key) const { return Checksum(key, seed_); }
  CacheShard& ShardOf(uint64_t hash) const { return *shards_[hash >> 60 & (shards_.size() - 1)]; }

  bool Find(absl::string_view key, const ReadOptions& options, ReadResult* result, Bytes* bytes,
            Token* token) const {
    const uint64_t hash = Hash(key);
    const auto now_ms = [this] { return absl::ToUnixMillis(clock_->Now()); };
    return ShardOf(hash).Find(key, hash, options.value, now_ms, result, bytes, token);
  }

  bool AllHold(const std::vector<Token>& tokens) const {
    return std::all_of(tokens.begin(), tokens.end(),
                       [this](const Token& token) { return ShardOf(token.hash).Holds(token); });
  }

  // Takes up what was read from the store, which `results` has at `i`.
  void Keep(absl::string_view key, const ReadOptions& options, const Token& token,
            const ReadResults& results, size_t i) const {
    const ReadResult& result = results[i];
    if (!result.status.ok() || !token.quiet || (result.found && !options.value)) return;
    CacheEntry* const entry = CacheEntry::New(token.hash, key, result);
    if (results.intact()) {
      ShardOf(token.hash).Insert(token, entry);
    } else {
      CacheEntry::Release(entry);  // a copy of bytes that were lost
    }
  }

  void ReadMissed(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                  const std::vector<Token>& tokens, const std::vector<size_t>& missed,
                  ReadResults* results) {
    std::vector<absl::string_view> rest;
    rest.reserve(missed.size());
    for (const size_t i : missed) rest.push_back(keys[i]);
    ReadResults theirs;
    under().MultiGet(rest, options, &theirs);
    for (size_t j = 0; j < missed.size(); ++j) {
      Keep(rest[j], options, tokens[missed[j]], theirs, j);
      results->mutable_result(missed[j]) = theirs[j];
    }
    results->bytes().Adopt(std::move(theirs.bytes()));
  }

  void Begin(const Mutation& mutation) const {
    if (mutation.kind == Mutation::Kind::kDeleteRange) {
      const KeyRange range{std::string(mutation.key), std::string(mutation.value)};
      for (const auto& shard : shards_) shard->BeginWrite(range);
      return;
    }
    const uint64_t hash = Hash(mutation.key);
    ShardOf(hash).BeginWrite(mutation.key, hash);
  }
  void End(const WriteBatch& batch, const absl::Status& status, const WriteResults& results) const {
    const auto mutations = batch.mutations();
    for (size_t i = 0; i < mutations.size(); ++i) {
      const bool told = i < results.results.size();
      if (!MayComeLater(told ? results.results[i].status : status)) End(mutations[i]);
    }
  }
  void End(const Mutation& mutation) const {
    if (mutation.kind == Mutation::Kind::kDeleteRange) {
      for (const auto& shard : shards_) shard->EndWriteRange();
      return;
    }
    const uint64_t hash = Hash(mutation.key);
    ShardOf(hash).EndWrite(hash);
  }

  void Count(uint64_t hits, uint64_t misses) {
    Counter& counter = counters_[ThreadNumber() % kCounters];
    if (hits > 0) counter.hits.fetch_add(hits, std::memory_order_relaxed);
    if (misses > 0) counter.misses.fetch_add(misses, std::memory_order_relaxed);
  }

  static constexpr size_t kCounters = 8;
  struct alignas(64) Counter {
    std::atomic<uint64_t> hits{0};
    std::atomic<uint64_t> misses{0};
  };

  const Clock* const clock_;
  const uint64_t seed_;         // nobody can choose keys that share a bucket
  bool whole_batches_ = false;  // constant after construction
  std::vector<std::unique_ptr<CacheShard>> shards_;
  Counter counters_[kCounters];
  std::atomic<bool> closed_{false};
};

}  // namespace

std::unique_ptr<Store> NewCacheStore(std::unique_ptr<Store> under, const CacheOptions& options) {
  return std::make_unique<CacheStore>(std::move(under), options);
}

}  // namespace kvarts
