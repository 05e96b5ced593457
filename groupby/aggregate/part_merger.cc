#include "groupby/aggregate/part_merger.h"

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

  absl::Status Init() { return room_.Grow(core_.block_room() * files_.size(), /*may_ask=*/true); }
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

void PartMerger::Push(PartFiles files, int used_bits) {
  parts_.push_back(Part{std::move(files), used_bits});
}

absl::StatusOr<PartMerger::Fit> PartMerger::Insist(absl::FunctionRef<bool()> add) {
  while (!add()) {
    absl::Status room = core_.MakeRoom(table_->wanted());
    if (!core_.ok()) return core_.status();
    if (absl::IsResourceExhausted(room)) return Fit::kNo;
    KVARTS_RETURN_IF_ERROR(room);
  }
  return Fit::kYes;
}

absl::StatusOr<StateTable*> PartMerger::Next() {
  while (true) {
    if (table_ != nullptr) core_.CountProbes(table_->probes());
    table_ = nullptr;
    if (parts_.empty()) return nullptr;
    Part part = std::move(parts_.front());
    parts_.pop_front();
    table_ = std::make_unique<StateTable>(&core_.layout(), core_.pool(), core_.account(),
                                          part.used_bits);
    KVARTS_ASSIGN_OR_RETURN(Fit fit, MergeStates(part.files.states.get()));
    if (fit == Fit::kYes && part.files.distinct != nullptr) {
      KVARTS_ASSIGN_OR_RETURN(fit, CountDistinct(part.files.distinct.get(), 0));
    }
    if (fit == Fit::kYes) return table_.get();
    if (table_->size() <= 1 || part.used_bits + core_.fanout_bits() > 64) return TooLarge();
    table_->Clear();
    KVARTS_RETURN_IF_ERROR(Divide(std::move(part)));
  }
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
  RecordReader reader(states, core_.account());
  StateRecord record(&core_.layout());
  while (true) {
    absl::string_view bytes;
    absl::StatusOr<bool> more = reader.Next(&bytes);
    // Memory for the record itself.
    if (absl::IsResourceExhausted(more.status()) && core_.ok()) return Fit::kNo;
    if (!more.ok()) return more.status();
    if (!*more) return Fit::kYes;
    KVARTS_RETURN_IF_ERROR(record.Parse(bytes));
    if (!core_.ok()) return core_.status();
    size_t done = 0;
    KVARTS_ASSIGN_OR_RETURN(
        const Fit fit,
        Insist([&] { return table_->Merge(record.hash(), record.key(), record.states(), &done); }));
    if (fit == Fit::kNo) return fit;
  }
}

absl::StatusOr<PartMerger::Fit> PartMerger::CountDistinct(SpillFile* distinct, int slice_bits) {
  {
    RecordReader reader(distinct, core_.account());
    DistinctRecord record;
    while (true) {
      absl::StatusOr<bool> more = reader.NextDistinct(&record);
      if (absl::IsResourceExhausted(more.status()) && core_.ok()) break;
      if (!more.ok()) return more.status();
      if (!*more) {
        table_->ClearDistinct();
        return Fit::kYes;
      }
      if (!core_.ok()) return core_.status();
      KVARTS_ASSIGN_OR_RETURN(const Fit fit, Insist([&] {
                                return table_->AddDistinct(record.hash, record.check, record.item(),
                                                           record.field);
                              }));
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
  absl::Status room = fan.Init();
  if (absl::IsResourceExhausted(room) && core_.ok()) return Fit::kNo;
  KVARTS_RETURN_IF_ERROR(room);
  {
    RecordReader reader(distinct, core_.account());
    DistinctRecord record;
    while (true) {
      absl::StatusOr<bool> more = reader.NextDistinct(&record);
      if (absl::IsResourceExhausted(more.status()) && core_.ok()) return Fit::kNo;
      if (!more.ok()) return more.status();
      if (!*more) break;
      if (!core_.ok()) return core_.status();
      KVARTS_ASSIGN_OR_RETURN(RecordWriter* const writer,
                              fan.Writer(BitsOf(record.field.high, slice_bits, bits),
                                         2 + static_cast<uint64_t>(slice_bits / bits)));
      KVARTS_RETURN_IF_ERROR(writer->AppendDistinctRecord(record));
    }
  }
  KVARTS_RETURN_IF_ERROR(fan.Finish());
  for (std::unique_ptr<SpillFile>& slice : fan.files()) {
    if (slice == nullptr) continue;
    KVARTS_ASSIGN_OR_RETURN(const Fit fit, CountDistinct(slice.get(), slice_bits + bits));
    if (fit == Fit::kNo) return fit;
    slice = nullptr;
  }
  return Fit::kYes;
}

absl::Status PartMerger::Divide(Part part) {
  const int bits = core_.fanout_bits();
  const auto level = static_cast<uint64_t>(part.used_bits / bits) + 1;
  std::vector<Part> divided(size_t{1} << bits);
  for (Part& d : divided) d.used_bits = part.used_bits + bits;
  {
    Fan fan(&core_, bits);
    KVARTS_RETURN_IF_ERROR(fan.Init());
    RecordReader reader(part.files.states.get(), core_.account());
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
    KVARTS_RETURN_IF_ERROR(fan.Init());
    RecordReader reader(part.files.distinct.get(), core_.account());
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
  for (size_t i = divided.size(); i-- > 0;) {
    if (divided[i].files.states != nullptr) parts_.push_front(std::move(divided[i]));
  }
  return absl::OkStatus();
}

}  // namespace kvarts::groupby_internal
