#include "apps/testing/soak/watch.h"

#include <dirent.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "apps/testing/soak/connections.h"

namespace kvarts::soak {

Held HeldBy(pid_t pid) {
  Held held;
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    int64_t number = 0;
    if (!absl::SimpleAtoi(words[1], &number)) continue;
    if (words[0] == "VmRSS:") held.resident_kib = number;
    if (words[0] == "Threads:") held.threads = number;
  }
  if (DIR* const directory = ::opendir(absl::StrCat("/proc/", pid, "/fd").c_str())) {
    while (const dirent* const entry = ::readdir(directory)) {
      if (entry->d_name[0] != '.') ++held.descriptors;
    }
    ::closedir(directory);
  }
  return held;
}

bool WaitUntil(const std::function<bool()>& done) {
  const absl::Time end = absl::Now() + absl::Seconds(kHangingSeconds);
  while (!done()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(1));  // leaves the processor to what is waited for
  }
  return true;
}

ResidentMemory::Range ResidentMemory::OfThird(int third) const {
  const auto begin = samples_.begin() + static_cast<ptrdiff_t>(samples_.size()) * third / 3;
  const auto end = samples_.begin() + static_cast<ptrdiff_t>(samples_.size()) * (third + 1) / 3;
  const auto [least, most] = std::minmax_element(begin, end);
  return {*least, *most};
}

}  // namespace kvarts::soak
