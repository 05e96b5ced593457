#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "groupby/aggregate/aggregation_core.h"
#include "groupby/aggregate/part_merger.h"
#include "storage/sort/sorter.h"

namespace kvarts::groupby_internal {
namespace {

// Where groups come from, one by one.
class EntrySource {
 public:
  virtual ~EntrySource() = default;
  // Null behind the last one; good until the next call.
  virtual absl::StatusOr<const StateEntry*> Next() = 0;
};

// The entries of all parts, in the order of (hash, key): of tables that never left memory as
// they are, of files merged.
class ByHash : public EntrySource {
 public:
  explicit ByHash(AggregationCore* core) : core_(*core), merger_(core) {}

  absl::StatusOr<const StateEntry*> Next() override {
    while (true) {
      if (sorted_.has_value()) {
        const StateEntry* const entry = sorted_->Next();
        if (entry != nullptr) return entry;
        sorted_.reset();
        if (claimed_ != nullptr) claimed_->Clear();
        claimed_ = nullptr;
      }
      if (!core_.ok()) return core_.status();
      KVARTS_ASSIGN_OR_RETURN(StateTable* const merged, merger_.Next());
      if (merged != nullptr) {
        sorted_.emplace(merged);
        continue;
      }
      if (next_part_ == core_.parts()) return nullptr;
      PartFiles files;
      KVARTS_ASSIGN_OR_RETURN(claimed_, core_.Claim(next_part_++, &files));
      if (files.states != nullptr) {
        claimed_ = nullptr;
        merger_.Push(std::move(files), core_.fanout_bits());
      } else {
        sorted_.emplace(claimed_);
      }
    }
  }

 private:
  AggregationCore& core_;
  PartMerger merger_;
  size_t next_part_ = 0;
  StateTable* claimed_ = nullptr;
  absl::optional<StateTable::Sorted> sorted_;
};

// All entries, none of which has left memory, in the order of their keys.
class ByKeyInMemory : public EntrySource {
 public:
  // Null where they have, or where there is no memory for their order.
  static std::unique_ptr<EntrySource> New(AggregationCore* core) {
    std::unique_ptr<ByKeyInMemory> source(new ByKeyInMemory(core));
    if (!source->Init()) source = nullptr;
    return source;
  }

  absl::StatusOr<const StateEntry*> Next() override {
    if (!core_.ok()) return core_.status();
    if (next_ == count_) return nullptr;
    constexpr size_t kAhead = 4;
    if (next_ + kAhead < count_) __builtin_prefetch(order_.as<Item>()[next_ + kAhead].entry);
    return order_.as<Item>()[next_++].entry;
  }

 private:
  // The first 8 bytes of the key decide most comparisons.
  struct Item {
    uint64_t prefix;
    const StateEntry* entry;
  };

  explicit ByKeyInMemory(AggregationCore* core) : core_(*core), order_(core->account()) {}

  bool Init() {
    std::vector<StateTable*> tables;
    bool fits = true;
    for (size_t i = 0; i < core_.parts() && fits; ++i) {
      StateTable* const table = core_.ClaimInMemory(i);
      fits = table != nullptr;
      if (!fits) break;
      tables.push_back(table);
      count_ += table->size();
    }
    if (fits) fits = order_.Grow(count_ * sizeof(Item), /*may_ask=*/false).ok();
    if (fits) return Sort(tables);
    for (size_t i = 0; i < tables.size(); ++i) core_.Unclaim(i);
    return false;
  }

  bool Sort(const std::vector<StateTable*>& tables) {
    Item* item = order_.as<Item>();
    const StateLayout& layout = core_.layout();
    for (StateTable* const table : tables) {
      table->ForEach([&item, &layout](const StateEntry& entry) {
        *item++ = Item{Prefix(entry.key(layout)), &entry};
        return true;
      });
    }
    std::sort(order_.as<Item>(), item, [&layout](const Item& a, const Item& b) {
      return a.prefix != b.prefix ? a.prefix < b.prefix
                                  : a.entry->key(layout) < b.entry->key(layout);
    });
    return true;
  }

  static uint64_t Prefix(absl::string_view key) {
    char bytes[8] = {};
    std::memcpy(bytes, key.data(), std::min<size_t>(key.size(), sizeof bytes));
    return LoadBE64(bytes);
  }

  AggregationCore& core_;
  Buffer order_;
  size_t count_ = 0;
  size_t next_ = 0;
};

// Keys and results.
class Results {
 public:
  virtual ~Results() = default;
  virtual absl::StatusOr<bool> Next(absl::string_view* key, std::string* text,
                                    std::vector<size_t>* ends) = 0;
};

class ResultsOf : public Results {
 public:
  ResultsOf(AggregationCore* core, std::unique_ptr<EntrySource> source)
      : core_(*core), source_(std::move(source)) {}

  absl::StatusOr<bool> Next(absl::string_view* key, std::string* text,
                            std::vector<size_t>* ends) override {
    KVARTS_ASSIGN_OR_RETURN(const StateEntry* const entry, source_->Next());
    if (entry == nullptr) return false;
    *key = entry->key(core_.layout());
    absl::Status finished = core_.layout().Finish(entry->states(), text, ends);
    if (finished.ok()) return true;
    return absl::Status(finished.code(),
                        absl::StrCat("key ", QuoteKey(*key), ", ", finished.message()));
  }

