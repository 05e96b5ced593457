#ifndef KVARTS_STORAGE_NULL_NULL_FIXTURE_H_
#define KVARTS_STORAGE_NULL_NULL_FIXTURE_H_

#include <memory>

#include "storage/null/null.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// null as a store under test: it discards the records too.
class NullFixture final : public StoreFixture {
 public:
  absl::StatusOr<std::unique_ptr<Store>> Open(const Records&) override { return NewNullStore(); }
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return NewNullStore(); }
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_NULL_NULL_FIXTURE_H_
