#include "storage/dict/log_sort.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kvarts {
namespace {

constexpr size_t kPiece = 1 << 20;
// Below that the counters of a radix sort cost more than comparisons.
constexpr size_t kFewItems = 1 << 11;
constexpr int kDigitBits = 10;

}  // namespace

void LogSorter::SortUnique(EntryLog* log) {
  // Twice the piece: else a log of a few more would be sorted twice for nothing.
  while (log->size() > 2 * kPiece) {
    size_t kept = 0;
    for (size_t i = 0; i < log->size(); i += kPiece) {
      kept = SortPiece(log, i, std::min(i + kPiece, log->size()), kept);
    }
    const bool shorter = kept < log->size() / 2;
    log->Truncate(kept);
    if (!shorter) break;  // it is long because there are so many keys
  }
  log->Truncate(SortPiece(log, 0, log->size(), 0));
}

size_t LogSorter::SortPiece(EntryLog* log, size_t begin, size_t end, size_t to) {
  const int payload_bits = layout_.payload_bits();
  items_.resize(end - begin);
  for (size_t i = begin; i < end; ++i) {
    const LogEntry entry = log->Get(i);
    items_[i - begin] = {entry.Hash(payload_bits), entry.Payload(payload_bits)};
  }
  RadixSort();
  const auto put = [&](const Item& item) {
    log->Set(to++, LogEntry::Make(item.payload, item.hash, payload_bits));
  };
  for (size_t i = 0; i < items_.size();) {
    size_t next = i + 1;
    while (next < items_.size() && items_[next].hash == items_[i].hash) ++next;
    if (next == i + 1) {
      put(items_[i]);
    } else {
      Unify(i, next, &unique_);
      for (const Item& item : unique_) put(item);
    }
    i = next;
  }
  return to;
}

// By the digits that hashes can differ in, the last first.
void LogSorter::RadixSort() {
  if (items_.size() < kFewItems) {
    std::sort(items_.begin(), items_.end(),
              [](const Item& a, const Item& b) { return a.hash < b.hash; });
    return;
  }
  scratch_.resize(items_.size());
  for (int shift = (layout_.payload_bits() - 16) % kDigitBits; shift < 64; shift += kDigitBits) {
    std::array<uint32_t, 1 << kDigitBits> starts{};
    constexpr uint64_t kMask = (1 << kDigitBits) - 1;
    for (const Item& item : items_) ++starts[item.hash >> shift & kMask];
    uint32_t start = 0;
    for (uint32_t& s : starts) start += std::exchange(s, start);
    for (const Item& item : items_) scratch_[starts[item.hash >> shift & kMask]++] = item;
    items_.swap(scratch_);
  }
}

void LogSorter::Unify(size_t begin, size_t end, std::vector<Item>* unique) const {
  unique->clear();
  std::vector<absl::string_view> keys;
  for (size_t i = begin; i < end; ++i) {
    const Item& item = items_[i];
    const uint64_t offset = layout_.Offset(item.payload);
    absl::string_view key;
    const bool held = data_.Get(offset, &key, nullptr);  // else its reads will say so
    const auto same = held ? std::find(keys.begin(), keys.end(), key) : keys.end();
    if (same == keys.end()) {
      keys.push_back(held ? key : absl::string_view());
      unique->push_back(item);
    } else if (Item& other = (*unique)[same - keys.begin()];
               layout_.Offset(other.payload) < offset) {
      other = item;
    }
  }
}

}  // namespace kvarts
