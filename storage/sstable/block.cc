#include "storage/sstable/block.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "base/prefetch.h"

namespace kvarts::sstable {
namespace {

constexpr int kRestartInterval = 8;
// What earlier programs wrote. It bounds what a block takes in memory, where all keys are whole but
// for what all of them have in common.
constexpr int kMaxRestartInterval = 16;

// An entry as it stands in a block.
struct Parsed {
  uint64_t shared = 0;
  absl::string_view rest;  // the key's own bytes
  Trailer trailer = 0;
  absl::string_view blob;
  const char* next = nullptr;  // null: there is none
};

Parsed Parse(const char* p, const char* end) {
  Parsed out;
  uint64_t rest = 0;
  uint64_t blob = 0;
  if (end - p > 3 && ((p[0] | p[1] | p[2]) & 0x80) == 0) {  // most are of a byte each
    out.shared = static_cast<unsigned char>(p[0]);
    rest = static_cast<unsigned char>(p[1]);
    blob = static_cast<unsigned char>(p[2]);
    p += 3;
  } else {
    p = ParseVarint(p, end, &out.shared);
    if (p != nullptr) p = ParseVarint(p, end, &rest);
    if (p != nullptr) p = ParseVarint(p, end, &blob);
  }
  const auto left = p == nullptr ? 0 : static_cast<uint64_t>(end - p);
  if (left < 8 || rest > left - 8 || blob > left - 8 - rest) return out;
  out.trailer = LoadLE64(p);
  out.rest = absl::string_view(p + 8, static_cast<size_t>(rest));
  out.blob = absl::string_view(p + 8 + rest, static_cast<size_t>(blob));
  out.next = p + 8 + rest + blob;
  return out;
}

// Places in a block of up to so many bytes fit into 16 bits, and the others into 32.
constexpr size_t kNarrowBytes = size_t{1} << 16;
constexpr size_t kMaxPlace = (size_t{1} << 32) - 1;
constexpr uint32_t kPlaceMask = 0xffff;

// The upper half of a slot. The home is made of the upper bits of the hash.
uint32_t TagOf(uint64_t hash) { return static_cast<uint32_t>(hash) << 16; }

size_t VarintBytes(uint64_t v) {
  size_t bytes = 1;
  for (; v >= 0x80; v >>= 7) ++bytes;
  return bytes;
}
char* StoreVarint(char* p, uint64_t v) {
  for (; v >= 0x80; v >>= 7) *p++ = static_cast<char>(v | 0x80);
  *p++ = static_cast<char>(v);
  return p;
}
// Of bytes that StoreVarint() wrote.
uint64_t TakeVarint(const char** p) {
  uint64_t value = static_cast<unsigned char>(*(*p)++);
  if (value < 0x80) return value;
  value &= 0x7f;
  for (int shift = 7;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*(*p)++);
    value |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace

void BlockBuilder::Add(const Entry& entry) {
  size_t shared = 0;
  if (restarts_.empty() || since_restart_ == kRestartInterval) {
    restarts_.push_back(static_cast<uint32_t>(bytes_.size()));
    since_restart_ = 0;
  } else {
    const size_t most = std::min(last_key_.size(), entry.key.size());
    while (shared < most && last_key_[shared] == entry.key[shared]) ++shared;
  }
  ++since_restart_;
  AppendVarint(&bytes_, shared);
  AppendVarint(&bytes_, entry.key.size() - shared);
  AppendVarint(&bytes_, entry.blob.size());
  AppendLE64(&bytes_, entry.trailer);
  bytes_.append(entry.key.data() + shared, entry.key.size() - shared);
  bytes_.append(entry.blob.data(), entry.blob.size());
  last_key_.assign(entry.key.data(), entry.key.size());
}

absl::string_view BlockBuilder::Finish() {
  for (const uint32_t restart : restarts_) AppendLE32(&bytes_, restart);
  AppendLE32(&bytes_, static_cast<uint32_t>(restarts_.size()));
  return bytes_;
}

void BlockBuilder::Reset() {
  bytes_.clear();
  restarts_.clear();
  since_restart_ = 0;
}

// What a block will take in memory.
struct Block::Shape {
  uint32_t entries = 0;
  uint32_t keys = 0;  // different ones
  size_t common = 0;  // bytes that all keys begin with
  size_t entry_bytes = 0;
  bool wide = false;

  // False where the bytes, which end with restarts, are no block.
  bool Read(const char* begin, const char* end, uint32_t restart_count);

  uint32_t slots() const { return wide ? 0 : keys + keys / 2 + 1; }  // a third stays free
  size_t slots_at() const { return sizeof(Block) + (common + 3) / 4 * 4; }
  size_t places_at() const { return slots_at() + size_t{4} * slots(); }
  size_t entries_at() const { return places_at() + size_t{wide ? 4U : 2U} * entries; }
  size_t bytes() const { return entries_at() + entry_bytes; }
};

bool Block::Shape::Read(const char* begin, const char* end, uint32_t restart_count) {
  absl::string_view first;
  const char* restart = end;
  uint32_t restarts = 0;
  int since_restart = kMaxRestartInterval;
  uint64_t last_size = 0;
  uint64_t bytes = 0;
  for (const char* p = begin; p < end;) {
    const Parsed entry = Parse(p, end);
    if (entry.next == nullptr || entry.shared > last_size) return false;
    const uint64_t size = entry.shared + entry.rest.size();
    bool same_key = entry.rest.empty() && entry.shared == last_size;
    size_t shared = static_cast<size_t>(entry.shared);
    if (restarts < restart_count && LoadLE32(restart) == static_cast<uint64_t>(p - begin)) {
      if (shared != 0) return false;
      restart += 4;
      ++restarts;
      since_restart = 0;
      if (entries == 0) {
        first = entry.rest;
        common = first.size();
      }
      const size_t most = std::min(common, entry.rest.size());
      while (shared < most && entry.rest[shared] == first[shared]) ++shared;
      same_key = false;  // if it is the same one, a slot more is free
    }
    if (++since_restart > kMaxRestartInterval) return false;
    // Each key begins with `common` bytes of the first one, and so does what shares them with it.
    common = std::min(common, shared);
    if (entries == 0 || !same_key) ++keys;
    ++entries;
    // With the varint of a whole key, which may be a byte longer than that of its rest.
    bytes += VarintBytes(size) + VarintBytes(entry.blob.size()) + 8 + size + entry.blob.size();
    last_size = size;
    p = entry.next;
  }
  if (entries == 0 || restarts != restart_count) return false;
  entry_bytes = static_cast<size_t>(bytes - uint64_t{entries} * common);
  wide = this->bytes() >= kNarrowBytes;
  return this->bytes() <= kMaxPlace;
}

Block::Block(size_t size) : bytes_(sizeof(Block) + size), laid_out_(false) {}

std::shared_ptr<const Block> Block::Make(size_t size, absl::FunctionRef<bool(char*)> write) {
  if (size < 8 || size > kMaxPlace - sizeof(Block)) return nullptr;
  const std::shared_ptr<Block> block(new (size) Block(size));
  if (!write(reinterpret_cast<char*>(block.get()) + sizeof(Block))) return nullptr;
  const uint32_t restarts = LoadLE32(block->base() + block->bytes_ - 4);
  if (uint64_t{restarts} * 4 + 4 > size) return nullptr;
  block->count_ = restarts;
  Shape shape;
  if (!shape.Read(block->entries(), block->entries_end(), restarts)) return nullptr;
  return block;
}

std::shared_ptr<const Block> Block::Make(absl::string_view bytes) {
  return Make(bytes.size(), [bytes](char* to) {
    std::copy(bytes.begin(), bytes.end(), to);
    return true;
  });
}

uint32_t Block::LastRestartBefore(absl::string_view key, Trailer trailer) const {
  uint32_t low = 0;
  uint32_t high = count_;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    const Parsed entry = Parse(restart(middle), entries_end());
    if (EntryLess(entry.rest, entry.trailer, key, trailer)) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// Keys are compared without being put together: `match` bytes of the key looked for are those of
// the entry before, which is less. What shares more with that one is less too, and what shares
// fewer is greater.
bool Block::GetByWalk(absl::string_view key, Trailer trailer, Entry* entry) const {
  const char* const end = entries_end();
  size_t match = 0;
  for (const char* p = restart(LastRestartBefore(key, trailer)); p < end;) {
    const Parsed here = Parse(p, end);
    p = here.next;
    if (here.shared == 0) match = 0;  // a whole key, which may share more than it says
    if (here.shared > match) continue;
    if (here.shared < match) return false;
    const absl::string_view wanted = key.substr(match);
    size_t same = 0;
    const size_t most = std::min(wanted.size(), here.rest.size());
    while (same < most && wanted[same] == here.rest[same]) ++same;
    if (same < here.rest.size()) {
      const bool greater = same == wanted.size() || static_cast<unsigned char>(here.rest[same]) >
                                                        static_cast<unsigned char>(wanted[same]);
      if (greater) return false;
    } else if (same == wanted.size() && here.trailer <= trailer) {
      *entry = {key, here.trailer, here.blob};
      return true;
    }
    match += same;
  }
  return false;
}

std::shared_ptr<const Block> Block::LayOut() const {
  Shape shape;
  const bool good = shape.Read(entries(), entries_end(), count_);
  assert(good);  // Make() has looked
  static_cast<void>(good);
  return std::shared_ptr<const Block>(new (shape.bytes() - sizeof(Block)) Block(shape, *this));
}

Block::Block(const Shape& shape, const Block& raw)
    : bytes_(shape.bytes()),
      laid_out_(true),
      wide_(shape.wide),
      count_(shape.entries),
      slot_count_(shape.slots()),
      slots_at_(static_cast<uint32_t>(shape.slots_at())),
      common_size_(static_cast<uint32_t>(shape.common)) {
  char* const base = reinterpret_cast<char*>(this);
  auto* const slots = reinterpret_cast<uint32_t*>(base + slots_at_);
  std::fill(slots, slots + slot_count_, 0);
  char* place = base + shape.places_at();
  char* p = base + shape.entries_at();
  const char* from = raw.entries();
  std::string key;
  std::string last_key;
  for (uint32_t i = 0; i < count_; ++i) {
    const Parsed entry = Parse(from, raw.entries_end());
    from = entry.next;
    if (i == 0) std::copy_n(entry.rest.data(), common_size_, base + sizeof(Block));
    const auto at = static_cast<uint32_t>(p - base);
    if (wide_) {
      StoreLE32(place, at);
      place += 4;
    } else {
      const auto narrow = static_cast<uint16_t>(at);
      std::memcpy(place, &narrow, sizeof narrow);
      place += sizeof narrow;
    }
    std::swap(key, last_key);
    key.assign(last_key, 0, static_cast<size_t>(entry.shared));
    key.append(entry.rest.data(), entry.rest.size());
    // Older versions of a key follow its newest one.
    if (slot_count_ > 0 && (i == 0 || key != last_key)) {
      const uint64_t hash = KeyHash(key);
      uint32_t slot = HomeOf(hash);
      while (slots[slot] != 0) slot = slot + 1 == slot_count_ ? 0 : slot + 1;
      slots[slot] = TagOf(hash) | at;
    }
    p = StoreVarint(p, key.size() - common_size_);
    p = StoreVarint(p, entry.blob.size());
    StoreLE64(p, entry.trailer);
    p = std::copy_n(key.data() + common_size_, key.size() - common_size_, p + 8);
    p = std::copy_n(entry.blob.data(), entry.blob.size(), p);
  }
}

uint32_t Block::Place(uint32_t i) const {
  const char* const places = base() + slots_at_ + size_t{4} * slot_count_;
  if (wide_) return LoadLE32(places + size_t{4} * i);
  uint16_t place;
  std::memcpy(&place, places + size_t{2} * i, sizeof place);
  return place;
}

Block::Row Block::RowAt(const char* p) const {
  const uint64_t rest = TakeVarint(&p);
  const uint64_t blob = TakeVarint(&p);
  return {absl::string_view(p + 8, static_cast<size_t>(rest)), LoadLE64(p),
          absl::string_view(p + 8 + rest, static_cast<size_t>(blob))};
}

uint32_t Block::LowerBound(absl::string_view key, Trailer trailer) const {
  if (!BeginsWith(key, common())) return key < common() ? 0 : count_;
  key.remove_prefix(common_size_);
  uint32_t low = 0;
  uint32_t high = count_;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const Row row = RowOf(middle);
    if (EntryLess(row.rest, row.trailer, key, trailer)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool Block::GetBySlot(absl::string_view key, uint64_t hash, Trailer trailer, Entry* entry) const {
  if (!BeginsWith(key, common())) return false;
  const absl::string_view rest = key.substr(common_size_);
  if (slot_count_ > 0) {
    const uint32_t tag = TagOf(hash);
    for (uint32_t slot = HomeOf(hash);; slot = slot + 1 == slot_count_ ? 0 : slot + 1) {
      const uint32_t word = slots()[slot];
      if (word == 0) return false;
      if ((word & ~kPlaceMask) != tag) continue;
      const Row row = RowAt(base() + (word & kPlaceMask));
      if (row.rest.size() != rest.size() || !BeginsWith(rest, row.rest)) continue;
      if (row.trailer > trailer) break;  // an older version is looked for
      *entry = {key, row.trailer, row.blob};
      return true;
    }
  }
  const uint32_t i = LowerBound(key, trailer);
  if (i == count_) return false;
  const Row row = RowOf(i);
  if (row.rest != rest) return false;
  *entry = {key, row.trailer, row.blob};
  return true;
}

void Block::PrefetchSlot(uint64_t hash) const {
  if (slot_count_ > 0) {
    PrefetchRead(slots() + HomeOf(hash));
  } else if (!laid_out_) {
    PrefetchRead(entries_end());
  }
}

void Block::PrefetchEntry(uint64_t hash) const {
  if (slot_count_ == 0) return;
  const uint32_t tag = TagOf(hash);
  for (uint32_t slot = HomeOf(hash);; slot = slot + 1 == slot_count_ ? 0 : slot + 1) {
    const uint32_t word = slots()[slot];
    if (word == 0) return;
    if ((word & ~kPlaceMask) != tag) continue;
    // An entry begins anywhere in a cache line.
    PrefetchRead(base() + (word & kPlaceMask));
    return PrefetchRead(base() + (word & kPlaceMask) + 64);
  }
}

// Not thread-safe. Over a block as it was read.
class BlockWalk final : public Iterator {
 public:
  explicit BlockWalk(std::shared_ptr<const Block> block)
      : owner_(std::move(block)), block_(*owner_), end_(block_.entries_end()) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    GoTo(block_.LastRestartBefore(key, trailer));
    while (valid() && EntryLess(entry().key, entry().trailer, key, trailer)) Step();
  }
  void SeekToFirst() override { GoTo(0); }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    Seek(key, trailer);
    valid() ? Prev() : SeekToLast();
  }
  void SeekToLast() override {
    GoTo(block_.count_ - 1);
    while (next_ < end_) Step();
  }
  void Next() override { Step(); }
  // It walks up to the entry from the last whole key in front of it.
  void Prev() override {
    const char* const before = at_;
    uint32_t low = 0;
    uint32_t high = block_.count_;
    while (high - low > 1) {
      const uint32_t middle = low + (high - low) / 2;
      (block_.restart(middle) < before ? low : high) = middle;
    }
    if (before == block_.entries()) return ShowNothing();
    GoTo(low);
    while (next_ < before) Step();
  }
  Pin pin() const override { return owner_; }

 private:
  void GoTo(uint32_t restart) {
    next_ = block_.restart(restart);
    Step();
  }
  void Step() {
    if (next_ >= end_) return ShowNothing();
    at_ = next_;
    const Parsed parsed = Parse(at_, end_);
    next_ = parsed.next;
    key_.resize(static_cast<size_t>(parsed.shared));
    key_.append(parsed.rest.data(), parsed.rest.size());
    Show({key_, parsed.trailer, parsed.blob});
  }

  const std::shared_ptr<const Block> owner_;
  const Block& block_;
  const char* const end_;
  const char* at_ = nullptr;    // the entry that is shown
  const char* next_ = nullptr;  // the one behind it
  std::string key_;
};

// Not thread-safe. Over a block that is laid out.
class BlockIterator final : public Iterator {
 public:
  explicit BlockIterator(std::shared_ptr<const Block> block)
      : owner_(std::move(block)), block_(*owner_), key_(block_.common()) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    GoTo(block_.LowerBound(key, trailer));
  }
  void SeekToFirst() override { GoTo(0); }
  // Below the first one is count_ or more, as behind the last one.
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    GoTo(block_.LowerBound(key, trailer) - 1);
  }
  void SeekToLast() override { GoTo(block_.count_ - 1); }
  void Next() override { GoTo(i_ + 1); }
  void Prev() override { GoTo(i_ - 1); }
  Pin pin() const override { return owner_; }

 private:
  void GoTo(uint32_t i) {
    i_ = i;
    if (i >= block_.count_) return ShowNothing();
    const Block::Row row = block_.RowOf(i);
    key_.resize(block_.common_size_);
    key_.append(row.rest.data(), row.rest.size());
    Show({key_, row.trailer, row.blob});
  }

  const std::shared_ptr<const Block> owner_;
  const Block& block_;
  std::string key_;  // the first bytes are always what all keys begin with
  uint32_t i_ = 0;
};

std::unique_ptr<Iterator> Block::NewIterator(std::shared_ptr<const Block> block) {
  if (block->is_laid_out()) return std::make_unique<BlockIterator>(std::move(block));
  return std::make_unique<BlockWalk>(std::move(block));
}

}  // namespace kvarts::sstable
