#include "storage/sstable/memtable.h"

#include <algorithm>
#include <utility>

#include "base/prefetch.h"

namespace kvarts::sstable {
namespace {

constexpr size_t kBlockBytes = 256 << 10;

}  // namespace

// Behind it: pointers for its other levels, the key, the blob.
struct Memtable::Node {
  uint64_t prefix;
  Trailer trailer;
  uint32_t key_size;
  uint32_t blob_size;
  uint32_t height;
  uint32_t hash;
  std::atomic<Node*> next[1];

  const char* bytes() const {
    return reinterpret_cast<const char*>(this) + sizeof(Node) +
           (height - 1) * sizeof(std::atomic<Node*>);
  }
  absl::string_view key() const { return {bytes(), key_size}; }
  Entry entry() const { return {key(), trailer, absl::string_view(bytes() + key_size, blob_size)}; }
  // The prefix settles most comparisons without a look at the key.
  bool Less(uint64_t other_prefix, absl::string_view other, Trailer other_trailer) const {
    if (prefix != other_prefix) return prefix < other_prefix;
    return EntryLess(key(), trailer, other, other_trailer);
  }
};

// Not thread-safe itself; beside the writer it sees what was there when it came by, or more.
class MemtableIterator final : public Iterator {
 public:
  explicit MemtableIterator(std::shared_ptr<const Memtable> memtable)
      : memtable_(std::move(memtable)) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    GoTo(memtable_->FindNotLess(key, trailer));
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    GoTo(memtable_->FindLess(key, trailer));
  }
  void SeekToLast() override {
    const Memtable::Node* node = memtable_->head_;
    for (int level = memtable_->height_.load(std::memory_order_acquire) - 1; level >= 0;) {
      const Memtable::Node* const next = node->next[level].load(std::memory_order_acquire);
      if (next == nullptr) {
        --level;
      } else {
        node = next;
      }
    }
    GoTo(node == memtable_->head_ ? nullptr : node);
  }
  void Next() override {
    GoTo(node_->next[0].load(std::memory_order_acquire));
    if (node_ == nullptr) return;
    // The next one's lines, which are anywhere, come while this one is dealt with.
    const Memtable::Node* const next = node_->next[0].load(std::memory_order_acquire);
    if (next == nullptr) return;
    for (size_t line = 0; line < 3; ++line) {
      PrefetchRead(reinterpret_cast<const char*>(next) + 64 * line);
    }
  }
  void Prev() override { GoTo(memtable_->FindLess(node_->key(), node_->trailer)); }
  Pin pin() const override { return memtable_; }

 private:
  void GoTo(const Memtable::Node* node) {
    node_ = node;
    node == nullptr ? ShowNothing() : Show(node->entry());
  }

  const std::shared_ptr<const Memtable> memtable_;
  const Memtable::Node* node_ = nullptr;
};

namespace {

constexpr int kTagShift = 48;  // addresses of a process are below it
constexpr uint64_t kAddressMask = (uint64_t{1} << kTagShift) - 1;
// A slot for so many bytes of the memtable: half are taken when entries have a hundred each.
constexpr size_t kBytesASlot = 64;
constexpr size_t kLeastSlots = 64;

uint32_t ShortHash(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

size_t SlotsFor(size_t bytes) {
  size_t slots = kLeastSlots;
  while (slots * kBytesASlot < bytes) slots *= 2;
  return slots;
}

}  // namespace

Memtable::Slots::Slots(size_t count)
    : mask(count - 1), places(std::make_unique<std::atomic<uint64_t>[]>(count)) {}

uint64_t Memtable::PlaceOf(const Node* node) {
  return reinterpret_cast<uint64_t>(node) | uint64_t{node->hash} >> 16 << kTagShift;
}

Memtable::Memtable(uint64_t first_log, size_t bytes)
    : first_log_(first_log),
      head_(reinterpret_cast<Node*>(
          Allocate(sizeof(Node) + (kMaxHeight - 1) * sizeof(std::atomic<Node*>)))),
      slots_(nullptr),
      ranges_(std::make_shared<const RangeTombstones>()) {
  all_slots_.push_back(std::make_unique<Slots>(SlotsFor(bytes)));
  slots_ = all_slots_.back().get();
  new (head_) Node{0, 0, 0, 0, kMaxHeight, 0, {}};
  for (int level = 0; level < kMaxHeight; ++level) {
    new (&head_->next[level]) std::atomic<Node*>(nullptr);
  }
}

Memtable::~Memtable() = default;

char* Memtable::Allocate(size_t bytes) {
  bytes = (bytes + 7) / 8 * 8;
  if (bytes > kBlockBytes / 4) {  // a block of its own, so that little of the open one is lost
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return blocks_.back().get();
  }
  if (bytes > free_bytes_) {
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlockBytes));
    bytes_.fetch_add(kBlockBytes, std::memory_order_relaxed);
    free_ = blocks_.back().get();
    free_bytes_ = kBlockBytes;
  }
  free_bytes_ -= bytes;
  return std::exchange(free_, free_ + bytes);
}

