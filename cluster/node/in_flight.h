#ifndef KVARTS_CLUSTER_NODE_IN_FLIGHT_H_
#define KVARTS_CLUSTER_NODE_IN_FLIGHT_H_

#include "base/language.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kvarts {
namespace cluster {

// Thread-safe, but for Flip() and Drained(), which are one thread's. Tells when every call that
// may have acted on an older state has ended, without a lock for the calls (the scheme of sleepable
// read-copy-update, of two parities). What it costs a call: two atomic additions to a line that few
// other threads touch, about 15 ns.
//
//   a call:   InFlight::Guard guard(&calls);  reads the state;  acts on it;  lets the guard go
//   changer:  changes the state;  Flip();  waits until Drained();  now no call acts on the old one
class InFlight {
 public:
  class Guard {
   public:
    Guard() = default;
    explicit Guard(InFlight* calls) {
      auto& place = calls->places_[PlaceOfThread()];
      while (true) {
        const int parity = calls->parity_.load(std::memory_order_seq_cst);
        count_ = &place.counts[parity];
        count_->fetch_add(1, std::memory_order_seq_cst);
        // Who counted under a parity that was flipped before might not be waited for.
        if (calls->parity_.load(std::memory_order_seq_cst) == parity) break;
        count_->fetch_sub(1, std::memory_order_release);
      }
      place.begun.store(place.begun.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    Guard(Guard&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Guard& operator=(Guard&& other) noexcept {
      Release();
      count_ = std::exchange(other.count_, nullptr);
      return *this;
    }
    ~Guard() { Release(); }

    // Thread-safe against the thread that took it: a call may end on another one.
    void Release() {
      if (count_ != nullptr) count_->fetch_sub(1, std::memory_order_release);
      count_ = nullptr;
    }

   private:
    std::atomic<int64_t>* count_ = nullptr;
  };

  // REQUIRES: Drained(). Calls that begin from now on see what was changed before.
  void Flip() {
    parity_.store(1 - parity_.load(std::memory_order_relaxed), std::memory_order_seq_cst);
  }
  // Whether all calls from before the last Flip() have ended.
  bool Drained() const {
    const int old = 1 - parity_.load(std::memory_order_relaxed);
    for (const Place& place : places_) {
      if (place.counts[old].load(std::memory_order_seq_cst) != 0) return false;
    }
    return true;
  }
  // Calls so far, about: of two at one moment one may not be counted.
  uint64_t begun() const {
    uint64_t sum = 0;
    for (const Place& place : places_) sum += place.begun.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(128) Place {
    std::array<std::atomic<int64_t>, 2> counts{};
    std::atomic<uint64_t> begun{0};
  };
  static constexpr size_t kPlaces = 16;

  static size_t PlaceOfThread() {
    static std::atomic<size_t> next{0};
    static thread_local const size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kPlaces;
    return mine;
  }

  std::atomic<int> parity_{0};
  std::array<Place, kPlaces> places_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_IN_FLIGHT_H_
