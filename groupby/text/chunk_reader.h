#ifndef KVARTS_GROUPBY_TEXT_CHUNK_READER_H_
#define KVARTS_GROUPBY_TEXT_CHUNK_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/cond_var.h"
#include "base/memory_budget.h"
#include "base/mutex.h"
#include "groupby/text/byte_source.h"
#include "groupby/text/page_buffer.h"
#include "groupby/text/row_ends.h"

namespace kvarts::groupby_text {

struct ChunkOptions {
  // What is read at a time; a chunk has at most that many bytes, or one row and the
  // rows that were read with its end.
  size_t chunk_bytes = 256 << 10;
  // A longer row is an error.
  size_t max_row_bytes = 64 << 20;
  // Where chunks above chunk_bytes, those of long rows, are counted; may be null.
  MemoryBudget* budget = nullptr;
  bool quotes = false;  // see RowEnds
  char delimiter = ',';
};

// Thread-safe. One holder at a time.
class Turn {
 public:
  void Take();
  void Give();

 private:
  Mutex mu_;
  CondVar given_;
  bool taken_ ABSL_GUARDED_BY(mu_) = false;
};

// Some whole rows; the last one of the input may lack its newline. One thread's, used
// again for each chunk; destroyed before its reader.
struct Chunk {
  Chunk() = default;
  ~Chunk() { GiveTurn(); }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  uint64_t number = 0;
  char* text = nullptr;  // in `buffer`; may be overwritten
  size_t size = 0;
  // Where Next() fails: the first row of the chunk is the reason.
  bool row_failed = false;

  // For the reader.
  void GiveTurn();
  PageBuffer buffer;
  Turn* turn = nullptr;                            // of a chunk with a long row
  std::unique_ptr<MemoryBudget::Account> account;  // likewise: what is above chunk_bytes
};

// Thread-safe. An input, cut into chunks of whole rows. A byte order mark in front of the
// first row is left out.
class ChunkReader {
 public:
  ChunkReader(std::unique_ptr<ByteSource> source, const ChunkOptions& options);

  // Takes the first row, without its newline; before the first Next(). "" of an empty
  // input.
  absl::StatusOr<std::string> TakeHeader();

  // The next chunk; false behind the last one. Where it fails chunk->number is that of
  // the chunk that would have come. A chunk with a row longer than chunk_bytes waits
  // until the one before it was given back, with the next call for that Chunk: memory
  // has to hold one of them.
  absl::StatusOr<bool> Next(Chunk* chunk);
  // Next() returns false from now on. Waits for nothing.
  void Stop() { stopped_.store(true, std::memory_order_relaxed); }

  // kDataLoss where that is what the next bytes of a compressed input end with, of `bytes`
  // at most: the reason why rows were wrong. After Stop().
  absl::Status FindDamage(uint64_t bytes);

  // See ByteSource.
  uint64_t position() const { return position_.load(std::memory_order_relaxed); }
  uint64_t size() const { return size_; }

 private:
  absl::StatusOr<bool> Fill(Chunk* chunk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status ReadTo(char* to, size_t* have, size_t want) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Grow(Chunk* chunk, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ChunkOptions options_;
  const uint64_t size_;
  std::atomic<uint64_t> position_{0};
  std::atomic<bool> stopped_{false};
  Turn long_row_;

  Mutex mu_;
  const std::unique_ptr<ByteSource> source_ ABSL_GUARDED_BY(mu_);
  RowEnds ends_ ABSL_GUARDED_BY(mu_);
  PageBuffer rest_ ABSL_GUARDED_BY(mu_);  // what was read behind the last chunk
  size_t rest_size_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  bool begun_ ABSL_GUARDED_BY(mu_) = false;
  bool at_end_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_CHUNK_READER_H_