int Memtable::RandomHeight() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  // A quarter of the nodes of each level reach the next one.
  int height = 1;
  for (uint64_t bits = random_ >> 20; height < kMaxHeight && (bits & 3) == 0; bits >>= 2) ++height;
  return height;
}

Memtable::Node* Memtable::FindNotLess(absl::string_view key, Trailer trailer) const {
  const uint64_t prefix = KeyPrefix(key);
  Node* node = head_;
  Node* past = nullptr;  // known to be not less: looked at on the level above
  for (int level = height_.load(std::memory_order_acquire) - 1; level >= 0; --level) {
    Node* next = node->next[level].load(std::memory_order_acquire);
    while (next != past && next != nullptr && next->Less(prefix, key, trailer)) {
      node = next;
      next = node->next[level].load(std::memory_order_acquire);
    }
    past = next;
  }
  return past;
}

Memtable::Node* Memtable::FindLess(absl::string_view key, Trailer trailer) const {
  const uint64_t prefix = KeyPrefix(key);
  Node* node = head_;
  for (int level = height_.load(std::memory_order_acquire) - 1; level >= 0; --level) {
    Node* next = node->next[level].load(std::memory_order_acquire);
    while (next != nullptr && next->Less(prefix, key, trailer)) {
      node = next;
      next = node->next[level].load(std::memory_order_acquire);
    }
  }
  return node == head_ ? nullptr : node;
}

// The way down to where an entry belongs, one comparison a step, so that several go on while the
// memory that each of them waits for is on its way.
struct Memtable::Descent {
  const Entry* entry;
  uint64_t prefix;
  uint32_t hash;
  int level;
  Node* node;
  Node* next;
  Node* past;                // known to be not less: looked at on the level above
  Node* before[kMaxHeight];  // the last node that is less, on each level

  void Begin(const Memtable& memtable, const Entry& of) {
    entry = &of;
    prefix = KeyPrefix(of.key);
    const uint64_t long_hash = KeyHash(of.key);
    hash = ShortHash(long_hash);
    memtable.PrefetchPlace(long_hash);
    level = memtable.height_.load(std::memory_order_relaxed) - 1;
    std::fill(before + level + 1, before + kMaxHeight, memtable.head_);
    node = memtable.head_;
    past = nullptr;
    Look();
  }
  void Look() {
    next = node->next[level].load(std::memory_order_relaxed);
    // A node begins anywhere in a cache line.
    PrefetchRead(next);
    PrefetchRead(reinterpret_cast<const char*>(next) + 64);
  }
  // False once all of `before` is known.
  bool Step() {
    if (next != past && next != nullptr && next->Less(prefix, entry->key, entry->trailer)) {
      node = next;
    } else {
      past = next;
      before[level] = node;
      if (--level < 0) return false;
    }
    Look();
    return true;
  }
};

void Memtable::Add(absl::Span<const Entry> entries) {
  constexpr size_t kAtOnce = 8;  // about as many cache misses as a core has under way
  Descent descents[kAtOnce];
  for (auto next = entries.begin(); next != entries.end();) {
    size_t count = 0;
    for (; next != entries.end() && count < kAtOnce; ++next) {
      if (KindOf(next->trailer) == kDeleteRange) {
        AddRange({std::string(next->key), std::string(next->blob), next->sequence()});
      } else {
        descents[count++].Begin(*this, *next);
      }
    }
    for (size_t open = count; open > 0;) {
      open = 0;
      for (size_t i = 0; i < count; ++i) {
        if (descents[i].level >= 0 && descents[i].Step()) ++open;
      }
    }
    for (size_t i = 0; i < count; ++i) Insert(&descents[i]);
  }
}

