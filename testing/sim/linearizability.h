#ifndef KVARTS_TESTING_SIM_LINEARIZABILITY_H_
#define KVARTS_TESTING_SIM_LINEARIZABILITY_H_

#include "base/language.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "testing/sim/history.h"

namespace kvarts {

struct LinearizabilityReport {
  enum Verdict {
    kLinearizable,
    kNotLinearizable,
    kUndecided,  // the search took too many steps
  };
  Verdict verdict = kLinearizable;
  // Where it is not: the first such key, and operations of it that cannot be ordered, in the
  // order called: those up to the first answer at which no order is left, less those that
  // are not needed for that.
  std::string key;
  std::vector<HistoryOperation> culprits;
  std::string text;    // all this for people; empty where it is linearizable
  uint64_t steps = 0;  // of the searches
};

// Thread-safe. Whether each key's operations can be put in one order in which each one that
// was answered happens between its call and its answer, and all answers are those of a map
// that is empty at first. Keys are independent of each other: a history is linearizable where
// each key's part is (Herlihy & Wing, TOPLAS 1990).
//
// A depth-first search over the orders (Wing & Gong, JPDC 1993) which enters no state twice,
// that is no set of operations done with one value (Lowe, CCPE 2017). It is exponential in
// the worst case: in the operations of a key that are under way at a time, and in those that
// may have happened. `most_steps` bounds it, for each key.
LinearizabilityReport CheckLinearizability(absl::Span<const HistoryOperation> operations,
                                           uint64_t most_steps = 2000000);

}  // namespace kvarts

#endif  // KVARTS_TESTING_SIM_LINEARIZABILITY_H_
