#include "storage/sstable/index_snapshot.h"

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/sstable/table_format.h"

namespace kvarts::sstable {
namespace {

constexpr absl::string_view kMagic = "kvartidx";
constexpr uint32_t kVersion = 1;
// magic 8, version 4, zero 4, tables 8, checksum of these 8
constexpr size_t kHeaderBytes = 32;
// Before an index: number 8, size 8, id 8, size of the index 8. Behind it: checksum of all 8.
constexpr size_t kTableHeaderBytes = 32;
constexpr size_t kTableTrailerBytes = 8;

absl::Status Damage(absl::string_view path, uint64_t offset, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what, " at offset ", offset));
}

}  // namespace

std::string BeginIndexSnapshot(uint64_t tables) {
  std::string out(kMagic);
  AppendLE32(&out, kVersion);
  AppendLE32(&out, 0);
  AppendLE64(&out, tables);
  AppendLE64(&out, Checksum(out));
  return out;
}

void AppendTableIndex(std::string* snapshot, const TableIndex& index) {
  const size_t start = snapshot->size();
  AppendLE64(snapshot, index.number);
  AppendLE64(snapshot, index.size);
  AppendLE64(snapshot, index.id);
  AppendLE64(snapshot, index.meta.size());
  absl::StrAppend(snapshot, index.meta);
  AppendLE64(snapshot, Checksum(absl::string_view(*snapshot).substr(start), start));
}

absl::StatusOr<std::vector<TableIndex>> ParseIndexSnapshot(absl::string_view path,
                                                           absl::string_view bytes) {
  if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return Damage(path, 0, "no snapshot of an index");
  }
  if (LoadLE64(bytes.data() + 24) != Checksum(bytes.substr(0, 24))) {
    return Damage(path, 0, "a damaged header");
  }
  if (const uint32_t version = LoadLE32(bytes.data() + 8); version != kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": version ", version, " of the format; this program reads version ", kVersion));
  }
  std::vector<TableIndex> tables;
  const uint64_t count = LoadLE64(bytes.data() + 16);
  uint64_t at = kHeaderBytes;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t left = bytes.size() - at;
    if (left < kTableHeaderBytes + kTableTrailerBytes) {
      return Damage(path, bytes.size(), "the file ends");
    }
    const uint64_t meta = LoadLE64(bytes.data() + at + 24);
    if (meta > left - kTableHeaderBytes - kTableTrailerBytes) {
      return Damage(path, at, "a damaged index");
    }
    const absl::string_view table = bytes.substr(at, kTableHeaderBytes + meta);
    if (LoadLE64(table.data() + table.size()) != Checksum(table, at)) {
      return Damage(path, at, "a damaged index");
    }
    tables.push_back({LoadLE64(table.data()), LoadLE64(table.data() + 8),
                      LoadLE64(table.data() + 16), table.substr(kTableHeaderBytes)});
    at += table.size() + kTableTrailerBytes;
  }
  if (at != bytes.size()) return Damage(path, at, "bytes behind the end");
  return tables;
}

absl::StatusOr<bool> IsIndexSnapshot(FileSystem* fs, const std::string& path) {
  KVARTS_ASSIGN_OR_RETURN(const auto file, fs->OpenForRead(path));
  char bytes[kMagic.size()];
  KVARTS_ASSIGN_OR_RETURN(const size_t got, file->Read(0, sizeof(bytes), bytes));
  return absl::string_view(bytes, got) == kMagic;
}

absl::Status DescribeIndexSnapshot(absl::string_view path, absl::string_view bytes,
                                   std::string* out) {
  KVARTS_ASSIGN_OR_RETURN(const auto tables, ParseIndexSnapshot(path, bytes));
  absl::StrAppend(out, "snapshot of the index, ", bytes.size(), " bytes\ntables ", tables.size(),
                  "\n");
  for (const TableIndex& index : tables) {
    TableInfo info;
    ByteReader reader(index.meta);
    if (!TakeTableInfo(&reader, &info)) {
      return Damage(path, static_cast<uint64_t>(index.meta.data() - bytes.data()), "a bad index");
    }
    absl::StrAppend(out, "table ", index.number, " of ", index.size, " bytes: entries ",
                    info.entries, ", index ", index.meta.size(), " bytes\n");
  }
  return absl::OkStatus();
}

}  // namespace kvarts::sstable
