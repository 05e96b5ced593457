#include "storage/sstable/block.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"

namespace kvarts::sstable {
namespace {

// How many entries a lookup may have to pass: few, since each costs as much as a step of bisection.
constexpr int kRestartInterval = 8;

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
  p = ParseVarint(p, end, &out.shared);
  if (p != nullptr) p = ParseVarint(p, end, &rest);
  if (p != nullptr) p = ParseVarint(p, end, &blob);
  const auto left = p == nullptr ? 0 : static_cast<uint64_t>(end - p);
  if (left < 8 || rest > left - 8 || blob > left - 8 - rest) return out;
  out.trailer = LoadLE64(p);
  out.rest = absl::string_view(p + 8, static_cast<size_t>(rest));
  out.blob = absl::string_view(p + 8 + rest, static_cast<size_t>(blob));
  out.next = p + 8 + rest + blob;
  return out;
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

Block::Block(std::string bytes) : bytes_(std::move(bytes)) {
  if (bytes_.size() < 8) return;
  const uint32_t count = LoadLE32(bytes_.data() + bytes_.size() - 4);
  if (count == 0 || uint64_t{count} * 4 + 4 > bytes_.size()) return;
  const size_t entries = bytes_.size() - 4 - 4 * size_t{count};
  entries_ = absl::string_view(bytes_.data(), entries);
  restarts_ = bytes_.data() + entries;
  restart_count_ = count;
}

// Not thread-safe.
class BlockIterator final : public Iterator {
 public:
  explicit BlockIterator(std::shared_ptr<const Block> block)
      : owner_(std::move(block)), block_(owner_.get()) {
    if (block_->restart_count_ == 0) Fail();
  }

  void Seek(absl::string_view key, Trailer trailer) override {
    if (!status_.ok()) return;
    GoToRestart(RestartBefore(key, trailer));
    while (valid() && EntryLess(key_, trailer_, key, trailer)) Next();
  }
  void SeekToFirst() override {
    if (status_.ok()) GoToRestart(0);
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    if (!status_.ok()) return;
    GoToLastBefore(RestartBefore(key, trailer),
                   [&] { return EntryLess(key_, trailer_, key, trailer); });
  }
  void SeekToLast() override {
    if (!status_.ok()) return;
    GoToLastBefore(block_->restart_count_ - 1, [] { return true; });
  }
  void Next() override { ParseAt(next_); }
  void Prev() override {
    const char* const now = current_;
    uint32_t restart = restart_;
    // The last restart before the current entry.
    while (restart > 0 && block_->entries_.data() + block_->Restart(restart) >= now) --restart;
    GoToLastBefore(restart, [&] { return current_ < now; });
  }
  bool valid() const override { return current_ != nullptr; }
  Entry entry() const override { return {key_, trailer_, blob_}; }
  absl::Status status() const override { return status_; }
  Pin pin() const override { return owner_; }

 private:
  void Fail() {
    current_ = nullptr;
    status_ = absl::DataLossError("a block that is none");
  }
  const char* end() const { return block_->entries_.data() + block_->entries_.size(); }

