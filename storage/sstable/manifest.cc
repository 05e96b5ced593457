#include "storage/sstable/manifest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/sstable/table_format.h"

namespace kvarts::sstable {
namespace {

constexpr absl::string_view kCurrent = "CURRENT";
constexpr absl::string_view kPrefix = "MANIFEST-";

enum Tag : unsigned char {
  kLog = 1,      // number, first sequence
  kNextNumber,   // number
  kCeiling,      // sequence
  kFloors,       // count, for each: bucket, sequence
  kAddTable,     // level, run, number, size, id (8 bytes), info
  kRemoveTable,  // level, number
  kAddIngested,  // as kAddTable, with the stored sequence in front of the info
};

void AppendNumbers(std::string* out, Tag tag, std::initializer_list<uint64_t> numbers) {
  out->push_back(static_cast<char>(tag));
  for (const uint64_t n : numbers) AppendVarint(out, n);
}

std::string Encode(const VersionEdit& edit) {
  std::string out;
  if (edit.no_log) AppendNumbers(&out, kLog, {0, 0});
  if (edit.log_number != 0) AppendNumbers(&out, kLog, {edit.log_number, edit.log_first_sequence});
  if (edit.next_number != 0) AppendNumbers(&out, kNextNumber, {edit.next_number});
  if (edit.ceiling != 0) AppendNumbers(&out, kCeiling, {edit.ceiling});
  if (!edit.floors.empty()) AppendNumbers(&out, kFloors, {edit.floors.size()});
  for (const auto& [bucket, sequence] : edit.floors) {
    AppendVarint(&out, bucket);
    AppendVarint(&out, sequence);
  }
  for (const auto& [level, number] : edit.removed) {
    AppendNumbers(&out, kRemoveTable, {static_cast<uint64_t>(level), number});
  }
  for (const VersionEdit::Added& added : edit.added) {
    const TableInfo& info = added.file->info();
    AppendNumbers(&out, info.stored_sequence == 0 ? kAddTable : kAddIngested,
                  {static_cast<uint64_t>(added.level), added.file->run(), info.number, info.size});
    AppendLE64(&out, info.id);
    if (info.stored_sequence != 0) AppendVarint(&out, info.stored_sequence);
    AppendTableInfo(&out, info);
  }
  return out;
}

// False where the bytes are no edit.
bool Decode(absl::string_view bytes, const std::shared_ptr<TableRemover>& remover,
            VersionEdit* edit) {
  ByteReader reader(bytes);
  while (reader.ok() && !reader.done()) {
    const unsigned char tag = reader.Byte();
    switch (tag) {
      case kLog:
        edit->log_number = reader.Varint();
        edit->log_first_sequence = reader.Varint();
        edit->no_log = edit->log_number == 0;
        break;
      case kNextNumber:
        edit->next_number = reader.Varint();
        break;
      case kCeiling:
        edit->ceiling = reader.Varint();
        break;
      case kFloors:
        for (uint64_t n = reader.Varint(); n > 0 && reader.ok(); --n) {
          const uint64_t bucket = reader.Varint();
          if (bucket >= kFloorBuckets) return false;
          edit->floors[static_cast<uint32_t>(bucket)] = reader.Varint();
        }
        break;
      case kAddTable:
      case kAddIngested: {
        const uint64_t level = reader.Varint();
        const uint64_t run = reader.Varint();
        TableInfo info;
        info.number = reader.Varint();
        info.size = reader.Varint();
        info.id = reader.Fixed64();
        if (tag == kAddIngested) info.stored_sequence = reader.Varint();
        if (!TakeTableInfo(&reader, &info) || level >= kLevels) return false;
        // Else its entries would have two sequences, or none.
        if (tag == kAddIngested &&
            (info.stored_sequence == 0 || info.smallest_sequence != info.largest_sequence)) {
          return false;
        }
        edit->added.push_back(
            {static_cast<int>(level), std::make_shared<TableFile>(std::move(info), run, remover)});
        break;
      }
      case kRemoveTable: {
        const uint64_t level = reader.Varint();
        if (level >= kLevels) return false;
        edit->removed.emplace_back(static_cast<int>(level), reader.Varint());
        break;
      }
      default:
        return false;
    }
  }
  return reader.ok();
}

absl::Status ApplyTo(const VersionEdit& edit, ManifestState* state) {
  KVARTS_ASSIGN_OR_RETURN(state->version, Version::Apply(*state->version, edit));
  if (edit.no_log || edit.log_number != 0) {
    state->log_number = edit.log_number;
    state->log_first_sequence = edit.log_first_sequence;
  }
  state->next_number = std::max(state->next_number, edit.next_number);
  state->ceiling = std::max(state->ceiling, edit.ceiling);
  for (const auto& [bucket, sequence] : edit.floors) {
    state->floors[bucket] = std::max(state->floors[bucket], sequence);
  }
  return absl::OkStatus();
}

// Says that all before it is synced, so that damage to the last edit is told from the end of a
// crash. Needs no sync of its own: where it is lost, the edit is as it would be without it. A
// failed write ends the file, and the next edit begins another.
void AppendPromise(RecordLogWriter* writer) {
  writer->Add({});
  writer->Flush().IgnoreError();
}

std::string ManifestName(uint64_t number) { return absl::StrFormat("MANIFEST-%06d", number); }

std::string Describe(const VersionEdit& edit) {
  std::string out;
  if (edit.log_number != 0) absl::StrAppend(&out, " log=", edit.log_number);
  if (edit.ceiling != 0) absl::StrAppend(&out, " ceiling=", edit.ceiling);
  if (!edit.floors.empty()) absl::StrAppend(&out, " floors=", edit.floors.size());
  for (const auto& [level, number] : edit.removed) {
    absl::StrAppend(&out, " -", number, "@", level);
  }
  for (const auto& added : edit.added) {
    absl::StrAppend(&out, " +", added.file->info().number, "@", added.level, "(",
                    added.file->info().size, " bytes, ", added.file->info().entries, " entries)");
  }
  return out;
}

}  // namespace

absl::StatusOr<bool> Manifest::Exists(FileSystem* fs, const std::string& dir) {
  const absl::StatusOr<FileInfo> info = fs->Stat(JoinPath(dir, kCurrent));
  if (info.ok()) return true;
  if (absl::IsNotFound(info.status())) return false;
  return info.status();
}

absl::StatusOr<std::unique_ptr<Manifest>> Manifest::Create(FileSystem* fs, const std::string& dir,
                                                           std::shared_ptr<TableRemover> remover) {
  auto manifest = std::unique_ptr<Manifest>(new Manifest(fs, dir, std::move(remover)));
  KVARTS_RETURN_IF_ERROR(manifest->WriteAnew(manifest->state_));
  return manifest;
}

absl::StatusOr<std::unique_ptr<Manifest>> Manifest::Load(FileSystem* fs, const std::string& dir,
                                                         std::shared_ptr<TableRemover> remover) {
  auto manifest = std::unique_ptr<Manifest>(new Manifest(fs, dir, std::move(remover)));
  const std::string current = JoinPath(dir, kCurrent);
  KVARTS_ASSIGN_OR_RETURN(const std::string text, ReadFile(fs, current));
  const absl::string_view name = absl::StripSuffix(text, "\n");
  uint64_t number = 0;
  if (!absl::StartsWith(name, kPrefix) || !absl::SimpleAtoi(name.substr(kPrefix.size()), &number) ||
      name != ManifestName(number)) {
    return absl::DataLossError(absl::StrCat(current, ": expected the name of a manifest"));
  }
  manifest->number_ = number;
  const std::string path = JoinPath(dir, name);
  const absl::Status status = manifest->Replay(path, nullptr);
  if (absl::IsNotFound(status)) {
    return absl::DataLossError(absl::StrCat(current, ": names ", path, ", which is gone"));
  }
  KVARTS_RETURN_IF_ERROR(status);
  return manifest;
}

absl::Status Manifest::Replay(const std::string& path, std::string* describe) {
  KVARTS_ASSIGN_OR_RETURN(
      auto reader, RecordLogReader::Open(fs_, path, RecordLogHeader::Kind::kManifest, number_));
  if (reader->is_unused()) return absl::DataLossError(absl::StrCat(path, ": an empty manifest"));
  uint64_t edits = 0;
  uint64_t edits_end = 0;
  while (true) {
    absl::string_view record;
    KVARTS_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) break;
    const auto bad = [&](absl::string_view why) {
      return absl::DataLossError(
          absl::StrCat(path, ": a bad edit at offset ", reader->record_offset(), ": ", why));
    };
    if (record.empty()) continue;  // a promise alone
    VersionEdit edit;
    if (!Decode(record, remover_, &edit)) return bad("its bytes are none");
    if (describe != nullptr) {
      absl::StrAppend(describe, reader->record_offset(), ":", sstable::Describe(edit), "\n");
    }
    const absl::Status status = ApplyTo(edit, &state_);
    if (!status.ok()) return bad(status.message());
    ++edits;
    edits_end = reader->good_size();
    if (edits == 1) full_bytes_ = edits_end;
  }
  // The first edit is synced before CURRENT names the file.
  if (edits == 0) return absl::DataLossError(absl::StrCat(path, ": a manifest without edits"));
  SkipNumbersTo(std::max(state_.next_number - 1, number_));
  // The record behind the last edit says that the edit was synced, which is after CURRENT was.
  // Behind anything else than such a record a crash may have left what nobody knows.
  if (reader->is_whole() && reader->promised() >= edits_end) {
    whole_ = {reader->header(), reader->good_size(), reader->promised()};
  }
  return absl::OkStatus();
}

