#include <memory>
#include <utility>
#include <vector>

#include "storage/memory/image.h"
#include "storage/memory/table.h"

// How all images are of one moment.
//
// (1) The number of the snapshot, `epoch_`, moves while all locks of segments are held, by
//     BeginSnapshot(): no writer is inside of one then, and no atomic batch, which has all
//     its locks from before its first change to behind its last. That is the moment. Each
//     write is before it or behind it, whole, as every reader has seen and will see it.
// (2) Whoever writes behind the moment into a segment whose number is older first notes
//     what the key held, in the segment's Undo, unless that is there already: nobody has
//     changed it since the moment. An image is what the segment holds, with that undone.
//     It is taken with the segment's lock, and the segment has the new number from then on.
//     A segment that is split gives its number to both halves, and to each its notes.
// (3) TakeImages() goes over all segments, so each key's image is of the moment, and is
//     taken once.
//
// Notes are bounded. Beyond that a writer takes the image of its segment, and sends it to
// TakeImages() by a queue; who writes many keys at once (a range) does so from the first.
// The queue is bounded: where it is full, a writer waits.
//
// Not changes: Sweep(), as what has expired is left out anyway; making a stamp, splitting,
// copying: the entries stay what they are.
//
// Why nobody waits for ever: a writer waits for room in the queue, which TakeImages()
// makes; that one waits for no lock, but tries, and empties the queue between tries.
// BeginSnapshot() waits for locks in the order in which batches do, while nobody can be
// waiting for room.
namespace kvarts::memory_internal {

void Table::BeginSnapshot() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<Segment*> locked;
  uint64_t position = 0;
  {
    // Not while readers wait.
    MutexLock lock(&mu_);
    locked.reserve(2 * segments_.size() + 1024);
  }
  do {
    locked.push_back(LockFor(position));
    position = EndOf(*locked.back());
  } while (position != 0);
  images_.Open();
  ++epoch_;
  for (Segment* const segment : locked) segment->lock.UnlockUnchanged();
}

bool Table::Prepare(Segment* segment, bool many) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (!many && undo_bytes_.load(std::memory_order_relaxed) < options_.max_undo_bytes) return true;
  switch (images_.state()) {
    case ImageQueue::State::kFull:
      segment->lock.UnlockUnchanged();
      return false;
    case ImageQueue::State::kRoom:
      images_.Push(TakeImage(segment));
      break;
    case ImageQueue::State::kClosed:  // the snapshot has failed
      Forget(segment);
      break;
  }
  return true;
}

void Table::RememberNow(Segment* segment, const TableKey& key, const Chunk::Place* old) {
  if (segment->undo == nullptr) segment->undo = std::make_unique<Undo>();
  const size_t before = segment->undo->memory_bytes();
  segment->undo->Note(key, old);
  undo_bytes_.fetch_add(segment->undo->memory_bytes() - before, std::memory_order_relaxed);
}

std::unique_ptr<Image> Table::TakeImage(Segment* segment) {
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  auto image = std::make_unique<Image>(segment->chunk, depth, segment->undo.get());
  Forget(segment);
  return image;
}

void Table::Forget(Segment* segment) {
  if (segment->undo != nullptr) {
    undo_bytes_.fetch_sub(segment->undo->memory_bytes(), std::memory_order_relaxed);
    segment->undo.reset();
  }
  segment->epoch = epoch_;
}

void Table::ForgetAll() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  uint64_t position = 0;
  do {
    Segment* const segment = LockFor(position);
    if (segment->epoch != epoch_) Forget(segment);
    position = EndOf(*segment);
    segment->lock.UnlockUnchanged();
  } while (position != 0);
}

absl::Status Table::TakeImages(absl::FunctionRef<absl::Status(const Image& image)> consume)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  BeginSnapshot();
  absl::Status status;
  uint64_t position = 0;
  Backoff backoff;
  for (bool at_end = false; status.ok();) {
    // Those of writers come first: they may be waiting.
    if (const std::unique_ptr<Image> image = images_.Pop()) {
      status = consume(*image);
      continue;
    }
    if (at_end) break;
    Segment* const segment = SegmentOf(position);
    if (!segment->lock.TryLock()) {
      backoff.Wait();
      continue;
    }
    if (!Segment::Covers(segment->range.load(std::memory_order_relaxed), position)) {
      segment->lock.UnlockUnchanged();
      backoff.Wait();
      continue;
    }
    std::unique_ptr<Image> image;
    if (segment->epoch != epoch_) image = TakeImage(segment);
    position = EndOf(*segment);
    at_end = position == 0;
    segment->lock.UnlockUnchanged();
    if (image != nullptr) status = consume(*image);
  }
  images_.Close();
  if (!status.ok()) ForgetAll();
  return status;
}

}  // namespace kvarts::memory_internal
