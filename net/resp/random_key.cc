#include "net/resp/random_key.h"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kSampleKeys = 64;
constexpr size_t kRandomLetters = 16;
constexpr int kTries = 16;

absl::StatusOr<std::vector<std::string>> Scan(Store* store, KeyRange range, bool backward,
                                              size_t most) {
  ScanOptions options;
  options.range = std::move(range);
  options.keys_only = true;
  options.backward = backward;
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, store->NewCursor(options));
  PageLimits limits;
  limits.entries = most;
  ScanPage page;
  KVARTS_RETURN_IF_ERROR(cursor->Next(limits, &page));
  std::vector<std::string> keys;
  for (const ScanEntry& entry : page) keys.emplace_back(entry.key);
  if (!page.intact()) return absl::DataLossError("keys were lost while they were read");
  return keys;
}

}  // namespace

absl::StatusOr<std::optional<std::string>> SomeKey(Store* store) {
  std::mt19937_64 random{std::random_device{}()};
  const auto below = [&random](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  const Capabilities has = store->capabilities();
  KVARTS_ASSIGN_OR_RETURN(std::vector<std::string> keys,
                          Scan(store, KeyRange::All(), false, kSampleKeys));
  if (keys.empty()) return std::optional<std::string>();
  if (keys.size() < kSampleKeys || !has.has(has.ordered_scan) || !has.has(has.backward_scan)) {
    return std::optional<std::string>(std::move(keys[below(keys.size())]));
  }
  const std::string first = keys.front();
  KVARTS_ASSIGN_OR_RETURN(const std::vector<std::string> last,
                          Scan(store, KeyRange::All(), true, 1));
  if (last.empty()) return std::optional<std::string>(first);
  size_t same = 0;
  while (same < first.size() && same < last[0].size() && first[same] == last[0][same]) ++same;
  std::set<char> letters;
  for (const std::string& key : keys) {
    for (const char c : absl::string_view(key).substr(std::min(same, key.size()))) {
      letters.insert(c);
    }
  }
  const std::vector<char> alphabet(letters.begin(), letters.end());
  std::string place;
  for (int i = 0; i < kTries && (place <= first || place > last[0]); ++i) {
    place = first.substr(0, same);
    for (size_t k = 0; k < kRandomLetters && !alphabet.empty(); ++k) {
      place.push_back(alphabet[below(alphabet.size())]);
    }
  }
  KVARTS_ASSIGN_OR_RETURN(keys, Scan(store, KeyRange::From(place), false, 1));
  return std::optional<std::string>(keys.empty() ? first : keys[0]);
}

}  // namespace resp
}  // namespace kvarts
