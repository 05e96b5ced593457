#include "net/resp/scan_cursors.h"

#include <random>
#include <utility>

namespace kvarts {
namespace resp {
namespace {

constexpr uint64_t kNumbers = uint64_t{1} << 53;

uint64_t SomeNumber() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) % kNumbers;
}

}  // namespace

ScanCursors::ScanCursors(size_t max_scans, size_t max_bytes)
    : max_entries_(2 * max_scans), max_bytes_(max_bytes), next_(SomeNumber()) {}

uint64_t ScanCursors::Add(ScanPlace place, uint64_t after) {
  MutexLock lock(&mu_);
  if (const auto last = by_number_.find(after); last != by_number_.end()) {
    Erase(last->second->before);
  }
  do {
    next_ = (next_ + 1) % kNumbers;
  } while (next_ == 0 || by_number_.count(next_) > 0);
  entries_.push_front({next_, after, std::move(place)});
  by_number_[next_] = entries_.begin();
  bytes_ += entries_.front().bytes();
  while (entries_.size() > 1 && (entries_.size() > max_entries_ || bytes_ > max_bytes_)) {
    Erase(entries_.back().number);
  }
  return next_;
}

void ScanCursors::End(uint64_t number) {
  MutexLock lock(&mu_);
  const auto last = by_number_.find(number);
  if (last == by_number_.end()) return;
  Erase(last->second->before);
  // Whoever asks again for the end is a scan that ended twice.
  if (!ended_.empty() && ended_.back() == number) return;
  ended_.push_back(number);
  if (ended_.size() <= kMaxEnded) return;
  Erase(ended_.front());
  ended_.pop_front();
}

std::optional<ScanPlace> ScanCursors::Find(uint64_t number) {
  MutexLock lock(&mu_);
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->place;
}

size_t ScanCursors::size() const {
  MutexLock lock(&mu_);
  return entries_.size();
}

void ScanCursors::Erase(uint64_t number) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return;
  bytes_ -= found->second->bytes();
  entries_.erase(found->second);
  by_number_.erase(found);
}

}  // namespace resp
}  // namespace kvarts
