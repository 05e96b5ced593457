#include "groupby/testing/grouping_suite_rows.h"

#include <cmath>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

class RowMaker {
 public:
  RowMaker(RowShape shape, uint64_t seed) : shape_(shape), random_(seed) {}

  std::pair<std::string, std::string> Next() {
    const uint64_t i = next_++;
    const std::string value = absl::StrCat("value ", i);
    switch (shape_) {
      case RowShape::kAllEqual:
        return {"the key", value};
      case RowShape::kAllDistinct:
        // An odd factor: each once, in no order.
        return {absl::StrCat("key ", absl::Hex(i * 0x9e3779b97f4a7c15, absl::kZeroPad16)), value};
      case RowShape::kFewGroups:
        return {absl::StrCat("group ", Below(7)), value};
      case RowShape::kSorted:
        return {absl::StrCat("key ", absl::Dec(i / 5, absl::kZeroPad10)), value};
      case RowShape::kZipf:
        return {absl::StrCat("key ", Zipf()), value};
      case RowShape::kHalfEqual:
        return {i % 2 == 0 ? "half of them" : absl::StrCat("key ", Below(1 << 20)), value};
      case RowShape::kLargeValues:
        if (i % 3 != 0) return {absl::StrCat("key ", Below(10)), value};
        return {absl::StrCat("key ", Below(10)), Text(i, Below(300'000))};
      case RowShape::kLongKeys:
        return {std::string(Below(2) * 60'000 + Below(20), 'k') + absl::StrCat(Below(10)), value};
      default:
        return {Text(random_(), Below(3)), Text(random_(), Below(21))};
    }
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  // Ranks of 1 to 100,000 with weights of 1 / rank, about.
  uint64_t Zipf() {
    const double u = static_cast<double>(random_() >> 11) * 0x1p-53;
    return static_cast<uint64_t>(std::pow(100'000.0, u));
  }
  static std::string Text(uint64_t start, size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>((start = start * 6364136223846793005 + 1) >> 56);
    return text;
  }

  const RowShape shape_;
  std::mt19937_64 random_;
  uint64_t next_ = 0;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, RowShape shape) {
  static constexpr const char* kNames[] = {"all equal",    "all distinct", "few groups",
                                           "sorted",       "Zipf",         "half equal",
                                           "large values", "long keys",    "bytes"};
  return out << kNames[static_cast<size_t>(shape)];
}

SuiteRows MakeSuiteRows(RowShape shape, size_t bytes, uint64_t seed) {
  RowMaker maker(shape, seed);
  SuiteRows rows;
  for (size_t made = 0; made < bytes;) {
    rows.push_back(maker.Next());
    made += rows.back().first.size() + rows.back().second.size() + 1;
  }
  return rows;
}

SuiteGroups GroupsOf(const SuiteRows& rows) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const auto& [key, value] : rows) groups[key].push_back(value);
  return SuiteGroups(groups.begin(), groups.end());
}

}  // namespace kvarts
