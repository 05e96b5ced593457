#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_RUN_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_RUN_H_

#include <cstdint>
#include <string>

#include "apps/testing/resp_differential/peers.h"
#include "apps/testing/resp_differential/sequence.h"

namespace kvarts {
namespace resp_differential {

// The first difference, or "". Where `false_conflicts` is not null, a WATCH that fails for
// nothing (a store may keep one stamp for many keys) ends the sequence, is none, and is
// counted.
std::string Compare(const Sequence& sequence, Peer* expected, Peer* actual,
                    uint64_t* false_conflicts = nullptr);

// Fewer steps that differ too, by taking away what is not needed for it, in at most
// `runs` runs.
Sequence Shrink(Sequence sequence, Peer* expected, Peer* actual,
                uint64_t* false_conflicts = nullptr, int runs = 2000);

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_RUN_H_