 private:
  AggregationCore& core_;
  const std::unique_ptr<EntrySource> source_;
};

// Results in any order, sorted by their keys in runs.
class ResultsSorted : public Results {
 public:
  explicit ResultsSorted(AggregationCore* core) : core_(*core) {}
  ~ResultsSorted() override {
    records_ = nullptr;
    core_.account()->Release(reserved_);
  }

  absl::Status Init(Results* results) {
    const size_t memory =
        std::max(SorterOptions::kMinMemory, core_.account()->budget()->fair_share() / 3);
    KVARTS_RETURN_IF_ERROR(core_.account()->Reserve(memory));
    reserved_ = memory;
    SorterOptions options;
    options.memory_bytes = memory;
    options.fs = core_.options().fs;
    KVARTS_ASSIGN_OR_RETURN(const std::string path, core_.folder()->NewPath("sort"));
    options.temp_dir = DirName(path);
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Sorter> sorter, Sorter::New(options));
    absl::string_view key;
    std::string payload;
    std::vector<size_t> ends;
    std::string text;
    while (true) {
      text.clear();
      ends.clear();
      KVARTS_ASSIGN_OR_RETURN(const bool more, results->Next(&key, &text, &ends));
      if (!more) break;
      payload.clear();
      for (const size_t end : ends) AppendLE32(&payload, static_cast<uint32_t>(end));
      payload += text;
      absl::Status added = sorter->Add(key, payload);
      if (absl::IsInvalidArgument(added)) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the results of the key ", QuoteKey(key), ": ", added.message()));
      }
      KVARTS_RETURN_IF_ERROR(added);
    }
    KVARTS_ASSIGN_OR_RETURN(records_, sorter->Finish());
    core_.CountSpilled(sorter->stats().spilled_bytes);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Next(absl::string_view* key, std::string* text,
                            std::vector<size_t>* ends) override {
    if (!core_.ok()) return core_.status();
    absl::string_view payload;
    KVARTS_ASSIGN_OR_RETURN(const bool more, records_->Next(key, &payload));
    if (!more) return false;
    const size_t count = core_.layout().items().size();
    for (size_t i = 0; i < count; ++i) ends->push_back(LoadLE32(payload.data() + 4 * i));
    payload.remove_prefix(4 * count);
    text->assign(payload.data(), payload.size());
    return true;
  }

 private:
  AggregationCore& core_;
  std::unique_ptr<SortedRecords> records_;
  size_t reserved_ = 0;
};

class CoreGroups : public AggregateGroups {
 public:
  explicit CoreGroups(std::shared_ptr<AggregationCore> core) : core_(std::move(core)) {}
  ~CoreGroups() override {
    results_ = nullptr;
    core_->Close();
  }

  absl::StatusOr<bool> Next(absl::string_view* key,
                            absl::Span<const absl::string_view>* results) override {
    if (!core_->ok()) return core_->status();
    if (ended_) return false;
    absl::StatusOr<bool> more = Step(key);
    if (!more.ok()) {
      results_ = nullptr;
      absl::Status error = core_->Fail(more.status());
      core_->Close();
      return error;
    }
    if (!*more) {
      ended_ = true;
      results_ = nullptr;
      core_->Close();
      return false;
    }
    core_->CountGroup();
    views_.clear();
    size_t begin = 0;
    for (const size_t end : ends_) {
      views_.push_back(absl::string_view(text_).substr(begin, end - begin));
      begin = end;
    }
    *results = views_;
    return true;
  }

 private:
  absl::StatusOr<bool> Step(absl::string_view* key) {
    text_.clear();
    ends_.clear();
    if (results_ == nullptr) KVARTS_RETURN_IF_ERROR(Start());
    return results_->Next(key, &text_, &ends_);
  }

  absl::Status Start() {
    AggregationCore* const core = core_.get();
    if (core->options().order == GroupingOptions::Order::kAny) {
      results_ = std::make_unique<ResultsOf>(core, std::make_unique<ByHash>(core));
      return absl::OkStatus();
    }
    std::unique_ptr<EntrySource> in_memory = ByKeyInMemory::New(core);
    if (in_memory != nullptr) {
      results_ = std::make_unique<ResultsOf>(core, std::move(in_memory));
      return absl::OkStatus();
    }
    ResultsOf any(core, std::make_unique<ByHash>(core));
    auto sorted = std::make_unique<ResultsSorted>(core);
    KVARTS_RETURN_IF_ERROR(sorted->Init(&any));
    results_ = std::move(sorted);
    return absl::OkStatus();
  }

  const std::shared_ptr<AggregationCore> core_;
  std::unique_ptr<Results> results_;
  bool ended_ = false;
  std::string text_;
  std::vector<size_t> ends_;
  std::vector<absl::string_view> views_;
};

}  // namespace

std::unique_ptr<AggregateGroups> ReadGroups(std::shared_ptr<AggregationCore> core) {
  return std::make_unique<CoreGroups>(std::move(core));
}

}  // namespace kvarts::groupby_internal
