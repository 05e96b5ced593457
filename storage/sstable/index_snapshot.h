#ifndef KVARTS_STORAGE_SSTABLE_INDEX_SNAPSHOT_H_
#define KVARTS_STORAGE_SSTABLE_INDEX_SNAPSHOT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"

// A file with the indexes of all tables of a store at one moment. FORMAT.md has the bytes.
namespace kvarts::sstable {

// The index of one table, and which table it is. Borrows its bytes.
struct TableIndex {
  uint64_t number = 0;
  uint64_t size = 0;  // the bytes of the table's file
  uint64_t id = 0;
  absl::string_view meta;  // see Table::raw_meta()
};

// The header of a snapshot of so many tables, which are then appended to it.
std::string BeginIndexSnapshot(uint64_t tables);
void AppendTableIndex(std::string* snapshot, const TableIndex& index);

// What is in the bytes of a snapshot, in their order; the indexes borrow `bytes`. `path` is for
// errors. kDataLoss with the offset, or kFailedPrecondition for another version of the format.
absl::StatusOr<std::vector<TableIndex>> ParseIndexSnapshot(absl::string_view path,
                                                           absl::string_view bytes);

// Whether a file begins as a snapshot does.
absl::StatusOr<bool> IsIndexSnapshot(FileSystem* fs, const std::string& path);
// Appends the tables of a snapshot to `out`, a line each, for people. Errors as of parsing.
absl::Status DescribeIndexSnapshot(absl::string_view path, absl::string_view bytes,
                                   std::string* out);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_INDEX_SNAPSHOT_H_
