#ifndef KVARTS_GROUPBY_TESTING_GROUPING_SUITE_ROWS_H_
#define KVARTS_GROUPBY_TESTING_GROUPING_SUITE_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace kvarts {

// Rounds of a test that says the same many times. ThreadSanitizer is ten times slower, and
// takes no more than a few to see threads meet.
#if defined(__SANITIZE_THREAD__)
inline constexpr int kFewerRounds = 10;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr int kFewerRounds = 10;
#else
inline constexpr int kFewerRounds = 1;
#endif
#else
inline constexpr int kFewerRounds = 1;
#endif
constexpr int SuiteRounds(int rounds) { return (rounds + kFewerRounds - 1) / kFewerRounds; }

using SuiteRows = std::vector<std::pair<std::string, std::string>>;
using SuiteGroups = std::vector<std::pair<std::string, std::vector<std::string>>>;

// Inputs on which groupings differ.
enum class RowShape : unsigned char {
  kAllEqual = 0,  // one key
  kAllDistinct,
  kFewGroups,    // seven, their rows mixed
  kSorted,       // some rows a key, which come in order
  kZipf,         // few keys have most rows
  kHalfEqual,    // one key has every other row
  kLargeValues,  // up to 300 KB, and small ones in between
  kLongKeys,     // up to 64 KiB, with long common beginnings
  kBytes,        // keys and values of any bytes and of 0 to 20, so that many are equal
  kEnd,
};
std::ostream& operator<<(std::ostream& out, RowShape shape);

// About so many bytes of rows. Values say where they stood, so that no two orders are
// alike.
SuiteRows MakeSuiteRows(RowShape shape, size_t bytes, uint64_t seed);

// What groups them, in the order of the keys.
SuiteGroups GroupsOf(const SuiteRows& rows);

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_TESTING_GROUPING_SUITE_ROWS_H_
