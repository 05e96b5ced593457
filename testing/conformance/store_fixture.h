#ifndef KVARTS_TESTING_CONFORMANCE_STORE_FIXTURE_H_
#define KVARTS_TESTING_CONFORMANCE_STORE_FIXTURE_H_

#include "base/language.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store.h"
#include "testing/model/manual_clock.h"

namespace kvarts {

// Keys and their values; no key twice, in no order.
using Records = std::vector<std::pair<std::string, std::string>>;

// How tests get at a store of some kind: the part a backend writes to be tested.
// Each test makes a new one, and destroys it after its stores. Not thread-safe.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;

  // A new store that holds `records` and nothing else, however they come in.
  // May be called again while earlier stores live: they share nothing.
  virtual absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) = 0;

  // The data of the last Open() once more, as after a restart. Called when the
  // store before it is destroyed; for a store that is shared_by_processes,
  // also while it is in use.
  virtual bool can_reopen() const { return false; }
  virtual absl::StatusOr<std::unique_ptr<Store>> Reopen() {
    return absl::UnimplementedError("the fixture cannot reopen");
  }

  // The clock that the stores run on, for a store with expiry. Null: real time;
  // what takes time is then not tested.
  virtual ManualClock* clock() { return nullptr; }

  // Whether the store can hold this entry, within the limits of storage/store.h.
  // Short keys and values of letters, digits and "/{}-_." must be accepted.
  virtual bool Accepts(absl::string_view /*key*/, absl::string_view /*value*/) const {
    return true;
  }

  // True where an open cursor of a closed store fails (with kFailedPrecondition)
  // and does not go on: its entries are at the other end of a connection.
  virtual bool cursors_end_with_store() const { return false; }
};

using StoreFixtureFactory = std::function<std::unique_ptr<StoreFixture>()>;

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_STORE_FIXTURE_H_
