#ifndef KVARTS_STORAGE_SSTABLE_READ_CORE_H_
#define KVARTS_STORAGE_SSTABLE_READ_CORE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "storage/sstable/expiry_clock.h"
#include "storage/sstable/floors.h"
#include "storage/sstable/options.h"
#include "storage/sstable/table.h"
#include "storage/sstable/view.h"
#include "storage/store.h"

namespace kvarts::sstable {

// What a cursor or a snapshot holds of a store: enough to read, and nothing that keeps it open.
// Thread-safe.
class ReadCore {
 public:
  ReadCore(const SstableOptions& options, std::string dir, size_t cache_bytes);

  TableCache* tables() { return &tables_; }

  // The sources and what is visible in them, of one moment: a reader sees everything that was
  // there when it began.
  struct Now {
    std::shared_ptr<const Sources> sources;
    Sequence visible;
  };
  Now Take() const {
    MutexLock lock(&mu_);
    return {sources_, visible()};
  }
  // Changes the sources by a function of the ones before. `to`: becomes visible with them, so that
  // nobody takes the older ones and this, and misses among newer writes what came by a change of
  // the sources; 0: nothing does.
  template <typename Change>
  void Update(const Change& change, Sequence to = 0) {
    std::shared_ptr<const Sources> old;  // is destroyed without the lock
    MutexLock lock(&mu_);
    auto next =
        sources_ == nullptr ? std::make_shared<Sources>() : std::make_shared<Sources>(*sources_);
    change(next.get());
    old = std::exchange(sources_, std::move(next));
    if (to != 0) SetVisible(to);
  }

  Sequence visible() const { return visible_.load(std::memory_order_acquire); }
  void SetVisible(Sequence sequence) { visible_.store(sequence, std::memory_order_release); }

  // A scan of the newest state has passed over many entries in a row that nobody can see. Calls
  // what the last call of SetOnDeadRun() gave, under a lock.
  void NoteDeadRun() {
    MutexLock lock(&dead_mu_);
    if (on_dead_run_) on_dead_run_();
  }
  void SetOnDeadRun(std::function<void()> on_dead_run) {
    MutexLock lock(&dead_mu_);
    on_dead_run_ = std::move(on_dead_run);
  }

  // Milliseconds, which never go back while the store is open: what has expired stays so.
  int64_t NowMs() const { return clock_.NowMs(); }
  uint64_t clock_steps() const { return clock_.steps(); }

  // Pins what is visible now.
  Sequence Pin();
  void Unpin(Sequence sequence);
  std::vector<Sequence> Pinned() const;  // upwards, each once

  // Twice the sequence of the key's last put or deletion, and one where it is there; so a range
  // deletion changes nothing of a key that was absent anyway. Of an absent key not below its
  // bucket's floor, which what came and left no trace has raised: the key's own last trace to the
  // stamp that it had.
  Stamp StampOf(uint64_t key_hash, Sequence sequence, bool live) const {
    return {live ? sequence * 2 + 1 : std::max(sequence, FloorOf(key_hash)) * 2, 0};
  }
  Sequence FloorOf(uint64_t key_hash) const {
    return floors_[FloorBucket(key_hash)].load(std::memory_order_acquire);
  }
  // All of them, by bucket; none may be below what it was. Not beside another call of it.
  void SetFloors(const std::vector<Sequence>& floors) {
    for (size_t i = 0; i < floors_.size(); ++i) {
      floors_[i].store(floors[i], std::memory_order_release);
    }
  }

 private:
  TableCache tables_;
  mutable ExpiryClock clock_;
  mutable Mutex mu_;
  std::shared_ptr<const Sources> sources_ ABSL_GUARDED_BY(mu_);
  std::atomic<Sequence> visible_{0};
  std::array<std::atomic<Sequence>, kFloorBuckets> floors_{};
  Mutex dead_mu_;
  std::function<void()> on_dead_run_ ABSL_GUARDED_BY(dead_mu_);
  mutable Mutex snapshots_mu_;
  std::multiset<Sequence> snapshots_ ABSL_GUARDED_BY(snapshots_mu_);
};

// A state of the store, for as long as it lives.
class SstableSnapshot final : public Snapshot {
 public:
  explicit SstableSnapshot(std::shared_ptr<ReadCore> core)
      : core_(std::move(core)), sequence_(core_->Pin()) {}
  ~SstableSnapshot() override { core_->Unpin(sequence_); }

  const ReadCore* core() const { return core_.get(); }
  Sequence sequence() const { return sequence_; }

 private:
  const std::shared_ptr<ReadCore> core_;
  const Sequence sequence_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_READ_CORE_H_
