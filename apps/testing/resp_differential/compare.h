#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_COMPARE_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_COMPARE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "apps/testing/resp_differential/reply.h"

namespace kvarts {
namespace resp_differential {

// How the replies to a command must agree.
enum class Rule : unsigned char {
  kExact,  // byte for byte
  kTime,   // an integer above 0: within two seconds
  kSet,    // the items of an array in any order
  kLoose,  // an integer or null
  kScan,   // as kShape, but for cursors of nobody
  kShape,  // of the same type, whatever is in it; errors are exact
};

// `settled`: nothing that has expired is still counted.
Rule RuleOf(const std::vector<std::string>& args, bool settled);

// True where one may be said instead of the other.
bool Agree(Rule rule, bool in_milliseconds, const Reply& expected, const Reply& actual);

// Of a comparison: EXEC did nothing, though no watched key had changed.
inline constexpr char kFalseConflict[] = "a watched key had not changed";

// Not thread-safe. The replies of one connection: it knows what EXEC's are of.
class Comparer {
 public:
  // Empty, or why the replies do not agree. Both are whole.
  std::string Compare(const std::vector<std::string>& args, bool settled,
                      absl::string_view expected, absl::string_view actual);

 private:
  struct Queued {
    std::vector<std::string> args;
  };
  std::vector<Queued> queue_;
  bool open_ = false;
};

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_COMPARE_H_
