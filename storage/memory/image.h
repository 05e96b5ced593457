#ifndef KVARTS_STORAGE_MEMORY_IMAGE_H_
#define KVARTS_STORAGE_MEMORY_IMAGE_H_

#include <cstddef>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/memory/chunk.h"
#include "storage/memory/record.h"
#include "storage/memory/undo.h"

namespace kvarts::memory_internal {

// Constant. A copy of the records of a segment, as they were at a moment: one behind the
// other, as they lie in its log. Blobs are not copied; the image has a reference to each.
class Image {
 public:
  // Of a segment, all its chunks, which nobody changes meanwhile. `undo`, if there is any,
  // has what its keys held that were written since the moment.
  Image(const Chunk& first, int depth, const Undo* undo);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  // Goes over the records: null at first, and at the end.
  const char* Next(const char* record) const {
    record = record == nullptr ? records_.get() : record + RecordLayout::At(record).bytes;
    return record < records_.get() + size_ ? record : nullptr;
  }
  // What it keeps in memory: with the blobs, which may be nobody else's by now.
  size_t memory_bytes() const { return memory_; }

 private:
  void Add(const char* record, const RecordLayout& layout);

  std::unique_ptr<char[]> records_;
  size_t size_ = 0;
  size_t memory_ = 0;
  bool has_blobs_ = false;
};

// Thread-safe. Images that writers have taken, on their way to the thread that writes the
// snapshot.
class ImageQueue {
 public:
  enum class State : unsigned char { kClosed = 0, kFull, kRoom };

  explicit ImageQueue(size_t max_bytes) : max_bytes_(max_bytes) {}

  void Open();
  // Drops what is left. Who waits for room goes on.
  void Close();

  State state();
  // Beyond the limit by this one, or by as many as there are threads that saw room.
  void Push(std::unique_ptr<Image> image);
  // The oldest; null where there is none.
  std::unique_ptr<Image> Pop();
  // Returns when it is not full.
  void WaitForRoom();

 private:
  State StateLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t max_bytes_;
  Mutex mu_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<std::unique_ptr<Image>> images_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_IMAGE_H_
