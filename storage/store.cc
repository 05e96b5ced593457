#include "storage/store.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

absl::Status Absent(absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat("the store has no ", what));
}

absl::Status CheckMetadata(const Metadata& metadata, const Capabilities& capabilities) {
  if (metadata.expiry == Metadata::Change::kSet) {
    if (!capabilities.has(capabilities.expiry)) return Absent("expiry");
    if (metadata.expires_at_ms <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("an expiry of ", metadata.expires_at_ms,
                                                     " Unix milliseconds; it must be positive"));
    }
  }
  if (metadata.content_type == Metadata::Change::kSet) {
    if (!capabilities.has(capabilities.content_type)) return Absent("content types");
    if (metadata.type.size() > kMaxContentTypeBytes) {
      return absl::InvalidArgumentError(absl::StrCat("a content type of ", metadata.type.size(),
                                                     " bytes; at most ", kMaxContentTypeBytes,
                                                     " are allowed"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBatchSize(const WriteBatch& batch, const Capabilities& capabilities) {
  const size_t mutations = batch.mutations().size() + batch.preconditions().size();
  if (mutations > capabilities.max_batch_mutations) {
    return absl::InvalidArgumentError(
        absl::StrCat("an atomic batch of ", mutations, " mutations and preconditions; at most ",
                     capabilities.max_batch_mutations, " are allowed"));
  }
  if (capabilities.max_batch_bytes == Capabilities::kNoLimit) return absl::OkStatus();
  uint64_t bytes = 0;
  for (const Mutation& m : batch.mutations()) {
    bytes += m.key.size() + m.value.size() + m.metadata.type.size();
  }
  for (const Precondition& p : batch.preconditions()) bytes += p.key.size();
  if (bytes <= capabilities.max_batch_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("an atomic batch of ", bytes, " bytes; at most ",
                                                 capabilities.max_batch_bytes, " are allowed"));
}

}  // namespace

void Store::Read(absl::string_view key, const ReadOptions& options, ReadResults* results) {
  MultiGet(absl::MakeConstSpan(&key, 1), options, results);
}

absl::Status Store::Write(const WriteBatch& batch, const WriteOptions&, WriteResults* results) {
  return FailWrite(batch, ReadOnlyError(), results);
}

void Store::Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
                   WriteDone done) {
  done(Write(batch, options, results));
}

absl::Status Store::Modify(absl::string_view key, const WriteOptions& options, Modifier function) {
  const Capabilities has = capabilities();
  if (!has.has(has.write)) return ReadOnlyError();
  if (!has.has(has.conditions)) return Absent("conditional writes");
  ReadOptions read;
  read.stamp = true;
  const absl::Time deadline = absl::Now() + options.timeout;
  WriteOptions write = options;
  write.atomic = true;
  ReadResults current;
  while (true) {
    read.timeout = write.timeout = deadline - absl::Now();
    Read(key, read, &current);
    if (!current[0].status.ok()) return current[0].status;
    absl::StatusOr<Modification> wanted = function(current[0]);
    if (!wanted.ok()) return std::move(wanted).status();
    WriteBatch batch;
    switch (wanted->kind) {
      case Modification::Kind::kNothing:
        return absl::OkStatus();
      case Modification::Kind::kPut:
        batch.Put(key, wanted->value, wanted->metadata);
        break;
      case Modification::Kind::kDelete:
        batch.Delete(key);
        break;
    }
    batch.RequireUnchanged(key, current[0].stamp);
    WriteResults results;
    absl::Status status = Write(batch, write, &results);
    if (status.ok() || results.failed_precondition < 0) return status;
    if (absl::Now() >= deadline) {
      return absl::UnavailableError("other writers changed the key at every try");
    }
  }
}

absl::StatusOr<std::unique_ptr<Cursor>> Store::NewCursor(const ScanOptions&) {
  return Absent("scan");
}

absl::StatusOr<std::shared_ptr<const Snapshot>> Store::GetSnapshot() { return Absent("snapshots"); }

absl::Status Store::Sync() { return absl::OkStatus(); }

absl::StatusOr<Maintenance::IndexReport> Maintenance::LoadIndex() { return Absent("index"); }

absl::StatusOr<Maintenance::IndexReport> Maintenance::SaveIndexSnapshot(absl::string_view) {
  return Absent("index to be saved");
}

absl::StatusOr<Maintenance::IndexReport> Maintenance::LoadIndexSnapshot(absl::string_view) {
  return Absent("index to be loaded");
}

absl::StatusOr<Maintenance::IngestReport> Maintenance::Ingest(const SortedSource&) {
  return Absent("way to ingest sorted entries");
}

absl::StatusOr<SortedSource> SortedEntriesOf(Store* from) {
  if (!from->capabilities().has(from->capabilities().ordered_scan)) return Absent("ordered scan");
  struct Scan {
    std::unique_ptr<Cursor> cursor;
    ScanPage page;
    size_t next = 0;
  };
  const auto scan = std::make_shared<Scan>();
  ScanOptions options;
  if (from->capabilities().has(from->capabilities().snapshot)) {
    KVARTS_ASSIGN_OR_RETURN(options.snapshot, from->GetSnapshot());
  }
  KVARTS_ASSIGN_OR_RETURN(scan->cursor, from->NewCursor(options));
  return [scan](ScanEntry* entry) -> absl::StatusOr<bool> {
    if (scan->next == scan->page.size()) {
      KVARTS_RETURN_IF_ERROR(scan->cursor->Next(PageLimits(), &scan->page));
      scan->next = 0;
      if (scan->page.empty()) return false;
    }
    *entry = scan->page[scan->next++];
    return true;
  };
}

absl::StatusOr<std::optional<std::string>> Store::Get(absl::string_view key) {
  ReadResults results;
  Read(key, ReadOptions(), &results);
  if (!results[0].status.ok()) return results[0].status;
  if (!results[0].found) return std::optional<std::string>();
  return std::optional<std::string>(std::string(results[0].value));
}

absl::Status Store::Put(absl::string_view key, absl::string_view value, const Metadata& metadata) {
  WriteBatch batch;
  batch.Put(key, value, metadata);
  return Write(batch, WriteOptions(), nullptr);
}

absl::StatusOr<bool> Store::Delete(absl::string_view key) {
  WriteBatch batch;
  batch.Delete(key);
  WriteOptions options;
  options.report_existed = true;
  WriteResults results;
  absl::Status status = Write(batch, options, &results);
  if (!status.ok()) return status;
  return results.results[0].existed;
}

absl::Status CheckKey(absl::string_view key) {
  if (key.size() <= kMaxKeyBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a key of ", key.size(), " bytes; at most ", kMaxKeyBytes, " are allowed"));
}

absl::Status CheckMutation(const Mutation& mutation, const Capabilities& capabilities) {
  absl::Status status = CheckKey(mutation.key);
  if (!status.ok()) return status;
  switch (mutation.kind) {
    case Mutation::Kind::kPut:
      if (mutation.value.size() > kMaxValueBytes) {
        return absl::InvalidArgumentError(absl::StrCat("a value of ", mutation.value.size(),
                                                       " bytes; at most ", kMaxValueBytes,
                                                       " are allowed"));
      }
      return CheckMetadata(mutation.metadata, capabilities);
    case Mutation::Kind::kTouch:
      return CheckMetadata(mutation.metadata, capabilities);
    case Mutation::Kind::kDelete:
      return absl::OkStatus();
    case Mutation::Kind::kDeleteRange:
      if (!capabilities.has(capabilities.delete_range)) return Absent("range deletion");
      // The end of a range: one byte longer than a key is enough to be behind it.
      if (mutation.value.size() > kMaxKeyBytes + 1) return CheckKey(mutation.value);
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError("an unknown kind of mutation");
}

absl::Status CheckBatch(const WriteBatch& batch, const WriteOptions& options,
                        const Capabilities& capabilities) {
  if (!capabilities.has(capabilities.write)) return ReadOnlyError();
  if (!batch.preconditions().empty()) {
    if (!capabilities.has(capabilities.conditions)) return Absent("conditional writes");
    if (!options.atomic) {
      return absl::InvalidArgumentError("a batch with preconditions must be atomic");
    }
  }
  for (const Precondition& precondition : batch.preconditions()) {
    absl::Status status = CheckKey(precondition.key);
    if (!status.ok()) return status;
  }
  if (!options.atomic) return absl::OkStatus();  // each mutation for itself
  KVARTS_RETURN_IF_ERROR(CheckBatchSize(batch, capabilities));
  switch (capabilities.batch_scope) {
    case BatchScope::kStore:
      break;
    case BatchScope::kNone:
      return absl::InvalidArgumentError("the store has no atomic batches");
    case BatchScope::kShard:  // the store knows its shards
      break;
    case BatchScope::kKey: {
      const absl::string_view* first = nullptr;
      bool several = false;
      const auto visit = [&](const absl::string_view& key) {
        if (first == nullptr) first = &key;
        several = several || key != *first;
      };
      for (const Mutation& m : batch.mutations()) {
        visit(m.key);
        several = several || m.kind == Mutation::Kind::kDeleteRange;
      }
      for (const Precondition& p : batch.preconditions()) visit(p.key);
      if (several) {
        return absl::InvalidArgumentError("an atomic batch here is of one key; this spans several");
      }
      break;
    }
  }
  for (size_t i = 0; i < batch.mutations().size(); ++i) {
    absl::Status status = CheckMutation(batch.mutations()[i], capabilities);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("mutation ", i, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScan(const ScanOptions& options, const Capabilities& capabilities) {
  if (!capabilities.has(capabilities.scan)) return Absent("scan");
  if (options.backward && !capabilities.has(capabilities.backward_scan)) {
    return Absent("backward scan");
  }
  if (!options.slots.empty() && !capabilities.has(capabilities.slot_scan)) {
    return Absent("scan by slots");
  }
  for (const SlotRange& range : options.slots) {
    if (range.first > range.last || range.last >= kSlots) {
      return absl::InvalidArgumentError(absl::StrCat("slots ", range.first, " to ", range.last,
                                                     "; expected 0 to ", kSlots - 1,
                                                     ", the first not above the last"));
    }
  }
  if (options.range.begin.size() > kMaxKeyBytes + 1 ||
      options.range.end.size() > kMaxKeyBytes + 1) {
    return absl::InvalidArgumentError("a range whose end is longer than a key can be");
  }
  return absl::OkStatus();
}

absl::Status ClosedError() { return absl::FailedPreconditionError("the store is closed"); }
absl::Status ReadOnlyError() { return absl::FailedPreconditionError("the store is read-only"); }
absl::Status MemoryLimitError() {
  return absl::ResourceExhaustedError("the store's memory limit (max_memory) is reached");
}

absl::Status FailWrite(const WriteBatch& batch, const absl::Status& status, WriteResults* results) {
  if (results != nullptr) {
    results->failed_precondition = -1;
    results->results.assign(batch.mutations().size(), WriteResult{status, false});
  }
  return status;
}

bool InSlots(absl::string_view key, absl::Span<const SlotRange> slots) {
  if (slots.empty()) return true;
  const uint16_t slot = KeySlot(key);
  for (const SlotRange& range : slots) {
    if (slot >= range.first && slot <= range.last) return true;
  }
  return false;
}

}  // namespace kvarts
