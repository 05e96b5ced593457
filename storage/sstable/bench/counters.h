#ifndef KVARTS_STORAGE_SSTABLE_BENCH_COUNTERS_H_
#define KVARTS_STORAGE_SSTABLE_BENCH_COUNTERS_H_

#include <cstdint>
#include <string>

namespace kvarts {

// What the kernel has counted of this process since its start.
struct ProcessCounters {
  double cpu_seconds = 0;       // of all threads
  uint64_t written_bytes = 0;   // handed to write(2) and its like: "wchar" of /proc/self/io
  uint64_t write_calls = 0;     // "syscw"
  uint64_t read_calls = 0;      // "syscr"; not what is read through a mapping
  uint64_t device_bytes = 0;    // "write_bytes": of pages that became dirty
  uint64_t resident_bytes = 0;  // now; shared libraries included
  uint64_t peak_bytes = 0;      // the most that was resident
};
ProcessCounters CountProcess();

// Bytes that the files in `dir` have been given by the disk, and of those what a store keeps for
// a full disk (the file RESERVE).
struct DirectoryBytes {
  uint64_t all = 0;
  uint64_t reserve = 0;
};
DirectoryBytes BytesIn(const std::string& dir);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_BENCH_COUNTERS_H_
