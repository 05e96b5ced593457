#include "groupby/aggregate/aggregation_core.h"

#include <algorithm>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/aggregate/aggregate_hash.h"

namespace kvarts::groupby_internal {

struct AggregationCore::Batch {
  absl::Span<const AggregateRow> rows;
  const uint64_t* hashes;
  const Number* numbers;  // `number_count` a row
  size_t number_count;
  const uint16_t* by_part;  // the rows, part by part
  const uint16_t* part_begin;
};

absl::StatusOr<std::shared_ptr<AggregationCore>> AggregationCore::New(
    const AggregationOptions& options, std::vector<AggregateSpec> aggregates) {
  const size_t total = options.budget != nullptr ? options.budget->total() : options.memory_bytes;
  const size_t least =
      GroupingOptions::kMinMemory * (options.order == GroupingOptions::Order::kKey ? 2 : 1);
  if (total < least) {
    return absl::InvalidArgumentError(absl::StrCat(
        "aggregates", least > GroupingOptions::kMinMemory ? " in the order of keys" : "", " need ",
        least, " bytes of memory or more, not ", total));
  }
  if (aggregates.empty() || aggregates.size() > Aggregation::kMaxAggregates) {
    return absl::InvalidArgumentError(absl::StrCat(aggregates.size(), " aggregates: from 1 to ",
                                                   Aggregation::kMaxAggregates, " are possible"));
  }
  std::shared_ptr<AggregationCore> core(new AggregationCore(options, std::move(aggregates)));
  KVARTS_RETURN_IF_ERROR(core->Init());
  return core;
}

absl::Status AggregationCore::Init() {
  MemoryBudget* budget = options_.budget;
  if (budget == nullptr) {
    own_budget_ = std::make_unique<MemoryBudget>(options_.memory_bytes);
    budget = own_budget_.get();
  }
  account_ = budget->Open([this](size_t bytes) { return Shrink(bytes); });
  // Of what this one may have when all want theirs.
  const size_t share = budget->fair_share();
  fanout_bits_ = share < (8 << 20) ? 4 : 5;
  batch_rows_ = share < (8 << 20) ? 512 : 4096;
  room_bytes_ =
      SpillFile::kHeaderBytes + std::clamp<size_t>(share / 128, 8 << 10, 256 << 10) / 8 * 8;
  const size_t page_bytes =
      std::clamp<size_t>(size_t{1} << (absl::bit_width(share / 256) - 1), 4 << 10, 64 << 10);
  KVARTS_ASSIGN_OR_RETURN(pool_, PagePool::New(account_.get(), page_bytes));
  auto room = std::make_unique<Buffer>(account_.get());
  KVARTS_RETURN_IF_ERROR(room->Grow(room_bytes_, /*may_ask=*/true));
  for (size_t i = 0; i < size_t{1} << fanout_bits_; ++i) {
    parts_.push_back(std::make_unique<Part>(&layout_, pool_.get(), account_.get(), fanout_bits_));
  }
  MutexLock lock(&spilling_);
  room_ = std::move(room);
  open_ = true;
  return absl::OkStatus();
}

AggregationCore::~AggregationCore() { Close(); }

void AggregationCore::Close() {
  MutexLock lock(&spilling_);
  open_ = false;
  for (const std::unique_ptr<Part>& part : parts_) {
    MutexLock part_lock(&part->mu);
    part->claimed = true;
    probes_ += part->table.probes();
    part->table.Clear();
    part->files = PartFiles();
  }
  room_ = nullptr;
  {
    MutexLock batches_lock(&batches_mu_);
    batches_.clear();
  }
  folder_.Remove();
  if (pool_ != nullptr) pool_->Trim(~size_t{0});
}

absl::Status AggregationCore::status() const {
  MutexLock lock(&status_mu_);
  return status_;
}

absl::Status AggregationCore::Fail(const absl::Status& status) {
  {
    MutexLock lock(&status_mu_);
    if (!status_.ok()) return status_;
    status_ = status;
    ok_ = false;
  }
  for (const std::unique_ptr<Part>& part : parts_) {
    MutexLock lock(&part->mu);
    part->files = PartFiles();
    part->turn.SignalAll();
  }
  folder_.Remove();
  return status;
}

absl::Status AggregationCore::Add(absl::optional<uint64_t> sequence,
                                  absl::Span<const AggregateRow> rows, size_t* bad_row) {
  std::unique_ptr<Buffer> room;
  {
    MutexLock lock(&batches_mu_);
    if (!batches_.empty()) {
      room = std::move(batches_.back());
      batches_.pop_back();
    }
  }
  if (room == nullptr) room = std::make_unique<Buffer>(account_.get());
  absl::Status status = AddRows(sequence, rows, bad_row, room.get());
  MutexLock lock(&batches_mu_);
  batches_.push_back(std::move(room));
  return status;
}

absl::Status AggregationCore::AddRows(absl::optional<uint64_t> sequence,
                                      absl::Span<const AggregateRow> rows, size_t* bad_row,
                                      Buffer* room) {
  const size_t number_count = layout_.number_columns().size();
  const size_t most = std::min(rows.size(), batch_rows_);
  const size_t row_bytes = sizeof(uint64_t) + number_count * sizeof(Number) + 2 * sizeof(uint16_t);
  const size_t room_bytes = most * row_bytes + (parts_.size() + 1) * sizeof(uint16_t);
  absl::Status reserved = room->Resize(room_bytes, /*may_ask=*/true);
  if (!reserved.ok()) return Fail(reserved);
  auto* const hashes = room->as<uint64_t>();
  auto* const numbers = reinterpret_cast<Number*>(hashes + most);
  auto* const part_of = reinterpret_cast<uint16_t*>(numbers + most * number_count);
  auto* const by_part = part_of + most;
  auto* const part_begin = by_part + most;

  absl::Status bad;
  uint64_t malformed = 0;
  size_t begin = 0;
  do {
    const size_t end = std::min(rows.size(), begin + most);
    uint16_t counts[33] = {};
    uint64_t bytes = 0;
    size_t n = 0;
    for (; begin + n < end; ++n) {
      const AggregateRow& row = rows[begin + n];
      if (row.key.size() > Grouping::kMaxKeyBytes) {
        bad =
            absl::InvalidArgumentError(absl::StrCat("a key of ", row.key.size(), " bytes: at most ",
                                                    Grouping::kMaxKeyBytes, " are possible"));
      } else if (row.fields.size() < layout_.columns()) {
        bad = absl::InvalidArgumentError(absl::StrCat(
            "a row of ", row.fields.size(), " fields, where ", layout_.columns(), " are needed"));
      } else {
        bad = layout_.ParseNumbers(row, numbers + n * number_count,
                                   options_.skip_malformed ? &malformed : nullptr);
      }
      if (!bad.ok()) break;
      hashes[n] = HashGroup(row.key);
      part_of[n] = static_cast<uint16_t>(PartOf(hashes[n]));
      ++counts[part_of[n] + 1];
      bytes += row.key.size();
      for (const absl::string_view field : row.fields) bytes += field.size();
    }
    for (size_t p = 0; p < parts_.size(); ++p) counts[p + 1] += counts[p];
    std::copy(counts, counts + parts_.size() + 1, part_begin);
    for (size_t i = 0; i < n; ++i) by_part[counts[part_of[i]]++] = static_cast<uint16_t>(i);
    const bool ends = !bad.ok() || begin + n == rows.size();
    const Batch batch{rows.subspan(begin, n), hashes, numbers, number_count, by_part, part_begin};
    absl::Status added = AddBatch(sequence, ends, batch);
    if (!added.ok()) return Fail(added);
    rows_ += n;
    bytes_ += bytes;
    begin += n;
  } while (bad.ok() && begin < rows.size());
  malformed_ += malformed;
  if (!bad.ok() && bad_row != nullptr) *bad_row = begin;
  return bad;
}

absl::Status AggregationCore::AddBatch(absl::optional<uint64_t> sequence, bool ends,
                                       const Batch& batch) {
  for (size_t p = 0; p < parts_.size(); ++p) {
    const absl::Span<const uint16_t> rows(
        batch.by_part + batch.part_begin[p],
        static_cast<size_t>(batch.part_begin[p + 1] - batch.part_begin[p]));
    if (rows.empty() && !(sequence.has_value() && ends)) continue;
    KVARTS_RETURN_IF_ERROR(AddToPart(parts_[p].get(), sequence, ends, batch, rows));
  }
  return absl::OkStatus();
}

absl::Status AggregationCore::AddToPart(Part* part, absl::optional<uint64_t> sequence, bool ends,
                                        const Batch& batch, absl::Span<const uint16_t> rows) {
  // Slots and entries of so many rows are asked for at a time, ahead of their use.
  constexpr size_t kAhead = 32;
  size_t i = 0;
  size_t done = 0;  // of the aggregates of row i
  while (true) {
    size_t wanted = 0;
    {
      MutexLock lock(&part->mu);
      while (ok() && sequence.has_value() && part->next_sequence != *sequence) {
        part->turn.Wait(&part->mu);
      }
      if (!ok()) return status();
      for (size_t fetched = i; i < rows.size(); ++i, done = 0) {
        if (i == fetched) {
          fetched = std::min(rows.size(), i + kAhead);
          for (size_t j = i; j < fetched; ++j) part->table.Prefetch(batch.hashes[rows[j]]);
          for (size_t j = i; j < fetched; ++j) part->table.PrefetchEntry(batch.hashes[rows[j]]);
        }
        const size_t row = rows[i];
        if (!part->table.AddRow(batch.hashes[row], batch.rows[row],
                                batch.numbers + row * batch.number_count, &done)) {
          wanted = part->table.wanted();
          break;
        }
      }
      part->bytes.store(part->table.bytes(), std::memory_order_relaxed);
      if (wanted == 0) {
        if (sequence.has_value() && ends) {
          ++part->next_sequence;
          part->turn.SignalAll();
        }
        return absl::OkStatus();
      }
    }
    absl::Status status = MakeRoom(wanted);
    if (!status.ok()) {
      if (!ok()) return this->status();
      return absl::Status(status.code(),
                          absl::StrCat("the states of the key ", QuoteKey(batch.rows[rows[i]].key),
                                       ": ", status.message()));
    }
  }
}

absl::Status AggregationCore::MakeRoom(size_t bytes) {
  absl::Status reserved = account_->Reserve(bytes);
  if (reserved.ok()) account_->Release(bytes);
  return ok() ? reserved : status();
}

bool AggregationCore::HasRoom(size_t bytes) {
  if (!account_->TryReserve(bytes)) return false;
  account_->Release(bytes);
  return true;
}

bool AggregationCore::MakeRoomAhead(size_t bytes) {
  if (HasRoom(bytes)) return true;
  MutexLock lock(&spilling_);
  while (ok()) {
    pool_->Trim(bytes);
    if (HasRoom(bytes)) return true;
    Part* const largest = LargestPart(/*with_files=*/true);
    if (largest == nullptr) return false;
    const absl::StatusOr<size_t> spilled = SpillPart(largest);
    if (!spilled.ok()) Fail(spilled.status()).IgnoreError();
  }
  return false;
}

AggregationCore::Part* AggregationCore::LargestPart(bool with_files) const {
  Part* largest = nullptr;
  for (const std::unique_ptr<Part>& part : parts_) {
    if (with_files && !part->has_files) continue;
    if (largest == nullptr || part->bytes > largest->bytes) largest = part.get();
  }
  return largest == nullptr || largest->bytes == 0 ? nullptr : largest;
}

size_t AggregationCore::Shrink(size_t bytes) {
  MutexLock lock(&spilling_);
  if (!open_) return 0;
  size_t given = pool_->Trim(bytes);
  while (given < bytes && ok()) {
    Part* const largest = LargestPart(/*with_files=*/false);
    if (largest == nullptr) break;
    const absl::StatusOr<size_t> spilled = SpillPart(largest);
    if (!spilled.ok()) {
      Fail(spilled.status()).IgnoreError();
      break;
    }
    given += *spilled;
    if (given < bytes) given += pool_->Trim(bytes - given);
  }
  return given;
}

absl::StatusOr<size_t> AggregationCore::SpillPart(Part* part) {
  MutexLock lock(&part->mu);
  part->bytes = 0;
  if (part->claimed) return size_t{0};
  const size_t before = part->table.bytes() - part->table.page_bytes();
  KVARTS_RETURN_IF_ERROR(WriteTable(part));
  return before - part->table.bytes();
}

absl::Status AggregationCore::WriteTable(Part* part) {
  StateTable& table = part->table;
  if (table.size() == 0) return absl::OkStatus();
  KVARTS_ASSIGN_OR_RETURN(SpillFile* const states, FileFor(&part->files.states, 1));
  part->has_files = true;
  RecordWriter writer(states, room_->data(), room_bytes_);
  absl::Status status;
  table.ForEach([&](const StateEntry& entry) {
    status = writer.AppendStates(layout_, entry, &scratch_);
    return status.ok();
  });
  KVARTS_RETURN_IF_ERROR(status);
  KVARTS_RETURN_IF_ERROR(writer.Flush());
  CountSpilled(writer.written());
  if (layout_.has_distinct()) {
    KVARTS_ASSIGN_OR_RETURN(SpillFile* const distinct, FileFor(&part->files.distinct, 1));
    RecordWriter fields(distinct, room_->data(), room_bytes_);
    table.ForEachDistinct([&](size_t item, const Hash128& field, const StateEntry& entry) {
      status = fields.AppendDistinct(layout_, entry, item, field);
      return status.ok();
    });
    KVARTS_RETURN_IF_ERROR(status);
    KVARTS_RETURN_IF_ERROR(fields.Flush());
    CountSpilled(fields.written());
  }
  table.Clear();
  return absl::OkStatus();
}

absl::StatusOr<SpillFile*> AggregationCore::FileFor(std::unique_ptr<SpillFile>* file,
                                                    uint64_t level) {
  if (*file == nullptr) {
    KVARTS_ASSIGN_OR_RETURN(std::string path, folder_.NewPath("states"));
    KVARTS_ASSIGN_OR_RETURN(*file, SpillFile::New(options_.fs, std::move(path)));
    ++files_;
    uint64_t levels = levels_;
    while (level > levels && !levels_.compare_exchange_weak(levels, level)) {
    }
  }
  return file->get();
}

StateTable* AggregationCore::ClaimInMemory(size_t part) {
  Part* const p = parts_[part].get();
  MutexLock lock(&p->mu);
  if (p->files.states != nullptr) return nullptr;
  p->claimed = true;
  p->bytes = 0;
  return &p->table;
}

absl::StatusOr<StateTable*> AggregationCore::Claim(size_t part, PartFiles* files) {
  Part* const p = parts_[part].get();
  MutexLock spilling(&spilling_);
  MutexLock lock(&p->mu);
  if (!ok()) return status();
  if (p->files.states != nullptr) {
    KVARTS_RETURN_IF_ERROR(WriteTable(p));
    *files = std::move(p->files);
    KVARTS_RETURN_IF_ERROR(files->states->FinishWriting());
    if (files->distinct != nullptr) KVARTS_RETURN_IF_ERROR(files->distinct->FinishWriting());
  }
  p->claimed = true;
  p->bytes = 0;
  return &p->table;
}

void AggregationCore::Unclaim(size_t part) {
  Part* const p = parts_[part].get();
  MutexLock lock(&p->mu);
  p->claimed = false;
  p->bytes = p->table.bytes();
}

AggregationStats AggregationCore::stats() const {
  AggregationStats stats;
  stats.rows = rows_;
  stats.bytes = bytes_;
  stats.groups = groups_;
  stats.spilled_bytes = spilled_bytes_;
  stats.partitions = files_;
  stats.levels = levels_;
  stats.probes = probes_;
  stats.peak_memory = account_->peak();
  stats.malformed = malformed_;
  return stats;
}

}  // namespace kvarts::groupby_internal
