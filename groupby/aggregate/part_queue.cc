#include "groupby/aggregate/part_queue.h"

#include <utility>

namespace kvarts::groupby_internal {

PartQueue::PartQueue(AggregationCore* core) : core_(*core) {
  const int bits = core->fanout_bits();
  MutexLock lock(&mu_);
  for (size_t i = 0; i < core->parts(); ++i) {
    const uint64_t first = uint64_t{i} << (64 - bits);
    Node& node = nodes_[first];
    node.part.first = first;
    node.part.used_bits = bits;
    node.part.in_core = true;
    node.part.number = i;
  }
}

// Parts are about equally large, by the hash: so many at a time as have had room before.
bool PartQueue::MayBegin(const Node& node) const {
  if (crowded_ || revoking_.load(std::memory_order_relaxed)) return false;
  if (!node.has_files) return true;
  size_t open = 1;
  for (const auto& [first, other] : nodes_) open += other.taken && other.has_files ? 1 : 0;
  return open * merge_bytes_ <= core_.account()->budget()->fair_share() / 8 * 7;
}

bool PartQueue::Take(HashPart* part) {
  MutexLock lock(&mu_);
  while (core_.ok() && !nodes_.empty()) {
    for (auto& [first, node] : nodes_) {
      if (node.taken) continue;
      node.has_files =
          node.part.in_core ? core_.HasFiles(node.part.number) : node.part.files.states != nullptr;
      if (!IsCurrent(first) && !MayBegin(node)) continue;
      node.taken = true;
      node.revocable = !IsCurrent(first);
      if (node.revocable) ++revocable_;
      *part = std::move(node.part);
      return true;
    }
    changed_.Wait(&mu_);
  }
  return false;
}

void PartQueue::GiveBack(HashPart part) {
  MutexLock lock(&mu_);
  Node& node = nodes_[part.first];
  node.part = std::move(part);
  node.taken = false;
  crowded_ = true;
  if (std::exchange(node.revocable, false)) --revocable_;
  changed_.SignalAll();
}

void PartQueue::Divide(uint64_t first, std::vector<HashPart> parts) {
  MutexLock lock(&mu_);
  nodes_.erase(first);
  for (HashPart& part : parts) {
    const uint64_t begin = part.first;
    nodes_[begin].part = std::move(part);
  }
  merge_bytes_ = 0;
  Advance();
}

void PartQueue::Done(uint64_t first, size_t bytes) {
  MutexLock lock(&mu_);
  const auto node = nodes_.find(first);
  if (node->second.revocable) --revocable_;
  nodes_.erase(node);
  if (bytes > 0) merge_bytes_ = bytes;
  Advance();
}

void PartQueue::Advance() {
  if (!nodes_.empty()) {
    const auto first = nodes_.begin();
    if (!IsCurrent(first->first)) crowded_ = false;
    current_.store(first->first, std::memory_order_release);
    if (std::exchange(first->second.revocable, false)) --revocable_;
  }
  changed_.SignalAll();
}

void PartQueue::Keep(uint64_t first) {
  MutexLock lock(&mu_);
  if (!std::exchange(nodes_[first].revocable, false)) return;
  --revocable_;
  changed_.SignalAll();
}

bool PartQueue::WaitForTurn(uint64_t first) {
  MutexLock lock(&mu_);
  while (core_.ok() && !IsCurrent(first) && !IsRevoked(first)) changed_.Wait(&mu_);
  return IsCurrent(first);
}

void PartQueue::Revoke() {
  MutexLock lock(&mu_);
  if (revocable_ == 0) return;
  revoking_ = true;
  changed_.SignalAll();
  while (revocable_ > 0 && core_.ok()) changed_.Wait(&mu_);
  revoking_ = false;
  changed_.SignalAll();
}

void PartQueue::WakeAll() {
  MutexLock lock(&mu_);
  changed_.SignalAll();
}

absl::Status PartTurn::MakeRoom(size_t bytes) {
  if (!queue_.IsCurrent(first_)) {
    if (!queue_.IsRevoked(first_) && core_.MakeRoomAhead(bytes)) return absl::OkStatus();
    if (!core_.ok()) return core_.status();
    if (!queue_.IsCurrent(first_)) {
      return absl::ResourceExhaustedError("no memory ahead of the turn");
    }
  }
  had_its_turn_ = true;
  if (core_.HasRoom(bytes)) return absl::OkStatus();
  queue_.Revoke();
  return core_.MakeRoom(bytes);
}

}  // namespace kvarts::groupby_internal
