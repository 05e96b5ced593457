#include "storage/sstable/read_core.h"

#include <utility>

namespace kvarts::sstable {

ReadCore::ReadCore(const SstableOptions& options, std::string dir, size_t cache_bytes)
    : tables_(options.fs, std::move(dir), cache_bytes,
              options.most_open_files != 0 ? options.most_open_files : OpenFiles::HalfOfProcess()),
      clock_(options.clock, options.elapsed != nullptr || options.clock != Clock::Real()
                                ? options.elapsed
                                : ExpiryClock::BootTime) {}

Sequence ReadCore::Pin() {
  // Under the lock that Pinned() takes: a compaction either knows of the snapshot, or began with
  // tables that have nothing newer than it.
  MutexLock lock(&snapshots_mu_);
  const Sequence sequence = visible();
  snapshots_.insert(sequence);
  return sequence;
}

void ReadCore::Unpin(Sequence sequence) {
  MutexLock lock(&snapshots_mu_);
  snapshots_.erase(snapshots_.find(sequence));
}

std::vector<Sequence> ReadCore::Pinned() const {
  MutexLock lock(&snapshots_mu_);
  std::vector<Sequence> pinned(snapshots_.begin(), snapshots_.end());
  pinned.erase(std::unique(pinned.begin(), pinned.end()), pinned.end());
  return pinned;
}

}  // namespace kvarts::sstable
