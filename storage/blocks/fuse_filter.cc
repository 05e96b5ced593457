#include "storage/blocks/fuse_filter.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/coding.h"
#include "base/prefetch.h"

namespace kvarts {
namespace {

// seed 8, segment length 4, segments times it 4; then the fingerprints
constexpr size_t kHeaderBytes = 16;
constexpr int kTries = 64;

uint64_t Mix(uint64_t hash, uint64_t seed) {
  uint64_t h = hash + seed;
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccd;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53;
  h ^= h >> 33;
  return h;
}

unsigned char FingerprintOf(uint64_t mixed) {
  return static_cast<unsigned char>(mixed ^ (mixed >> 32));
}

// The three places of a key lie in three segments that follow each other: a filter is read within
// a few cache lines of each other, and can be built in the order of the segments.
struct Shape {
  uint32_t segment_length;
  uint32_t segment_count_length;

  std::array<uint32_t, 3> Places(uint64_t mixed) const {
    const auto first =
        static_cast<uint32_t>((static_cast<unsigned __int128>(mixed) * segment_count_length) >> 64);
    const uint32_t mask = segment_length - 1;
    return {first, (first + segment_length) ^ (static_cast<uint32_t>(mixed >> 18) & mask),
            (first + 2 * segment_length) ^ (static_cast<uint32_t>(mixed) & mask)};
  }
  uint32_t size() const { return segment_count_length + 2 * segment_length; }
};

// The paper's sizes.
Shape ShapeFor(size_t keys) {
  const double n = static_cast<double>(std::max<size_t>(keys, 2));
  const auto bits = static_cast<uint32_t>(std::floor(std::log(n) / std::log(3.33) + 2.25));
  const uint32_t segment_length = uint32_t{1} << std::min<uint32_t>(bits, 18);
  const double factor = std::max(1.125, 0.875 + 0.25 * std::log(1e6) / std::log(n));
  const auto capacity = static_cast<uint32_t>(std::lround(n * factor));
  uint32_t segments = (capacity + segment_length - 1) / segment_length;
  segments = segments > 2 ? segments - 2 : 1;
  return {segment_length, segments * segment_length};
}

}  // namespace

std::string BuildFuseFilter(std::vector<uint64_t> hashes) {
  struct Place {
    uint64_t xored = 0;  // the mixed hashes there
    uint64_t count = 0;  // how many
  };
  Shape shape = ShapeFor(hashes.size());
  std::vector<Place> places(shape.size());
  std::vector<uint32_t> alone;                       // places with one
  std::vector<std::pair<uint64_t, uint32_t>> order;  // a hash, and the place it alone has
  order.reserve(hashes.size());
  for (uint64_t seed = 1; seed <= kTries; ++seed) {
    // Two equal hashes would have all three places in common, and never come free. Those of
    // different keys are hardly ever equal, and sorting them takes as long as all else.
    if (seed == 2) {
      std::sort(hashes.begin(), hashes.end());
      hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
      shape = ShapeFor(hashes.size());
    }
    places.assign(shape.size(), Place());
    order.clear();
    const uint64_t mixed_seed = Mix(seed, 0x9e3779b97f4a7c15);
    for (const uint64_t hash : hashes) {
      const uint64_t mixed = Mix(hash, mixed_seed);
      for (const uint32_t place : shape.Places(mixed)) {
        places[place].xored ^= mixed;
        ++places[place].count;
      }
    }
    alone.clear();
    for (uint32_t place = 0; place < shape.size(); ++place) {
      if (places[place].count == 1) alone.push_back(place);
    }
    // Take away what has a place for itself, which may leave others alone.
    while (!alone.empty()) {
      const uint32_t place = alone.back();
      alone.pop_back();
      if (places[place].count != 1) continue;
      const uint64_t mixed = places[place].xored;
      order.emplace_back(mixed, place);
      for (const uint32_t other : shape.Places(mixed)) {
        places[other].xored ^= mixed;
        if (--places[other].count == 1) alone.push_back(other);
      }
    }
    if (order.size() < hashes.size()) continue;
    std::string out;
    AppendLE64(&out, mixed_seed);
    AppendLE32(&out, shape.segment_length);
    AppendLE32(&out, shape.segment_count_length);
    out.resize(kHeaderBytes + shape.size());
    char* const prints = &out[kHeaderBytes];
    // Backwards: the place of each is not set by any that was taken away before it.
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      unsigned char print = FingerprintOf(it->first);
      for (const uint32_t other : shape.Places(it->first)) {
        if (other != it->second) print ^= static_cast<unsigned char>(prints[other]);
      }
      prints[it->second] = static_cast<char>(print);
    }
    return out;
  }
  return "";
}

FuseFilter::FuseFilter(absl::string_view filter) {
  if (filter.size() < kHeaderBytes) return;
  seed_ = LoadLE64(filter.data());
  segment_length_ = LoadLE32(filter.data() + 8);
  segment_count_length_ = LoadLE32(filter.data() + 12);
  const bool good =
      segment_length_ != 0 && segment_length_ <= uint32_t{1} << 18 &&
      (segment_length_ & (segment_length_ - 1)) == 0 &&
      segment_count_length_ % segment_length_ == 0 &&
      uint64_t{segment_count_length_} + 2 * segment_length_ == filter.size() - kHeaderBytes;
  if (good) fingerprints_ = filter.substr(kHeaderBytes);
}

bool FuseFilter::MayContain(uint64_t hash) const {
  if (fingerprints_.empty()) return true;
  const uint64_t mixed = Mix(hash, seed_);
  unsigned char print = FingerprintOf(mixed);
  for (const uint32_t place : Shape{segment_length_, segment_count_length_}.Places(mixed)) {
    print ^= static_cast<unsigned char>(fingerprints_[place]);
  }
  return print == 0;
}

void FuseFilter::Prefetch(uint64_t hash) const {
  if (fingerprints_.empty()) return;
  const Shape shape{segment_length_, segment_count_length_};
  for (const uint32_t place : shape.Places(Mix(hash, seed_))) {
    PrefetchRead(fingerprints_.data() + place);
  }
}

}  // namespace kvarts
