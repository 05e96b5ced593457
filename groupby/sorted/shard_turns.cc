#include "groupby/sorted/shard_turns.h"

#include "absl/strings/str_cat.h"

namespace kvarts::groupby_internal {

absl::StatusOr<ShardTurns::Turn> ShardTurns::Enter(uint64_t left, uint64_t sequence) {
  MutexLock lock(&mu_);
  for (;;) {
    if (!end_.ok()) return end_;
    for (size_t i = 0; i < shards_.size(); ++i) {
      Shard& shard = shards_[i];
      if ((left >> i & 1) == 0) continue;
      if (sequence != kNoSequence && shard.sequence > sequence) {
        return absl::InvalidArgumentError(absl::StrCat(
            "rows number ", sequence, " were added before, expected number ", shard.sequence));
      }
      if (shard.is_busy || (sequence != kNoSequence && shard.sequence != sequence)) continue;
      shard.is_busy = true;
      return Turn{i, false};
    }
    const size_t i = FindToWrite();
    if (i < shards_.size()) {
      shards_[i].is_busy = true;
      return Turn{i, true};
    }
    changed_.Wait(&mu_);
  }
}

size_t ShardTurns::FindToWrite() const {
  size_t fullest = shards_.size();
  if (writes_ == 0) return fullest;
  size_t most = written_bytes_ / 4 * 3;
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].is_busy || shards_[i].bytes <= most) continue;
    most = shards_[i].bytes;
    fullest = i;
  }
  return fullest;
}

void ShardTurns::Leave(size_t shard, size_t bytes, bool passes) {
  MutexLock lock(&mu_);
  shards_[shard].is_busy = false;
  shards_[shard].bytes = bytes;
  if (passes) ++shards_[shard].sequence;
  changed_.SignalAll();
}

void ShardTurns::BeginWrite(size_t bytes) {
  MutexLock lock(&mu_);
  ++writes_;
  written_bytes_ = bytes;
  changed_.SignalAll();
}

void ShardTurns::EndWrite() {
  MutexLock lock(&mu_);
  --writes_;
}

bool ShardTurns::End(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (!end_.ok()) return false;
  end_ = status;
  changed_.SignalAll();
  return true;
}

void ShardTurns::ChangeEnd(const absl::Status& status) {
  MutexLock lock(&mu_);
  end_ = status;
}

absl::Status ShardTurns::end() const {
  MutexLock lock(&mu_);
  return end_;
}

}  // namespace kvarts::groupby_internal
