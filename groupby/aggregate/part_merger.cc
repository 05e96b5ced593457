#include "groupby/aggregate/part_merger.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/aggregate/state_record.h"

namespace kvarts::groupby_internal {
namespace {

// So many files, made where they are written to, and a buffer for each.
class Fan {
 public:
  Fan(AggregationCore* core, int bits)
      : core_(*core), room_(core->account()), files_(size_t{1} << bits), writers_(files_.size()) {}

  absl::Status Init(RoomMaker* room) {
    const size_t bytes = core_.block_room() * files_.size();
    if (room_.Grow(bytes, /*may_ask=*/false).ok()) return absl::OkStatus();
    KVARTS_RETURN_IF_ERROR(room->MakeRoom(bytes));
    return room_.Grow(bytes, /*may_ask=*/true);
  }
  absl::StatusOr<RecordWriter*> Writer(size_t i, uint64_t level) {
    if (writers_[i] == nullptr) {
      KVARTS_ASSIGN_OR_RETURN(SpillFile* const file, core_.FileFor(&files_[i], level));
      writers_[i] = std::make_unique<RecordWriter>(file, room_.data() + i * core_.block_room(),
                                                   core_.block_room());
    }
    return writers_[i].get();
  }
  // Ends writing; files()[i] is null where nothing was written.
  absl::Status Finish() {
    for (size_t i = 0; i < files_.size(); ++i) {
      if (writers_[i] == nullptr) continue;
      KVARTS_RETURN_IF_ERROR(writers_[i]->Flush());
      core_.CountSpilled(writers_[i]->written());
      KVARTS_RETURN_IF_ERROR(files_[i]->FinishWriting());
    }
    writers_.clear();
    room_.Free();
    return absl::OkStatus();
  }
  std::vector<std::unique_ptr<SpillFile>>& files() { return files_; }

