#ifndef KVARTS_STORAGE_MEMORY_MEMORY_H_
#define KVARTS_STORAGE_MEMORY_MEMORY_H_

#include "base/language.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/progress.h"
#include "base/siphash.h"
#include "storage/fs/file_system.h"
#include "storage/store.h"

namespace kvarts {

struct MemoryOptions {
  // Of everything that grows with the entries; 0: no limit.
  size_t max_memory = 0;
  // What becomes of a write that needs more.
  enum class Evict : unsigned char {
    kNone = 0,  // it is refused: MemoryLimitError()
    kS3Fifo,    // others make room, those that are asked for least: see eviction.h
  };
  Evict evict = Evict::kNone;
  // Decides what has expired. Outlives the store and its cursors.
  const Clock* clock = Clock::Real();
  // Of the hash. Not given: at random, so that nobody can choose keys that collide.
  std::optional<HashSeed> seed;

  // For OpenMemoryStore(). The file that the entries are loaded from, where it is there,
  // and that Sync() writes anew: see SNAPSHOT.md. Empty: none, Sync() does nothing.
  std::string snapshot_path;
  // Close() saves; where that fails it returns why, and saves when it is called again.
  // Whether a file can be made there is tried when the store is opened.
  bool save_on_close = false;
  FileSystem* fs = FileSystem::Posix();  // outlives the store
  ProgressSink* progress = nullptr;      // of loading
};

// A store in memory: a hash table for many small entries. See README.md for what an
// entry takes and how it works. Values of up to 4 KiB are copied to who reads them,
// larger ones are lent.
//
// A scan goes in the order of a hash; a key that is there all the while is seen exactly
// once. Expired entries are absent at once, and removed within about a second.
std::unique_ptr<Store> NewMemoryStore(const MemoryOptions& options = {});

// With a snapshot. kDataLoss, with file and offset, where that is damaged,
// kFailedPrecondition for one of a newer version, and for one that another store has open, in
// any process; kResourceExhausted where its entries are more than max_memory.
absl::StatusOr<std::unique_ptr<Store>> OpenMemoryStore(const MemoryOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_MEMORY_MEMORY_H_
