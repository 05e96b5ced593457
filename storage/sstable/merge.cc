#include "storage/sstable/merge.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace kvarts::sstable {
namespace {

// Not thread-safe.
class Merger {
 public:
  Merger(MergeJob job, TableCache* tables) : job_(std::move(job)), tables_(*tables) {}

  absl::StatusOr<MergeResult> Run() {
    const absl::Status status = RunAll();
    if (status.ok()) return std::move(result_);
    builder_ = nullptr;  // deletes its file
    for (const TableInfo& info : result_.tables) {
      tables_.fs()->Delete(TablePath(tables_.dir(), info.number)).IgnoreError();
    }
    return status;
  }

 private:
  absl::Status RunAll() {
    KeepRanges();
    for (job_.input->SeekToFirst(); job_.input->valid(); job_.input->Next()) {
      KVARTS_RETURN_IF_ERROR(Take(job_.input->entry()));
      if ((++taken_ & 63) == 0 && job_.is_cancelled && job_.is_cancelled()) {
        return absl::CancelledError("the store is closing, or the disk full");
      }
    }
    KVARTS_RETURN_IF_ERROR(job_.input->status());
    return EndTable(nullptr);
  }

  // The last sequence of the stripe that `sequence` is in.
  Sequence StripeEnd(Sequence sequence) const {
    const auto it = std::lower_bound(job_.snapshots.begin(), job_.snapshots.end(), sequence);
    return it == job_.snapshots.end() ? kMaxSequence : *it;
  }
  bool IsFirstStripe(Sequence sequence) const {
    return job_.snapshots.empty() || sequence <= job_.snapshots.front();
  }
  void Forget(const Entry& entry) {
    Sequence& floor = result_.floors[FloorBucket(KeyHash(entry.key))];
    floor = std::max(floor, entry.sequence());
  }

  // Of the range tombstones: the newest of each stripe, but for what has nothing below it.
  void KeepRanges() {
    all_ranges_ = RangeTombstones(job_.ranges);
    for (const RangeTombstones::Fragment& fragment : all_ranges_.fragments()) {
      Sequence last_end = 0;
      for (const Sequence sequence : fragment.sequences) {
        const Sequence end = StripeEnd(sequence);
        if (end == last_end) continue;
        last_end = end;
        if (!IsFirstStripe(sequence) || !job_.is_bottom(fragment.begin, fragment.end)) {
          kept_ranges_.push_back({fragment.begin, fragment.end, sequence});
        }
      }
    }
  }

  absl::Status Take(Entry entry) {
    const bool same_key = has_key_ && entry.key == key_;
    if (!same_key) {
      key_.assign(entry.key.data(), entry.key.size());
      has_key_ = true;
      last_stripe_ = 0;
    }
    const Sequence sequence = entry.sequence();
    const Sequence stripe = StripeEnd(sequence);
    if (stripe == last_stripe_) return absl::OkStatus();  // a newer one of the stripe was there
    last_stripe_ = stripe;
    if (!all_ranges_.empty() && all_ranges_.Covering(entry.key, stripe) > sequence) {
      Forget(entry);
      return absl::OkStatus();
    }
    if (job_.is_hidden != nullptr) {
      KVARTS_ASSIGN_OR_RETURN(const bool hidden, job_.is_hidden(entry));
      if (hidden) {
        Forget(entry);
        return absl::OkStatus();
      }
    }
    if (const int64_t at = entry.expires_at_ms(); at != 0 && at <= job_.now_ms) {
      // It hides what is older for as long as anything older may be there.
      entry.trailer = MakeTrailer(sequence, kDelete);
      entry.blob = {};
    }
    if (!entry.is_put() && IsFirstStripe(sequence) && job_.is_bottom(key_, KeyEnd())) {
      Forget(entry);
      return absl::OkStatus();
    }
    if (builder_ != nullptr && builder_->size() >= job_.table_bytes && key_ != last_added_) {
      KVARTS_RETURN_IF_ERROR(EndTable(&key_));
    }
    KVARTS_RETURN_IF_ERROR(BeginTable());
    last_added_ = key_;
    return builder_->Add(entry);
  }
  // The first key behind key_.
  std::string KeyEnd() const { return key_ + '\0'; }

  absl::Status BeginTable() {
    if (builder_ != nullptr) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(
        builder_, TableBuilder::Create(tables_.fs(), tables_.dir(), job_.new_number(), job_.table));
    return absl::OkStatus();
  }

  // Ends the table in front of `next_key`; null: it is the last. Range tombstones are cut there,
  // so that no two tables overlap.
  absl::Status EndTable(const std::string* next_key) {
    for (const RangeTombstone& range : kept_ranges_) {
      const std::string begin = std::max(range.begin, begin_);
      std::string end = range.end;
      if (next_key != nullptr && EndLess(*next_key, end)) end = *next_key;
      if (!end.empty() && begin >= end) continue;
      KVARTS_RETURN_IF_ERROR(BeginTable());
      builder_->AddRange({begin, end, range.sequence});
    }
    if (next_key != nullptr) {
      begin_ = *next_key;
      kept_ranges_.erase(std::remove_if(kept_ranges_.begin(), kept_ranges_.end(),
                                        [&](const RangeTombstone& range) {
                                          return !range.end.empty() && range.end <= begin_;
                                        }),
                         kept_ranges_.end());
    }
    if (builder_ == nullptr) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(const TableInfo info, builder_->Finish());
    builder_ = nullptr;
    result_.tables.push_back(info);
    // What was read back is what is on its way to the disk: memory that went bad, and a system
    // that lost a page, are found before the inputs are gone.
    KVARTS_ASSIGN_OR_RETURN(const auto table,
                            Table::Open(tables_.fs(), tables_.dir(), info, tables_.counters()));
    return Table::Verify(table, tables_.counters());
  }

  MergeJob job_;
  TableCache& tables_;
  MergeResult result_;
  RangeTombstones all_ranges_;
  std::vector<RangeTombstone> kept_ranges_;
  std::unique_ptr<TableBuilder> builder_;
  std::string begin_;  // of the table that is written: where the one before ended
  std::string key_;
  std::string last_added_;
  bool has_key_ = false;
  Sequence last_stripe_ = 0;  // of the last version of key_; 0: none yet
  uint64_t taken_ = 0;
};

}  // namespace

absl::StatusOr<MergeResult> Merge(MergeJob job, TableCache* tables) {
  return Merger(std::move(job), tables).Run();
}

void AppendRanges(const RangeTombstones& tombstones, std::vector<RangeTombstone>* out) {
  for (const RangeTombstones::Fragment& fragment : tombstones.fragments()) {
    for (const Sequence sequence : fragment.sequences) {
      out->push_back({fragment.begin, fragment.end, sequence});
    }
  }
}

}  // namespace kvarts::sstable
