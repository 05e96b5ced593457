#ifndef KVARTS_STORAGE_SSTABLE_DISK_RESERVE_H_
#define KVARTS_STORAGE_SSTABLE_DISK_RESERVE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "storage/fs/file_system.h"

namespace kvarts::sstable {

// Thread-safe. Space on the disk for what has to be done when nothing else fits any more: a log
// for deletions, a flush, a manifest. A file without contents has it, RESERVE; the file's text says
// how much it is, so that another opening knows of a reserve that was spent.
class DiskReserve {
 public:
  // It will have about `bytes`, and no more than a quarter of what is free: a small disk is not
  // taken up by it. It has nothing yet.
  DiskReserve(FileSystem* fs, std::string dir, uint64_t bytes)
      : fs_(*fs), dir_(std::move(dir)), path_(JoinPath(dir_, "RESERVE")), wanted_(bytes) {}

  // Takes the space. Where there is none for a new reserve, the store goes without one; an old one
  // that was spent stays so.
  void Open();
  // Gives the space back to the disk, so that what failed for want of it may be tried again; false
  // where there is no more to give. Also true where somebody else gave it back since times_spent()
  // was `before`, as what failed began. Before Open(), that of an earlier opening.
  bool Spend(uint64_t before);
  uint64_t times_spent() const { return times_spent_.load(std::memory_order_acquire); }
  // Whether it was spent, and cannot be filled again: only what may give space back is to be done.
  bool IsSpent();
  // Without looking whether it can be filled again.
  bool is_spent() const { return spent_.load(std::memory_order_relaxed); }
  // Whether it was spent, and less than a quarter of it is free: that is for deletions.
  bool IsAlmostUsed();
  // What it holds now.
  uint64_t held_bytes() const {
    return is_spent() ? 0 : held_bytes_.load(std::memory_order_relaxed);
  }

  // Whether the error is one that space may mend.
  static bool IsNoSpace(const absl::Status& status) { return absl::IsResourceExhausted(status); }

 private:
  // What the file of an earlier opening says; 0: there is none.
  uint64_t OldBytes() const;
  absl::Status Fill() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The file with its text alone.
  absl::StatusOr<std::unique_ptr<WritableFile>> WriteEmpty() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  FileSystem& fs_;
  const std::string dir_;
  const std::string path_;
  const uint64_t wanted_;
  Mutex mu_;
  uint64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;  // 0: there is no reserve
  std::atomic<uint64_t> held_bytes_{0};
  std::atomic<bool> spent_{false};
  std::atomic<uint64_t> times_spent_{0};
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_DISK_RESERVE_H_
