#include "apps/common/reloader.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/thread.h"

namespace kvarts {
namespace {

// Below those that serve: they get most of a core they share.
constexpr int kNice = 15;

bool Same(const FileInfo& a, const FileInfo& b) {
  return a.device == b.device && a.inode == b.inode && a.size == b.size &&
         a.modified_ns == b.modified_ns;
}

}  // namespace

Reloader::Reloader(ReloaderOptions options) : options_(std::move(options)) {
  const auto info = options_.fs->Stat(options_.data_path);
  if (info.ok()) served_ = seen_ = *info;
}

Reloader::~Reloader() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

std::unique_ptr<Store> Reloader::Wrap(std::unique_ptr<Store> first) {
  std::unique_ptr<SwapStore> store = SwapStore::New(std::move(first));
  store_ = store.get();
  return store;
}

absl::Status Reloader::Start() {
  KVARTS_ASSIGN_OR_RETURN(thread_, StartThread([this] { Run(); }));
  return absl::OkStatus();
}

void Reloader::Request() {
  MutexLock lock(&mu_);
  requested_ = true;
  changed_.Signal();
}

bool Reloader::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.Signal();
    if (busy_) return false;
  }
  if (thread_.joinable()) thread_.join();
  return true;
}

void Reloader::Run() {
  // Of this thread, and of those that it starts to build.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
  while (true) {
    bool force = false;
    {
      MutexLock lock(&mu_);
      busy_ = false;
      const absl::Duration interval =
          options_.interval > absl::ZeroDuration() ? options_.interval : absl::InfiniteDuration();
      const absl::Time until = std::min(absl::Now() + interval, drop_old_at_);
      while (!stopping_ && !requested_ && absl::Now() < until) {
        changed_.WaitFor(&mu_, until - absl::Now());
      }
      if (stopping_) return;
      force = std::exchange(requested_, false);
      busy_ = true;
    }
    if (absl::Now() >= drop_old_at_) {
      old_ = nullptr;
      drop_old_at_ = absl::InfiniteFuture();
    }
    if (!force && options_.interval <= absl::ZeroDuration()) continue;
    const absl::StatusOr<bool> done = Check(force);
    if (!done.ok() && options_.say) {
      options_.say(absl::StrCat("the old data are still served: ", done.status().message()));
    }
  }
}

absl::StatusOr<bool> Reloader::Check(bool force) {
  const absl::StatusOr<FileInfo> info = options_.fs->Stat(options_.data_path);
  if (!info.ok()) {
    // Between two names, perhaps. Who asked for it is told.
    if (force) return info.status();
    return false;
  }
  const bool stands = Same(*info, std::exchange(seen_, *info));
  if (!force && (Same(*info, served_) || Same(*info, failed_) || !stands)) return false;
  const absl::Status status = Reload(*info);
  if (status.ok()) return true;
  // A file that changed under the build is tried again once it stands still.
  if (!absl::IsUnavailable(status)) failed_ = *info;
  return status;
}

absl::Status Reloader::Reload(const FileInfo& info) {
  const absl::Time start = absl::Now();
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Store> next, options_.open());
  const absl::Time opened = absl::Now();
  ReadThrough(next.get());
  const absl::Time warmed = absl::Now();
  const absl::StatusOr<StoreStats> stats = next->Stats();
  KVARTS_ASSIGN_OR_RETURN(old_, store_->Swap(std::move(next)));
  drop_old_at_ = absl::Now() + options_.keep;
  // Noted before it was opened: what came since is seen as a change.
  served_ = info;
  if (options_.say) {
    options_.say(absl::StrFormat(
        "%s: the new data are served: %d keys, opened in %.2f s, read through in %.2f s",
        options_.data_path, stats.ok() ? stats->entries : 0, absl::ToDoubleSeconds(opened - start),
        absl::ToDoubleSeconds(warmed - opened)));
  }
  return absl::OkStatus();
}

void Reloader::ReadThrough(Store* store) const {
  const absl::Time until = absl::Now() + options_.warm;
  const auto cursor = store->NewCursor(ScanOptions());
  if (!cursor.ok()) return;
  ScanPage page;
  ReadResults results;
  while (absl::Now() < until && (*cursor)->Next(PageLimits(), &page).ok() && !page.empty()) {
    // Lookups touch what scans may not: an index that is not scanned.
    for (const ScanEntry& entry : page) store->Read(entry.key, ReadOptions(), &results);
  }
}

}  // namespace kvarts
