#include "storage/sstable/bench/counters.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

#include <fstream>
#include <map>
#include <memory>
#include <sstream>

namespace kvarts {
namespace {

// The lines "name: number" of a file below /proc.
std::map<std::string, uint64_t> Lines(const char* path) {
  std::map<std::string, uint64_t> numbers;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t number = 0;
    if (words >> name >> number) numbers[name] = number;
  }
  return numbers;
}

}  // namespace

ProcessCounters CountProcess() {
  ProcessCounters counters;
  timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  counters.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;
  auto io = Lines("/proc/self/io");
  counters.written_bytes = io["wchar:"];
  counters.write_calls = io["syscw:"];
  counters.read_calls = io["syscr:"];
  counters.device_bytes = io["write_bytes:"];
  auto status = Lines("/proc/self/status");
  counters.resident_bytes = status["VmRSS:"] << 10;
  counters.peak_bytes = status["VmHWM:"] << 10;
  return counters;
}

DirectoryBytes BytesIn(const std::string& dir) {
  DirectoryBytes bytes;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(dir.c_str()), closedir);
  if (open == nullptr) return bytes;
  while (const dirent* const entry = readdir(open.get())) {
    const std::string name = entry->d_name;
    struct stat info;
    // One that is gone meanwhile has none.
    if (stat((dir + "/" + name).c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const uint64_t size = static_cast<uint64_t>(info.st_blocks) * 512;
    bytes.all += size;
    if (name == "RESERVE") bytes.reserve += size;
  }
  return bytes;
}

}  // namespace kvarts
