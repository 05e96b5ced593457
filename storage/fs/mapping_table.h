#ifndef KVARTS_STORAGE_FS_MAPPING_TABLE_H_
#define KVARTS_STORAGE_FS_MAPPING_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kvarts {

// Thread-safe. The process's mapped files, in a table that the SIGBUS handler
// reads without a lock. There is one, because there is one SIGBUS.
//
// A slot is a sequence lock: odd while it changes. The handler skips a slot that
// changes under it: a thread can only fault in a mapping that somebody holds,
// and the slot of that one stands still.
class MappingTable {
 public:
  // As many mappings as Linux allows a process by default (vm.max_map_count is
  // 65,530), so that mmap(2) is full before the table is. 1.5 MiB of zero pages,
  // of which only used ones take memory.
  static constexpr size_t kCapacity = 65536;

  // Enters [data, data + size). Returns the slot, or -1 where the table is full.
  static int Add(const void* data, size_t size);
  // Call before munmap(2).
  static void Remove(int slot);
  // Counts the pages that the handler gave zeros for; good while the slot is held.
  static const std::atomic<uint32_t>& losses(int slot);

  // Makes SIGBUS in a mapping give zeros and count; see MappedFile.
  static void InstallHandler();
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_MAPPING_TABLE_H_
