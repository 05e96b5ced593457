#ifndef KVARTS_GROUPBY_PARTITIONED_SHARED_FILE_H_
#define KVARTS_GROUPBY_PARTITIONED_SHARED_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "groupby/partitioned/engine.h"
#include "groupby/spill/spill_file.h"

namespace kvarts::groupby_internal {

// Thread-safe. A spill file that several partitions append to. Made at the first block,
// deleted with the last of its users.
class SharedFile {
 public:
  explicit SharedFile(Engine* engine) : engine_(engine) {}

  // The block's number.
  absl::StatusOr<uint32_t> Append(const Page& page);
  absl::Status Read(uint32_t block, Page* page);

  // No further block of one of its partitions is wanted; with the last one the file goes.
  void SetUsers(size_t users) { users_ = users; }
  void RemoveUser();
  // The file goes now: nothing more is to be had of it.
  void Abandon();

 private:
  Engine* const engine_;
  std::atomic<size_t> users_{0};
  Mutex mu_;
  std::shared_ptr<SpillFile> file_ ABSL_GUARDED_BY(mu_);  // held while it is read
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_SHARED_FILE_H_
