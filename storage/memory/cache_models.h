#ifndef KVARTS_STORAGE_MEMORY_CACHE_MODELS_H_
#define KVARTS_STORAGE_MEMORY_CACHE_MODELS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <unordered_map>
#include <unordered_set>

namespace kvarts::memory_internal {

// Caches of so many entries of one size, as their papers have them, to compare with. Not
// thread-safe. Get(): whether the key was there; then it is, and what it takes is evicted.

class LruModel {
 public:
  explicit LruModel(size_t capacity) : capacity_(capacity) {}

  bool Get(uint64_t key) {
    const auto found = places_.find(key);
    if (found != places_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    if (order_.size() >= capacity_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    places_[key] = order_.begin();
    return false;
  }

 private:
  const size_t capacity_;
  std::list<uint64_t> order_;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> places_;
};

// S3-FIFO (SOSP 2023, algorithm 1): a small queue of a tenth, ghosts as many as the main
// queue has entries. `uses_for_main`: 2 in the paper's text.
class S3FifoModel {
 public:
  S3FifoModel(size_t capacity, uint8_t uses_for_main)
      : capacity_(capacity), uses_for_main_(uses_for_main) {}

  bool Get(uint64_t key) {
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      found->second.uses = std::min<uint8_t>(found->second.uses + 1, 3);
      return true;
    }
    if (entries_.size() >= capacity_) Evict();
    const bool main = ghost_set_.count(key) != 0;
    (main ? main_ : small_).push_back(key);
    entries_[key] = {0, main};
    return false;
  }
  bool Has(uint64_t key) const { return entries_.count(key) != 0; }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    uint8_t uses;
    bool main;
  };

  void Evict() {
    for (;;) {
      if (!small_.empty() && (small_.size() * 10 >= entries_.size() || main_.empty())) {
        const uint64_t key = small_.front();
        small_.pop_front();
        Entry& entry = entries_[key];
        if (entry.uses >= uses_for_main_) {
          entry = {0, true};
          main_.push_back(key);
          continue;
        }
        entries_.erase(key);
        Remember(key);
        return;
      }
      const uint64_t key = main_.front();
      main_.pop_front();
      Entry& entry = entries_[key];
      if (entry.uses == 0) {
        entries_.erase(key);
        return;
      }
      --entry.uses;
      main_.push_back(key);
    }
  }
  void Remember(uint64_t key) {
    ghosts_.push_back(key);
    ghost_set_.insert(key);
    while (ghosts_.size() > std::max<size_t>(main_.size(), 1)) {
      ghost_set_.erase(ghost_set_.find(ghosts_.front()));
      ghosts_.pop_front();
    }
  }

  const size_t capacity_;
  const uint8_t uses_for_main_;
  std::deque<uint64_t> small_;
  std::deque<uint64_t> main_;
  std::deque<uint64_t> ghosts_;
  std::unordered_multiset<uint64_t> ghost_set_;
  std::unordered_map<uint64_t, Entry> entries_;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_CACHE_MODELS_H_
