#include "storage/read_results.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace kvarts {
namespace {

constexpr size_t kBlockBytes = 16 << 10;

}  // namespace

Bytes& Bytes::operator=(Bytes&& other) noexcept {
  pins_ = std::exchange(other.pins_, {});
  live_pins_ = std::exchange(other.live_pins_, 0);
  first_pin_ = std::exchange(other.first_pin_, nullptr);
  watched_ = std::exchange(other.watched_, {});
  also_watched_ = std::exchange(other.also_watched_, {});
  blocks_ = std::exchange(other.blocks_, {});
  block_size_ = std::exchange(other.block_size_, 0);
  block_used_ = std::exchange(other.block_used_, 0);
  return *this;
}

void Bytes::WatchAlso(const Watched& watched) { also_watched_.push_back(watched); }

void Bytes::ClearMore() {
  also_watched_.clear();
  if (blocks_.size() > 1) {
    std::swap(blocks_.front(), blocks_.back());
    blocks_.resize(1);
  }
  if (block_size_ > kMaxKeptBytes) {
    blocks_.clear();
    block_size_ = 0;
  }
}

void Bytes::Release() { *this = Bytes(); }

void Bytes::AddPinSlow(const Pin& pin) {
  if (live_pins_ > 0 && pins_[live_pins_ - 1].get() == pin.get()) return;
  if (live_pins_ == pins_.size() || pins_[live_pins_].get() != pin.get()) {
    pins_.resize(live_pins_);
    pins_.push_back(pin);
  }
  ++live_pins_;
  first_pin_ = pins_.front().get();
}

void Bytes::Adopt(Bytes&& other) {
  pins_.resize(live_pins_);
  pins_.insert(pins_.end(), std::make_move_iterator(other.pins_.begin()),
               std::make_move_iterator(other.pins_.begin() + other.live_pins_));
  live_pins_ = pins_.size();
  first_pin_ = pins_.empty() ? nullptr : pins_.front().get();
  if (other.watched_.losses != nullptr) WatchLosses(*other.watched_.losses, other.watched_.seen);
  for (const Watched& w : other.also_watched_) WatchLosses(*w.losses, w.seen);
  // The block in use stays last.
  blocks_.insert(blocks_.begin(), std::make_move_iterator(other.blocks_.begin()),
                 std::make_move_iterator(other.blocks_.end()));
  if (block_size_ == 0 && !blocks_.empty()) {
    block_size_ = other.block_size_;
    block_used_ = other.block_used_;
  }
  other = Bytes();
}

void Bytes::AddBlock(size_t size) {
  const size_t block = std::max(size, kBlockBytes);
  blocks_.push_back(std::make_unique_for_overwrite<char[]>(block));
  block_size_ = block;
  block_used_ = 0;
}

absl::string_view Bytes::Copy(absl::string_view bytes) {
  if (bytes.empty()) return {};
  char* const out = Allocate(bytes.size());
  std::memcpy(out, bytes.data(), bytes.size());
  return {out, bytes.size()};
}

void ReadResults::Resize(size_t n) { results_.resize(n); }

void ReadResults::Release() {
  results_.clear();
  bytes_.Release();
}

void ReadResults::Fail(size_t n, const absl::Status& status) {
  Reset(n);
  for (ReadResult& result : results_) result.status = status;
}

}  // namespace kvarts
