#ifndef KVARTS_TESTING_FAULT_FAULT_FILE_SYSTEM_H_
#define KVARTS_TESTING_FAULT_FAULT_FILE_SYSTEM_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_operation.h"
#include "storage/fs/file_system.h"

namespace kvarts {

class FaultRules;

// What goes wrong. An operation that a fault cannot befall is not counted by its
// rule, so that every k of a loop is a real one.
enum class Fault : unsigned char {
  // Any operation but kFreeSpace: kDataLoss (EIO); nothing is done. A close closes.
  kIoError = 0,
  // What may need space, or a descriptor: kResourceExhausted (ENOSPC); nothing is done.
  kNoSpace,
  // Append, WriteAt: the first half is written, then kResourceExhausted.
  kShortWrite,
  // Sync, Close: kDataLoss, and the file's unsynced bytes are lost: the next sync
  // succeeds, but they are not there (see LoseUnsynced below).
  kSyncLosesPages,
  // Append, WriteAt: succeeds, and the bytes are lost as above; the file's next Sync or
  // Close reports kDataLoss, once.
  kLateError,
  // Any that changes the disk: done, yet reported as kDataLoss.
  kDoneButError,
  // Sync, SyncDir: not done, yet reported as done. No engine survives this one: it is
  // there to check that a test notices.
  kIgnored,
};

struct FaultRule {
  Fault fault = Fault::kIoError;
  // Which one of the operations that match, from 0; or that one and all later.
  uint64_t nth = 0;
  bool forever = false;
  // Empty: all. Called in any thread, one at a time, and must not call back.
  std::function<bool(const FileOperation&)> matches = {};
};

// Thread-safe, its files as FileSystem says. Passes all calls to another file system
// and makes those fail that its rule chooses.
//
//   for (uint64_t k = 0;; ++k) {
//     ...                                   // a fresh file system and engine
//     faults.SetRule({Fault::kIoError, k});
//     ...                                   // work, and what must hold
//     if (faults.injected() == 0) break;    // k was behind the last one
//   }
class FaultFileSystem : public FileSystem {
 public:
  // Drops what was not synced of a file of the base; without it, a fault that loses
  // bytes only leaves the sync undone.
  using LoseUnsynced = std::function<void(WritableFile*)>;

  // `base` outlives this and its files.
  explicit FaultFileSystem(FileSystem* base, LoseUnsynced lose_unsynced = {});
  ~FaultFileSystem() override;

  // Replaces the rule and counts from 0.
  void SetRule(FaultRule rule);
  void ClearRule();
  // Operations that the rule could have chosen, and those it has, since SetRule().
  uint64_t matched() const;
  uint64_t injected() const;
  // All operations ever.
  uint64_t operations() const;

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                             Create create) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) override;
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(absl::string_view path) override;
  absl::StatusOr<FileInfo> Stat(absl::string_view path) override;
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Link(absl::string_view from, absl::string_view to) override;
  absl::Status Delete(absl::string_view path) override;
  absl::Status CreateDir(absl::string_view path, bool is_private = false) override;
  absl::Status DeleteDir(absl::string_view path) override;
  absl::StatusOr<std::vector<std::string>> List(absl::string_view path) override;
  absl::Status SyncDir(absl::string_view path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) override;
  absl::StatusOr<uint64_t> FreeSpace(absl::string_view path) override;
  // The base's answer; no fault.
  absl::StatusOr<bool> IsRemote(absl::string_view path) override;

 private:
  FileSystem* const base_;
  const std::shared_ptr<FaultRules> rules_;  // shared with open files
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_FAULT_FAULT_FILE_SYSTEM_H_
