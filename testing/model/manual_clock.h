#ifndef KVARTS_TESTING_MODEL_MANUAL_CLOCK_H_
#define KVARTS_TESTING_MODEL_MANUAL_CLOCK_H_

#include "base/language.h"

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"

namespace kvarts {

// Thread-safe. A clock that stands until it is moved, for tests of expiry.
class ManualClock final : public Clock {
 public:
  static constexpr int64_t kStartMs = 1700000000000;  // some day in 2023

  absl::Time Now() const override { return absl::FromUnixMillis(now_ms()); }
  int64_t now_ms() const { return now_ms_.load(); }
  void Advance(absl::Duration by) { now_ms_ += absl::ToInt64Milliseconds(by); }

 private:
  std::atomic<int64_t> now_ms_{kStartMs};
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_MANUAL_CLOCK_H_
