#ifndef KVARTS_APPS_COMMON_RELOADER_H_
#define KVARTS_APPS_COMMON_RELOADER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/fs/file_system.h"
#include "storage/layers/swap.h"
#include "storage/store.h"

namespace kvarts {

struct ReloaderOptions {
  std::string data_path;
  // Opens the store of the file, and builds what that needs.
  std::function<absl::StatusOr<std::unique_ptr<Store>>()> open;
  // Where sentences about it go, for people; may be null.
  std::function<void(absl::string_view)> say;
  // How often the file is looked at; 0: only when asked.
  absl::Duration interval = absl::Seconds(1);
  // How long a new store is read through at most, before it serves: what a first
  // read of it has to find is then found.
  absl::Duration warm = absl::Seconds(10);
  // How long the old store is kept, for connections to let go of what they borrowed
  // from it: who lets go last unmaps files and frees memory.
  absl::Duration keep = absl::Seconds(10);
  FileSystem* fs = FileSystem::Posix();
};

// Serves a data file anew when it is replaced: opens the new store beside the old
// one, reads through it, swaps it in. If that fails the old one goes on, and the
// same file is not tried again unless asked for. Make it before the first store is
// opened: it notes which file that is of.
//
// One thread makes, uses and destroys it, but for Request(). All but the swap is
// done on a thread of its own, of lower priority.
class Reloader {
 public:
  explicit Reloader(ReloaderOptions options);
  // Stops, and waits for a store that is being opened.
  ~Reloader();

  // A store over `first`, whose stores will be replaced. It must outlive the
  // thread: Stop() first.
  std::unique_ptr<Store> Wrap(std::unique_ptr<Store> first);
  // Begins to watch. kResourceExhausted where there is no thread for it. REQUIRES: Wrap().
  absl::Status Start();
  // Asks to open the file again, changed or not. Thread-safe.
  void Request();
  // Stops watching. False: a store is being opened, which is not waited for; then
  // the process must end without destroying this.
  bool Stop();

  // One look, on this thread: true where a new store serves. A file that changed
  // must look the same twice, as it may still be on its way, unless `force`.
  // REQUIRES: Wrap(), and no thread.
  absl::StatusOr<bool> Check(bool force);

 private:
  void Run();
  absl::Status Reload(const FileInfo& info);
  void ReadThrough(Store* store) const;

  const ReloaderOptions options_;
  SwapStore* store_ = nullptr;
  FileInfo served_;  // what the store is of
  FileInfo seen_;    // at the last look
  FileInfo failed_;  // what could not be opened
  std::shared_ptr<Store> old_;
  absl::Time drop_old_at_ = absl::InfiniteFuture();

  Mutex mu_;
  CondVar changed_;
  bool requested_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_RELOADER_H_
