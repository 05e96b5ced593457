#include "cluster/bench/placements.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <random>
#include <utility>

#include "base/checksum.h"
#include "base/slot.h"
#include "cluster/placement.h"
#include "cluster/table.h"

namespace kvarts {
namespace cluster {
namespace {

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a number of a number.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The i-th of the numbers that node `node` has of its own.
uint64_t OfNode(int node, uint64_t i) { return Mix(Mix(static_cast<uint64_t>(node) + 1) + i); }

class Slots final : public Placement {
 public:
  absl::string_view name() const override { return "slots"; }
  void AddNode() override {
    const Incarnation node(20, static_cast<char>('a' + nodes_++));
    table_.nodes[node].state = NodeState::kMember;
    numbers_.push_back(table_.NumberOf(node));
    Rebalance({}, &table_);
    for (int i = 0; i < kSlots; ++i) {
      SlotEntry& slot = table_.slots.Mutable(i);
      if (slot.joining != 0) slot.primary = slot.joining;
      slot.joining = 0;
      const uint16_t primary = slot.primary;
      owner_[static_cast<size_t>(i)] = static_cast<int16_t>(
          std::find(numbers_.begin(), numbers_.end(), primary) - numbers_.begin());
    }
  }
  int NodeOf(const PlacedKey& key) override { return owner_[key.slot]; }
  size_t bytes() const override { return sizeof(owner_); }

 private:
  int nodes_ = 0;
  ClusterTable table_;
  std::vector<uint16_t> numbers_;  // of nodes, in SlotEntry
  std::array<int16_t, kSlots> owner_{};
};

// Points of nodes on a circle of 2^64.
class Circle {
 public:
  void Add(int node, int points) {
    for (int i = 0; i < points; ++i)
      points_.emplace_back(OfNode(node, static_cast<uint64_t>(i)), node);
    std::sort(points_.begin(), points_.end());
  }
  // The first point at `hash` or behind it.
  size_t Find(uint64_t hash) const {
    const auto at = std::lower_bound(
        points_.begin(), points_.end(), hash,
        [](const std::pair<uint64_t, int>& point, uint64_t h) { return point.first < h; });
    return at == points_.end() ? 0 : static_cast<size_t>(at - points_.begin());
  }
  size_t size() const { return points_.size(); }
  const std::pair<uint64_t, int>& operator[](size_t i) const { return points_[i]; }
  size_t bytes() const { return points_.size() * sizeof(points_[0]); }

 private:
  std::vector<std::pair<uint64_t, int>> points_;
};

constexpr int kRingPoints = 160;

class Ring final : public Placement {
 public:
  absl::string_view name() const override { return "ring"; }
  void AddNode() override { circle_.Add(nodes_++, kRingPoints); }
  int NodeOf(const PlacedKey& key) override { return circle_[circle_.Find(key.hash)].second; }
  size_t bytes() const override { return circle_.bytes(); }

 private:
  int nodes_ = 0;
  Circle circle_;
};

class Jump final : public Placement {
 public:
  absl::string_view name() const override { return "jump"; }
  void AddNode() override { ++nodes_; }
  int NodeOf(const PlacedKey& key) override {
    uint64_t state = key.hash;
    int64_t node = -1;
    int64_t next = 0;
    while (next < nodes_) {
      node = next;
      state = state * 2862933555777941757u + 1;
      next = static_cast<int64_t>(
          static_cast<double>(node + 1) *
          (static_cast<double>(int64_t{1} << 31) / static_cast<double>((state >> 33) + 1)));
    }
    return static_cast<int>(node);
  }
  size_t bytes() const override { return 0; }

 private:
  int64_t nodes_ = 0;
};

class Rendezvous final : public Placement {
 public:
  absl::string_view name() const override { return "rendezvous"; }
  void AddNode() override { seeds_.push_back(OfNode(static_cast<int>(seeds_.size()), 0)); }
  int NodeOf(const PlacedKey& key) override {
    int best = 0;
    uint64_t highest = 0;
    for (size_t i = 0; i < seeds_.size(); ++i) {
      const uint64_t weight = Mix(key.hash ^ seeds_[i]);
      if (weight < highest) continue;
      highest = weight;
      best = static_cast<int>(i);
    }
    return best;
  }
  size_t bytes() const override { return seeds_.size() * sizeof(uint64_t); }

 private:
  std::vector<uint64_t> seeds_;
};

class Maglev final : public Placement {
 public:
  absl::string_view name() const override { return "maglev"; }
  // Each node in turn takes the next place of its own permutation that is free.
  void AddNode() override {
    ++nodes_;
    std::vector<uint64_t> next(static_cast<size_t>(nodes_), 0);
    std::fill(places_.begin(), places_.end(), int16_t{-1});
    for (uint64_t filled = 0; filled < kPlaces;) {
      for (int node = 0; node < nodes_ && filled < kPlaces; ++node) {
        const uint64_t offset = OfNode(node, 0) % kPlaces;
        const uint64_t skip = OfNode(node, 1) % (kPlaces - 1) + 1;
        uint64_t place = 0;
        do {
          place = (offset + skip * next[static_cast<size_t>(node)]++) % kPlaces;
        } while (places_[place] >= 0);
        places_[place] = static_cast<int16_t>(node);
        ++filled;
      }
    }
  }
  int NodeOf(const PlacedKey& key) override { return places_[key.hash % kPlaces]; }
  size_t bytes() const override { return places_.size() * sizeof(int16_t); }

 private:
  static constexpr uint64_t kPlaces = 65537;

