#ifndef KVARTS_TESTING_MODEL_GENERATOR_H_
#define KVARTS_TESTING_MODEL_GENERATOR_H_

#include <cstdint>

#include "testing/conformance/store_fixture.h"
#include "testing/model/history.h"

namespace kvarts::model {

// A random history for a store that can do `has`; the same for the same seed.
// Few keys, so that operations meet: prefixes of each other, binary, UUIDs.
// Mostly what the store can do, at times what it must refuse. The fixture says
// which entries it accepts, and whether there is a clock and a reopen.
History RandomHistory(uint64_t seed, int operations, const Capabilities& has,
                      const StoreFixture& fixture, bool has_clock);

}  // namespace kvarts::model

#endif  // KVARTS_TESTING_MODEL_GENERATOR_H_
