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
// (2) Who has locked a segment to change it, behind the moment, finds that its number is
//     older (a segment that is split gives its number to both halves), and takes its image
//     first: nobody has changed it since the moment, or the number would be the new one.
//     What is not changed has its image taken by TakeImages(), which goes over all.
// (3) So each segment's image is of the moment, and each is taken once.
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

bool Table::Preserve(Segment* segment) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  switch (images_.state()) {
    case ImageQueue::State::kFull:
      segment->lock.UnlockUnchanged();
      return false;
    case ImageQueue::State::kRoom:
      images_.Push(std::make_unique<Image>(segment->chunk));
      break;
    case ImageQueue::State::kClosed:  // it has failed
      break;
  }
  segment->epoch = epoch_;
  return true;
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
    if (segment->epoch != epoch_) {
      image = std::make_unique<Image>(segment->chunk);
      segment->epoch = epoch_;
    }
    position = EndOf(*segment);
    at_end = position == 0;
    segment->lock.UnlockUnchanged();
    if (image != nullptr) status = consume(*image);
  }
  images_.Close();
  return status;
}

}  // namespace kvarts::memory_internal
