#include "storage/fs/memory_image.h"

#include <algorithm>
#include <utility>

namespace kvarts {

std::string* MemoryImage::Bytes::Mutable() {
  if (shared) {
    bytes = std::make_shared<std::string>(*bytes);
    shared = false;
  }
  return bytes.get();
}

std::shared_ptr<std::string> MemoryImage::Bytes::Share() {
  shared = true;
  return bytes;
}

void MemoryImage::Apply(const Change& change, std::string* bytes) {
  if (change.is_resize) {
    bytes->resize(change.offset);
    return;
  }
  if (bytes->size() < change.offset + change.bytes.size()) {
    bytes->resize(change.offset + change.bytes.size());
  }
  std::copy(change.bytes.begin(), change.bytes.end(), bytes->begin() + change.offset);
}

void MemoryImage::Write(uint64_t offset, absl::string_view bytes) {
  if (bytes.empty()) return;
  changes_.push_back({offset, std::string(bytes), false});
  Apply(changes_.back(), live_.Mutable());
}

void MemoryImage::Resize(uint64_t size) {
  if (size == live().size()) return;
  changes_.push_back({size, "", true});
  Apply(changes_.back(), live_.Mutable());
}

void MemoryImage::Sync() {
  if (changes_.empty()) return;
  std::string* const disk = disk_.Mutable();
  for (const Change& change : changes_) Apply(change, disk);
  changes_.clear();
}

void MemoryImage::LoseUnsynced(bool at_once) {
  const uint64_t size = live().size();
  changes_.clear();
  if (size != disk_.bytes->size()) changes_.push_back({size, "", true});
  if (!at_once) return;
  live_ = {std::make_shared<std::string>(*disk_.bytes), false};
  live_.bytes->resize(size);
}

std::shared_ptr<const std::string> MemoryImage::Share() { return live_.Share(); }

MemoryImage MemoryImage::AfterCrash(CrashPolicy::Data policy, CrashRandom* random) {
  MemoryImage after;
  if (changes_.empty() || policy == CrashPolicy::Data::kDropped) {
    after.disk_ = {disk_.Share(), true};
  } else if (policy == CrashPolicy::Data::kGarbled) {
    *after.disk_.bytes = Garbled(random);
  } else {
    const bool all = policy == CrashPolicy::Data::kKept;
    const size_t whole = all ? changes_.size() : random->UpTo(changes_.size());
    std::string bytes = *disk_.bytes;
    for (size_t i = 0; i < whole; ++i) Apply(changes_[i], &bytes);
    if (whole < changes_.size() && !changes_[whole].is_resize) {
      Change torn = changes_[whole];
      torn.bytes.resize(random->UpTo(torn.bytes.size()));
      if (!torn.bytes.empty()) Apply(torn, &bytes);
    }
    *after.disk_.bytes = std::move(bytes);
  }
  after.live_ = {after.disk_.Share(), true};
  return after;
}

std::string MemoryImage::Garbled(CrashRandom* random) const {
  // The size of some moment since the last sync, often the last one's.
  const size_t whole = random->UpTo(1) == 0 ? changes_.size() : random->UpTo(changes_.size());
  std::string latest = *disk_.bytes;
  size_t size = latest.size();
  for (size_t i = 0; i < changes_.size(); ++i) {
    Apply(changes_[i], &latest);
    if (i + 1 == whole) size = latest.size();
  }
  latest.resize(size);
  std::string result = *disk_.bytes;
  result.resize(size);
  const uint64_t sector = uint64_t{1} << random->UpTo(9);
  for (const Change& change : changes_) {
    if (change.is_resize) continue;
    const uint64_t end = std::min<uint64_t>(change.offset + change.bytes.size(), size);
    for (uint64_t at = change.offset; at < end;) {
      const uint64_t next = std::min(end, (at / sector + 1) * sector);
      const uint64_t fate = random->UpTo(2);
      for (; at < next; ++at) {
        if (fate == 1) result[at] = latest[at];
        if (fate == 2) result[at] = static_cast<char>(random->Next());
      }
    }
  }
  return result;
}

}  // namespace kvarts
