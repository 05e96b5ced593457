#ifndef KVARTS_NET_TURNING_STORE_H_
#define KVARTS_NET_TURNING_STORE_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/store.h"
#include "testing/model/model_store.h"

namespace kvarts {

// Thread-safe. In front of each MultiGet one atomic batch puts the number of that call into
// all keys, "0" to "N-1": what shows two values was read in parts, and showed half of a batch.
class TurningStore final : public Store {
 public:
  TurningStore(size_t keys, bool atomic_multi_get)
      : base_(NewModelStore([&] {
          ModelStoreOptions options;
          options.capabilities.atomic_multi_get = atomic_multi_get;
          return options;
        }())) {
    for (size_t i = 0; i < keys; ++i) keys_.push_back(absl::StrCat(i));
  }

  const std::vector<std::string>& keys() const { return keys_; }

  Capabilities capabilities() const override { return base_->capabilities(); }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    const std::string number = absl::StrCat(++reads);  // the batch borrows it
    WriteBatch batch;
    for (const std::string& key : keys_) batch.Put(key, number);
    WriteOptions write;
    write.atomic = true;
    EXPECT_TRUE(base_->Write(batch, write, nullptr).ok());
    base_->MultiGet(keys, options, results);
  }
  absl::StatusOr<StoreStats> Stats() override { return base_->Stats(); }
  absl::Status Close() override { return base_->Close(); }

  std::atomic<int> reads{0};

 private:
  std::vector<std::string> keys_;
  const std::unique_ptr<Store> base_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_TURNING_STORE_H_
