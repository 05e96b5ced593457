#ifndef KVARTS_GROUPBY_PARTITIONED_READ_AHEAD_H_
#define KVARTS_GROUPBY_PARTITIONED_READ_AHEAD_H_

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "groupby/partitioned/engine.h"
#include "groupby/partitioned/partition_cursor.h"
#include "groupby/partitioned/partition_set.h"

namespace kvarts::groupby_internal {

// Used by one thread. Opens a partition on a thread of its own.
class ReadAhead {
 public:
  // Null where there is no thread for it.
  static std::unique_ptr<ReadAhead> New(Engine* engine, PartitionSet* set) {
    std::unique_ptr<ReadAhead> ahead(new ReadAhead(engine, set));
    absl::StatusOr<std::thread> thread = StartThread([self = ahead.get()] { self->Run(); });
    if (!thread.ok()) return nullptr;
    ahead->thread_ = *std::move(thread);
    return ahead;
  }
  ~ReadAhead() {
    {
      MutexLock lock(&mu_);
      stop_ = true;
      changed_.SignalAll();
    }
    if (thread_.joinable()) thread_.join();
  }

  // Begins to open a partition. The one before was taken.
  void Start(size_t i) {
    MutexLock lock(&mu_);
    wanted_ = i;
    state_ = State::kWanted;
    changed_.SignalAll();
  }

  // The cursor at the beginning of the partition that was asked for. Null where none was, or
  // there was not the memory for it.
  absl::StatusOr<std::unique_ptr<PartitionCursor>> Take() {
    MutexLock lock(&mu_);
    if (state_ == State::kIdle) return nullptr;
    while (state_ == State::kWanted) changed_.Wait(&mu_);
    state_ = State::kIdle;
    KVARTS_RETURN_IF_ERROR(opened_.status());
    if (!*opened_) return nullptr;
    return std::move(cursor_);
  }

 private:
  ReadAhead(Engine* engine, PartitionSet* set) : engine_(engine), set_(set) {}

  enum class State : unsigned char { kIdle, kWanted, kDone };

  void Run() {
    while (true) {
      size_t i = 0;
      {
        MutexLock lock(&mu_);
        while (!stop_ && state_ != State::kWanted) changed_.Wait(&mu_);
        if (stop_) return;
        i = wanted_;
      }
      auto cursor = std::make_unique<PartitionCursor>(engine_);
      absl::StatusOr<bool> opened = cursor->Open(
          set_, i, {}, [this](size_t bytes) { return bytes <= engine_->ahead_bytes(); });
      MutexLock lock(&mu_);
      cursor_ = std::move(cursor);
      opened_ = std::move(opened);
      state_ = State::kDone;
      changed_.SignalAll();
    }
  }

  Engine* const engine_;
  PartitionSet* const set_;

  Mutex mu_;
  CondVar changed_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kIdle;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  size_t wanted_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<PartitionCursor> cursor_ ABSL_GUARDED_BY(mu_);
  absl::StatusOr<bool> opened_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // set by New()
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_READ_AHEAD_H_
