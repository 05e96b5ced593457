#include "storage/memory/image.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kvarts::memory_internal {

Image::Image(const Chunk& first, int depth, const Undo* undo) {
  size_t most = undo == nullptr ? 0 : undo->memory_bytes();
  for (const Chunk* chunk = &first; chunk != nullptr; chunk = chunk->next) {
    if (!chunk->empty()) most += chunk->live_bytes();
  }
  records_.reset(new char[most]);  // NOLINT(modernize-make-unique): which would fill it
  memory_ = sizeof(*this) + most;
  // What was written since the moment.
  std::vector<const char*> later;
  if (undo != nullptr) {
    undo->ForEach([&](const TableKey& key, const char* record) {
      Chunk::Place place;
      for (const Chunk* chunk = &first; chunk != nullptr; chunk = chunk->next) {
        if (chunk->Find(key, depth, &place)) later.push_back(place.record);
      }
      const RecordLayout layout = RecordLayout::At(record);
      if (!layout.header.has(RecordHeader::kDead)) Add(record, layout);
    });
    std::sort(later.begin(), later.end());
  }
  for (const Chunk* chunk = &first; chunk != nullptr; chunk = chunk->next) {
    for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
      const RecordLayout layout = RecordLayout::At(record);
      if (layout.header.has(RecordHeader::kDead)) continue;
      if (later.empty() || !std::binary_search(later.begin(), later.end(), record)) {
        Add(record, layout);
      }
    }
  }
}

void Image::Add(const char* record, const RecordLayout& layout) {
  char* const to = records_.get() + size_;
  LoadBytes(record, layout.bytes, to);
  size_ += layout.bytes;
  if (!layout.header.has(RecordHeader::kBlob)) return;
  Blob* const blob = layout.BlobOf(to);
  blob->Ref();
  memory_ += Blob::MemoryBytes(blob->size);
  has_blobs_ = true;
}

Image::~Image() {
  if (!has_blobs_) return;
  for (const char* record = nullptr; (record = Next(record)) != nullptr;) {
    const RecordLayout layout = RecordLayout::At(record);
    if (layout.header.has(RecordHeader::kBlob)) layout.BlobOf(record)->Unref();
  }
}

void ImageQueue::Open() {
  MutexLock lock(&mu_);
  open_ = true;
}

void ImageQueue::Close() {
  std::deque<std::unique_ptr<Image>> dropped;
  MutexLock lock(&mu_);
  open_ = false;
  bytes_ = 0;
  dropped.swap(images_);
  changed_.SignalAll();
}

ImageQueue::State ImageQueue::StateLocked() const {
  if (!open_) return State::kClosed;
  return bytes_ < max_bytes_ || images_.empty() ? State::kRoom : State::kFull;
}

ImageQueue::State ImageQueue::state() {
  MutexLock lock(&mu_);
  return StateLocked();
}

void ImageQueue::Push(std::unique_ptr<Image> image) {
  MutexLock lock(&mu_);
  if (!open_) return;
  bytes_ += image->memory_bytes();
  images_.push_back(std::move(image));
}

std::unique_ptr<Image> ImageQueue::Pop() {
  MutexLock lock(&mu_);
  if (images_.empty()) return nullptr;
  std::unique_ptr<Image> image = std::move(images_.front());
  images_.pop_front();
  bytes_ -= image->memory_bytes();
  changed_.SignalAll();
  return image;
}

void ImageQueue::WaitForRoom() {
  MutexLock lock(&mu_);
  while (StateLocked() == State::kFull) changed_.Wait(&mu_);
}

}  // namespace kvarts::memory_internal
