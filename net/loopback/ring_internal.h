#ifndef KVARTS_NET_LOOPBACK_RING_INTERNAL_H_
#define KVARTS_NET_LOOPBACK_RING_INTERNAL_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {
namespace net_internal {

// Not thread-safe. A queue of at most `limit` bytes, in memory that doubles as
// it is needed: an idle connection costs little.
class Ring {
 public:
  explicit Ring(size_t limit) : limit_(limit) {}

  size_t size() const { return size_; }

  // Takes as much of `bytes` as there is room for; returns how much.
  size_t Put(absl::string_view bytes) {
    const size_t n = std::min(bytes.size(), limit_ - size_);
    if (n == 0) return 0;
    if (size_ + n > capacity_) Grow(size_ + n);
    const size_t begin = (head_ + size_) % capacity_;
    const size_t first = std::min(n, capacity_ - begin);
    std::memcpy(&bytes_[begin], bytes.data(), first);
    std::memcpy(&bytes_[0], bytes.data() + first, n - first);
    size_ += n;
    return n;
  }

  // Fills as much of `out` as there are bytes; returns how much.
  size_t Get(absl::Span<char> out) {
    const size_t n = std::min(out.size(), size_);
    if (n == 0) return 0;
    const size_t first = std::min(n, capacity_ - head_);
    std::memcpy(out.data(), &bytes_[head_], first);
    std::memcpy(out.data() + first, &bytes_[0], n - first);
    head_ = (head_ + n) % capacity_;
    size_ -= n;
    if (size_ == 0) head_ = 0;
    return n;
  }

  void Free() { *this = Ring(0); }

 private:
  void Grow(size_t needed) {
    size_t capacity = std::max<size_t>(capacity_, 512);
    while (capacity < needed) capacity *= 2;
    capacity = std::min(capacity, limit_);
    std::unique_ptr<char[]> bytes(new char[capacity]);
    const size_t size = size_;
    Get(absl::MakeSpan(bytes.get(), size));
    bytes_ = std::move(bytes);
    capacity_ = capacity;
    head_ = 0;
    size_ = size;
  }

  size_t limit_;
  size_t capacity_ = 0;
  size_t head_ = 0;
  size_t size_ = 0;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_LOOPBACK_RING_INTERNAL_H_
