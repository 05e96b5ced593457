#include "storage/layers/cache_shard.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace kvarts {
namespace {

constexpr size_t kFirstTable = 64;
constexpr size_t kBytesPerBucket = 16;  // a pointer and a ghost
constexpr uint8_t kMostUses = 3;
// Values up to that are copied out, larger ones are pinned.
constexpr size_t kCopiedBytes = 512;

}  // namespace

CacheEntry* CacheEntry::New(uint64_t hash, absl::string_view key, const ReadResult& result) {
  const size_t bytes = key.size() + result.content_type.size() + result.value.size();
  auto* const entry = new (::operator new(sizeof(CacheEntry) + bytes)) CacheEntry;
  entry->hash = hash;
  entry->found = result.found;
  entry->expires_at_ms = result.expires_at_ms;
  entry->key_size = static_cast<uint32_t>(key.size());
  entry->type_size = static_cast<uint16_t>(result.content_type.size());
  entry->value_size = static_cast<uint32_t>(result.value.size());
  char* p = reinterpret_cast<char*>(entry + 1);
  for (const absl::string_view part : {key, result.content_type, result.value}) {
    if (!part.empty()) std::memcpy(p, part.data(), part.size());
    p += part.size();
  }
  return entry;
}

void CacheEntry::Release(const CacheEntry* entry) {
  if (entry->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  auto* const last = const_cast<CacheEntry*>(entry);
  last->~CacheEntry();
  ::operator delete(last);
}

size_t CacheEntry::memory_bytes() const {
  // As malloc rounds, and with the word it needs itself.
  return (sizeof(CacheEntry) + key_size + type_size + value_size + 8 + 15) / 16 * 16;
}

CacheShard::~CacheShard() {
  for (Queue* queue : {&small_, &main_}) {
    for (CacheEntry* entry = queue->newest; entry != nullptr;) {
      CacheEntry::Release(std::exchange(entry, entry->older));
    }
  }
}

CacheShard::Token CacheShard::TokenOf(uint64_t hash) {
  const Place& place = PlaceOf(hash);
  // Versions only grow: their sum stays where both do.
  return {hash, place.version + all_.version, place.writers + all_.writers == 0};
}

bool CacheShard::Holds(const Token& token) {
  MutexLock lock(&mu_);
  const Token now = TokenOf(token.hash);
  return token.quiet && now.quiet && now.version == token.version;
}

CacheEntry* CacheShard::Lookup(absl::string_view key, uint64_t hash) {
  if (table_.empty()) return nullptr;
  CacheEntry* entry = table_[hash & (table_.size() - 1)];
  while (entry != nullptr && (entry->hash != hash || entry->key() != key)) {
    entry = entry->in_bucket;
  }
  return entry;
}

void CacheShard::Use(CacheEntry* entry, bool want_value, ReadResult* result, Bytes* bytes) {
  entry->uses = std::min<uint8_t>(entry->uses + 1, kMostUses);
  result->found = entry->found;
  result->expires_at_ms = entry->expires_at_ms;
  result->content_type = bytes->Copy(entry->content_type());
  if (!want_value) return;
  if (entry->value_size <= kCopiedBytes) {
    result->value = bytes->Copy(entry->value());
    return;
  }
  entry->references.fetch_add(1, std::memory_order_relaxed);
  bytes->AddPin(Pin(static_cast<const void*>(entry),
                    [](const void* p) { CacheEntry::Release(static_cast<const CacheEntry*>(p)); }));
  result->value = entry->value();
}

void CacheShard::Insert(const Token& token, CacheEntry* entry) {
  MutexLock lock(&mu_);
  const Token now = TokenOf(token.hash);
  // Another reader may have come first, and what is large would push out too much.
  if (!token.quiet || !now.quiet || now.version != token.version ||
      entry->memory_bytes() > bytes_ / 8 || Lookup(entry->key(), entry->hash) != nullptr) {
    CacheEntry::Release(entry);
    return;
  }
  if (small_.entries + main_.entries >= table_.size()) GrowTable();
  CacheEntry*& bucket = table_[entry->hash & (table_.size() - 1)];
  entry->in_bucket = bucket;
  bucket = entry;
  uint64_t& ghost = ghosts_[entry->hash & (ghosts_.size() - 1)];
  const bool known = ghost != 0 && ghost >> 32 == entry->hash >> 32 &&
                     departures_ - static_cast<uint32_t>(ghost) <= main_.entries;
  if (known) ghost = 0;
  Push(known ? &main_ : &small_, entry);
  Evict();
}

void CacheShard::Push(Queue* queue, CacheEntry* entry) {
  entry->in_main = queue == &main_;
  entry->newer = nullptr;
  entry->older = queue->newest;
  (queue->newest == nullptr ? queue->oldest : queue->newest->newer) = entry;
  queue->newest = entry;
  queue->bytes += entry->memory_bytes();
  ++queue->entries;
}

void CacheShard::Unlink(CacheEntry* entry) {
  Queue& queue = entry->in_main ? main_ : small_;
  (entry->newer == nullptr ? queue.newest : entry->newer->older) = entry->older;
  (entry->older == nullptr ? queue.oldest : entry->older->newer) = entry->newer;
  queue.bytes -= entry->memory_bytes();
  --queue.entries;
}

void CacheShard::Drop(CacheEntry* entry) {
  CacheEntry** link = &table_[entry->hash & (table_.size() - 1)];
  while (*link != entry) link = &(*link)->in_bucket;
  *link = entry->in_bucket;
  Unlink(entry);
  CacheEntry::Release(entry);
}

size_t CacheShard::used() const {
  return small_.bytes + main_.bytes + table_.size() * kBytesPerBucket;
}

void CacheShard::Evict() {
  while (used() > bytes_ && small_.entries + main_.entries > 0) {
    const bool from_small = small_.bytes > bytes_ / 10 || main_.entries == 0;
    CacheEntry* const oldest = from_small ? small_.oldest : main_.oldest;
    if (!from_small) {
      if (oldest->uses == 0) {
        Drop(oldest);
      } else {
        --oldest->uses;
        Unlink(oldest);
        Push(&main_, oldest);
      }
    } else if (oldest->uses > 1) {
      oldest->uses = 0;
      Unlink(oldest);
      Push(&main_, oldest);
    } else {
      ++departures_;
      ghosts_[oldest->hash & (ghosts_.size() - 1)] = oldest->hash >> 32 << 32 | departures_;
      Drop(oldest);
    }
  }
}

void CacheShard::GrowTable() {
  std::vector<CacheEntry*> larger(std::max(kFirstTable, table_.size() * 2));
  for (CacheEntry* entry : table_) {
    while (entry != nullptr) {
      CacheEntry* const next = entry->in_bucket;
      CacheEntry*& bucket = larger[entry->hash & (larger.size() - 1)];
      entry->in_bucket = bucket;
      bucket = entry;
      entry = next;
    }
  }
  table_ = std::move(larger);
  ghosts_.assign(table_.size(), 0);  // a table that grows has forgotten little
}

void CacheShard::BeginWrite(absl::string_view key, uint64_t hash) {
  MutexLock lock(&mu_);
  ++PlaceOf(hash).writers;
  if (CacheEntry* const entry = Lookup(key, hash)) Drop(entry);
}

void CacheShard::EndWrite(uint64_t hash) {
  MutexLock lock(&mu_);
  Place& place = PlaceOf(hash);
  --place.writers;
  ++place.version;
}

void CacheShard::BeginWrite(const KeyRange& range) {
  MutexLock lock(&mu_);
  ++all_.writers;
  for (Queue* queue : {&small_, &main_}) {
    for (CacheEntry* entry = queue->newest; entry != nullptr;) {
      CacheEntry* const next = entry->older;
      if (range.Contains(entry->key())) Drop(entry);
      entry = next;
    }
  }
}

void CacheShard::EndWriteRange() {
  MutexLock lock(&mu_);
  --all_.writers;
  ++all_.version;
}

CacheShard::Counts CacheShard::counts() {
  MutexLock lock(&mu_);
  return {small_.entries + main_.entries, used()};
}

}  // namespace kvarts