  // The last restart whose entry is less; the first one where none is.
  uint32_t RestartBefore(absl::string_view key, Trailer trailer) {
    uint32_t low = 0;
    uint32_t high = block_->restart_count_;
    while (high - low > 1) {
      const uint32_t middle = low + (high - low) / 2;
      const uint32_t at = block_->Restart(middle);
      if (at >= block_->entries_.size()) {
        high = middle;
        continue;
      }
      const Parsed parsed = Parse(block_->entries_.data() + at, end());
      if (parsed.next == nullptr || EntryLess(parsed.rest, parsed.trailer, key, trailer)) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void GoToRestart(uint32_t restart) {
    restart_ = restart;
    const uint32_t at = block_->Restart(restart);
    if (at > block_->entries_.size()) return Fail();
    key_.clear();
    ParseAt(block_->entries_.data() + at);
  }

  void ParseAt(const char* p) {
    if (p == end()) {
      current_ = nullptr;
      return;
    }
    const Parsed parsed = Parse(p, end());
    if (parsed.next == nullptr || parsed.shared > key_.size()) return Fail();
    key_.resize(static_cast<size_t>(parsed.shared));
    key_.append(parsed.rest.data(), parsed.rest.size());
    trailer_ = parsed.trailer;
    blob_ = parsed.blob;
    current_ = p;
    next_ = parsed.next;
  }

  // Forwards from `restart` to the last entry for which `before` holds.
  template <typename Before>
  void GoToLastBefore(uint32_t restart, const Before& before) {
    GoToRestart(restart);
    std::string key;
    BlockIteratorPlace place;
    while (valid() && before()) {
      key = key_;
      place = {current_, next_, trailer_, blob_};
      Next();
    }
    if (!status_.ok()) return;
    current_ = place.current;
    next_ = place.next;
    trailer_ = place.trailer;
    blob_ = place.blob;
    key_ = std::move(key);
    // Where it is now is in this restart or a later one: Prev() looks from the last on.
    restart_ = block_->restart_count_ - 1;
  }

  struct BlockIteratorPlace {
    const char* current = nullptr;
    const char* next = nullptr;
    Trailer trailer = 0;
    absl::string_view blob;
  };

  const std::shared_ptr<const Block> owner_;
  const Block* const block_;
  absl::Status status_;
  uint32_t restart_ = 0;  // not before the current entry's
  std::string key_;
  Trailer trailer_ = 0;
  absl::string_view blob_;
  const char* current_ = nullptr;  // null: not valid
  const char* next_ = nullptr;
};

std::unique_ptr<Iterator> Block::NewIterator(std::shared_ptr<const Block> block) {
  return std::make_unique<BlockIterator>(std::move(block));
}

// Without making up any key: what an entry has in common with the one before it says how it stands
// to `key`, given how the one before did. All entries passed are less than `key`, or newer versions
// of it; `matched` is how many bytes the last of them has in common with it.
bool Block::Get(absl::string_view key, Trailer trailer, Entry* entry, bool* good) const {
  *good = restart_count_ > 0;
  if (!*good) return false;
  const char* const end = entries_.data() + entries_.size();
  uint32_t low = 0;
  uint32_t high = restart_count_;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    const uint32_t at = Restart(middle);
    const Parsed parsed = at < entries_.size() ? Parse(entries_.data() + at, end) : Parsed();
    if (parsed.next == nullptr) {
      *good = false;
      return false;
    }
    if (EntryLess(parsed.rest, parsed.trailer, key, trailer)) {
      low = middle;
    } else {
      high = middle;
    }
  }
  size_t matched = 0;
  bool equal = false;  // the last entry passed has the key itself
  // A key that is whole says nothing of the one before it.
  uint32_t next_restart = low;
  const char* p = entries_.data() + std::min<size_t>(Restart(low), entries_.size());
  while (p < end) {
    const Parsed parsed = Parse(p, end);
    const bool whole =
        next_restart < restart_count_ && p == entries_.data() + Restart(next_restart);
    if (whole) {
      ++next_restart;
      matched = 0;
    }
    if (parsed.next == nullptr || (whole && parsed.shared != 0)) {
      *good = false;
      return false;
    }
    p = parsed.next;
    if (parsed.shared < matched) return false;  // it is above the key
    if (parsed.shared > matched) continue;      // it is below, as the one before
    const absl::string_view rest = key.substr(matched);
    const size_t most = std::min(rest.size(), parsed.rest.size());
    size_t n = 0;
    while (n < most && rest[n] == parsed.rest[n]) ++n;
    if (n == rest.size() && n == parsed.rest.size()) {
      if (parsed.trailer <= trailer) {
        *entry = {key, parsed.trailer, parsed.blob};
        return true;
      }
      equal = true;
    } else if (equal || n == rest.size() ||
               (n < parsed.rest.size() &&
                static_cast<unsigned char>(parsed.rest[n]) > static_cast<unsigned char>(rest[n]))) {
      return false;
    }
    matched += n;
  }
  return false;
}

}  // namespace kvarts::sstable
