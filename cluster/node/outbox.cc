#include "cluster/node/outbox.h"

#include <utility>

namespace kvarts {
namespace cluster {

void Outbox::Add(absl::Span<const absl::string_view> keys) {
  MutexLock lock(&mu_);
  if (closed_ || !status_.ok()) return;
  store_->MultiGet(keys, ReadOptions(), &results_);
  for (size_t i = 0; i < keys.size(); ++i) {
    const ReadResult& read = results_[i];
    if (!read.status.ok()) {
      status_ = read.status;
      return;
    }
    Effect effect;
    effect.key = std::string(keys[i]);
    effect.found = read.found;
    effect.value = std::string(read.value);
    effect.content_type = std::string(read.content_type);
    effect.expires_at_ms = read.expires_at_ms;
    bytes_ += effect.bytes();
    queue_.push_back(std::move(effect));
  }
}

size_t Outbox::Take(size_t bytes, std::vector<Effect>* effects) {
  std::vector<absl::AnyInvocable<void()>> waiting;
  size_t taken = 0;
  {
    MutexLock lock(&mu_);
    size_t sum = 0;
    while (first_ < queue_.size() && sum < bytes) {
      sum += queue_[first_].bytes();
      effects->push_back(std::move(queue_[first_++]));
      ++taken;
    }
    bytes_ -= sum;
    if (first_ == queue_.size()) {
      queue_.clear();
      first_ = 0;
    } else if (first_ > queue_.size() / 2) {
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(first_));
      first_ = 0;
    }
    if (bytes_ <= kRoom) waiting.swap(waiting_);
  }
  if (!waiting.empty() || taken > 0) room_.SignalAll();
  for (auto& go_on : waiting) go_on();
  return taken;
}

size_t Outbox::bytes() const {
  MutexLock lock(&mu_);
  return bytes_;
}

bool Outbox::empty() const {
  MutexLock lock(&mu_);
  return queue_.empty();
}

absl::Status Outbox::status() const {
  MutexLock lock(&mu_);
  return status_;
}

void Outbox::WhenRoom(absl::AnyInvocable<void()> go_on) {
  {
    MutexLock lock(&mu_);
    if (!closed_ && bytes_ > kRoom) {
      waiting_.push_back(std::move(go_on));
      return;
    }
  }
  go_on();
}

void Outbox::WaitForRoom() {
  MutexLock lock(&mu_);
  while (!closed_ && bytes_ > kRoom) room_.Wait(&mu_);
}

void Outbox::Close() {
  std::vector<absl::AnyInvocable<void()>> waiting;
  {
    MutexLock lock(&mu_);
    closed_ = true;
    queue_.clear();
    first_ = bytes_ = 0;
    results_.Release();  // who keeps the outbox keeps no bytes of the store
    waiting.swap(waiting_);
  }
  room_.SignalAll();
  for (auto& go_on : waiting) go_on();
}

}  // namespace cluster
}  // namespace kvarts
