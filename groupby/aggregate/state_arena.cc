#include "groupby/aggregate/state_arena.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "absl/numeric/bits.h"

namespace kvarts {
namespace {

constexpr size_t kSmallest = 16;
// Of malloc, for each large piece.
constexpr size_t kOverhead = 16;

}  // namespace

size_t StateArena::ClassOf(size_t bytes) {
  if (bytes <= kSmallest) return 0;
  const auto log = static_cast<size_t>(absl::bit_width(bytes - 1));  // 2^log >= bytes
  const size_t three_quarters = (size_t{1} << log) / 4 * 3;
  return 2 * (log - 4) - (bytes <= three_quarters ? 1 : 0);
}

size_t StateArena::Capacity(size_t bytes) {
  const size_t c = ClassOf(bytes);
  const size_t power = kSmallest << ((c + 1) / 2);
  return c % 2 == 0 ? power : power / 4 * 3;
}

char* StateArena::Take(size_t bytes) {
  const size_t capacity = Capacity(bytes);
  if (IsLarge(capacity)) return TakeLarge(capacity);
  char*& list = free_[ClassOf(bytes)];
  if (list == nullptr) return Carve(capacity);
  char* const piece = list;
  std::memcpy(&list, piece, sizeof list);
  return piece;
}

char* StateArena::TakeForGood(size_t bytes) {
  bytes = (bytes + 7) & ~size_t{7};
  return IsLarge(bytes) ? TakeLarge(bytes) : Carve(bytes);
}

char* StateArena::Carve(size_t bytes) {
  if (static_cast<size_t>(end_ - at_) < bytes) {
    char* const page = pool_->TryTake();
    if (page == nullptr) {
      wanted_ = pool_->page_bytes();
      return nullptr;
    }
    pages_.push_back(page);
    bytes_ += pool_->page_bytes();
    at_ = page;
    end_ = page + pool_->page_bytes();
  }
  char* const piece = at_;
  at_ += bytes;
  return piece;
}

char* StateArena::TakeLarge(size_t bytes) {
  const size_t all = sizeof(Large) + bytes + kOverhead;
  if (!account_->TryReserve(all)) {
    wanted_ = all;
    return nullptr;
  }
  auto* const large = static_cast<Large*>(std::malloc(all - kOverhead));
  if (large == nullptr) throw std::bad_alloc();
  large->next = large_;
  large->prev = &large_;
  large->bytes = all;
  if (large_ != nullptr) large_->prev = &large->next;
  large_ = large;
  bytes_ += all;
  return reinterpret_cast<char*>(large + 1);
}

void StateArena::Give(char* piece, size_t bytes) {
  if (!IsLarge(Capacity(bytes))) {
    char*& list = free_[ClassOf(bytes)];
    std::memcpy(piece, &list, sizeof list);
    list = piece;
    return;
  }
  Large* const large = reinterpret_cast<Large*>(piece) - 1;
  *large->prev = large->next;
  if (large->next != nullptr) large->next->prev = large->prev;
  bytes_ -= large->bytes;
  account_->Release(large->bytes);
  std::free(large);
}

void StateArena::Clear() {
  while (large_ != nullptr) {
    Large* const next = large_->next;
    account_->Release(large_->bytes);
    std::free(large_);
    large_ = next;
  }
  for (char* const page : pages_) pool_->Give(page);
  std::vector<char*>().swap(pages_);
  free_.fill(nullptr);
  at_ = end_ = nullptr;
  bytes_ = 0;
}

}  // namespace kvarts
