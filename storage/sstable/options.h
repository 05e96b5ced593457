#ifndef KVARTS_STORAGE_SSTABLE_OPTIONS_H_
#define KVARTS_STORAGE_SSTABLE_OPTIONS_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// The least SstableOptions::memory that the programs take.
inline constexpr size_t kMinSstableMemory = size_t{4} << 20;

struct SstableOptions {
  // Whether a directory that holds no store becomes one.
  enum class Create : unsigned char {
    kMissing = 0,  // where it is absent or empty
    kNew,          // and one that holds a store is an error
    kNever,        // and is an error
  };
  // How blocks are kept.
  enum class Compress : unsigned char {
    kAuto = 0,  // LZ4, and zstd on the last level
    kNone,
    kLz4,
    kZstd,
  };

  Create create = Create::kMissing;
  bool read_only = false;
  // Without a log a crash takes what was not flushed: see Store::Sync().
  bool log = true;
  // Bounds what grows with use: what was written and is not flushed, blocks, indexes, filters.
  size_t memory = size_t{256} << 20;
  // The part of it for blocks, indexes and filters; 0: five eighths.
  size_t cache = 0;
  Compress compress = Compress::kAuto;
  // Where Maintenance::Checkpoint() makes those that have a bare name, and where snapshots of the
  // index with such a name lie. Empty: checkpoints without a name are made beside the store, and
  // what has one is where the process was started.
  std::string checkpoints;

  // Decides what has expired. These two outlive the store, its cursors and its snapshots.
  const Clock* clock = Clock::Real();
  FileSystem* fs = FileSystem::Posix();
  // A time that is never set, by which steps of `clock` are told. Without one the machine's clock
  // is compared with the time since its start, and another clock is believed.
  std::function<absl::Duration()> elapsed;

  // Tests and figures set these; 0: worked out from `memory`.
  size_t memtable_bytes = 0;
  size_t block_bytes = 4096;
  uint64_t table_bytes = 8 << 20;
  uint64_t level1_bytes = 0;
  // How many files of tables are open at a time; 0: half of the descriptors that the process may
  // have.
  size_t most_open_files = 0;
  // After so long without a flush the store is idle: what has expired goes, and the end of a log
  // that is synced gets its promise.
  absl::Duration idle_period = absl::Seconds(10);
  // False: flushes and compactions are done by the calls that make them due, on one thread, in
  // an order that a test can repeat.
  bool threads = true;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_OPTIONS_H_
