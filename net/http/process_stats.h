#ifndef KVARTS_NET_HTTP_PROCESS_STATS_H_
#define KVARTS_NET_HTTP_PROCESS_STATS_H_

#include <cstdint>

namespace kvarts {

// What the system says of this process (/proc/self). What it does not tell is 0.
struct ProcessStats {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;  // with the pages of mapped files that are in memory
  uint64_t private_bytes = 0;   // of these, what no file backs
  uint64_t open_files = 0;
  uint64_t max_files = 0;
};

ProcessStats ReadProcessStats();

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_PROCESS_STATS_H_
