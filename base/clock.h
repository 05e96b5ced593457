#ifndef KVARTS_BASE_CLOCK_H_
#define KVARTS_BASE_CLOCK_H_

#include "base/language.h"

#include <cstdint>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace kvarts {

// Thread-safe. The time, handed in wherever behaviour depends on it, so that a
// test or a simulation sets it. Store expiries are `ToUnixMillis(Now())`.
class Clock {
 public:
  virtual ~Clock() = default;

  // The civil time. May step, so use it for what people and files see.
  virtual absl::Time Now() const = 0;

  // The machine's time. Without a clock handed in, this one is meant.
  static const Clock* Real();
};

}  // namespace kvarts

#endif  // KVARTS_BASE_CLOCK_H_