absl::Status Manifest::Describe(FileSystem* fs, const std::string& path, std::string* out) {
  const size_t dash = path.rfind('-');
  uint64_t number = 0;
  if (dash == std::string::npos || !absl::SimpleAtoi(path.substr(dash + 1), &number)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not named like a manifest"));
  }
  Manifest manifest(fs, DirName(path), nullptr);
  manifest.number_ = number;
  return manifest.Replay(path, out);
}

std::string Manifest::EncodeAll(const ManifestState& state) {
  VersionEdit edit;
  edit.log_number = state.log_number;
  edit.log_first_sequence = state.log_first_sequence;
  edit.next_number = state.next_number;
  edit.ceiling = state.ceiling;
  for (uint32_t bucket = 0; bucket < kFloorBuckets; ++bucket) {
    if (state.floors[bucket] != 0) edit.floors[bucket] = state.floors[bucket];
  }
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : state.version->level(level)) {
      edit.added.push_back({level, file});
    }
  }
  return Encode(edit);
}

absl::Status Manifest::WriteAnew(const ManifestState& state) {
  const uint64_t number = NewNumber();
  ManifestState written = state;
  written.next_number = next_number_.load();
  const std::string path = JoinPath(dir_, ManifestName(number));
  const std::string old_path = JoinPath(dir_, ManifestName(number_));
  RecordLogHeader header;
  header.kind = RecordLogHeader::Kind::kManifest;
  header.number = number;
  KVARTS_ASSIGN_OR_RETURN(auto writer,
                          RecordLogWriter::Create(fs_, path, header, EncodeAll(written)));
  // From here on either file may be the one that is found after a crash.
  KVARTS_RETURN_IF_ERROR(
      WriteFileAtomically(fs_, JoinPath(dir_, kCurrent), ManifestName(number) + "\n"));
  if (number_ != 0) fs_->Delete(old_path).IgnoreError();
  number_ = number;
  writer_ = std::move(writer);
  AppendPromise(writer_.get());
  full_bytes_ = writer_->size();
  return absl::OkStatus();
}

