#ifndef KVARTS_STORAGE_FS_MEMORY_IMAGE_H_
#define KVARTS_STORAGE_FS_MEMORY_IMAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/fs/crash_policy.h"

namespace kvarts {

// Not thread-safe; what Share() gives is immutable. The bytes of a file twice:
// as processes see them, and as the disk has them; and the changes that lead from
// the disk's to the processes'.
//
//   live    = disk + changes_   (but for LoseUnsynced())
//   Sync()    disk := disk + changes_, changes_ := {}
//
// Copies share bytes until one of them writes, so that a clone at each operation
// costs what is written after it. Sync() costs the changed bytes.
class MemoryImage {
 public:
  // Zeros fill a gap before `offset`.
  void Write(uint64_t offset, absl::string_view bytes);
  void Resize(uint64_t size);
  void Sync();
  // As a kernel whose write-back failed: changes are dropped and count as clean,
  // but the file keeps its size (zeros where bytes are gone). A reader sees
  // that at once, or, while the pages are still cached, after a crash.
  void LoseUnsynced(bool at_once);

  const std::string& live() const { return *live_.bytes; }
  std::shared_ptr<const std::string> Share();
  bool synced() const { return changes_.empty(); }

  // A file of which all is synced, as the crash leaves it.
  MemoryImage AfterCrash(CrashPolicy::Data policy, CrashRandom* random);

 private:
  // Bytes written, or, where `is_resize`, the size set to `offset`.
  struct Change {
    uint64_t offset;
    std::string bytes;
    bool is_resize;
  };

  struct Bytes {
    std::shared_ptr<std::string> bytes = std::make_shared<std::string>();
    bool shared = false;  // others read it: copy before a change

    std::string* Mutable();
    std::shared_ptr<std::string> Share();
  };

  static void Apply(const Change& change, std::string* bytes);

  std::string Garbled(CrashRandom* random) const;

  Bytes live_;
  Bytes disk_;
  std::vector<Change> changes_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_MEMORY_IMAGE_H_
