#ifndef KVARTS_APPS_TESTING_SOAK_WATCH_H_
#define KVARTS_APPS_TESTING_SOAK_WATCH_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kvarts::soak {

// What a process holds, as /proc says.
struct Held {
  int64_t resident_kib = 0;
  int64_t threads = 0;
  int64_t descriptors = 0;
};
Held HeldBy(pid_t pid);

// Waits until `done`; false where it is not within the time in which nothing hangs.
bool WaitUntil(const std::function<bool()>& done);

// Not thread-safe. Resident memory over time, in thirds of it.
class ResidentMemory {
 public:
  void Add(int64_t kib) { samples_.push_back(kib); }
  struct Range {
    int64_t least = 0;
    int64_t most = 0;
  };
  // `third`: 0 to 2. REQUIRES: three samples.
  Range OfThird(int third) const;

 private:
  std::vector<int64_t> samples_;
};

}  // namespace kvarts::soak

#endif  // KVARTS_APPS_TESTING_SOAK_WATCH_H_
