#include "storage/blocks/block_cache.h"

#include <algorithm>
#include <utility>

namespace kvarts {

BlockCache::BlockCache(size_t bytes)
    : shard_count_(std::clamp<size_t>(bytes / kMinShardBytes, 1, kMaxShards)),
      shard_bytes_(bytes / shard_count_) {}

Pin BlockCache::Find(const Key& key) {
  Shard& shard = ShardOf(key);
  MutexLock lock(&shard.mu);
  const auto it = shard.places.find(key);
  if (it == shard.places.end()) {
    ++shard.misses;
    return nullptr;
  }
  ++shard.hits;
  Entry& entry = shard.ring[it->second];
  entry.used = true;
  return entry.piece;
}

void BlockCache::Insert(const Key& key, Pin piece, size_t bytes) {
  bytes += kOverhead;
  if (bytes > shard_bytes_) return;
  std::vector<Pin> dropped;  // destroyed without the lock
  Shard& shard = ShardOf(key);
  MutexLock lock(&shard.mu);
  if (shard.places.contains(key)) return;
  while (shard.bytes + bytes > shard_bytes_) {
    if (shard.hand >= shard.ring.size()) shard.hand = 0;
    Entry& entry = shard.ring[shard.hand];
    if (entry.piece != nullptr && !std::exchange(entry.used, false)) {
      Drop(&shard, shard.hand, &dropped);
    }
    ++shard.hand;
  }
  size_t place = shard.ring.size();
  if (shard.free.empty()) {
    shard.ring.emplace_back();
  } else {
    place = shard.free.back();
    shard.free.pop_back();
  }
  shard.ring[place] = {key, std::move(piece), bytes, false};
  shard.places[key] = place;
  shard.bytes += bytes;
}

void BlockCache::Erase(const Key& key) {
  std::vector<Pin> dropped;
  Shard& shard = ShardOf(key);
  MutexLock lock(&shard.mu);
  const auto it = shard.places.find(key);
  if (it != shard.places.end()) Drop(&shard, it->second, &dropped);
}

void BlockCache::Drop(Shard* shard, size_t place, std::vector<Pin>* dropped) {
  Entry& entry = shard->ring[place];
  shard->places.erase(entry.key);
  shard->bytes -= entry.bytes;
  dropped->push_back(std::move(entry.piece));
  entry = Entry();
  shard->free.push_back(place);
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
uint64_t BlockCache::hits() const { return Sum(&Shard::hits); }
uint64_t BlockCache::misses() const { return Sum(&Shard::misses); }

}  // namespace kvarts
