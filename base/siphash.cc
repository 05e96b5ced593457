#include "base/siphash.h"

#include <random>

namespace kvarts {

HashSeed HashSeed::Random() {
  std::random_device random;
  const auto word = [&random] { return uint64_t{random()} << 32 | random(); };
  return {word(), word()};
}

}  // namespace kvarts
