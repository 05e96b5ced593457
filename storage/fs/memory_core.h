#ifndef KVARTS_STORAGE_FS_MEMORY_CORE_H_
#define KVARTS_STORAGE_FS_MEMORY_CORE_H_

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "storage/fs/file_operation.h"
#include "storage/fs/memory.h"
#include "storage/fs/memory_tree.h"

namespace kvarts {

// Thread-safe. What a MemoryFileSystem and its open files share: one lock over
// all, because tests want order more than speed.
struct MemoryCore {
  static constexpr uint64_t kUnlimited = uint64_t{1} << 60;

  MemoryCore() {
    tree.on_unlink = [this](MemoryNode* node) ABSL_NO_THREAD_SAFETY_ANALYSIS { Recharge(node); };
  }

  mutable Mutex mu;
  MemoryTree tree ABSL_GUARDED_BY(mu);
  std::shared_ptr<const MemoryFileSystem::Hook> hook ABSL_GUARDED_BY(mu);
  uint64_t operations ABSL_GUARDED_BY(mu) = 0;
  uint64_t capacity ABSL_GUARDED_BY(mu) = kUnlimited;
  uint64_t used ABSL_GUARDED_BY(mu) = 0;

  // Counts what `node` takes now: nothing once it has neither a name nor a user.
  void Recharge(MemoryNode* node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // How far `node` may reach if it wants to reach `end`.
  uint64_t Room(const MemoryNode& node, uint64_t end) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
};

// Counts an operation and calls the hook around it. Hold no lock.
class MemoryOperation {
 public:
  MemoryOperation(MemoryCore* core, const FileOperation& operation);
  ~MemoryOperation();
  MemoryOperation(const MemoryOperation&) = delete;
  MemoryOperation& operator=(const MemoryOperation&) = delete;

 private:
  const FileOperation operation_;
  std::shared_ptr<const MemoryFileSystem::Hook> hook_;
};

// Keeps a file's space taken while it is open or mapped.
class MemoryHandle {
 public:
  MemoryHandle(std::shared_ptr<MemoryCore> core, MemoryNodePtr node)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(core->mu);
  ~MemoryHandle();
  MemoryHandle(const MemoryHandle&) = delete;
  MemoryHandle& operator=(const MemoryHandle&) = delete;

  const std::shared_ptr<MemoryCore> core;
  const MemoryNodePtr node;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_MEMORY_CORE_H_