 private:
  AggregationCore& core_;
  Buffer room_;
  std::vector<std::unique_ptr<SpillFile>> files_;
  std::vector<std::unique_ptr<RecordWriter>> writers_;
};

size_t BitsOf(uint64_t hash, int used_bits, int bits) {
  return static_cast<size_t>((hash << used_bits) >> (64 - bits));
}

}  // namespace

void PartMerger::Free() {
  if (table_ != nullptr) core_.CountProbes(table_->probes());
  table_ = nullptr;
}

absl::StatusOr<PartMerger::Fit> PartMerger::FitOf(const absl::Status& status) const {
  if (!core_.ok()) return core_.status();
  if (status.ok()) return Fit::kYes;
  if (!absl::IsResourceExhausted(status)) return status;
  return turn_->had_its_turn() ? Fit::kNo : Fit::kLater;
}

absl::StatusOr<PartMerger::Fit> PartMerger::Insist(absl::FunctionRef<bool()> add) {
  while (!add()) {
    KVARTS_ASSIGN_OR_RETURN(const Fit fit, FitOf(turn_->MakeRoom(table_->wanted())));
    if (fit != Fit::kYes) return fit;
  }
  if (!core_.ok()) return core_.status();
  return turn_->revoked() ? Fit::kLater : Fit::kYes;
}

absl::StatusOr<PartMerger::Fit> PartMerger::Merge(const HashPart& part) {
  Free();
  turn_.emplace(&core_, &queue_, part.first);
  table_ =
      std::make_unique<StateTable>(&core_.layout(), core_.pool(), core_.account(), part.used_bits);
  KVARTS_ASSIGN_OR_RETURN(Fit fit, MergeStates(part.files.states.get()));
  peak_bytes_ = table_->peak_bytes();
  if (fit == Fit::kYes && part.files.distinct != nullptr) {
    KVARTS_ASSIGN_OR_RETURN(fit, CountDistinct(part.files.distinct.get(), 0));
  }
  if (fit == Fit::kYes) return fit;
  if (fit == Fit::kNo && (table_->size() <= 1 || part.used_bits + core_.fanout_bits() > 64)) {
    return TooLarge();
  }
  Free();
  return fit;
}

absl::Status PartMerger::TooLarge() {
  std::string key = "one key";
  table_->ForEach([&](const StateEntry& entry) {
    key = absl::StrCat("the key ", QuoteKey(entry.key(core_.layout())));
    return false;
  });
  return absl::ResourceExhaustedError(absl::StrCat(
      "the states of ", key, " do not fit into the memory: ", core_.account()->budget()->total(),
      " bytes in all, ", core_.account()->used(), " in use"));
}

absl::StatusOr<PartMerger::Fit> PartMerger::MergeStates(SpillFile* states) {
  RecordReader reader(states, core_.account(), &*turn_);
  StateRecord record(&core_.layout());
  while (true) {
    absl::string_view bytes;
    absl::StatusOr<bool> more = reader.Next(&bytes);
    // Memory for the record itself.
    KVARTS_ASSIGN_OR_RETURN(Fit fit, FitOf(more.status()));
    if (fit != Fit::kYes || !*more) return fit;
    KVARTS_RETURN_IF_ERROR(record.Parse(bytes));
    size_t done = 0;
    KVARTS_ASSIGN_OR_RETURN(
        fit,
        Insist([&] { return table_->Merge(record.hash(), record.key(), record.states(), &done); }));
    if (fit != Fit::kYes) return fit;
  }
}

absl::StatusOr<PartMerger::Fit> PartMerger::CountDistinct(SpillFile* distinct, int slice_bits) {
  {
    RecordReader reader(distinct, core_.account(), &*turn_);
    DistinctRecord record;
    while (true) {
      absl::StatusOr<bool> more = reader.NextDistinct(&record);
      KVARTS_ASSIGN_OR_RETURN(Fit fit, FitOf(more.status()));
      if (fit == Fit::kLater) return fit;
      if (fit == Fit::kNo) break;
      if (!*more) {
        peak_bytes_ = std::max(peak_bytes_, table_->peak_bytes());
        table_->ClearDistinct();
        return fit;
      }
      KVARTS_ASSIGN_OR_RETURN(fit, Insist([&] {
                                return table_->AddDistinct(record.hash, record.check, record.item(),
                                                           record.field);
                              }));
      if (fit == Fit::kLater) return fit;
      if (fit == Fit::kNo) break;
    }
  }
  table_->UndoDistinct();
  return CountSlices(distinct, slice_bits);
}

absl::StatusOr<PartMerger::Fit> PartMerger::CountSlices(SpillFile* distinct, int slice_bits) {
  const int bits = core_.fanout_bits();
  // Where the states have left nearly nothing, fewer of these are the way.
  const size_t total = core_.account()->budget()->total();
  if (slice_bits + bits > 64 || (table_->size() > 1 && table_->bytes() > total / 2)) {
    return Fit::kNo;
  }
  Fan fan(&core_, bits);
  KVARTS_ASSIGN_OR_RETURN(Fit fit, FitOf(fan.Init(&*turn_)));
  if (fit != Fit::kYes) return fit;
  {
    RecordReader reader(distinct, core_.account(), &*turn_);
    DistinctRecord record;
    while (true) {
      absl::StatusOr<bool> more = reader.NextDistinct(&record);
      KVARTS_ASSIGN_OR_RETURN(fit, FitOf(more.status()));
      if (fit != Fit::kYes) return fit;
      if (!*more) break;
      if (turn_->revoked()) return Fit::kLater;
      KVARTS_ASSIGN_OR_RETURN(RecordWriter* const writer,
                              fan.Writer(BitsOf(record.field.high, slice_bits, bits),
                                         2 + static_cast<uint64_t>(slice_bits / bits)));
      KVARTS_RETURN_IF_ERROR(writer->AppendDistinctRecord(record));
    }
  }
  KVARTS_RETURN_IF_ERROR(fan.Finish());
  for (std::unique_ptr<SpillFile>& slice : fan.files()) {
    if (slice == nullptr) continue;
    KVARTS_ASSIGN_OR_RETURN(fit, CountDistinct(slice.get(), slice_bits + bits));
    if (fit != Fit::kYes) return fit;
    slice = nullptr;
  }
  return Fit::kYes;
}

absl::StatusOr<std::vector<HashPart>> PartMerger::Divide(HashPart part) {
  const int bits = core_.fanout_bits();
  const auto level = static_cast<uint64_t>(part.used_bits / bits) + 1;
  std::vector<HashPart> divided(size_t{1} << bits);
  for (size_t i = 0; i < divided.size(); ++i) {
    divided[i].used_bits = part.used_bits + bits;
    divided[i].first = part.first + (uint64_t{i} << (64 - divided[i].used_bits));
  }
  {
    Fan fan(&core_, bits);
    KVARTS_RETURN_IF_ERROR(fan.Init(&*turn_));
    RecordReader reader(part.files.states.get(), core_.account(), &*turn_);
    while (true) {
      absl::string_view record;
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader.Next(&record));
      if (!more) break;
      if (!core_.ok()) return core_.status();
      KVARTS_ASSIGN_OR_RETURN(
          RecordWriter* const writer,
          fan.Writer(BitsOf(StateRecord::Hash(record), part.used_bits, bits), level));
      KVARTS_RETURN_IF_ERROR(writer->AppendStatesRecord(record));
    }
    KVARTS_RETURN_IF_ERROR(fan.Finish());
    for (size_t i = 0; i < divided.size(); ++i) divided[i].files.states = std::move(fan.files()[i]);
  }
  part.files.states = nullptr;
  if (part.files.distinct != nullptr) {
    Fan fan(&core_, bits);
    KVARTS_RETURN_IF_ERROR(fan.Init(&*turn_));
    RecordReader reader(part.files.distinct.get(), core_.account(), &*turn_);
    DistinctRecord record;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader.NextDistinct(&record));
      if (!more) break;
      if (!core_.ok()) return core_.status();
      KVARTS_ASSIGN_OR_RETURN(RecordWriter* const writer,
                              fan.Writer(BitsOf(record.hash, part.used_bits, bits), level));
      KVARTS_RETURN_IF_ERROR(writer->AppendDistinctRecord(record));
    }
    KVARTS_RETURN_IF_ERROR(fan.Finish());
    for (size_t i = 0; i < divided.size(); ++i) {
      divided[i].files.distinct = std::move(fan.files()[i]);
    }
  }
  return divided;
}

}  // namespace kvarts::groupby_internal
