#ifndef KVARTS_NET_FIXED_STORE_H_
#define KVARTS_NET_FIXED_STORE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/store.h"

namespace kvarts {

// Thread-safe. Answers without looking: what a benchmark over it measures is the
// protocol's.
class FixedStore final : public Store {
 public:
  explicit FixedStore(size_t value_size)
      : value_(std::make_shared<std::string>(value_size, 'v')), pin_(value_) {}
  Capabilities capabilities() const override {
    Capabilities has;
    has.write = Support::kNative;
    return has;
  }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions&,
                ReadResults* results) override {
    results->Reset(keys.size());
    results->bytes().AddPin(pin_);
    for (size_t i = 0; i < keys.size(); ++i) {
      results->mutable_result(i).found = true;
      results->mutable_result(i).value = *value_;
    }
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions&, WriteResults* results) override {
    results->results.assign(batch.mutations().size(), WriteResult());
    return absl::OkStatus();
  }
  absl::StatusOr<StoreStats> Stats() override { return StoreStats(); }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  const std::shared_ptr<std::string> value_;
  const Pin pin_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_FIXED_STORE_H_
