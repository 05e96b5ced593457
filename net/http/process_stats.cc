#include "net/http/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace kvarts {

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    stats.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  if (std::FILE* const file = std::fopen("/proc/self/statm", "re"); file != nullptr) {
    unsigned long long size = 0, resident = 0, shared = 0;  // in pages
    if (std::fscanf(file, "%llu %llu %llu", &size, &resident, &shared) == 3) {
      const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
      stats.resident_bytes = resident * page;
      stats.private_bytes = (resident - shared) * page;
    }
    std::fclose(file);
  }
  if (DIR* const folder = opendir("/proc/self/fd"); folder != nullptr) {
    while (const dirent* const entry = readdir(folder)) {
      if (entry->d_name[0] != '.') ++stats.open_files;
    }
    closedir(folder);
    if (stats.open_files > 0) --stats.open_files;  // the folder itself
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_files = limit.rlim_cur;
  return stats;
}

}  // namespace kvarts
