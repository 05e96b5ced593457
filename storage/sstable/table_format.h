#ifndef KVARTS_STORAGE_SSTABLE_TABLE_FORMAT_H_
#define KVARTS_STORAGE_SSTABLE_TABLE_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "storage/sstable/table.h"

// What the writer and the reader of a table have in common.
namespace kvarts::sstable {

inline constexpr absl::string_view kTableMagic = "kvarttbl";
inline constexpr uint32_t kTableVersion = 1;
// magic 8, version 4, zero 4, id 8, offset of the meta bytes 8, their size 8, checksum 8
inline constexpr size_t kFooterBytes = 48;
// Behind a block's bytes: how it is compressed 1, checksum 8.
inline constexpr size_t kBlockTrailer = 9;
// Behind the meta bytes: checksum 8.
inline constexpr size_t kMetaTrailer = 8;

// Seeded with the table and the place: a block of another table, or from elsewhere, is none.
inline uint64_t BlockChecksum(uint64_t table_id, uint64_t offset, absl::string_view bytes) {
  return Checksum(bytes, table_id ^ (offset * 0x9e3779b97f4a7c15));
}

// The part of a TableInfo that is known before the file is whole: all but number, size and id.
void AppendTableInfo(std::string* out, const TableInfo& info);
// False where the bytes are none.
bool TakeTableInfo(ByteReader* reader, TableInfo* info);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_TABLE_FORMAT_H_