void Memtable::Insert(Descent* descent) {
  const Entry& entry = *descent->entry;
  const int height = RandomHeight();
  const size_t links = (height - 1) * sizeof(std::atomic<Node*>);
  auto* const node = reinterpret_cast<Node*>(
      Allocate(sizeof(Node) + links + entry.key.size() + entry.blob.size()));
  new (node) Node{descent->prefix,
                  entry.trailer,
                  static_cast<uint32_t>(entry.key.size()),
                  static_cast<uint32_t>(entry.blob.size()),
                  static_cast<uint32_t>(height),
                  descent->hash,
                  {}};
  char* const bytes = const_cast<char*>(node->bytes());
  std::copy(entry.key.begin(), entry.key.end(), bytes);
  std::copy(entry.blob.begin(), entry.blob.end(), bytes + entry.key.size());
  // The node is whole before it can be reached; from the lowest level up, so that who comes by a
  // higher one finds it on all below.
  for (int level = 0; level < height; ++level) {
    // Entries of the same call may have come in between since.
    Node* before = descent->before[level];
    Node* next = before->next[level].load(std::memory_order_relaxed);
    while (next != nullptr && next->Less(descent->prefix, entry.key, entry.trailer)) {
      before = next;
      next = before->next[level].load(std::memory_order_relaxed);
    }
    new (&node->next[level]) std::atomic<Node*>(next);
    descent->before[level] = before;
  }
  for (int level = 0; level < height; ++level) {
    descent->before[level]->next[level].store(node, std::memory_order_release);
  }
  if (height > height_.load(std::memory_order_relaxed)) {
    height_.store(height, std::memory_order_release);
  }
  Remember(node);
  last_sequence_ = std::max(last_sequence_, entry.sequence());
  data_bytes_ += entry.key.size() + entry.blob.size();
  entries_.fetch_add(1, std::memory_order_relaxed);
}

void Memtable::AddRange(RangeTombstone tombstone) {
  last_sequence_ = std::max(last_sequence_, tombstone.sequence);
  bytes_.fetch_add(sizeof(tombstone) + 2 * (tombstone.begin.size() + tombstone.end.size()),
                   std::memory_order_relaxed);
  all_ranges_.push_back(std::move(tombstone));
  ranges_.Exchange(std::make_shared<const RangeTombstones>(all_ranges_));
  has_ranges_.store(true, std::memory_order_release);
}

std::atomic<uint64_t>* Memtable::FindPlace(const Slots& slots, absl::string_view key, uint32_t hash,
                                           const Node** node) const {
  const uint64_t tag = hash >> 16;
  for (size_t i = hash;; ++i) {
    std::atomic<uint64_t>* const place = &slots.places[i & slots.mask];
    const uint64_t there = place->load(std::memory_order_acquire);
    *node = reinterpret_cast<const Node*>(there & kAddressMask);
    if (there == 0 ||
        (there >> kTagShift == tag && (*node)->hash == hash && (*node)->key() == key)) {
      return place;
    }
  }
}

void Memtable::Remember(const Node* node) {
  const Slots* slots = slots_.load(std::memory_order_relaxed);
  if (keys_ > slots->mask - slots->mask / 4) {
    auto larger = std::make_unique<Slots>(2 * (slots->mask + 1));
    for (size_t i = 0; i <= slots->mask; ++i) {
      const uint64_t there = slots->places[i].load(std::memory_order_relaxed);
      if (there == 0) continue;
      size_t to = reinterpret_cast<const Node*>(there & kAddressMask)->hash;
      while (larger->places[to & larger->mask].load(std::memory_order_relaxed) != 0) ++to;
      larger->places[to & larger->mask].store(there, std::memory_order_relaxed);
    }
    bytes_.fetch_add(8 * (larger->mask + 1), std::memory_order_relaxed);
    slots = larger.get();
    all_slots_.push_back(std::move(larger));
    slots_.store(slots, std::memory_order_release);
  }
  const Node* before = nullptr;
  std::atomic<uint64_t>* const place = FindPlace(*slots, node->key(), node->hash, &before);
  if (before == nullptr) ++keys_;
  place->store(PlaceOf(node), std::memory_order_release);
}

bool Memtable::Get(absl::string_view key, uint64_t hash, Sequence at, Entry* entry) const {
  const Node* node = nullptr;
  FindPlace(*slots_.load(std::memory_order_acquire), key, ShortHash(hash), &node);
  if (node == nullptr) return false;
  if (node->trailer > SeekTrailer(at)) {
    // There are newer ones than the reader sees: older ones are behind them in the list.
    node = FindNotLess(key, SeekTrailer(at));
    if (node == nullptr || node->key() != key) return false;
  }
  *entry = node->entry();
  return true;
}

void Memtable::PrefetchPlace(uint64_t hash) const {
  const Slots& slots = *slots_.load(std::memory_order_acquire);
  PrefetchRead(&slots.places[ShortHash(hash) & slots.mask]);
}

void Memtable::PrefetchNode(uint64_t hash) const {
  const Slots& slots = *slots_.load(std::memory_order_acquire);
  const uint64_t there =
      slots.places[ShortHash(hash) & slots.mask].load(std::memory_order_relaxed) & kAddressMask;
  // A node begins anywhere in a cache line, and its key and value are behind it.
  PrefetchRead(reinterpret_cast<const char*>(there));
  PrefetchRead(reinterpret_cast<const char*>(there) + 64);
}

std::unique_ptr<Iterator> Memtable::NewIterator() const {
  return std::make_unique<MemtableIterator>(shared_from_this());
}

}  // namespace kvarts::sstable
