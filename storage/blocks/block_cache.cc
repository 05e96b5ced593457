#include "storage/blocks/block_cache.h"

#include <algorithm>
#include <utility>

#include "base/prefetch.h"

namespace kvarts {
namespace {

constexpr size_t kLeastSlots = 16;

}  // namespace

BlockCache::BlockCache(size_t bytes)
    : shard_count_(std::clamp<size_t>(bytes / kMinShardBytes, 1, kMaxShards)),
      shard_bytes_(bytes / shard_count_),
      generation_(std::make_shared<Generation>()) {
  for (size_t i = 0; i < shard_count_; ++i) {
    MutexLock lock(&shards_[i].mu);
    shards_[i].owned_slots = std::make_shared<const Slots>(kLeastSlots);
    shards_[i].slots.store(shards_[i].owned_slots.get(), std::memory_order_release);
  }
}

BlockCache::~BlockCache() = default;

BlockCache::Reader::Reader(BlockCache* cache)
    : cache_(cache), generation_([cache]() -> std::shared_ptr<const Generation> {
        MutexLock lock(&cache->generation_mu_);
        return cache->generation_;
      }()) {}

BlockCache::Reader::Search BlockCache::Reader::Begin(const Key& key) const {
  const uint64_t hash = HashOf(key);
  const Slots* const slots = cache_->ShardOf(hash).slots.load(std::memory_order_acquire);
  PrefetchRead(&slots->words[HomeOf(hash) & slots->mask]);
  return {key, hash, slots};
}

void BlockCache::Reader::PrefetchPiece(const Search& search) const {
  const Slots& slots = *search.slots;
  const uint64_t tag = TagOf(search.hash);
  for (size_t i = HomeOf(search.hash);; ++i) {
    const uint64_t word = slots.words[i & slots.mask].load(std::memory_order_relaxed);
    if (word == 0) return;
    if ((word & ~kAddressMask) != tag) continue;
    const auto* const piece = reinterpret_cast<const char*>(PieceOf(word));
    PrefetchRead(piece);
    return PrefetchRead(piece + 64);
  }
}

const BlockCache::Piece* BlockCache::Reader::Find(const Search& search) {
  const Slots& slots = *search.slots;
  const size_t slot = FindSlot(slots, search.key, search.hash);
  const Piece* const piece = PieceOf(slots.words[slot].load(std::memory_order_acquire));
  // The slot may have changed since it was found.
  if (piece == nullptr || !(piece->key_ == search.key)) return nullptr;
  if (!piece->used_.load(std::memory_order_relaxed)) {
    piece->used_.store(true, std::memory_order_relaxed);
  }
  ++hits_;
  return piece;
}

size_t BlockCache::FindSlot(const Slots& slots, const Key& key, uint64_t hash) {
  const uint64_t tag = TagOf(hash);
  for (size_t i = HomeOf(hash);; ++i) {
    const uint64_t word = slots.words[i & slots.mask].load(std::memory_order_acquire);
    if (word == 0 || ((word & ~kAddressMask) == tag && PieceOf(word)->key_ == key)) {
      return i & slots.mask;
    }
  }
}

BlockCache::Pin BlockCache::Find(const Key& key) {
  const uint64_t hash = HashOf(key);
  Shard& shard = ShardOf(hash);
  MutexLock lock(&shard.mu);
  const Slots& slots = *shard.owned_slots;
  const Piece* const piece =
      PieceOf(slots.words[FindSlot(slots, key, hash)].load(std::memory_order_relaxed));
  if (piece == nullptr) {
    ++shard.misses;
    return nullptr;
  }
  ++shard.hits;
  piece->used_.store(true, std::memory_order_relaxed);
  return shard.ring[piece->place_].piece;
}

void BlockCache::Add(Shard* shard, const Key& key, uint64_t hash, Pin piece, size_t bytes,
                     Dropped* dropped) {
  while (shard->bytes + bytes > shard_bytes_) {
    if (shard->hand >= shard->ring.size()) shard->hand = 0;
    const Pin& there = shard->ring[shard->hand].piece;
    if (there != nullptr && !there->used_.exchange(false, std::memory_order_relaxed)) {
      Drop(shard, shard->hand, dropped);
    }
    ++shard->hand;
  }
  size_t place = shard->ring.size();
  if (shard->free.empty()) {
    shard->ring.emplace_back();
  } else {
    place = shard->free.back();
    shard->free.pop_back();
  }
  if (++shard->pieces > shard->owned_slots->mask / 2) Grow(shard, dropped);
  const Slots& slots = *shard->owned_slots;
  piece->key_ = key;
  piece->place_ = place;
  slots.words[FindSlot(slots, key, hash)].store(
      reinterpret_cast<uint64_t>(piece.get()) | TagOf(hash), std::memory_order_release);
  shard->ring[place] = {std::move(piece), bytes};
  shard->bytes += bytes;
}

void BlockCache::Insert(const Key& key, Pin piece, size_t bytes) {
  bytes += kOverhead;
  if (bytes > shard_bytes_) return;
  Dropped dropped;
  {
    const uint64_t hash = HashOf(key);
    Shard& shard = ShardOf(hash);
    MutexLock lock(&shard.mu);
    const Slots& slots = *shard.owned_slots;
    if (slots.words[FindSlot(slots, key, hash)].load(std::memory_order_relaxed) != 0) return;
    Add(&shard, key, hash, std::move(piece), bytes, &dropped);
  }
  Retire(std::move(dropped));
}

bool BlockCache::HasRoom(const Key& key, size_t bytes) {
  Shard& shard = ShardOf(HashOf(key));
  MutexLock lock(&shard.mu);
  return shard.bytes + bytes + kOverhead <= shard_bytes_;
}

void BlockCache::Replace(const Key& key, Pin piece, size_t bytes) {
  bytes += kOverhead;
  if (bytes > shard_bytes_) return;
  Dropped dropped;
  {
    const uint64_t hash = HashOf(key);
    Shard& shard = ShardOf(hash);
    MutexLock lock(&shard.mu);
    const Slots& slots = *shard.owned_slots;
    const Piece* const there =
        PieceOf(slots.words[FindSlot(slots, key, hash)].load(std::memory_order_relaxed));
    if (there == nullptr) return;
    Drop(&shard, there->place_, &dropped);
    piece->used_.store(true, std::memory_order_relaxed);
    Add(&shard, key, hash, std::move(piece), bytes, &dropped);
  }
  Retire(std::move(dropped));
}

void BlockCache::Erase(const Key& key) {
  Dropped dropped;
  {
    const uint64_t hash = HashOf(key);
    Shard& shard = ShardOf(hash);
    MutexLock lock(&shard.mu);
    const Slots& slots = *shard.owned_slots;
    const Piece* const piece =
        PieceOf(slots.words[FindSlot(slots, key, hash)].load(std::memory_order_relaxed));
    if (piece != nullptr) Drop(&shard, piece->place_, &dropped);
  }
  Retire(std::move(dropped));
}

void BlockCache::Grow(Shard* shard, Dropped* dropped) {
  const Slots& old = *shard->owned_slots;
  auto larger = std::make_shared<Slots>(2 * (old.mask + 1));
  for (size_t i = 0; i <= old.mask; ++i) {
    const uint64_t word = old.words[i].load(std::memory_order_relaxed);
    if (word == 0) continue;
    size_t to = HomeOf(HashOf(PieceOf(word)->key_));
    while (larger->words[to & larger->mask].load(std::memory_order_relaxed) != 0) ++to;
    larger->words[to & larger->mask].store(word, std::memory_order_relaxed);
  }
  shard->slots.store(larger.get(), std::memory_order_release);
  dropped->bytes += 8 * (old.mask + 1);
  dropped->things.push_back(std::exchange(shard->owned_slots, std::move(larger)));
}

void BlockCache::Drop(Shard* shard, size_t place, Dropped* dropped) {
  Entry& entry = shard->ring[place];
  const Slots& slots = *shard->owned_slots;
  size_t hole = FindSlot(slots, entry.piece->key_, HashOf(entry.piece->key_));
  // Those behind it move up, so that none is cut off from where it belongs.
  for (size_t i = hole + 1;; ++i) {
    const uint64_t word = slots.words[i & slots.mask].load(std::memory_order_relaxed);
    if (word == 0) break;
    const size_t home = HomeOf(HashOf(PieceOf(word)->key_));
    if (((i - home) & slots.mask) < ((i - hole) & slots.mask)) continue;
    slots.words[hole & slots.mask].store(word, std::memory_order_release);
    hole = i;
  }
  slots.words[hole & slots.mask].store(0, std::memory_order_release);
  --shard->pieces;
  shard->bytes -= entry.bytes;
  dropped->bytes += entry.bytes;
  dropped->things.push_back(std::move(entry.piece));
  entry = Entry();
  shard->free.push_back(place);
}

void BlockCache::Retire(Dropped dropped) {
  if (dropped.things.empty()) return;
  std::shared_ptr<Generation> old;  // is destroyed without the lock
  auto next = std::make_shared<Generation>();
  MutexLock lock(&generation_mu_);
  generation_->bytes += dropped.bytes;
  auto& retired = generation_->retired;
  if (retired.empty()) {
    retired = std::move(dropped.things);
  } else {
    retired.insert(retired.end(), std::make_move_iterator(dropped.things.begin()),
                   std::make_move_iterator(dropped.things.end()));
  }
  // At once where nobody reads; else not one by one, since generations end one within the other.
  if (generation_.use_count() > 1 && generation_->bytes < kMaxRetiredBytes) return;
  generation_->next = next;
  old = std::exchange(generation_, std::move(next));
}

template <typename T>
T BlockCache::Sum(T Shard::*of) const {
  T sum = 0;
  for (const Shard& shard : shards_) {
    MutexLock lock(&shard.mu);
    sum += shard.*of;
  }
  return sum;
}
size_t BlockCache::used() const { return Sum(&Shard::bytes); }
uint64_t BlockCache::hits() const {
  return Sum(&Shard::hits) + reader_hits_.load(std::memory_order_relaxed);
}
uint64_t BlockCache::misses() const { return Sum(&Shard::misses); }

}  // namespace kvarts