absl::Status Manifest::Apply(const VersionEdit& edit) {
  ManifestState next = state_;
  KVARTS_RETURN_IF_ERROR(ApplyTo(edit, &next));
  if (const auto whole = std::exchange(whole_, std::nullopt); whole.has_value()) {
    auto writer = RecordLogWriter::GoOn(fs_, JoinPath(dir_, ManifestName(number_)), whole->header,
                                        whole->size, whole->synced);
    if (writer.ok()) writer_ = *std::move(writer);
  }
  if (MayAppend()) {
    VersionEdit with_number = edit;
    with_number.next_number = next_number_.load();
    writer_->Add(Encode(with_number));
    absl::Status status = writer_->Flush();
    if (status.ok()) status = writer_->Sync();
    if (status.ok()) {
      AppendPromise(writer_.get());
      state_ = std::move(next);
      return status;
    }
    // What is at the end of that file is not known: it is never written again.
    writer_ = nullptr;
  }
  const absl::Status status = WriteAnew(next);
  if (!status.ok()) {
    writer_ = nullptr;
    return status;
  }
  state_ = std::move(next);
  return absl::OkStatus();
}

absl::Status Manifest::WriteCheckpoint(FileSystem* fs, const std::string& dir,
                                       const ManifestState& state) {
  Manifest manifest(fs, dir, nullptr);
  manifest.state_ = state;
  for (int level = 0; level < kLevels; ++level) {
    for (const auto& file : state.version->level(level)) {
      manifest.SkipNumbersTo(file->info().number);
    }
  }
  return manifest.WriteAnew(state);
}

}  // namespace kvarts::sstable