  int nodes_ = 0;
  std::vector<int16_t> places_ = std::vector<int16_t>(kPlaces);
};

class MultiProbe final : public Placement {
 public:
  absl::string_view name() const override { return "multi-probe"; }
  void AddNode() override { circle_.Add(nodes_++, 1); }
  int NodeOf(const PlacedKey& key) override {
    int best = 0;
    uint64_t nearest = ~uint64_t{0};
    for (uint64_t probe = 0; probe < 21; ++probe) {
      const uint64_t hash = Mix(key.hash + probe);
      const std::pair<uint64_t, int>& point = circle_[circle_.Find(hash)];
      const uint64_t distance = point.first - hash;  // around the circle
      if (distance >= nearest) continue;
      nearest = distance;
      best = point.second;
    }
    return best;
  }
  size_t bytes() const override { return circle_.bytes(); }

 private:
  int nodes_ = 0;
  Circle circle_;
};

class Bounded final : public Placement {
 public:
  explicit Bounded(uint64_t keys) : keys_(keys) {}
  absl::string_view name() const override { return "bounded"; }
  void AddNode() override {
    circle_.Add(static_cast<int>(loads_.size()), kRingPoints);
    loads_.push_back(0);
    std::fill(loads_.begin(), loads_.end(), 0);
    taken_ = 0;
  }
  int NodeOf(const PlacedKey& key) override {
    if (taken_++ == keys_) {
      // The keys come once more, from the first.
      std::fill(loads_.begin(), loads_.end(), 0);
      taken_ = 1;
    }
    const auto most = static_cast<uint64_t>(
        std::ceil(1.05 * static_cast<double>(keys_) / static_cast<double>(loads_.size())));
    size_t at = circle_.Find(key.hash);
    while (loads_[static_cast<size_t>(circle_[at].second)] >= most) at = (at + 1) % circle_.size();
    const int node = circle_[at].second;
    ++loads_[static_cast<size_t>(node)];
    return node;
  }
  size_t bytes() const override { return circle_.bytes() + loads_.size() * sizeof(uint64_t); }

 private:
  const uint64_t keys_;
  uint64_t taken_ = 0;
  Circle circle_;
  std::vector<uint64_t> loads_;
};

// "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx"; RFC 9562, section 5.4.
void WriteUuid(std::mt19937_64* random, char* text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  uint64_t bits = 0;
  for (int i = 0; i < 36; ++i) {
    if (i % 16 == 0) bits = (*random)();
    text[i] = kDigits[bits & 15];
    bits >>= 4;
  }
  text[8] = text[13] = text[18] = text[23] = '-';
  text[14] = '4';
  text[19] = kDigits[8 + (bits & 3)];
}

std::vector<PlacedKey> MakeKeys(uint64_t count, int seed) {
  std::mt19937_64 random(static_cast<uint64_t>(seed) + 1);
  std::vector<PlacedKey> keys(count);
  char text[36];
  for (PlacedKey& key : keys) {
    WriteUuid(&random, text);
    const absl::string_view uuid(text, sizeof(text));
    key.slot = KeySlot(uuid);
    key.hash = Checksum(uuid);
  }
  return keys;
}

}  // namespace

std::vector<std::unique_ptr<Placement>> AllPlacements(uint64_t keys) {
  std::vector<std::unique_ptr<Placement>> all;
  all.push_back(std::make_unique<Slots>());
  all.push_back(std::make_unique<Ring>());
  all.push_back(std::make_unique<Jump>());
  all.push_back(std::make_unique<Rendezvous>());
  all.push_back(std::make_unique<Maglev>());
  all.push_back(std::make_unique<MultiProbe>());
  all.push_back(std::make_unique<Bounded>(keys));
  return all;
}

std::vector<PlacementResult> ComparePlacements(uint64_t keys, int seeds,
                                               const std::vector<int>& nodes,
                                               absl::string_view only) {
  std::vector<PlacementResult> results;
  for (int seed = 0; seed < seeds; ++seed) {
    const std::vector<PlacedKey> placed = MakeKeys(keys, seed);
    std::vector<int16_t> before(placed.size());
    size_t at = 0;
    for (const std::unique_ptr<Placement>& scheme : AllPlacements(keys)) {
      if (!only.empty() && scheme->name() != only) continue;
      int there = 0;
      for (const int n : nodes) {
        while (there < n - 1) scheme->AddNode(), ++there;
        for (size_t i = 0; n > 1 && i < placed.size(); ++i) {
          before[i] = static_cast<int16_t>(scheme->NodeOf(placed[i]));
        }
        scheme->AddNode(), ++there;
        std::vector<uint64_t> loads(static_cast<size_t>(n));
        const auto start = std::chrono::steady_clock::now();
        for (const PlacedKey& key : placed) ++loads[static_cast<size_t>(scheme->NodeOf(key))];
        const std::chrono::duration<double, std::nano> took =
            std::chrono::steady_clock::now() - start;
        uint64_t moved = 0;
        uint64_t between = 0;
        for (size_t i = 0; n > 1 && i < placed.size(); ++i) {
          const int now = scheme->NodeOf(placed[i]);
          if (now == before[i]) continue;
          ++moved;
          if (now != n - 1) ++between;
        }
        if (at == results.size()) {
          results.emplace_back();
          results[at].scheme = std::string(scheme->name());
          results[at].nodes = n;
          results[at].bytes = scheme->bytes();
        }
        PlacementResult& result = results[at++];
        const auto all = static_cast<double>(keys);
        const double skew =
            static_cast<double>(*std::max_element(loads.begin(), loads.end())) * n / all;
        result.mean_skew += skew / seeds;
        result.worst_skew = std::max(result.worst_skew, skew);
        result.moved += static_cast<double>(moved) * n / all / seeds;
        result.moved_between_old += static_cast<double>(between) / all / seeds;
        result.nanoseconds += took.count() / all / seeds;
      }
    }
  }
  return results;
}

}  // namespace cluster
}  // namespace kvarts
