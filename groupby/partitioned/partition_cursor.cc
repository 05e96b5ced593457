#include "groupby/partitioned/partition_cursor.h"

#include <algorithm>

#include "base/prefetch.h"
#include "base/status_macros.h"
#include "groupby/partitioned/row.h"
#include "groupby/sorted/sorted_runs.h"

namespace kvarts::groupby_internal {
namespace {

// Values, or rows, that are handed on at a time.
constexpr size_t kBatch = 256;
// How far ahead of its use a row is fetched.
constexpr size_t kAhead = 12;

// Each level takes fanout_bits() of the hash, and the table 32.
constexpr int kMaxLevels = 4;

KeyValue RowAt(const char* p) {
  KeyValue row;
  // It was read through before.
  GetRow(p, p + Grouping::kMaxRowBytes + 16, &row);
  return row;
}

}  // namespace

void RowStream::Open(Partition* partition) {
  engine_->FreePage(&page_);
  partition_ = partition;
  next_block_ = next_page_ = 0;
  page_ = Page();
  next_row_ = nullptr;
}

absl::StatusOr<absl::Span<const KeyValue>> RowStream::Next() {
  rows_.clear();
  while (next_row_ == nullptr || next_row_ == page_.end()) {
    engine_->FreePage(&page_);
    next_row_ = nullptr;
    if (!engine_->ok()) return engine_->status();
    // Its pages may yet be written to make room for its blocks: they become blocks.
    if (next_block_ == partition_->blocks()) partition_->Claim();
    if (next_block_ < partition_->blocks()) {
      KVARTS_ASSIGN_OR_RETURN(page_, partition_->ReadBlock(next_block_++, /*may_ask=*/true));
    } else if (next_page_ < partition_->pages().size()) {
      page_ = partition_->pages()[next_page_];
      partition_->pages()[next_page_++].data = nullptr;
    } else {
      return absl::Span<const KeyValue>();
    }
    next_row_ = page_.begin();
  }
  rows_.reserve(kBatch);
  while (next_row_ != page_.end() && rows_.size() < kBatch) {
    rows_.emplace_back();
    next_row_ = GetRow(next_row_, page_.end(), &rows_.back());
    if (next_row_ == nullptr) return absl::DataLossError("a page of rows is damaged");
  }
  return absl::MakeConstSpan(rows_);
}

absl::StatusOr<bool> PartitionCursor::Open(PartitionSet* set, size_t i,
                                           const std::vector<HeavyKey*>& inherited,
                                           const Admit& admit) {
  Close();
  if (!engine_->ok()) return engine_->status();
  set_ = set;
  index_ = i;
  partition_ = set->partition(i);
  size_t most = engine_->leaf_bytes();
  if (admit != nullptr) {
    // Before it is claimed: until then the current part has its memory where it needs it.
    const size_t bytes = TableBytes();
    if (bytes > most || !admit(bytes)) {
      table_.Free();
      partition_ = nullptr;
      return false;
    }
    most = bytes;
  }
  partition_->Claim();
  heavy_.clear();
  // Rows in the tail of a part came before those in the tail of the whole.
  for (const auto& heavy : partition_->heavy()) heavy_.push_back(heavy.get());
  heavy_.insert(heavy_.end(), inherited.begin(), inherited.end());

  absl::Status status = OpenTable(most, /*may_ask=*/admit == nullptr);
  if (admit != nullptr && (absl::IsResourceExhausted(status) || absl::IsAborted(status))) {
    table_.Free();
    partition_->Unclaim();
    partition_ = nullptr;
    return false;
  }
  const bool too_large = absl::IsResourceExhausted(status);
  if (too_large || absl::IsAborted(status)) {
    table_.Free();
    status = too_large && set->level() + 1 < kMaxLevels ? OpenPartitions() : OpenSorted();
  }
  if (!status.ok()) return engine_->Fail(status);
  return true;
}

void PartitionCursor::Close() {
  if (partition_ == nullptr) return;
  part_.reset();
  parts_.reset();
  sorted_.reset();
  sorting_.reset();
  tail_.Close();
  for (const auto& heavy : partition_->heavy()) {
    heavy->tail.Claim();  // it may not have been read
    heavy->tail.FreePages();
  }
  set_->Finished(index_);
  table_.Clear();
  partition_ = nullptr;
  kind_ = Kind::kClosed;
  tails_.clear();
  engine_->counters().groups.fetch_add(groups_, std::memory_order_relaxed);
  groups_ = 0;
}

size_t PartitionCursor::TableBytes() const {
  uint64_t rows = 0;
  size_t room = 0;
  partition_->Measure(&rows, &room);
  return room + GroupTable::MaxBytes(rows);
}

absl::Status PartitionCursor::OpenTable(size_t most, bool may_ask) {
  if (TableBytes() > most && (!may_ask || partition_->rows() > 1)) {
    return absl::ResourceExhaustedError("more than may be in memory at a time");
  }
  std::vector<Page> pages;
  absl::Status status;
  for (size_t i = 0; i < partition_->blocks() && status.ok(); ++i) {
    absl::StatusOr<Page> page = partition_->ReadBlock(i, may_ask);
    if (page.ok()) {
      pages.push_back(*page);
    } else {
      status = page.status();
    }
  }
  const size_t from_file = pages.size();
  pages.insert(pages.end(), partition_->pages().begin(), partition_->pages().end());
  if (status.ok()) status = table_.Build(pages, partition_->rows(), may_ask);
  if (!status.ok()) {
    for (size_t i = 0; i < from_file; ++i) engine_->FreePage(&pages[i]);
    return status;
  }
  partition_->PutLoaded(std::move(pages));
  kind_ = Kind::kTable;
  next_group_ = 0;
  FindTails();
  return absl::OkStatus();
}

void PartitionCursor::FindTails() {
  group_tails_.clear();
  for (HeavyKey* const heavy : heavy_) {
    const ptrdiff_t group = table_.Find(heavy->hash, heavy->key);
    if (group >= 0) group_tails_.emplace_back(static_cast<size_t>(group), heavy);
  }
  std::stable_sort(group_tails_.begin(), group_tails_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  next_group_tail_ = 0;
}

// All of it goes to files first, so that what is read again is read once, and the
// memory is there for the parts.
absl::Status PartitionCursor::SpillAll() {
  partition_->Unclaim();
  while (partition_->pages_now() > 0) {
    KVARTS_RETURN_IF_ERROR(partition_->Spill(/*all=*/true).status());
    if (!engine_->ok()) return engine_->status();
  }
  partition_->Claim();
  engine_->CountLevel(set_->level() + 1);
  return absl::OkStatus();
}

absl::Status PartitionCursor::OpenPartitions() {
  KVARTS_RETURN_IF_ERROR(SpillAll());
  kind_ = Kind::kPartitions;
  parts_ = std::make_unique<PartitionSet>(engine_, set_->level() + 1);
  PartitionSet::Scratch scratch(engine_);
  RowStream rows(engine_);
  rows.Open(partition_);
  while (true) {
    KVARTS_ASSIGN_OR_RETURN(const absl::Span<const KeyValue> some, rows.Next());
    if (some.empty()) break;
    KVARTS_RETURN_IF_ERROR(parts_->Add(some, &scratch, nullptr, nullptr));
  }
  part_ = std::make_unique<PartitionCursor>(engine_);
  next_part_ = 0;
  part_open_ = false;
  return absl::OkStatus();
}

absl::Status PartitionCursor::OpenSorted() {
  KVARTS_RETURN_IF_ERROR(SpillAll());
  kind_ = Kind::kSorted;
  GroupingOptions options = engine_->options();
  options.budget = engine_->account()->budget();
  options.max_hash_entries = 0;
  options.max_open_runs = 0;
  options.threads = 1;  // this is one of them
  options.progress = nullptr;
  KVARTS_ASSIGN_OR_RETURN(sorting_, NewSortedRuns(options));
  RowStream rows(engine_);
  rows.Open(partition_);
  while (true) {
    KVARTS_ASSIGN_OR_RETURN(const absl::Span<const KeyValue> some, rows.Next());
    if (some.empty()) break;
    KVARTS_RETURN_IF_ERROR(sorting_->Add(some));
  }
  KVARTS_ASSIGN_OR_RETURN(sorted_, sorting_->Finish());
  const GroupingStats stats = sorting_->stats();
  Engine::Counters& counters = engine_->counters();
  counters.spilled_bytes.fetch_add(stats.spilled_bytes, std::memory_order_relaxed);
  counters.runs.fetch_add(stats.runs, std::memory_order_relaxed);
  counters.merge_passes.fetch_add(stats.merge_passes, std::memory_order_relaxed);
  counters.comparisons.fetch_add(stats.comparisons, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::StatusOr<bool> PartitionCursor::Next(absl::string_view* key) {
  tails_.clear();
  next_tail_ = 0;
  tail_open_ = false;
  switch (kind_) {
    case Kind::kClosed:
      return false;
    case Kind::kTable:
      if (next_group_ == table_.groups()) return false;
      rows_ = table_.rows(next_group_);
      *key = RowAt(rows_[0]).key;
      for (; next_group_tail_ < group_tails_.size() &&
             group_tails_[next_group_tail_].first == next_group_;
           ++next_group_tail_) {
        tails_.push_back(group_tails_[next_group_tail_].second);
      }
      ++next_group_;
      ++groups_;
      return true;
    case Kind::kPartitions:
      while (true) {
        if (part_open_) {
          KVARTS_ASSIGN_OR_RETURN(const bool more, part_->Next(key));
          if (more) return true;
          part_->Close();
          part_open_ = false;
        }
        if (next_part_ == parts_->size()) return false;
        KVARTS_RETURN_IF_ERROR(part_->Open(parts_.get(), next_part_++, heavy_, nullptr).status());
        part_open_ = true;
      }
    case Kind::kSorted: {
      KVARTS_ASSIGN_OR_RETURN(const bool more, sorted_->Next(key));
      if (!more) return false;
      for (HeavyKey* const heavy : heavy_) {
        if (heavy->key == *key) tails_.push_back(heavy);
      }
      sorted_values_end_ = false;
      ++groups_;
      return true;
    }
  }
  return false;
}

absl::StatusOr<absl::Span<const absl::string_view>> PartitionCursor::Values() {
  if (kind_ == Kind::kPartitions) return part_->Values();
  values_.clear();
  if (kind_ == Kind::kTable && !rows_.empty()) {
    const size_t n = std::min(rows_.size(), kBatch);
    const char* const* const order = rows_.data();
    // Rows of the groups behind this one too: they lie one behind the other.
    for (size_t i = 0; i < n; ++i) {
      if (table_.has_row(order + i + kAhead)) PrefetchRead(order[i + kAhead]);
      values_.push_back(RowAt(order[i]).value);
    }
    rows_.remove_prefix(n);
    return absl::MakeConstSpan(values_);
  }
  if (kind_ == Kind::kSorted && !sorted_values_end_) {
    KVARTS_ASSIGN_OR_RETURN(const absl::Span<const absl::string_view> some, sorted_->Values());
    if (!some.empty()) return some;
    sorted_values_end_ = true;
  }
  while (tail_open_ || next_tail_ < tails_.size()) {
    if (!tail_open_) {
      tail_.Open(&tails_[next_tail_++]->tail);
      tail_open_ = true;
    }
    const absl::StatusOr<absl::Span<const KeyValue>> rows = tail_.Next();
    if (!rows.ok()) return engine_->Fail(rows.status());
    if (rows->empty()) {
      tail_open_ = false;
      continue;
    }
    for (const KeyValue& row : *rows) values_.push_back(row.value);
    return absl::MakeConstSpan(values_);
  }
  return absl::Span<const absl::string_view>();
}

}  // namespace kvarts::groupby_internal
